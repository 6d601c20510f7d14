//! The options of the change feed: heartbeats and retention.

use std::time::Duration;

use super::{days, positive_seconds};
use crate::store::retention::Retention;

/// The options of the change feed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Change feed")]
pub struct Feed {
    /// Seconds of silence after which a watch sends a heartbeat
    #[arg(long, env = "READOUT_FEED_HEARTBEAT", default_value = "10", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub feed_heartbeat: Duration,
    /// Minimum days that changes are kept, unless --feed-keep-mib is exceeded; records are not affected
    #[arg(long, env = "READOUT_FEED_KEEP_DAYS", default_value = "30", value_name = "DAYS", value_parser = days)]
    pub feed_keep_days: Duration,
    /// Maximum size of the change log in MiB, indexes included. The oldest changes are dropped above it, even within
    /// --feed-keep-days
    #[arg(long, env = "READOUT_FEED_KEEP_MIB", default_value = "8192", value_name = "MIB")]
    pub feed_keep_mib: u32,
    /// Number of changes in one partition of the feed; a partition is dropped as a whole when its newest change expires
    #[arg(long, env = "READOUT_FEED_RANGE", default_value = "250000", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub feed_range: u32,
}

impl Feed {
    /// Converts to the retention of the store.
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
