//! Fetches the keys of JWTs from a file or from the issuer's URL. Keys are refreshed periodically and on an unknown
//! `kid`, rate-limited so that attackers cannot force fetches. While the source fails, the last keys stay in use.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use reqwest::{Client, Url, redirect};
use tokio::{
    fs,
    sync::Mutex,
    time::{self, Instant},
};

use super::jwks::KeySet;
use crate::url_redaction;

/// The pause between two fetches from a URL, and the shorter one until the first fetch succeeds.
const URL_PERIOD: Duration = Duration::from_secs(5 * 60);
const URL_FIRST_PERIOD: Duration = Duration::from_secs(5);
/// Minimum pause between two fetches from a URL because of unknown keys.
const URL_PAUSE: Duration = Duration::from_secs(30);
/// The pause between two reads of a file.
const FILE_PERIOD: Duration = Duration::from_secs(1);
/// Minimum pause between two reads of a file because of unknown keys.
const FILE_PAUSE: Duration = Duration::from_millis(100);
/// The timeout of a fetch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a key set in bytes: more than any issuer has.
const MAX_BYTES: usize = 1 << 20;

/// The source of the keys.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A URL: `https`, or `http` on this machine.
    Url(Url),
}

/// The reason why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The HTTP client cannot be created.
    #[error("the HTTP client for the keys of JWTs cannot be created")]
    Client(#[source] reqwest::Error),
    /// The file cannot be read.
    #[error("the keys of JWTs cannot be read from {0}")]
    File(PathBuf, #[source] io::Error),
    /// The request to the issuer failed.
    #[error("the keys of JWTs cannot be fetched from {}", url_redaction::url(.0.as_str()))]
    Url(Url, #[source] reqwest::Error),
    /// The key set is too large.
    #[error("the keys of JWTs have more than {MAX_BYTES} bytes")]
    TooLarge,
    /// The content is not a key set.
    #[error("the keys of JWTs are not a JSON Web Key Set")]
    NoKeySet,
}

/// The keys of JWTs. Clones share them.
#[derive(Debug, Clone)]
pub struct JwksFetcher {
    source: KeySource,
    client: Client,
    /// `None` until the first fetch succeeds.
    keys: Arc<RwLock<Option<Arc<KeySet>>>>,
    /// The time of the last fetch because of an unknown key.
    last_unknown_fetch: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Url(url) => f.debug_tuple("Url").field(&url_redaction::url(url.as_str())).finish(),
        }
    }
}

impl KeySource {
    /// Checks that a file holds keys. A URL is not checked.
    ///
    /// # Errors
    /// The file cannot be read, or is not a key set.
    pub async fn check(&self) -> Result<(), KeysError> {
        let Self::File(path) = self else { return Ok(()) };
        let bytes = fs::read(path).await.map_err(|error| KeysError::File(path.clone(), error))?;
        KeySet::parse(bytes).map(|_| ()).ok_or(KeysError::NoKeySet)
    }

    /// Parses the setting: a URL, or the path of a file.
    ///
    /// # Errors
    /// The URL is invalid, contains a user name or a password, or is neither `https` nor on this machine.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let url: Url = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user name or a password: the log would show them".to_owned());
        }
        match url.scheme() {
            "https" => Ok(Self::Url(url)),
            "http" if is_loopback(&url) => Ok(Self::Url(url)),
            _ => {
                Err("must be https: an attacker who changes the keys in transit can impersonate any caller".to_owned())
            }
        }
    }

    fn period(&self, has_keys: bool) -> Duration {
        match self {
            Self::File(_) => FILE_PERIOD,
            Self::Url(_) if has_keys => URL_PERIOD,
            Self::Url(_) => URL_FIRST_PERIOD,
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::File(_) => FILE_PAUSE,
            Self::Url(_) => URL_PAUSE,
        }
    }
}

