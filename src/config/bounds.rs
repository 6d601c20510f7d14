//! What a call may cost.

use std::time::Duration;

use super::{seconds, some_seconds};

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
    /// Seconds that a call may wait for its turn; a tenth of it, while there always is somebody who waits
    #[arg(long, env = "READOUT_MAX_WAIT", default_value = "2", value_name = "SECONDS", value_parser = some_seconds)]
    pub max_wait: Duration,
    /// Unary calls at a time; whoever comes then is refused
    #[arg(long, env = "READOUT_MAX_CALLS", default_value = "2048", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_calls: u32,
    /// Streams at a time; whoever comes then is refused
    #[arg(long, env = "READOUT_MAX_STREAMS", default_value = "10000", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_streams: u32,
    /// Seconds after which a stream ends, up to a tenth more, for its client to go on elsewhere; 0 is never
    #[arg(long, env = "READOUT_STREAM_LIFE", default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub stream_life: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(60),
            question_timeout: Duration::from_secs(10),
            max_wait: Duration::from_secs(2),
            max_calls: 2_048,
            max_streams: 10_000,
            stream_life: Duration::ZERO,
        }
    }
}
