//! The sizes of the connection pools.

use super::CallLimits;
use crate::store::Limits;

/// The sizes of the connection pools. Each class of queries has its own pool, so that cheap queries do not wait for
/// expensive ones.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connections to the database")]
pub struct Pools {
    /// Maximum number of connections for reads by name
    #[arg(long, env = "READOUT_POOL_READS", default_value = "6", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pool_reads: u32,
    /// Maximum number of connections for pages of lists and of statements
    #[arg(long, env = "READOUT_POOL_PAGES", default_value = "4", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pool_pages: u32,
    /// Maximum number of connections for chunks of streams; a chunk waits for a connection without a time limit
    #[arg(long, env = "READOUT_POOL_CHUNKS", default_value = "2", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pool_chunks: u32,
    /// Maximum number of connections for counts and paths; each query uses all cores, so more connections make every
    /// query slower
    #[arg(long, env = "READOUT_POOL_QUESTIONS", default_value = "2", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pool_questions: u32,
    /// Maximum number of connections for the committer and for maintenance
    #[arg(long, env = "READOUT_POOL_WRITES", default_value = "2", value_name = "N",
        value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub pool_writes: u32,
}

impl Pools {
    /// Converts to the limits of the store.
    pub fn limits(&self, bounds: &CallLimits) -> Limits {
        Limits {
            reads: self.pool_reads,
            pages: self.pool_pages,
            chunks: self.pool_chunks,
            questions: self.pool_questions,
            writes: self.pool_writes,
            call: bounds.call_timeout,
            wait: bounds.max_wait,
        }
    }
}

impl Default for Pools {
    fn default() -> Self {
        let Limits { reads, pages, chunks, questions, writes, .. } = Limits::default();
        Self {
            pool_reads: reads,
            pool_pages: pages,
            pool_chunks: chunks,
            pool_questions: questions,
            pool_writes: writes,
        }
    }
}
