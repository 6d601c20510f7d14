//! `readout audit`: prints the events of the audit log of a running service, one per line.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::time::sleep;
use tonic::Status;

use super::{Clients, client::Connector, console::Console, is_broken_pipe, json, retry::CallBackoff, time};
use crate::{
    config,
    pb::{AuditEvent, ListAuditEventsRequest, ListAuditEventsResponse},
};

/// The full name of the message on each line.
const EVENT: &str = "readout.v1.AuditEvent";
/// Events in a page.
const PAGE_SIZE: i32 = 1_000;
/// Interval between reads of a log that is followed.
const PERIOD: Duration = Duration::from_secs(1);

/// Prints events: the newest, or with `--follow` each one from now on, in the order of the log.
///
/// # Errors
/// If the service refuses the request, or does not answer.
pub async fn run(args: config::AuditEvents) -> Result<ExitCode> {
    let console = Console::new();
    let clients = Clients::connect(&Connector::new(&args.server)?, &console).await?;
    let printed = match args.follow {
        true => follow(&clients, &args).await,
        false => newest(&clients, &args).await,
    };
    match printed {
        Err(error) if !is_broken_pipe(&error) => Err(error),
        _ => Ok(ExitCode::SUCCESS),
    }
}

async fn newest(clients: &Clients, args: &config::AuditEvents) -> Result<()> {
    let mut left = args.limit as usize;
    let mut request =
        ListAuditEventsRequest { filter: args.filter.clone(), page_size: PAGE_SIZE, ..Default::default() };
    let mut backoff = clients.backoff();
    loop {
        let page = page(clients, &request, &mut backoff).await?;
        for event in page.events.iter().take(left) {
            print(event)?;
        }
        left = left.saturating_sub(page.events.len());
        if left == 0 || page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

/// Prints each event once, when it is stored. The events become visible in the order of their times and ids, so those
/// after the last one that was printed are all that are missing.
async fn follow(clients: &Clients, args: &config::AuditEvents) -> Result<()> {
    let mut from = match args.from.as_str() {
        "beginning" => String::new(),
        from => match time::parse(from) {
            Ok(_) => from.to_owned(),
            Err(problem) => bail!("--from {from:?} {problem}, and is not beginning"),
        },
    };
    let mut last = 0;
    let mut backoff = CallBackoff::endless(&clients.service, &clients.console);
    loop {
        let mut parts = Vec::new();
        if !from.is_empty() {
            parts.push(format!("time >= \"{from}\""));
        }
        if !args.filter.is_empty() {
            parts.push(format!("({})", args.filter));
        }
        let mut request = ListAuditEventsRequest {
            filter: parts.join(" AND "),
            page_size: PAGE_SIZE,
            order_by: "time".to_owned(),
            ..Default::default()
        };
        loop {
            let page = page(clients, &request, &mut backoff).await?;
            for event in page.events.iter().filter(|event| event.id > last) {
                print(event)?;
            }
            if let Some(event) = page.events.last() {
                last = last.max(event.id);
                from = event.time.map(|time| time.to_string()).unwrap_or(from);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        sleep(PERIOD).await;
    }
}

async fn page(
    clients: &Clients,
    request: &ListAuditEventsRequest,
    backoff: &mut CallBackoff,
) -> Result<ListAuditEventsResponse, Status> {
    loop {
        let mut client = clients.audit.clone();
        match clients.answer(client.list_audit_events(request.clone())).await {
            Ok(page) => {
                backoff.reset();
                return Ok(page.into_inner());
            }
            Err(status) => backoff.after(status).await?,
        }
    }
}

fn print(event: &AuditEvent) -> Result<()> {
    let line = json::print(EVENT, event)?;
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
