//! What a call may cost.

use std::time::Duration;

use super::some_seconds;

/// What a call may cost.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Bounds")]
pub struct Bounds {
    /// Seconds that a unary call may take, whatever its caller allows
    #[arg(long, env = "READOUT_CALL_TIMEOUT", default_value = "60", value_name = "SECONDS", value_parser = some_seconds)]
    pub call_timeout: Duration,
    /// Seconds that the database may work on one question: a page of a list, a chunk of a stream, counts, paths
    #[arg(long, env = "READOUT_QUESTION_TIMEOUT", default_value = "10", value_name = "SECONDS",
        value_parser = some_seconds)]
    pub question_timeout: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { call_timeout: Duration::from_secs(60), question_timeout: Duration::from_secs(10) }
    }
}
