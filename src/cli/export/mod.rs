//! `readout export`: writes all live records of a running service as lines that `readout import` reads.
//!
//! `source` is the service and the time, `pages` reads the records, `decisions` collects merges, judgements and bindings,
//! `references` finds references to records that the export misses, `unverifiable_evidence` removes quotes that an import
//! could not check, `omissions` counts them.

mod decisions;
mod omissions;
mod pages;
mod references;
mod source;
pub(super) mod unverifiable_evidence;

use std::{
    io::{self, BufWriter, Stdout, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use tonic::Status;

use self::{
    decisions::Decisions,
    omissions::Omissions,
    pages::pages,
    references::References,
    source::{Source, parse_time},
    unverifiable_evidence::keep_checkable,
};
use super::{Clients, EXPORT_FORMAT, EXPORT_RECORD, client::Connector, console::Console, is_broken_pipe, json, retry};
use crate::{
    config,
    model::{resource::CONTRACT_VERSION, rules::ClearOutput},
    pb::{
        ExportHeader, ExportRecord, ExportReport, ExportReview, ExportRuling, ListArticlesRequest, ListChangesRequest,
        ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest, Meeting, Omission, Report, View,
        export_record::Record, list_changes_request::Start, meeting::Review, report::State,
    },
};

/// The maximum page size of the service. A page also ends at 2 MiB.
const PAGE_SIZE: i32 = 1000;

/// Number of meetings whose reports are fetched concurrently. The order is kept.
const PREFETCHED_MEETINGS: usize = 8;

/// Maximum number of missing records that are named.
const MAX_NAMED: usize = 5;

/// Exports all records.
///
/// # Errors
/// If the export cannot start or continue.
pub async fn run(args: config::Export) -> Result<ExitCode> {
    let read_time = args.read_time.as_deref().map(parse_time).transpose()?;
    let console = Console::counting("records");
    let clients = Clients::connect(&Connector::new(&args.server)?, &console).await?;
    let mut out = ExportWriter::new(&console);
    match export(&Source { clients: &clients, read_time }, &mut out).await {
        Ok(is_whole) => {
            console.finish();
            console.say(&format!("{} records", out.records));
            out.omissions.lines().iter().for_each(|line| console.say(line));
            match out.references.dead_links() {
                0 => {}
                links => console.say(&format!("{links} links lead to meetings that are not in the export")),
            }
            Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        // The reader closed the pipe early, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

/// Writes all records. Returns `false`, and prints the reason, if concurrent writes may be missing.
async fn export(source: &Source<'_>, out: &mut ExportWriter) -> Result<bool> {
    let contract_version = CONTRACT_VERSION.into();
    out.write(Record::Header(ExportHeader { format: EXPORT_FORMAT.to_owned(), contract_version }))?;
    let clients = source.clients;
    let start_position = participants(source, out).await?;
    articles(source, out).await?;
    reports(source, out).await?;
    out.flush()?;
    // As of a time, no report moves.
    let moved = match source.read_time {
        Some(_) => Ok(false),
        None => have_reports_moved(clients, &start_position).await,
    };
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
        let named = missing.iter().take(MAX_NAMED).map(|(name, by)| format!("{by} names {name}"));
        let named = named.collect::<Vec<_>>().join(", ");
        clients.console.say(&format!(
            "{} records that others name were written during the export and are not in it ({named}{}): export again",
            missing.len(),
            if missing.len() > MAX_NAMED { ", …" } else { "" },
        ));
    }
    Ok(missing.is_empty() && out.repeated == 0 && out.oversized == 0 && matches!(moved, Ok(false)))
}

/// Exports the participants. Returns the position of the feed before them.
async fn participants(source: &Source<'_>, out: &mut ExportWriter) -> Result<String> {
    let Source { clients, read_time } = *source;
    let mut start_position = String::new();
    let mut decisions = Decisions::default();
    let open = async |page_token| {
        let request = ListParticipantsRequest {
            page_size: PAGE_SIZE,
            page_token,
            show_deleted: true,
            read_time,
            ..Default::default()
        };
        clients.participants.clone().stream_participants(request).await
    };
    pages(clients, open, async |page| {
        start_position = page.as_of;
        for mut participant in page.participants {
            if participant.delete_time.is_some() {
                out.omissions.deleted_participants += 1;
                continue;
            }
            decisions.add(&participant);
            participant.clear_output();
            out.write(Record::Participant(participant))?;
        }
        Ok(page.next_page_token)
    })
    .await?;
    for record in decisions.in_order() {
        out.write_decision(record)?;
    }
    Ok(start_position)
}

async fn articles(source: &Source<'_>, out: &mut ExportWriter) -> Result<()> {
    let Source { clients, read_time } = *source;
    let open = async |page_token| {
        let request = ListArticlesRequest {
            page_size: PAGE_SIZE,
            page_token,
            view: View::Full.into(),
            show_deleted: true,
            read_time,
            ..Default::default()
        };
        clients.articles.clone().stream_articles(request).await
    };
    pages(clients, open, async |page| {
        for mut article in page.articles {
            if article.delete_time.is_some() {
                out.omissions.deleted_articles += 1;
                continue;
            }
            article.clear_output();
            out.write(Record::Article(article))?;
        }
        Ok(page.next_page_token)
    })
    .await
}

/// The size of a record that the service only names, because it is larger than an answer can carry.
fn oversize(omission: Option<&Omission>) -> Option<i64> {
    omission.map(|omission| omission.record_bytes).filter(|bytes| *bytes > 0)
}

/// Exports the reports meeting by meeting, because no call lists all reports. Then exports rulings and reviews.
async fn reports(source: &Source<'_>, out: &mut ExportWriter) -> Result<()> {
    let Source { clients, read_time } = *source;
    let (mut rulings, mut reviewed, mut bindings) = (Vec::new(), Vec::new(), Vec::new());
    let open = async |page_token| {
        let request = ListMeetingsRequest {
            page_size: PAGE_SIZE,
            page_token,
            view: View::Basic.into(),
            show_deleted: true,
            read_time,
            ..Default::default()
        };
        clients.meetings.clone().stream_meetings(request).await
    };
    pages(clients, open, async |page| {
        let meetings = page.meetings.into_iter().filter(|meeting| out.is_exported(meeting)).collect::<Vec<_>>();
        let first_pages = meetings.into_iter().map(async |meeting| {
            let reports = reports_page(source, &meeting.name, String::new()).await;
            reports.map(|reports| (meeting, reports))
        });
        let mut first_pages = stream::iter(first_pages).buffered(PREFETCHED_MEETINGS);
        while let Some(first_page) = first_pages.next().await {
            let (meeting, mut reports) = first_page?;
            if let Some(bytes) = oversize(meeting.omission.as_ref()) {
                let consequence = "its reports are in the export, and an import refuses some of them";
                out.name_oversized(&meeting.name, bytes, consequence);
            }
            loop {
                out.omissions += reports.omissions;
                let is_ruling = |report: &mut Report| report.ruling.is_some() && report.omission.is_none();
                rulings.extend(reports.reports.extract_if(.., is_ruling));
                bindings.extend(reports.reports.iter().flat_map(decisions::bindings));
                out.write_reports(&meeting, reports.reports)?;
                if reports.next_page_token.is_empty() {
                    break;
                }
                reports = reports_page(source, &meeting.name, reports.next_page_token).await?;
            }
            // A meeting without exported reports is left out: an import could not review it.
            if meeting.review() == Review::Reviewed && out.references.has(&meeting.name) {
                reviewed.push(meeting.name);
            }
        }
        Ok(page.next_page_token)
    })
    .await?;
    bindings.sort_by(|a, b| (&a.report, &a.participation).cmp(&(&b.report, &b.participation)));
    for binding in bindings {
        out.write_decision(Record::Binding(binding))?;
    }
    out.write_rulings(rulings)?;
    for meeting in reviewed {
        out.write(Record::Review(ExportReview { meeting, review: Review::Reviewed.into() }))?;
    }
    Ok(())
}

/// Returns `true` if merges or splits have moved reports between meetings since a position of the feed.
async fn have_reports_moved(clients: &Clients, since: &str) -> Result<bool, Status> {
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

/// A page of the reports of one meeting, with checkable evidence only.
struct ReportsPage {
    reports: Vec<Report>,
    omissions: Omissions,
    /// The token of the next page; empty on the last page.
    next_page_token: String,
}

async fn reports_page(source: &Source<'_>, meeting: &str, page_token: String) -> Result<ReportsPage> {
    let Source { clients, read_time } = *source;
    let request = ListReportsRequest {
        meeting: meeting.to_owned(),
        page_size: PAGE_SIZE,
        page_token,
        read_time,
        ..Default::default()
    };
    let page =
        clients.repeat(&clients.meetings, &request, async |mut client, request| client.list_reports(request).await);
    let page = page.await.map_err(retry::given_up)?;
    let (mut reports, mut omissions) = (page.reports, Omissions::default());
    let before = reports.len();
    // An import would restore retracted reports as active ones.
    reports.retain(|report| report.state() != State::Retracted);
    omissions.retracted_reports = before - reports.len();
    for report in &mut reports {
        omissions += keep_checkable(clients, report, read_time).await.map_err(retry::given_up)?;
    }
    Ok(ReportsPage { reports, omissions, next_page_token: page.next_page_token })
}

/// Writes records to standard output, and counts records and omissions.
struct ExportWriter {
    lines: BufWriter<Stdout>,
    console: Console,
    records: u64,
    omissions: Omissions,
    references: References,
    /// Reports that were listed twice, for two meetings.
    repeated: u64,
    /// Records that are larger than an answer can carry.
    oversized: u64,
}

impl ExportWriter {
    fn new(console: &Console) -> Self {
        Self {
            lines: BufWriter::new(io::stdout()),
            console: console.clone(),
            records: 0,
            omissions: Omissions::default(),
            references: References::default(),
            repeated: 0,
            oversized: 0,
        }
    }

    /// Names a record that is larger than an answer can carry.
    fn name_oversized(&mut self, name: &str, bytes: i64, consequence: &str) {
        self.oversized += 1;
        self.console.say(&format!("{name} has {bytes} bytes, more than an answer can carry: {consequence}"));
    }

    /// Returns `true` if the reports of a meeting are exported; counts the meeting if they are not.
    fn is_exported(&mut self, meeting: &Meeting) -> bool {
        let omissions = &mut self.omissions;
        let count = match meeting.review() {
            _ if meeting.delete_time.is_some() => &mut omissions.deleted_meetings,
            _ if !meeting.merged_into.is_empty() => &mut omissions.merged_meetings,
            Review::Retracted => &mut omissions.empty_meetings,
            _ => return true,
        };
        *count += 1;
        false
    }

    fn write_reports(&mut self, meeting: &Meeting, reports: Vec<Report>) -> Result<()> {
        for mut report in reports {
            if let Some(bytes) = oversize(report.omission.as_ref()) {
                self.name_oversized(&report.name, bytes, "it is not in the export");
                continue;
            }
            report.clear_output();
            self.write(Record::Report(ExportReport {
                meeting: meeting.name.clone(),
                report: Some(report),
                meeting_labels: meeting.labels.clone(),
            }))?;
        }
        Ok(())
    }

    /// Writes the rulings in the order of their creation. They follow the reports of all meetings, on which they rule.
    fn write_rulings(&mut self, mut rulings: Vec<Report>) -> Result<()> {
        let age = |report: &Report| report.create_time.map(|time| (time.seconds, time.nanos));
        rulings.sort_by_cached_key(|report| (report.meeting.clone(), age(report), report.name.clone()));
        for Report { name, meeting, account, ruling, .. } in rulings {
            self.write(Record::Ruling(ExportRuling { name, meeting, account, ruling }))?;
        }
        Ok(())
    }

    /// Writes a decision of a curator if the records that it concerns are in the export.
    fn write_decision(&mut self, record: Record) -> Result<()> {
        let names = match &record {
            Record::Merge(merge) => [&merge.participant, &merge.into],
            Record::Judgement(judgement) => [&judgement.participant, &judgement.other],
            Record::Binding(binding) => [&binding.report, &binding.participant],
            _ => return self.write(record),
        };
        match names.iter().all(|name| self.references.has(name)) {
            true => self.write(record),
            false => {
                self.omissions.decisions += 1;
                Ok(())
            }
        }
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
