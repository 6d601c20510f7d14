//! The options of `duplicates`.

use std::path::PathBuf;

use super::{Output, Server, reason};

/// The options of `duplicates`.
#[derive(Debug, Clone, clap::Args)]
pub struct Duplicates {
    #[command(flatten)]
    pub server: Server,
    /// Filter of participants, such as `region = AZ`: one of the two satisfies it; default: all pairs
    #[arg(long, default_value = "", value_name = "FILTER", hide_default_value = true, conflicts_with = "apply")]
    pub filter: String,
    /// Judge the pairs in a file of JSON objects, plain or compressed (gzip, zstd). `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub apply: Option<PathBuf>,
    /// Check the file of --apply against the service, and write nothing
    #[arg(long, requires = "apply")]
    pub dry_run: bool,
    /// Reason of the judgements for which the file has none, or of those that are made by a key: 1 to 1,000 characters
    #[arg(long, default_value = "reviewed with readout duplicates", value_name = "TEXT", value_parser = reason)]
    pub reason: String,
    /// Format of the output; json: lines of JSON on a terminal, too, and the totals of --apply as JSON on standard output
    #[arg(long, env = "READOUT_OUTPUT", default_value = "text")]
    pub output: Output,
    /// Print every error of --apply instead of the first few of each kind
    #[arg(long, requires = "apply")]
    pub all_errors: bool,
}
