//! `readout export`: all live records of a running service, as lines that `readout import` reads back.

pub(super) mod evidence;
mod left_out;
mod references;

use std::{
    io::{self, BufWriter, Stdout, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use tonic::{Response, Status, Streaming};

use self::{evidence::keep_checkable, left_out::LeftOut, references::References};
use super::{Clients, EXPORT_FORMAT, EXPORT_RECORD, client::Connector, console::Console, is_broken_pipe, json, retry};
use crate::{
    config,
    model::rules::ClearOutput,
    pb::{
        ExportHeader, ExportRecord, ExportReport, ExportReview, ExportRuling, ListArticlesRequest, ListChangesRequest,
        ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest, Meeting, Report, View, export_record::Record,
        list_changes_request::Start, meeting::Review, report::State,
    },
};

/// As many resources in a page as may be; a page ends at 2 MiB, too.
const PAGE_SIZE: i32 = 1000;

/// Meetings whose reports are fetched ahead, in order.
const AHEAD: usize = 8;

/// The most records that are named where the export misses some.
const MOST_NAMED: usize = 5;

/// Exports all. An error: it could not start, or could not go on.
pub async fn run(args: config::Export) -> Result<ExitCode> {
    let console = Console::counting("records");
    let clients = Clients::connect(&Connector::new(&args.server)?, &console).await?;
    let mut out = Out::new(&console);
    match export(&clients, &mut out).await {
        Ok(is_whole) => {
            console.finish();
            console.say(&format!("{} records", out.records));
            out.left_out.lines().iter().for_each(|line| console.say(line));
            match out.references.dead_links() {
                0 => {}
                links => console.say(&format!("{links} links lead to meetings that are not in the export")),
            }
            Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        // The reader of a pipe has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

/// Writes all records. `false`: what others wrote meanwhile may be missing, and that was said.
async fn export(clients: &Clients, out: &mut Out) -> Result<bool> {
    out.write(Record::Header(ExportHeader { format: EXPORT_FORMAT.to_owned() }))?;
    let begun_at = participants(clients, out).await?;
    articles(clients, out).await?;
    reports(clients, out).await?;
    out.flush()?;
    let moved = has_moved(clients, &begun_at).await;
    if out.repeated > 0 || moved.as_ref().is_ok_and(|moved| *moved) {
        let problem = "meetings were merged or split during the export: reports of them may be missing; export again";
        clients.console.say(problem);
    }
    if let Err(status) = &moved {
        let problem = "it is not known whether meetings were merged or split during the export";
        clients.console.say(&format!("{problem}: {}", retry::describe(status)));
    }
    let missing = out.references.missing();
    if !missing.is_empty() {
        let named = missing.iter().take(MOST_NAMED).map(|(name, by)| format!("{by} names {name}"));
        let named = named.collect::<Vec<_>>().join(", ");
        clients.console.say(&format!(
            "{} records that others name were written during the export and are not in it ({named}{}): export again",
            missing.len(),
            if missing.len() > MOST_NAMED { ", …" } else { "" },
        ));
    }
    Ok(missing.is_empty() && out.repeated == 0 && matches!(moved, Ok(false)))
}

/// Exports the participants. Answers the position of the feed before them.
async fn participants(clients: &Clients, out: &mut Out) -> Result<String> {
    let mut begun_at = String::new();
    let open = async |page_token| {
        let request =
            ListParticipantsRequest { page_size: PAGE_SIZE, page_token, show_deleted: true, ..Default::default() };
        clients.participants.clone().stream_participants(request).await
    };
    pages(clients, open, async |page| {
        begun_at = page.as_of;
        for mut participant in page.participants {
            if participant.delete_time.is_some() {
                out.left_out.deleted_participants += 1;
                continue;
            }
            participant.clear_output();
            out.write(Record::Participant(participant))?;
        }
        Ok(page.next_page_token)
    })
    .await?;
    Ok(begun_at)
}

async fn articles(clients: &Clients, out: &mut Out) -> Result<()> {
    let open = async |page_token| {
        let request = ListArticlesRequest {
            page_size: PAGE_SIZE,
            page_token,
            view: View::Full.into(),
            show_deleted: true,
            ..Default::default()
        };
        clients.articles.clone().stream_articles(request).await
    };
    pages(clients, open, async |page| {
        for mut article in page.articles {
            if article.delete_time.is_some() {
                out.left_out.deleted_articles += 1;
                continue;
            }
            article.clear_output();
            out.write(Record::Article(article))?;
        }
        Ok(page.next_page_token)
    })
    .await
}

/// The reports, by way of the meetings: there is no list of all reports. Then what is decided on meetings.
async fn reports(clients: &Clients, out: &mut Out) -> Result<()> {
    let (mut rulings, mut reviewed) = (Vec::new(), Vec::new());
    let open = async |page_token| {
        let request = ListMeetingsRequest {
            page_size: PAGE_SIZE,
            page_token,
            view: View::Basic.into(),
            show_deleted: true,
            ..Default::default()
        };
        clients.meetings.clone().stream_meetings(request).await
    };
    pages(clients, open, async |page| {
        let meetings = page.meetings.into_iter().filter(|meeting| out.is_exported(meeting)).collect::<Vec<_>>();
        let first_pages = meetings.into_iter().map(async |meeting| {
            let reports = reports_page(clients, &meeting.name, String::new()).await;
            reports.map(|reports| (meeting, reports))
        });
        let mut first_pages = stream::iter(first_pages).buffered(AHEAD);
        while let Some(first_page) = first_pages.next().await {
            let (meeting, mut reports) = first_page?;
            loop {
                out.left_out += reports.left_out;
                let is_ruling = |report: &mut Report| report.ruling.is_some();
                rulings.extend(reports.reports.extract_if(.., is_ruling));
                out.write_reports(&meeting, reports.reports)?;
                if reports.next.is_empty() {
                    break;
                }
                reports = reports_page(clients, &meeting.name, reports.next).await?;
            }
            // An import could not review a meeting that has lost its reports since it was listed.
            if meeting.review() == Review::Reviewed && out.references.has(&meeting.name) {
                reviewed.push(meeting.name);
            }
        }
        Ok(page.next_page_token)
    })
    .await?;
    out.write_rulings(rulings)?;
    for meeting in reviewed {
        out.write(Record::Review(ExportReview { meeting, review: Review::Reviewed.into() }))?;
    }
    Ok(())
}

/// Returns `true` if reports have moved from one meeting to another since a position of the feed.
async fn has_moved(clients: &Clients, since: &str) -> Result<bool, Status> {
    let mut request = ListChangesRequest {
        start: Some(Start::After(since.to_owned())),
        filter: "kind = MERGED OR kind = SPLIT".to_owned(),
        ..Default::default()
    };
    loop {
        let page =
            clients.repeat(&clients.changes, &request, async |mut client, request| client.list_changes(request).await);
        let page = page.await?;
        if !page.changes.is_empty() || page.caught_up {
            return Ok(!page.changes.is_empty());
        }
        request.start = Some(Start::Cursor(page.cursor));
    }
}

/// Reports of one meeting, with evidence that stands in the text of their articles.
struct ReportsPage {
    reports: Vec<Report>,
    left_out: LeftOut,
    /// Token of the page after it, empty on the last.
    next: String,
}

async fn reports_page(clients: &Clients, meeting: &str, page_token: String) -> Result<ReportsPage> {
    let request =
        ListReportsRequest { meeting: meeting.to_owned(), page_size: PAGE_SIZE, page_token, ..Default::default() };
    let page =
        clients.repeat(&clients.meetings, &request, async |mut client, request| client.list_reports(request).await);
    let page = page.await.map_err(retry::given_up)?;
    let (mut reports, mut left_out) = (page.reports, LeftOut::default());
    let before = reports.len();
    // An import would make them count again.
    reports.retain(|report| report.state() != State::Retracted);
    left_out.retracted_reports = before - reports.len();
    for report in &mut reports {
        left_out += keep_checkable(clients, report).await.map_err(retry::given_up)?;
    }
    Ok(ReportsPage { reports, left_out, next: page.next_page_token })
}

/// Reads a stream of pages to its end; where the connection breaks, continues after the last page. `each` takes a page
/// and answers its token.
async fn pages<P>(
    clients: &Clients,
    open: impl AsyncFn(String) -> Result<Response<Streaming<P>>, Status>,
    mut each: impl AsyncFnMut(P) -> Result<String>,
) -> Result<()> {
    let mut backoff = clients.backoff();
    let mut token = None;
    loop {
        let broken = match clients.answer(open(token.clone().unwrap_or_default())).await {
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    match clients.answer(stream.message()).await {
                        Ok(Some(page)) => {
                            backoff.reset();
                            token = Some(each(page).await?);
                        }
                        Ok(None) => return Ok(()),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        if token.as_ref().is_some_and(String::is_empty) {
            // That was the last page.
            return Ok(());
        }
        backoff.after(broken).await.map_err(retry::given_up)?;
    }
}

/// Standard output, line by line, and an account of it.
struct Out {
    lines: BufWriter<Stdout>,
    console: Console,
    records: u64,
    left_out: LeftOut,
    references: References,
    /// Reports that came twice, of two meetings.
    repeated: u64,
}

impl Out {
    fn new(console: &Console) -> Self {
        Self {
            lines: BufWriter::new(io::stdout()),
            console: console.clone(),
            records: 0,
            left_out: LeftOut::default(),
            references: References::default(),
            repeated: 0,
        }
    }

    /// Returns `true` if the reports of a meeting are exported; counts the meeting if they are not.
    fn is_exported(&mut self, meeting: &Meeting) -> bool {
        let left_out = &mut self.left_out;
        let count = match meeting.review() {
            _ if meeting.delete_time.is_some() => &mut left_out.deleted_meetings,
            _ if !meeting.merged_into.is_empty() => &mut left_out.merged_meetings,
            Review::Retracted => &mut left_out.empty_meetings,
            _ => return true,
        };
        *count += 1;
        false
    }

    fn write_reports(&mut self, meeting: &Meeting, reports: Vec<Report>) -> Result<()> {
        for mut report in reports {
            report.clear_output();
            self.write(Record::Report(ExportReport {
                meeting: meeting.name.clone(),
                report: Some(report),
                meeting_labels: meeting.labels.clone(),
            }))?;
        }
        Ok(())
    }

    /// They come after what they rule on: the reports of all meetings. There are few.
    fn write_rulings(&mut self, mut rulings: Vec<Report>) -> Result<()> {
        let age = |report: &Report| report.create_time.map(|time| (time.seconds, time.nanos));
        rulings.sort_by_cached_key(|report| (report.meeting.clone(), age(report), report.name.clone()));
        for Report { name, meeting, account, ruling, .. } in rulings {
            self.write(Record::Ruling(ExportRuling { name, meeting, account, ruling }))?;
        }
        Ok(())
    }

    fn write(&mut self, record: Record) -> Result<()> {
        if !self.references.add(&record) {
            self.repeated += 1;
            return Ok(());
        }
        let is_header = matches!(record, Record::Header(_));
        let line = json::print(EXPORT_RECORD, &ExportRecord { record: Some(record) })?;
        writeln!(self.lines, "{line}").context(UNWRITABLE)?;
        if !is_header {
            self.records += 1;
            self.console.count();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.lines.flush().context(UNWRITABLE)
    }
}

const UNWRITABLE: &str = "standard output cannot be written";
