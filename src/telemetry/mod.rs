//! The log: lines on standard error, for people on a terminal and as JSON elsewhere.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{Log, LogFormat};

/// Starts the log of this process; of several calls the first holds. An error: the filter is not well formed.
pub fn init(log: &Log) -> Result<(), ParseError> {
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(&log.log)?)
        .with_writer(io::stderr)
        .with_ansi(terminal);
    // Fails when there is a log already, as there is in the second of several tests.
    let _ = match log.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Auto if terminal => lines.try_init(),
        LogFormat::Auto | LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}
