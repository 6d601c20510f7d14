//! The change feed.

use std::time::Duration;

use super::{days, some_seconds};
use crate::store::retention::Retention;

/// The change feed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Change feed")]
pub struct Feed {
    /// Seconds of silence after which those who watch get a sign of life
    #[arg(long, env = "READOUT_FEED_HEARTBEAT", default_value = "10", value_name = "SECONDS", value_parser = some_seconds)]
    pub feed_heartbeat: Duration,
    /// Days for which changes are kept, at least; records are kept anyway
    #[arg(long, env = "READOUT_FEED_KEEP_DAYS", default_value = "30", value_name = "DAYS", value_parser = days)]
    pub feed_keep_days: Duration,
    /// MiB of changes, with their index, past which the oldest are dropped sooner
    #[arg(long, env = "READOUT_FEED_KEEP_MIB", default_value = "8192", value_name = "MIB")]
    pub feed_keep_mib: u32,
    /// Changes that are dropped at once, when the newest of them need not be kept
    #[arg(long, env = "READOUT_FEED_RANGE", default_value = "250000", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub feed_range: u32,
}

impl Feed {
    /// What is kept of it.
    pub fn retention(&self) -> Retention {
        Retention { age: self.feed_keep_days, bytes: u64::from(self.feed_keep_mib) << 20, range: self.feed_range }
    }
}

impl Default for Feed {
    fn default() -> Self {
        let Retention { age, bytes, range } = Retention::default();
        Self {
            feed_heartbeat: Duration::from_secs(10),
            feed_keep_days: age,
            feed_keep_mib: u32::try_from(bytes >> 20).unwrap_or(u32::MAX),
            feed_range: range,
        }
    }
}
