//! What a process tells of itself: the log, as lines on standard error for people on a terminal and as JSON elsewhere;
//! metrics; traces. None of it holds what callers send, but for the ids of their requests.

pub mod metrics;
mod panics;
mod process;
pub mod traceparent;
#[cfg_attr(not(feature = "otlp"), path = "no_traces.rs")]
pub mod traces;

use std::io::{self, IsTerminal};

use anyhow::anyhow;
use tracing_subscriber::{Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

pub use self::traces::Traces;
use crate::config::{Log, LogFormat, Operations};

/// Libraries that tell much, and some of it what callers send, unless they are asked by name.
const QUIET: &str = "h2=info,hyper=info,hyper_util=info,reqwest=info,rustls=info,sqlx=warn,tonic=info,tower=info";

/// Starts the log of this process, and its traces if it serves; of several calls the first holds.
pub fn init(log: &Log, operations: Option<&Operations>) -> anyhow::Result<Traces> {
    let traces = operations.map(Traces::start).transpose()?.unwrap_or_default();
    let lines = lines(log).with_filter(filter(&log.log)?);
    // Fails when there is a log already, as there is in the second of several tests.
    if tracing_subscriber::registry().with(lines).with(traces.layer()).try_init().is_ok() {
        panics::log_them();
    }
    Ok(traces)
}

fn lines(log: &Log) -> Box<dyn Layer<Registry> + Send + Sync> {
    let terminal = io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(terminal);
    match log.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Auto if terminal => lines.boxed(),
        LogFormat::Auto | LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// A level, or targets with levels. `Targets` needs no regular expressions, unlike `EnvFilter`.
fn filter(wanted: &str) -> anyhow::Result<Targets> {
    // By itself first: an error is one of theirs.
    wanted.parse::<Targets>().map_err(|error| anyhow!("--log {wanted:?} is not a filter: {error}"))?;
    Ok(format!("{QUIET},{wanted}").parse()?)
}
