//! The operators' view of a running service: its operations port, log, configuration, metrics and traces, and the files
//! in `ops/`.

mod configuration;
mod files;
pub mod http_client;
mod log;
mod metrics;
mod port;
#[cfg(feature = "otlp")]
mod traces;

use std::net::SocketAddr;

use sqlx::ConnectOptions;

use crate::support::{cluster, data_dir::DataDir, program::Program};

/// The real program on a database of the cluster, with its operations port.
struct Operated {
    program: Program,
    url: String,
    operations: SocketAddr,
    _dir: DataDir,
}

impl Operated {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(args: &[&str]) -> Self {
        let dir = DataDir::new();
        let url = cluster::database().await.to_url_lossy().to_string();
        let args = [&["--operations-listen", "127.0.0.1:0"], args].concat();
        let program = Program::serve_beside(&dir, &url, &args).await;
        let operations = address(&program).await;
        Self { program, url, operations, _dir: dir }
    }

    async fn get(&self, path: &str) -> http_client::Answer {
        http_client::get(self.operations, path).await
    }

    async fn scrape(&self) -> http_client::Scraped {
        http_client::Scraped(self.get("/metrics").await.body)
    }
}

/// The address of a program's operations port.
pub async fn address(program: &Program) -> SocketAddr {
    let line = program.logged("metrics and readiness").await;
    line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
}
