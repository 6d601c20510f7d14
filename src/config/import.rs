//! The options of `import`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Output, Server};

/// The options of `import`.
#[derive(Debug, Clone, clap::Args)]
pub struct Import {
    /// Files of JSON messages, concatenated or in an array, plain or compressed (gzip, zstd). `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub server: Server,
    /// Number of concurrent story streams; an export is imported with 16 concurrent records per stream
    #[arg(long, env = "READOUT_CONCURRENCY", default_value = "4", value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// Rule that matches the participants of stories with stored ones
    #[arg(long, env = "READOUT_PARTICIPANT_MATCHING", default_value = "settled", value_name = "RULE")]
    pub participant_matching: ParticipantRule,
    /// Rule that finds the meetings of reports for which a story names none
    #[arg(long, env = "READOUT_MEETING_MATCHING", default_value = "none", value_name = "RULE")]
    pub meeting_matching: MeetingRule,
    /// Format of the totals: text on standard error, or one line of JSON on standard output
    #[arg(long, env = "READOUT_OUTPUT", default_value = "text")]
    pub output: Output,
    /// Print every error instead of the first few of each kind
    #[arg(long)]
    pub all_errors: bool,
}

/// The rule that matches the participants of imported stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ParticipantRule {
    None,
    Exact,
    Settled,
}

/// The rule that finds the meetings of imported reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MeetingRule {
    None,
    Same,
}
