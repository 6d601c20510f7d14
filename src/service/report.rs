//! Reports on their way in, for all calls that make one, and the reports of a meeting as settling wants them.

use std::{collections::HashMap, sync::Arc};

use chrono::NaiveDate;
use prost::Message;
use uuid::Uuid;

use super::{Api, must_be_live, refusal::Refusal};
use crate::{
    model::{
        article::uri_of,
        dates, evidence,
        meeting::MOST_REPORTS,
        report::{content_hash, participants},
        resource::{Collection, Deletable, Resource},
        rules::{Path, Violations},
        settle::Told,
    },
    pb::{Article, Meeting, Participant, Report, report::State},
    store::{StoreError, article, history, report},
};

/// A report with what settling needs to know of its article.
#[derive(Debug, Clone)]
pub struct Telling {
    /// The report.
    pub report: Report,
    origin: Uuid,
    publish_date: Option<NaiveDate>,
    uri: String,
}

impl Telling {
    /// A report of this article.
    pub fn new(report: Report, article: &Article, origin: Uuid) -> Self {
        let publish_date = article.publish_date.as_ref().and_then(dates::first_day);
        Self { report, origin, publish_date, uri: article.uri.clone() }
    }

    /// A report as it is stored.
    pub fn of(row: &report::Told) -> Result<Self, StoreError> {
        let report: Report = row.doc.decode()?;
        let uri = uri_of(&row.article_doc).map_err(|_| StoreError::Damaged(report.article.clone()))?;
        Ok(Self { report, origin: row.origin, publish_date: row.publish_from, uri })
    }

    /// A report as it was, of its article as it was.
    pub fn as_of(row: &history::Told) -> Result<Self, StoreError> {
        let report: Report = row.doc.decode()?;
        let article = Article::decode(row.article_doc.as_slice());
        let article = article.map_err(|_| StoreError::Damaged(report.article.clone()))?;
        Ok(Self::new(report, &article, row.origin))
    }

    /// As settling takes it.
    pub fn told(&self) -> Told<'_> {
        Told { report: &self.report, origin: self.origin, publish_date: self.publish_date, uri: &self.uri }
    }
}

/// The reports of these meetings.
pub async fn tellings(api: &Api, meetings: &[Uuid]) -> Result<HashMap<Uuid, Vec<Telling>>, Refusal> {
    let mut tellings: HashMap<Uuid, Vec<Telling>> = HashMap::new();
    for row in report::of_meetings(api.store.reads(), meetings).await? {
        tellings.entry(row.meeting).or_default().push(Telling::of(&row)?);
    }
    Ok(tellings)
}

/// The article that a report is of, with its text.
pub struct Source {
    /// The article.
    pub article: Article,
    source: Arc<article::Source>,
}

impl Source {
    /// The first article of its group of copies.
    pub fn origin(&self) -> Uuid {
        self.source.origin
    }
}

/// Reads the article that a report is of, which must be live.
pub async fn source(api: &Api, name: &str) -> Result<Source, Refusal> {
    let missing = || Refusal::NotFound(name.to_owned());
    let id = Collection::Articles.id(name).ok_or_else(missing)?;
    let source = api.store.by_id().sources.get(id).await?.ok_or_else(missing)?;
    let article: Article = source.doc.decode()?;
    if article.is_deleted() {
        return Err(Refusal::Deleted(article.name));
    }
    Ok(Source { article, source })
}

/// Completes a report that was sent: its hash, its article's revision, its evidence, which is checked. `at` is where
/// the list of evidence stands in the request. The participants that it names must be live.
pub async fn complete(api: &Api, mut report: Report, source: &Source, at: &Path<'_>) -> Result<Report, Refusal> {
    report.content_hash = content_hash(&report);
    report.article_revision = source.article.revision;
    report.set_state(State::Active);
    let mut violations = Violations::default();
    let text = source.source.text.as_deref().map(evidence::Text::new);
    let account = report.account.get_or_insert_default();
    evidence::check(&mut report.evidence, account, text.as_ref(), at, &mut violations);
    violations.into_result()?;
    let named: Vec<Uuid> = participants(account).collect();
    let content = (source.article.id().unwrap_or_default(), report.content_hash.clone());
    let (live, same) =
        tokio::join!(must_be_live::<Participant>(&api.store, &named), api.store.by_id().contents.get(content));
    live?;
    if let Some(same) = same? {
        return Err(Refusal::DuplicateReport(Collection::Reports.name(*same)));
    }
    Ok(report)
}

/// Refuses one report more for a meeting that is full.
pub fn must_have_room(meeting: &Meeting, more: usize) -> Result<(), Refusal> {
    match usize::try_from(meeting.report_count).unwrap_or(0) + more > MOST_REPORTS {
        true => Err(Refusal::TooManyReports(meeting.name.clone())),
        false => Ok(()),
    }
}
