//! The options that limit calls: time, concurrency and the age of streams.

use std::time::Duration;

use super::{positive_seconds, seconds};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Call limits")]
pub struct CallLimits {
    /// Maximum seconds that a unary call takes, even if its caller allows more
    #[arg(long, env = "READOUT_CALL_TIMEOUT", default_value = "60", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub call_timeout: Duration,
    /// Maximum seconds of one database query: for a page of a list, a chunk of a stream, counts or paths
    #[arg(long, env = "READOUT_QUESTION_TIMEOUT", default_value = "10", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub question_timeout: Duration,
    /// Maximum seconds that a call waits in a queue; a tenth of that while the queue stays non-empty for longer than
    /// this
    #[arg(long, env = "READOUT_MAX_WAIT", default_value = "2", value_name = "SECONDS", value_parser = positive_seconds)]
    pub max_wait: Duration,
    /// Maximum number of unary calls in progress; an eighth more for callers that hold less than their share; further
    /// calls are refused
    #[arg(long, env = "READOUT_MAX_CALLS", default_value = "2048", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_calls: u32,
    /// Maximum number of open streams; an eighth more for callers that hold less than their share; further streams are
    /// refused
    #[arg(long, env = "READOUT_MAX_STREAMS", default_value = "10000", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_streams: u32,
    /// Seconds that a request message has to arrive, plus one for each 64 KiB of it
    #[arg(long, env = "READOUT_ARRIVAL_TIMEOUT", default_value = "10", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub arrival_timeout: Duration,
    /// Maximum MiB of requests in flight, as they arrive and decoded; a caller that has its share waits
    #[arg(long, env = "READOUT_MAX_REQUEST_MIB", default_value = "128", value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_request_mib: u32,
    /// Maximum MiB of answers that wait to be sent; a caller that has its share gets no more until it reads
    #[arg(long, env = "READOUT_MAX_UNSENT_MIB", default_value = "128", value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_unsent_mib: u32,
    /// Maximum age of a stream in seconds, plus up to a tenth; its client then resumes on any instance; 0: no limit
    #[arg(long, env = "READOUT_STREAM_LIFE", default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub stream_life: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(60),
            question_timeout: Duration::from_secs(10),
            max_wait: Duration::from_secs(2),
            max_calls: 2_048,
            max_streams: 10_000,
            arrival_timeout: Duration::from_secs(10),
            max_request_mib: 128,
            max_unsent_mib: 128,
            stream_life: Duration::ZERO,
        }
    }
}
