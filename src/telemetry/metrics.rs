//! What is counted: the one table of names. Without a second port nothing is, and counting costs nothing.

use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time;

use super::process;

/// How often what was measured is put into its buckets, also when nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(5);

/// A metric, as operators read of it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// What it tells.
    pub help: &'static str,
}

/// A kind of metric.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Is counted in buckets, each up to one of these values.
    Histogram(&'static [f64]),
}

/// Seconds that something takes which callers wait for.
const SECONDS: Kind = Kind::Histogram(&[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
]);
/// Things that are done together.
const TOGETHER: Kind = Kind::Histogram(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]);

/// All metrics of the service; those of the process are `process`.
pub const METRICS: &[Metric] = &[
    gauge("readout_build_info", "1, for the version that runs"),
    // Calls
    counter("readout_requests_total", "Calls that have ended, by method and status code"),
    Metric { name: "readout_request_seconds", kind: SECONDS, help: "Time that unary calls took, by method" },
    gauge("readout_requests_in_flight", "Calls that are open, streams included"),
    gauge("readout_streams_open", "Streams that are open, by method"),
    // Connections
    gauge("readout_connections_open", "Connections that are open"),
    counter("readout_connections_total", "Connections that were taken in or turned away, by outcome"),
    gauge("readout_certificate_expiry_timestamp_seconds", "When the certificate of the service expires"),
    // Who may what
    counter("readout_refused_credentials_total", "Calls that were refused for their credentials, by reason"),
    counter("readout_rate_limited_total", "Calls that came more often than their principal may call"),
    // Load
    counter("readout_shed_total", "Calls that were turned away because of load, by class"),
    Metric { name: "readout_admission_wait_seconds", kind: SECONDS, help: "Time until a call was let in, by class" },
    // Database
    gauge("readout_database_up", "1 while the database answers"),
    gauge("readout_pool_connections", "Connections to the database, by pool and state"),
    Metric { name: "readout_read_batch_keys", kind: TOGETHER, help: "Records that were read together by their names" },
    // Writes
    gauge("readout_commit_queue_writes", "Writes that wait to be committed"),
    Metric { name: "readout_commit_queue_seconds", kind: SECONDS, help: "Time that writes waited to be committed" },
    Metric { name: "readout_commit_batch_writes", kind: TOGETHER, help: "Writes that were committed together" },
    Metric { name: "readout_commit_seconds", kind: SECONDS, help: "Time that a try to commit a batch took" },
    counter("readout_commits_total", "Tries to commit a batch, by outcome"),
    // Feed
    gauge("readout_feed_head", "Position of the newest change that this instance has read"),
    gauge("readout_feed_lag", "Changes in the database that this instance has not read"),
    gauge("readout_feed_watchers", "Streams that follow the feed"),
];

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

/// What was counted so far.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All of it, in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.0.render() + &process::render()
    }
}

/// Has everything counted from here on, in this process.
pub fn install() -> anyhow::Result<Metrics> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
        }
    }
    let handle = builder.install_recorder().context("metrics are counted already")?;
    METRICS.iter().for_each(describe);
    metrics::gauge!("readout_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    tokio::spawn(keep_up(handle.clone()));
    Ok(Metrics(handle))
}

fn describe(metric: &Metric) {
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
        Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
    }
}

/// What is measured would otherwise gather in memory until somebody asks.
async fn keep_up(handle: PrometheusHandle) {
    loop {
        time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}
