//! The certificates of a service that runs: read at its start, and again while it goes on.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time,
};
use tokio_rustls::rustls::ServerConfig;

use super::tls::{Files, Pem};
use crate::{config, error_chain};

/// How handshakes are done from here on.
pub type Current = watch::Receiver<Arc<ServerConfig>>;

/// The certificates of a service that runs.
pub struct Certificates {
    files: Files,
    /// What stood in them when they were good.
    pem: Pem,
    current: watch::Sender<Arc<ServerConfig>>,
    period: Duration,
}

impl Certificates {
    /// Reads those that are configured; nothing for plaintext. An error: there is something wrong with them.
    pub async fn load(config: &config::Tls) -> anyhow::Result<Option<Self>> {
        let Some(files) = Files::of(config)? else { return Ok(None) };
        let pem = files.read().await?;
        let (server, expiry) = files.server(&pem)?;
        tell(expiry);
        let current = watch::Sender::new(Arc::new(server));
        Ok(Some(Self { files, pem, current, period: config.tls_reload }))
    }

    /// Those that are good, whenever one looks.
    pub fn current(&self) -> Current {
        self.current.subscribe()
    }

    /// Looks at the files again and again, and at SIGHUP. Those that are no good change nothing.
    pub async fn renew(mut self) {
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut told = None;
        loop {
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            // The wait for either is over, or somebody asks for it.
            let _ = time::timeout(self.period, hangup).await;
            let wrong = self.look().await.err().map(|error| error_chain::in_one_line(error.as_ref()));
            // Once for each thing that is wrong, not at each look.
            if let Some(error) = wrong.as_deref().filter(|_| wrong != told) {
                tracing::error!(error, "the certificates cannot be renewed, and the old ones go on");
            }
            told = wrong;
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let pem = self.files.read().await?;
        if pem == self.pem {
            return Ok(());
        }
        let (server, expiry) = self.files.server(&pem)?;
        self.current.send_replace(Arc::new(server));
        self.pem = pem;
        tracing::info!("the certificates were renewed");
        tell(expiry);
        Ok(())
    }
}

/// Lets operators know until when they hold.
fn tell(expiry: i64) {
    metrics::gauge!("readout_certificate_expiry_timestamp_seconds").set(expiry as f64);
    if expiry <= chrono::Utc::now().timestamp() {
        tracing::warn!("the certificate of the service has expired");
    }
}
