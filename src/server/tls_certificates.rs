//! The TLS certificates of a running service: loaded at the start, and reloaded periodically and on SIGHUP.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time,
};
use tokio_rustls::rustls::ServerConfig;

use super::tls::{Files, Pem};
use crate::{config, error_chain};

/// The TLS configuration for the next handshake.
pub type CurrentConfig = watch::Receiver<Arc<ServerConfig>>;

/// The certificate files, and the TLS configuration made from them.
pub struct Certificates {
    files: Files,
    /// The contents of the files in use.
    pem: Pem,
    current: watch::Sender<Arc<ServerConfig>>,
    period: Duration,
}

impl Certificates {
    /// Loads the configured certificates. `None` for plaintext.
    ///
    /// # Errors
    /// The settings are incomplete, or a file cannot be read or used.
    pub async fn load(config: &config::Tls) -> anyhow::Result<Option<Self>> {
        let Some(files) = Files::from_config(config)? else { return Ok(None) };
        let pem = files.read().await?;
        let (server, expiry) = files.server_config(&pem)?;
        record_expiry(expiry);
        let current = watch::Sender::new(Arc::new(server));
        Ok(Some(Self { files, pem, current, period: config.tls_reload }))
    }

    /// The current TLS configuration; it changes with each reload.
    pub fn current(&self) -> CurrentConfig {
        self.current.subscribe()
    }

    /// Reloads the files periodically and on SIGHUP. Invalid files change nothing. Never returns.
    pub async fn reload_periodically(mut self) {
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut logged = None;
        loop {
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            // Ends with the period or with SIGHUP.
            let _ = time::timeout(self.period, hangup).await;
            let failure = self.reload().await.err().map(|error| error_chain::in_one_line(error.as_ref()));
            // Each failure is logged once, not at every reload.
            if let Some(error) = failure.as_deref().filter(|_| failure != logged) {
                tracing::error!(error, "the certificates cannot be renewed, and the old ones stay in use");
            }
            logged = failure;
        }
    }

    async fn reload(&mut self) -> anyhow::Result<()> {
        let pem = self.files.read().await?;
        if pem == self.pem {
            return Ok(());
        }
        let (server, expiry) = self.files.server_config(&pem)?;
        self.current.send_replace(Arc::new(server));
        self.pem = pem;
        tracing::info!("the certificates were renewed");
        record_expiry(expiry);
        Ok(())
    }
}

/// Records when the certificate expires, as a metric, and logs an expired one.
fn record_expiry(expiry: i64) {
    metrics::gauge!("readout_certificate_expiry_timestamp_seconds").set(expiry as f64);
    if expiry <= chrono::Utc::now().timestamp() {
        tracing::warn!("the certificate of the service has expired");
    }
}
