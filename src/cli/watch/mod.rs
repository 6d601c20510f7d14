//! `readout watch`: the changes of a running service as lines, and on from where the last run was.

mod bookmark;

use std::{
    io::{self, BufWriter, Stdout, Write},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow};
use chrono::DateTime;
use futures_util::FutureExt;
use tonic::{Code, Status, Streaming};

use self::bookmark::Bookmark;
use super::{
    Clients, is_broken_pipe, json,
    retry::{self, Backoff},
};
use crate::{
    config,
    pb::{
        Origin, WatchChangesRequest, WatchChangesResponse, notice, watch_changes_request::Start,
        watch_changes_response::Event,
    },
};

/// The full name of what a line holds.
const CHANGE: &str = "readout.v1.Change";

/// Watches until the feed cannot be followed any further, or nobody reads what is written.
pub async fn run(args: config::Watch) -> Result<ExitCode> {
    let bookmark = args.cursor_file.as_deref().map(Bookmark::open).transpose()?;
    let start = match bookmark.as_ref().and_then(Bookmark::cursor) {
        Some(cursor) => Start::Cursor(cursor.to_owned()),
        None => start(&args.from)?,
    };
    let clients = connect(&args.server).await?;
    let mut watch = Watch {
        clients,
        request: WatchChangesRequest {
            start: Some(start),
            filter: args.filter,
            include_resource: args.include_resource,
        },
        until_caught_up: args.until_caught_up,
        lines: BufWriter::new(io::stdout()),
        bookmark,
    };
    match watch.follow().await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The reader of a pipe has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

/// Waits for a service that is not there yet: it may be about to start.
async fn connect(server: &config::Server) -> Result<Clients> {
    let mut backoff = Backoff::default();
    loop {
        match Clients::connect(server).await {
            Ok(clients) => return Ok(clients),
            Err(error) => backoff.after(Status::unavailable(error.to_string())).await.map_err(|_| error)?,
        }
    }
}

/// The start that `--from` names.
fn start(from: &str) -> Result<Start> {
    match from {
        "beginning" => return Ok(Start::Origin(Origin::Beginning.into())),
        "now" => return Ok(Start::Origin(Origin::Now.into())),
        _ => {}
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(from) {
        // Nanoseconds of a second fit.
        let nanos = time.timestamp_subsec_nanos() as i32;
        return Ok(Start::StartTime(prost_types::Timestamp { seconds: time.timestamp(), nanos }));
    }
    match from.split_once('.') {
        // Whether it is one, the service knows.
        Some(_) => Ok(Start::After(from.to_owned())),
        None => Err(anyhow!(
            "--from {from:?} is none of beginning, now, a position such as 5c9e71d0.1207, \
             a time such as 2020-09-04T12:00:00Z"
        )),
    }
}

struct Watch {
    clients: Clients,
    /// Begins after all that was written.
    request: WatchChangesRequest,
    until_caught_up: bool,
    lines: BufWriter<Stdout>,
    bookmark: Option<Bookmark>,
}

impl Watch {
    /// Follows; where the connection breaks, goes on after the last message.
    async fn follow(&mut self) -> Result<()> {
        let mut backoff = Backoff::endless();
        loop {
            let broken = match self.clients.changes.clone().watch_changes(self.request.clone()).await {
                Ok(answer) => match self.read(answer.into_inner(), &mut backoff).await? {
                    Some(status) => status,
                    None => return Ok(()),
                },
                Err(status) => status,
            };
            if retry::is_passing(&broken) {
                eprintln!("the watch was cut off and goes on: {}", retry::describe(&broken));
            }
            backoff.after(broken).await.map_err(ended)?;
        }
    }

    /// Reads a stream until it breaks; nothing if it was read as far as it should be.
    async fn read(
        &mut self,
        mut stream: Streaming<WatchChangesResponse>,
        backoff: &mut Backoff,
    ) -> Result<Option<Status>> {
        loop {
            // What was written is made known before there is anything to wait for.
            let message = match stream.message().now_or_never() {
                Some(message) => message,
                None => {
                    self.save()?;
                    stream.message().await
                }
            };
            match message {
                Ok(Some(WatchChangesResponse { cursor, event })) => {
                    backoff.reset();
                    let is_end = self.until_caught_up
                        && matches!(&event, Some(Event::Notice(notice)) if notice.kind() == notice::Kind::CaughtUp);
                    if let Some(Event::Change(change)) = event {
                        writeln!(self.lines, "{}", json::print(CHANGE, &change)?)?;
                    }
                    self.request.start = Some(Start::Cursor(cursor));
                    if is_end {
                        self.save()?;
                        return Ok(None);
                    }
                }
                Ok(None) => {
                    self.save()?;
                    return Ok(Some(Status::unavailable("the service ended the watch")));
                }
                Err(status) => {
                    self.save()?;
                    return Ok(Some(status));
                }
            }
        }
    }

    /// Writes out the lines, and only then where to go on: a line may come twice, but none is left out.
    fn save(&mut self) -> Result<()> {
        self.lines.flush()?;
        if let (Some(bookmark), Some(Start::Cursor(cursor))) = (&mut self.bookmark, &self.request.start) {
            bookmark.set(cursor).context("the cursor was not kept")?;
        }
        Ok(())
    }
}

/// The end of a watch that no repetition helps, with what one can do.
fn ended(status: Status) -> anyhow::Error {
    let advice = match status.code() {
        Code::OutOfRange | Code::FailedPrecondition => {
            "; export or list again, then watch from a new start (without the old cursor file)"
        }
        _ => "",
    };
    anyhow!("the feed cannot be followed: {}{advice}", retry::describe(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_an_end_a_position_or_a_time() {
        assert_eq!(start("now").unwrap(), Start::Origin(Origin::Now.into()));
        assert_eq!(start("5c9e71d0.7").unwrap(), Start::After("5c9e71d0.7".into()));
        let time = prost_types::Timestamp { seconds: 1_599_220_800, nanos: 500_000_000 };
        assert_eq!(start("2020-09-04T14:00:00.5+02:00").unwrap(), Start::StartTime(time));
        for wrong in ["", "yesterday", "7", "2020-09-04"] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
    }
}
