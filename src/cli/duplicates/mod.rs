//! `readout duplicates`: the pairs of participants that may be one person. `review` judges them by keys, `list` prints
//! them, `apply` judges those of a file.
//!
//! `pages` reads the pairs, `current` compares a pair with the stored records, `line` parses an object of a file,
//! `terminal` reads keys, `words` describes a pair for readers.

mod apply;
mod current;
mod line;
mod list;
mod pages;
mod review;
mod terminal;
mod words;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use anyhow::Result;

use crate::config::{self, Output};

/// The full name of a pair, the message on each printed line.
const PAIR: &str = "readout.v1.ListDuplicatesResponse.Duplicate";

/// Applies a file, or reviews the pairs on a terminal, or prints them.
///
/// # Errors
/// If the service cannot be reached or refuses the calls, or the file or the terminal cannot be read.
pub async fn run(args: config::Duplicates) -> Result<ExitCode> {
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    match (&args.apply, args.output) {
        (Some(file), _) => apply::run(file, &args).await,
        (None, Output::Text) if has_terminal => review::run(&args).await,
        (None, _) => list::run(&args).await,
    }
}
