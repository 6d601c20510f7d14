//! The table of all metrics, and the recorder that exports them. Without an operations port no recorder is installed,
//! and counting costs nothing.

use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time;

use super::process;

/// The interval at which recorded samples are moved into histogram buckets, even if no scraper asks for them.
const UPKEEP: Duration = Duration::from_secs(5);

/// The description of a metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name, with the unit.
    pub name: &'static str,
    /// The kind of metric.
    pub kind: Kind,
    /// The help text.
    pub help: &'static str,
}

/// A kind of metric.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A value that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution. Holds the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// Durations that callers wait for, in seconds.
const SECONDS: Kind = Kind::Histogram(&[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
]);
/// Sizes of batches.
const BATCH_SIZE: Kind = Kind::Histogram(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]);

/// All metrics of the service. The metrics of the process are in `process`.
pub const METRICS: &[Metric] = &[
    gauge("readout_build_info", "1, with the running version as a label"),
    // Calls
    counter("readout_requests_total", "Calls that have ended, by method and status code"),
    Metric { name: "readout_request_seconds", kind: SECONDS, help: "Time that unary calls took, by method" },
    gauge("readout_requests_in_flight", "Calls that are open, streams included"),
    gauge("readout_streams_open", "Streams that are open, by method"),
    // Connections
    gauge("readout_connections_open", "Connections that are open"),
    counter("readout_connections_total", "Connections that were accepted or refused, by outcome"),
    gauge("readout_certificate_expiry_timestamp_seconds", "When the certificate of the service expires"),
    // Access
    counter("readout_refused_credentials_total", "Calls that were denied because of their credentials, by reason"),
    counter("readout_rate_limited_total", "Calls that were refused because their principal exceeded its rate"),
    counter("readout_audit_dropped_total", "Audit events that were dropped instead of stored, by kind"),
    // Load
    counter("readout_shed_total", "Calls that were shed because of load, by class"),
    counter("readout_held_back_total", "Calls that waited for a share of their caller or were refused it, by caller"),
    Metric { name: "readout_admission_wait_seconds", kind: SECONDS, help: "Time until a call was admitted, by class" },
    // Database
    gauge("readout_database_up", "1 while the database answers"),
    gauge("readout_pool_connections", "Connections to the database, by pool and state"),
    Metric {
        name: "readout_read_batch_keys",
        kind: BATCH_SIZE,
        help: "Records that were read together by their names",
    },
    // Writes
    gauge("readout_commit_queue_writes", "Writes that wait to be committed"),
    Metric { name: "readout_commit_queue_seconds", kind: SECONDS, help: "Time that writes waited to be committed" },
    Metric { name: "readout_commit_batch_writes", kind: BATCH_SIZE, help: "Writes that were committed together" },
    Metric { name: "readout_commit_seconds", kind: SECONDS, help: "Time that an attempt to commit a batch took" },
    counter("readout_commits_total", "Attempts to commit a batch, by outcome"),
    counter(
        "readout_evidence_missing_total",
        "Reports without evidence that the policy of the service requires, by field and mode",
    ),
    // Feed
    gauge("readout_feed_head", "Position of the newest change that this instance has read"),
    gauge("readout_feed_lag", "Changes in the database that this instance has not read"),
    gauge("readout_feed_watchers", "Streams that watch the feed"),
];

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

/// The recorded metrics of this process.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All metrics, in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render() + &process::render()
    }
}

/// Installs the recorder of this process: metrics count from here on.
///
/// # Errors
/// A recorder is installed already.
pub fn install() -> anyhow::Result<Metrics> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
        }
    }
    let handle = builder.install_recorder().context("a metrics recorder is installed already")?;
    METRICS.iter().for_each(describe);
    metrics::gauge!("readout_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    tokio::spawn(run_upkeep(handle.clone()));
    Ok(Metrics(handle))
}

fn describe(metric: &Metric) {
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
        Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
    }
}

/// Moves samples into buckets periodically. They would otherwise accumulate in memory until the next scrape.
async fn run_upkeep(handle: PrometheusHandle) {
    loop {
        time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}
