//! `readout export`: all live records of a running service, as lines that `readout import` reads back.

mod evidence;

use std::{
    io::{self, BufWriter, Stdout, Write},
    ops::AddAssign,
    process::ExitCode,
};

use anyhow::Result;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tonic::{Response, Status, Streaming};

use self::evidence::Text;
use super::{
    Clients, EXPORT_FORMAT, EXPORT_RECORD, is_broken_pipe, json,
    retry::{self, Backoff, repeat},
};
use crate::{
    config,
    model::rules::ClearOutput,
    pb::{
        ExportHeader, ExportRecord, ExportReport, ExportRuling, GetArticleRequest, ListArticlesRequest,
        ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest, Meeting, Report, View, article::TextRights,
        export_record::Record, report::State,
    },
};

/// As many resources in a page as may be; a page ends at 2 MiB, too.
const PAGE_SIZE: i32 = 1000;

/// Meetings whose reports are fetched ahead, in order.
const AHEAD: usize = 8;

/// Exports all. An error: it could not start, or could not go on.
pub async fn run(args: config::Export) -> Result<ExitCode> {
    let clients = Clients::connect(&args.server).await?;
    let mut out = Out::new();
    match export(&clients, &mut out).await {
        Ok(left_out) => {
            out.bar.finish_and_clear();
            eprintln!("{} records", out.records);
            left_out.tell();
            Ok(ExitCode::SUCCESS)
        }
        // The reader of a pipe has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

async fn export(clients: &Clients, out: &mut Out) -> Result<LeftOut> {
    out.write(Record::Header(ExportHeader { format: EXPORT_FORMAT.to_owned() }))?;
    participants(clients, out).await?;
    articles(clients, out).await?;
    let left_out = reports(clients, out).await?;
    out.lines.flush()?;
    Ok(left_out)
}

async fn participants(clients: &Clients, out: &mut Out) -> Result<()> {
    let open = async |page_token| {
        let request = ListParticipantsRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
        clients.participants.clone().stream_participants(request).await
    };
    pages(open, async |page| {
        for mut participant in page.participants {
            participant.clear_output();
            out.write(Record::Participant(participant))?;
        }
        Ok(page.next_page_token)
    })
    .await
}

async fn articles(clients: &Clients, out: &mut Out) -> Result<()> {
    let open = async |page_token| {
        let request =
            ListArticlesRequest { page_size: PAGE_SIZE, page_token, view: View::Full.into(), ..Default::default() };
        clients.articles.clone().stream_articles(request).await
    };
    pages(open, async |page| {
        for mut article in page.articles {
            article.clear_output();
            out.write(Record::Article(article))?;
        }
        Ok(page.next_page_token)
    })
    .await
}

/// The reports, by way of the meetings: there is no list of all reports.
async fn reports(clients: &Clients, out: &mut Out) -> Result<LeftOut> {
    let mut left_out = LeftOut::default();
    let mut rulings = Vec::new();
    let open = async |page_token| {
        let request =
            ListMeetingsRequest { page_size: PAGE_SIZE, page_token, view: View::Basic.into(), ..Default::default() };
        clients.meetings.clone().stream_meetings(request).await
    };
    pages(open, async |page| {
        let first_pages = page.meetings.into_iter().map(async |meeting| {
            let reports = reports_page(clients, &meeting.name, String::new()).await;
            reports.map(|reports| (meeting, reports))
        });
        let mut first_pages = stream::iter(first_pages).buffered(AHEAD);
        while let Some(first_page) = first_pages.next().await {
            let (meeting, mut reports) = first_page?;
            loop {
                left_out += reports.left_out;
                let is_ruling = |report: &mut Report| report.ruling.is_some();
                rulings.extend(reports.reports.extract_if(.., is_ruling));
                out.write_reports(&meeting, reports.reports)?;
                if reports.next.is_empty() {
                    break;
                }
                reports = reports_page(clients, &meeting.name, reports.next).await?;
            }
        }
        Ok(page.next_page_token)
    })
    .await?;
    out.write_rulings(rulings)?;
    Ok(left_out)
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
    let page = repeat(&clients.meetings, &request, async |mut client, request| client.list_reports(request).await);
    let page = page.await.map_err(retry::given_up)?;
    let (mut reports, mut left_out) = (page.reports, LeftOut::default());
    // An import would make them count again.
    reports.retain(|report| report.state() != State::Retracted);
    for report in &mut reports {
        if !report.evidence.is_empty() {
            left_out += keep_checkable(clients, report).await?;
        }
    }
    Ok(ReportsPage { reports, left_out, next: page.next_page_token })
}

/// Leaves out the evidence that an import could not check again.
async fn keep_checkable(clients: &Clients, report: &mut Report) -> Result<LeftOut> {
    let request = GetArticleRequest { name: report.article.clone(), view: View::Full.into(), ..Default::default() };
    let article = repeat(&clients.articles, &request, async |mut client, request| client.get_article(request).await);
    let article = article.await.map_err(retry::given_up)?;
    let before = report.evidence.len();
    if article.text_rights() == TextRights::Withheld {
        report.evidence.clear();
        return Ok(LeftOut { withheld: before, ..Default::default() });
    }
    let text = Text::new(&article.text);
    report.evidence.retain(|evidence| text.holds(evidence));
    Ok(LeftOut { stale: before - report.evidence.len(), ..Default::default() })
}

/// Pieces of evidence that are not in the export.
#[derive(Debug, Clone, Copy, Default)]
struct LeftOut {
    /// Their words no longer stand in the article's text.
    stale: usize,
    /// The article's text is withheld.
    withheld: usize,
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, more: Self) {
        self.stale += more.stale;
        self.withheld += more.withheld;
    }
}

impl LeftOut {
    fn tell(self) {
        let Self { stale, withheld } = self;
        if stale > 0 {
            eprintln!("left out {stale} quotes that no longer stand in their article's text");
        }
        if withheld > 0 {
            eprintln!("left out {withheld} quotes of articles whose text is withheld");
        }
    }
}

/// Reads a stream of pages to its end; where the connection breaks, goes on after the last page. `each` takes a page
/// and answers its token.
async fn pages<P>(
    open: impl AsyncFn(String) -> Result<Response<Streaming<P>>, Status>,
    mut each: impl AsyncFnMut(P) -> Result<String>,
) -> Result<()> {
    let mut backoff = Backoff::default();
    let mut token = None;
    loop {
        let broken = match open(token.clone().unwrap_or_default()).await {
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    match stream.message().await {
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

/// Standard output, line by line.
struct Out {
    lines: BufWriter<Stdout>,
    records: u64,
    /// Draws nothing where standard error is not a terminal.
    bar: ProgressBar,
}

impl Out {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{elapsed} {human_pos} records, {per_sec}") {
            bar.set_style(style);
        }
        Self { lines: BufWriter::new(io::stdout()), records: 0, bar }
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
        let is_header = matches!(record, Record::Header(_));
        let line = json::print(EXPORT_RECORD, &ExportRecord { record: Some(record) })?;
        writeln!(self.lines, "{line}")?;
        if !is_header {
            self.records += 1;
            self.bar.inc(1);
        }
        Ok(())
    }
}
