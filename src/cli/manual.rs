//! `readout completions` and `readout man`: completion scripts and manual pages, generated from the command line's
//! definition.

use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::aot::generate;

use crate::config::{Args, Completions, Man};

/// Prints the completion script of a shell.
///
/// # Errors
/// If standard output cannot be written.
pub fn completions(args: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(args.shell, &mut Args::command(), "readout", &mut script);
    print(&script)
}

/// Prints the manual page of the program, or writes the pages of all commands to a directory.
///
/// # Errors
/// If standard output or the directory cannot be written.
pub fn man(args: &Man) -> Result<ExitCode> {
    match &args.dir {
        Some(dir) => {
            let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Args::command(), dir));
            written.with_context(|| format!("cannot write the manual to {}", dir.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut page)?;
            print(&page)
        }
    }
}

fn print(text: &[u8]) -> Result<ExitCode> {
    match io::stdout().write_all(text) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The reader closed the pipe early, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::FAILURE),
        Err(error) => Err(error).context("standard output cannot be written"),
    }
}
