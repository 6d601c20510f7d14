//! The options of the audit log.

use std::time::Duration;

use clap::ValueEnum;

use super::days;
use crate::audit::AuditLevel;

/// The options of the audit log.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Audit log")]
pub struct Audit {
    /// Calls that the audit log records: `writes` are writes and calls refused for their credentials, `reads` are reads
    /// as well. Tokens that are made, revoked and first used are always recorded
    #[arg(long, env = "READOUT_AUDIT", default_value = "writes", value_name = "CALLS")]
    pub audit: AuditedCalls,
    /// Days that events of the audit log are kept; 0 keeps them for ever
    #[arg(long, env = "READOUT_AUDIT_RETENTION", default_value = "400", value_name = "DAYS", value_parser = days)]
    pub audit_retention: Duration,
}

/// The calls that are audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditedCalls {
    None,
    Writes,
    Reads,
}

impl Audit {
    /// The calls that are audited.
    pub fn level(&self) -> AuditLevel {
        match self.audit {
            AuditedCalls::None => AuditLevel::None,
            AuditedCalls::Writes => AuditLevel::Writes,
            AuditedCalls::Reads => AuditLevel::Reads,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { audit: AuditedCalls::Writes, audit_retention: Duration::from_secs(400 * 24 * 60 * 60) }
    }
}
