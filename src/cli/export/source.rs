//! The source of an export: a running service, and the time as of which it is read.

use anyhow::{Result, anyhow};
use prost_types::Timestamp;

use crate::{cli::Clients, model::time::rfc3339};

/// The service that is exported, and the time.
pub struct Source<'a> {
    pub clients: &'a Clients,
    /// `None` for the current records.
    pub read_time: Option<Timestamp>,
}

/// Parses the value of `--read-time`.
///
/// # Errors
/// If it is not a time in RFC 3339.
pub fn parse_time(text: &str) -> Result<Timestamp> {
    rfc3339::parse(text).map_err(|problem| anyhow!("--read-time {text:?} {problem}"))
}
