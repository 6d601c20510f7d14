//! Where the keys of JWTs come from: a file, or the issuer's address. They are had anew from time to time, and when a token
//! names one that is not known, but not as often as a stranger likes; ones that were had go on while the source fails.

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

use super::jwk::KeySet;
use crate::redaction;

/// How often the issuer is asked, and how often until it has answered once.
const URL_PERIOD: Duration = Duration::from_secs(5 * 60);
const URL_FIRST_PERIOD: Duration = Duration::from_secs(5);
/// However many unknown keys are named, the issuer is not asked for them more often than this.
const URL_PAUSE: Duration = Duration::from_secs(30);
/// How often a file is looked at.
const FILE_PERIOD: Duration = Duration::from_secs(1);
/// The same for unknown keys.
const FILE_PAUSE: Duration = Duration::from_millis(100);
/// The issuer answers sooner.
const TIMEOUT: Duration = Duration::from_secs(5);
/// No issuer has so many keys.
const MOST_BYTES: usize = 1 << 20;

/// A source of keys.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// An address: `https`, or `http` on this machine.
    Url(Url),
}

/// Why keys were not had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The client cannot be made.
    #[error("no TLS client for the keys of JWTs can be made")]
    Client(#[source] reqwest::Error),
    /// The file cannot be read.
    #[error("the keys of JWTs cannot be read from {0}")]
    File(PathBuf, #[source] io::Error),
    /// The issuer did not answer with keys.
    #[error("the keys of JWTs cannot be had from {}", redaction::url(.0.as_str()))]
    Url(Url, #[source] reqwest::Error),
    /// They are too large.
    #[error("the keys of JWTs have more than {MOST_BYTES} bytes")]
    TooLarge,
    /// They are none.
    #[error("the keys of JWTs are not a JSON Web Key Set")]
    NoKeySet,
}

/// The keys of JWTs; a clone has the same ones.
#[derive(Debug, Clone)]
pub struct Jwks {
    source: KeySource,
    client: Client,
    /// None until they were had once.
    keys: Arc<RwLock<Option<Arc<KeySet>>>>,
    /// When they were last asked for since somebody named an unknown one.
    asked: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Url(url) => f.debug_tuple("Url").field(&redaction::url(url.as_str())).finish(),
        }
    }
}

impl KeySource {
    /// Refuses a file without keys.
    pub async fn check(&self) -> Result<(), KeysError> {
        let Self::File(path) = self else { return Ok(()) };
        let bytes = fs::read(path).await.map_err(|error| KeysError::File(path.clone(), error))?;
        KeySet::parse(bytes).map(|_| ()).ok_or(KeysError::NoKeySet)
    }

    /// Reads what the configuration says: an address, or the path of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let url: Url = text.parse().map_err(|error| format!("is no URL: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must be without a password, which would stand in the log".to_owned());
        }
        match url.scheme() {
            "https" => Ok(Self::Url(url)),
            "http" if is_loopback(&url) => Ok(Self::Url(url)),
            _ => Err("must be https: whoever can change the keys on their way can be anybody".to_owned()),
        }
    }

    fn period(&self, was_had: bool) -> Duration {
        match self {
            Self::File(_) => FILE_PERIOD,
            Self::Url(_) if was_had => URL_PERIOD,
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

impl Jwks {
    /// A file must be there; an issuer that does not answer is asked again.
    pub async fn new(source: KeySource) -> Result<Self, KeysError> {
        // Nobody is led elsewhere by an answer, and nobody stands between two programs of this machine.
        let mut client = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        if matches!(&source, KeySource::Url(url) if is_loopback(url)) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(KeysError::Client)?;
        let keys = Self { source, client, keys: Arc::default(), asked: Arc::default() };
        match keys.renew().await {
            Err(error) if matches!(keys.source, KeySource::File(_)) => return Err(error),
            Err(error) => tracing::warn!("{}: JWTs are refused until they are", with_causes(&error)),
            Ok(()) => {}
        }
        Ok(keys)
    }

    /// Has them anew from time to time. Does not end.
    pub async fn keep(&self) {
        let mut was_well = true;
        loop {
            time::sleep(self.source.period(self.current().is_some())).await;
            let renewed = self.renew().await;
            if let Err(error) = &renewed
                && was_well
            {
                tracing::warn!("{}: those that were had before go on", with_causes(error));
            }
            was_well = renewed.is_ok();
        }
    }

    /// Those that were had last.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has them anew since a token names one that is not known, unless that was done a moment ago: once for all who wait.
    pub async fn renew_for_unknown(&self) {
        let came = Instant::now();
        let mut asked = Arc::clone(&self.asked).lock_owned().await;
        if asked.is_some_and(|asked| asked >= came || asked.elapsed() < self.source.pause()) {
            return;
        }
        *asked = Some(Instant::now());
        let keys = self.clone();
        // Whoever named it may go away, and nobody else may ask for a while: it is done all the same.
        let renewing = tokio::spawn(async move {
            if let Err(error) = keys.renew().await {
                tracing::warn!("{}: those that were had before go on", with_causes(&error));
            }
            drop(asked);
        });
        let _ = renewing.await;
    }

    async fn renew(&self) -> Result<(), KeysError> {
        let bytes = self.read().await?;
        if self.current().is_some_and(|current| current.is_of(&bytes)) {
            return Ok(());
        }
        let keys = KeySet::parse(bytes).ok_or(KeysError::NoKeySet)?;
        tracing::info!(keys = keys.count(), "the keys of JWTs");
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        Ok(())
    }

    async fn read(&self) -> Result<Vec<u8>, KeysError> {
        match &self.source {
            KeySource::File(path) => fs::read(path).await.map_err(|error| KeysError::File(path.clone(), error)),
            KeySource::Url(url) => {
                let failed = |error: reqwest::Error| KeysError::Url(url.clone(), error.without_url());
                let answer = self.client.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
                let mut answer = answer.map_err(failed)?;
                let mut bytes = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(failed)? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() > MOST_BYTES {
                        return Err(KeysError::TooLarge);
                    }
                }
                Ok(bytes)
            }
        }
    }
}

/// What the libraries below say is in the causes of their errors.
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
    fn keys_come_from_a_file_or_over_tls_or_from_this_machine() {
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
            assert!(KeySource::parse(with_password).is_err_and(|told| !told.contains("s3cret")), "{with_password}");
        }
        let with_query = KeySource::parse("https://issuer.example/keys?token=s3cret").unwrap();
        assert_eq!(format!("{with_query:?}"), "Url(\"https://issuer.example/keys?***\")");
    }
}
