//! The log, the metrics and the traces of a process. The log goes to standard error: as text on a terminal, as JSON
//! elsewhere. None of them holds data of requests, except request ids.

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

/// Libraries whose debug output is large and may quote requests. A filter can still enable them by name. A pool logs each
/// connection to a standby that `ServerWatch` refuses as an error.
const QUIET: &str = "h2=info,hyper=info,hyper_util=info,reqwest=info,rustls=info,sqlx=warn,sqlx_core::pool::inner=off,tonic=info,tower=info";

/// Starts the log of this process, and its traces if it serves. Only the first of several calls has an effect.
///
/// # Errors
/// The filter of the log or the settings of the traces are invalid.
pub fn init(log: &Log, operations: Option<&Operations>) -> anyhow::Result<Traces> {
    let traces = operations.map(Traces::start).transpose()?.unwrap_or_default();
    let lines = lines(log).with_filter(filter(&log.log)?);
    // Fails if there is a log already, as in the second test of a process.
    if tracing_subscriber::registry().with(lines).with(traces.layer()).try_init().is_ok() {
        panics::log_panics();
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

/// Parses a level, or targets with levels. `Targets` needs no regular expressions, unlike `EnvFilter`.
fn filter(setting: &str) -> anyhow::Result<Targets> {
    // Parsed alone first, so that an error is about the setting.
    setting.parse::<Targets>().map_err(|error| anyhow!("--log {setting:?} is not a filter: {error}"))?;
    Ok(format!("{QUIET},{setting}").parse()?)
}
