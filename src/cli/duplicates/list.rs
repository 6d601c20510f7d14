//! Prints the pairs, one per line.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;

use super::{PAIR, pages::Pages};
use crate::{
    cli::{Clients, client::Connector, console::Console, is_broken_pipe, json},
    config,
    pb::list_duplicates_response::Duplicate,
};

/// Prints all pairs that match the filter.
///
/// # Errors
/// If the service cannot be reached, or refuses the list.
pub async fn run(args: &config::Duplicates) -> Result<ExitCode> {
    let clients = Clients::connect(&Connector::new(&args.server)?, &Console::new()).await?;
    match print_all(&clients, &args.filter).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The reader closed the pipe early, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

async fn print_all(clients: &Clients, filter: &str) -> Result<()> {
    let mut pages = Pages::new(clients, filter);
    while let Some(page) = pages.next().await? {
        page.iter().try_for_each(print)?;
    }
    Ok(())
}

fn print(pair: &Duplicate) -> Result<()> {
    let line = json::print(PAIR, pair)?;
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
