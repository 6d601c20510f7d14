//! `readout watch`: prints the changes of a running service, one per line, and resumes where the last run ended.

mod cursor_file;

use std::{
    io::{self, BufWriter, Stdout, Write},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow};
use futures_util::FutureExt;
use tonic::{Code, Status, Streaming};

use self::cursor_file::CursorFile;
use super::{
    Clients,
    client::Connector,
    console::Console,
    is_broken_pipe, json,
    retry::{self, CallBackoff},
};
use crate::{
    config,
    model::time::rfc3339,
    pb::{
        Change, ErrorReason, Origin, WatchChangesRequest, WatchChangesResponse, change::Resource, notice,
        watch_changes_request::Start, watch_changes_response::Event,
    },
};

/// The full name of the message on each line.
const CHANGE: &str = "readout.v1.Change";

/// Watches until the feed cannot be resumed, standard output is closed, or the watch has caught up if that was asked
/// for.
///
/// # Errors
/// If the watch cannot start or resume.
pub async fn run(args: config::Watch) -> Result<ExitCode> {
    let cursor_file = args.cursor_file.as_deref().map(CursorFile::open).transpose()?;
    let start = match cursor_file.as_ref().and_then(CursorFile::cursor) {
        Some(cursor) => Start::Cursor(cursor.to_owned()),
        None => start(&args.from)?,
    };
    let has_saved_cursor = cursor_file.as_ref().is_some_and(|cursor_file| cursor_file.cursor().is_some());
    let console = Console::new();
    let clients = Clients::connect_patiently(&Connector::new(&args.server)?, &console).await?;
    let mut watch = WatchSession {
        clients,
        console,
        request: WatchChangesRequest {
            start: Some(start),
            filter: args.filter,
            include_resource: args.include_resource,
        },
        until_caught_up: args.until_caught_up,
        lines: BufWriter::new(io::stdout()),
        begins_at_saved_cursor: has_saved_cursor,
        cursor_file,
    };
    match watch.follow().await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The reader closed the pipe early, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

/// Parses `--from`.
fn start(from: &str) -> Result<Start> {
    match from {
        "beginning" => return Ok(Start::Origin(Origin::Beginning.into())),
        "now" => return Ok(Start::Origin(Origin::Now.into())),
        _ => {}
    }
    if rfc3339::looks_like_time(from) {
        return match rfc3339::parse(from) {
            Ok(time) => Ok(Start::StartTime(time)),
            Err(problem) => Err(anyhow!("--from {from:?} {problem}")),
        };
    }
    match from.split_once('.') {
        // The service validates the position.
        Some(_) => Ok(Start::After(from.to_owned())),
        None => Err(anyhow!(
            "--from {from:?} is none of beginning, now, a position such as 5c9e71d0.1207, \
             a time such as 2020-09-04T12:00:00Z"
        )),
    }
}

struct WatchSession {
    clients: Clients,
    /// The request that resumes after the last printed change.
    request: WatchChangesRequest,
    until_caught_up: bool,
    console: Console,
    lines: BufWriter<Stdout>,
    cursor_file: Option<CursorFile>,
    /// True until the service has accepted the cursor of the file.
    begins_at_saved_cursor: bool,
}

impl WatchSession {
    /// Watches the feed. If the connection breaks, resumes after the last message.
    async fn follow(&mut self) -> Result<()> {
        let mut backoff = CallBackoff::endless(&self.clients.service, &self.console);
        loop {
            let mut client = self.clients.changes.clone();
            let broken = match self.clients.answer(client.watch_changes(self.request.clone())).await {
                Ok(answer) => match self.read(answer.into_inner(), &mut backoff).await? {
                    Some(status) => status,
                    None => return Ok(()),
                },
                Err(status) => status,
            };
            if retry::is_transient(&broken) {
                let cause = retry::describe(&broken);
                self.console.say_waiting(&format!("{}: the watch was cut off: {cause}", self.clients.service));
            }
            backoff.after(broken).await.map_err(|status| self.ended(&status))?;
        }
    }

    /// Reads a stream until it breaks, and returns the status. Returns `None` if the watch has caught up and is to end.
    async fn read(
        &mut self,
        mut stream: Streaming<WatchChangesResponse>,
        backoff: &mut CallBackoff,
    ) -> Result<Option<Status>> {
        loop {
            // Lines are flushed before each wait for a message.
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
                    self.begins_at_saved_cursor = false;
                    let is_end = self.until_caught_up
                        && matches!(&event, Some(Event::Notice(notice)) if notice.kind() == notice::Kind::CaughtUp);
                    if let Some(Event::Change(change)) = event {
                        if let Some((name, bytes)) = oversized(&change) {
                            let problem = "more than a message can carry: the line has it without its large fields";
                            self.console.say(&format!("{name} has {bytes} bytes, {problem}"));
                        }
                        writeln!(self.lines, "{}", json::print(CHANGE, &change)?).context(UNWRITABLE)?;
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

    /// Flushes the lines, and only then stores their cursor: a line may be printed twice, but none is lost.
    fn save(&mut self) -> Result<()> {
        self.lines.flush().context(UNWRITABLE)?;
        if let (Some(cursor_file), Some(Start::Cursor(cursor))) = (&mut self.cursor_file, &self.request.start) {
            cursor_file.set(cursor).context("the cursor was not kept")?;
        }
        Ok(())
    }

    /// The error of a watch that cannot be resumed, with advice.
    fn ended(&self, status: &Status) -> anyhow::Error {
        let file = self.cursor_file.as_ref().filter(|_| self.begins_at_saved_cursor).map(CursorFile::path);
        let reason = ErrorReason::from_str_name(&retry::reason(status));
        let is_of_cursor = matches!(reason, Some(ErrorReason::InvalidCursor | ErrorReason::CursorOfAnotherFilter));
        let advice = match (status.code(), file) {
            (_, Some(file)) if is_of_cursor => format!(
                "; the cursor is that of --cursor-file {}: give each filter and service a file of its own",
                file.display()
            ),
            (Code::OutOfRange | Code::FailedPrecondition, Some(file)) => format!(
                "; export or list again, then watch from a new start without the old --cursor-file {}",
                file.display()
            ),
            (Code::OutOfRange | Code::FailedPrecondition, None) => {
                "; export or list again, then watch from a new start".to_owned()
            }
            _ => String::new(),
        };
        anyhow!("the feed cannot be followed: {}{advice}", retry::describe(status))
    }
}

/// The name and the size of a resource that the service only names, because it is larger than a message can carry.
fn oversized(change: &Change) -> Option<(&str, i64)> {
    let omission = match change.resource.as_ref()? {
        Resource::Meeting(meeting) => meeting.omission.as_ref(),
        Resource::Report(report) => report.omission.as_ref(),
        Resource::Article(_) | Resource::Participant(_) => None,
    };
    Some((change.name.as_str(), omission?.record_bytes))
}

const UNWRITABLE: &str = "standard output cannot be written";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_accepts_an_end_of_the_feed_a_position_or_a_time() {
        assert_eq!(start("now").unwrap(), Start::Origin(Origin::Now.into()));
        assert_eq!(start("5c9e71d0.7").unwrap(), Start::After("5c9e71d0.7".into()));
        let time = prost_types::Timestamp { seconds: 1_599_220_800, nanos: 500_000_000 };
        assert_eq!(start("2020-09-04T14:00:00.5+02:00").unwrap(), Start::StartTime(time));
        for (wrong, why) in [
            ("", "is none of"),
            ("yesterday", "is none of"),
            ("7", "is none of"),
            ("2020-09-04", "is a day without a time"),
            ("2016-12-31T23:59:60Z", "has a leap second"),
            ("2016-12-31T23:59:60.5Z", "has a leap second"),
            ("2020-09-04T12:00:00.5", "has no time zone"),
            ("2020-09-04 12:00", "has no seconds"),
            ("4.9.2020 12:00", "must begin with its day"),
        ] {
            let error = start(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--from {wrong:?} ")) && error.contains(why), "{error}");
        }
    }
}