impl JwksFetcher {
    /// Fetches the keys. A URL that fails is fetched again later.
    ///
    /// # Errors
    /// A file cannot be read or is not a key set, or the HTTP client cannot be created.
    pub async fn new(source: KeySource) -> Result<Self, KeysError> {
        // Redirects could leave https or the configured host. A proxy is not used for this machine itself.
        let mut client = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        if matches!(&source, KeySource::Url(url) if is_loopback(url)) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(KeysError::Client)?;
        let keys = Self { source, client, keys: Arc::default(), last_unknown_fetch: Arc::default() };
        match keys.fetch().await {
            Err(error) if matches!(keys.source, KeySource::File(_)) => return Err(error),
            Err(error) => tracing::warn!("{}: JWTs are refused until a fetch succeeds", with_causes(&error)),
            Ok(()) => {}
        }
        Ok(keys)
    }

    /// Fetches the keys periodically. Never returns.
    pub async fn refresh(&self) {
        let mut succeeded = true;
        loop {
            time::sleep(self.source.period(self.current().is_some())).await;
            let fetched = self.fetch().await;
            if let Err(error) = &fetched
                && succeeded
            {
                tracing::warn!("{}: the last keys stay in use", with_causes(error));
            }
            succeeded = fetched.is_ok();
        }
    }

    /// The keys of the last successful fetch.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the keys because a token names an unknown one, unless such a fetch was done recently. Concurrent callers
    /// share one fetch.
    pub async fn fetch_for_unknown_key(&self) {
        let called = Instant::now();
        let mut last_fetch = Arc::clone(&self.last_unknown_fetch).lock_owned().await;
        if last_fetch.is_some_and(|last| last >= called || last.elapsed() < self.source.pause()) {
            return;
        }
        *last_fetch = Some(Instant::now());
        let keys = self.clone();
        // A task, so that the fetch completes even if this caller disconnects: others must wait before the next one.
        let fetching = tokio::spawn(async move {
            if let Err(error) = keys.fetch().await {
                tracing::warn!("{}: the last keys stay in use", with_causes(&error));
            }
            drop(last_fetch);
        });
        let _ = fetching.await;
    }

    async fn fetch(&self) -> Result<(), KeysError> {
        let bytes = self.read().await?;
        if self.current().is_some_and(|current| current.is_of(&bytes)) {
            return Ok(());
        }
        let keys = KeySet::parse(bytes).ok_or(KeysError::NoKeySet)?;
        tracing::info!(keys = keys.count(), "the keys of JWTs were loaded");
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        Ok(())
    }

    async fn read(&self) -> Result<Vec<u8>, KeysError> {
        match &self.source {
            KeySource::File(path) => fs::read(path).await.map_err(|error| KeysError::File(path.clone(), error)),
            KeySource::Url(url) => {
                let failed = |error: reqwest::Error| KeysError::Url(url.clone(), error.without_url());
                let response = self.client.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
                let mut response = response.map_err(failed)?;
                let mut bytes = Vec::new();
                while let Some(chunk) = response.chunk().await.map_err(failed)? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() > MAX_BYTES {
                        return Err(KeysError::TooLarge);
                    }
                }
                Ok(bytes)
            }
        }
    }
}

/// The text of an error and its causes: libraries put the details there.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_a_file_or_a_url_with_tls_or_on_this_machine() {
        assert_eq!(KeySource::parse("/etc/readout/jwks.json"), Ok(KeySource::File("/etc/readout/jwks.json".into())));
        for url in
            ["https://issuer.example/keys", "http://127.0.0.1:8080/keys", "http://[::1]/keys", "http://localhost"]
        {
            assert!(matches!(KeySource::parse(url), Ok(KeySource::Url(_))), "{url}");
        }
        for wrong in ["http://issuer.example/keys", "http://127.0.0.1.issuer.example/", "ftp://127.0.0.1/", "https://"]
        {
            assert!(KeySource::parse(wrong).is_err(), "{wrong}");
        }
        for with_password in ["https://desk:s3cret@issuer.example/keys", "https://s3cret@issuer.example/keys"] {
            assert!(KeySource::parse(with_password).is_err_and(|error| !error.contains("s3cret")), "{with_password}");
        }
        let with_query = KeySource::parse("https://issuer.example/keys?token=s3cret").unwrap();
        assert_eq!(format!("{with_query:?}"), "Url(\"https://issuer.example/keys?***\")");
    }
}
