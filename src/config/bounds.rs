//! The limits of calls: time, concurrency and the life of streams.

use std::time::Duration;

use super::{positive_seconds, seconds};

/// The limits of calls.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Bounds")]
pub struct Bounds {
    /// Seconds that a unary call may take, even if its caller allows more
    #[arg(long, env = "READOUT_CALL_TIMEOUT", default_value = "60", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub call_timeout: Duration,
    /// Seconds that the database may work on one query: a page of a list, a chunk of a stream, counts, paths
    #[arg(long, env = "READOUT_QUESTION_TIMEOUT", default_value = "10", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub question_timeout: Duration,
    /// Seconds that a call may wait in a queue; a tenth of it while the queue does not empty
    #[arg(long, env = "READOUT_MAX_WAIT", default_value = "2", value_name = "SECONDS", value_parser = positive_seconds)]
    pub max_wait: Duration,
    /// Unary calls at a time; further ones are refused
    #[arg(long, env = "READOUT_MAX_CALLS", default_value = "2048", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_calls: u32,
    /// Streams at a time; further ones are refused
    #[arg(long, env = "READOUT_MAX_STREAMS", default_value = "10000", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_streams: u32,
    /// Seconds, plus up to a tenth, after which a stream ends, so that its client resumes on any instance; 0: never
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
