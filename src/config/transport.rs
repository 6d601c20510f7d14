//! How connections are served.

use std::time::Duration;

use super::some_seconds;

/// How connections are served.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Transport")]
pub struct Transport {
    /// Seconds after which a silent connection is asked whether somebody is still there
    #[arg(long, env = "READOUT_KEEPALIVE", default_value = "60", value_name = "SECONDS", value_parser = some_seconds)]
    pub keepalive: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        Self { keepalive: Duration::from_secs(60) }
    }
}
