//! `readout audit`: prints the events of the audit log of a running service, one per line.

use std::{
    collections::VecDeque,
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Result, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tonic::Status;

use super::{Clients, client::Connector, console::Console, is_broken_pipe, json, retry::CallBackoff};
use crate::{
    config,
    model::time::rfc3339,
    pb::{AuditEvent, ListAuditEventsRequest, ListAuditEventsResponse},
};

/// The full name of the message on each line.
const EVENT: &str = "readout.v1.AuditEvent";
/// Events in a page.
const PAGE_SIZE: i32 = 1_000;
/// Interval between reads of a log that is followed.
const PERIOD: Duration = Duration::from_secs(1);
/// The time after which the count of a refusal is final: its minute, and the time in which the service stores it.
const REFUSAL_PERIOD: Duration = Duration::from_secs(65);
/// The largest difference of clocks at which grown counts are printed.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(600);
/// The outcomes of refusals, besides those of credentials that do not hold.
const REFUSALS: [&str; 4] = ["ROLE_TOO_LOW", "ACTOR_NOT_ALLOWED", "OUT_OF_SCOPE", "TEXT_HIDDEN"];

/// Prints events: the newest, or with `--follow` each one in the order of the log, until SIGTERM or ctrl-c. Only whole
/// lines are printed.
///
/// # Errors
/// If the service refuses the request, or does not answer.
pub async fn run(args: config::AuditEvents) -> Result<ExitCode> {
    let console = Console::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let printed = async {
        let clients = Clients::connect_patiently(&Connector::new(&args.server)?, &console).await?;
        match args.follow {
            true => follow(&clients, &args).await,
            false => newest(&clients, &args).await,
        }
    };
    let printed = tokio::select! {
        printed = printed => printed,
        _ = terminate.recv(), if args.follow => Ok(()),
        _ = interrupt.recv(), if args.follow => Ok(()),
    };
    match printed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The reader closed the pipe early, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
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

/// Prints each event when it is stored, and a refusal again after its minute if its count has grown.
async fn follow(clients: &Clients, args: &config::AuditEvents) -> Result<()> {
    let from = match args.from.as_str() {
        "beginning" => String::new(),
        from => match rfc3339::parse(from) {
            Ok(_) => from.to_owned(),
            Err(problem) => bail!("--from {from:?} {problem}, and is not beginning"),
        },
    };
    let backoff = CallBackoff::endless(&clients.service, &clients.console);
    let mut follower =
        Follower { clients, filter: &args.filter, from, last: Key::default(), growing: VecDeque::new(), backoff };
    loop {
        follower.print_new().await?;
        follower.print_grown().await?;
        sleep(PERIOD).await;
    }
}

/// A log that is followed.
struct Follower<'a> {
    clients: &'a Clients,
    filter: &'a str,
    /// The time of the last event that was read; empty at the beginning.
    from: String,
    /// The key of the last event that was read. Events become visible in the order of their keys, so those after it are
    /// all that are missing.
    last: Key,
    /// The refusals of the last minute, with the times at which they were printed.
    growing: VecDeque<(Instant, AuditEvent)>,
    backoff: CallBackoff,
}

impl Follower<'_> {
    /// Prints the events that match the filter, up to the newest event at the time of the call.
    async fn print_new(&mut self) -> Result<()> {
        // With a filter that matches few events, the next call need not examine those up to the newest again.
        let newest = self.list("", "time desc", 1, "").await?.events.pop();
        let Some(newest) = newest.filter(|newest| key(newest) > self.last) else { return Ok(()) };
        let mut filter = Vec::new();
        if !self.from.is_empty() {
            filter.push(format!("time >= \"{}\"", self.from));
        }
        if !self.filter.is_empty() {
            filter.push(format!("({})", self.filter));
        }
        let (filter, mut page_token) = (filter.join(" AND "), String::new());
        let mut last = key(&newest);
        loop {
            let page = self.list(&filter, "time", PAGE_SIZE, &page_token).await?;
            for event in page.events.into_iter().filter(|event| key(event) > self.last) {
                print(&event)?;
                last = last.max(key(&event));
                if can_grow(&event) {
                    self.growing.push_back((Instant::now(), event));
                }
            }
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        self.last = last;
        self.from = newest.time.map(|time| time.to_string()).unwrap_or_default();
        Ok(())
    }

    /// Prints the refusals again whose minute is over and whose counts have grown.
    async fn print_grown(&mut self) -> Result<()> {
        while let Some((printed, _)) = self.growing.front()
            && printed.elapsed() >= REFUSAL_PERIOD
            && let Some((_, event)) = self.growing.pop_front()
        {
            let time = event.time.map(|time| time.to_string()).unwrap_or_default();
            let filter = format!("time >= \"{time}\" AND time <= \"{time}\"");
            let found = self.list(&filter, "time", PAGE_SIZE, "").await?.events;
            let found = found.iter().find(|found| found.id == event.id && found.count > event.count);
            found.map_or(Ok(()), print)?;
        }
        Ok(())
    }

    async fn list(
        &mut self,
        filter: &str,
        order_by: &str,
        page_size: i32,
        page_token: &str,
    ) -> Result<ListAuditEventsResponse, Status> {
        let (filter, order_by, page_token) = (filter.to_owned(), order_by.to_owned(), page_token.to_owned());
        let request = ListAuditEventsRequest { filter, order_by, page_size, page_token };
        page(self.clients, &request, &mut self.backoff).await
    }
}

/// The key of an event: its time and id. After a failover that loses events, ids can come again, with later times.
type Key = (i64, i32, i64);

fn key(event: &AuditEvent) -> Key {
    let time = event.time.unwrap_or_default();
    (time.seconds, time.nanos, event.id)
}

/// True for a refusal whose count may still grow.
fn can_grow(event: &AuditEvent) -> bool {
    let is_refusal = event.outcome.starts_with("CREDENTIALS_") || REFUSALS.contains(&event.outcome.as_str());
    let age = event.time.and_then(|time| SystemTime::try_from(time).ok()).and_then(|time| time.elapsed().ok());
    // The clocks of the service and of this program may differ.
    is_refusal && age.is_none_or(|age| age < REFUSAL_PERIOD + CLOCK_DIFFERENCE)
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
