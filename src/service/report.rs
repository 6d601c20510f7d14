//! Reports on their way in, for all calls that make one, and the reports of a meeting as settling wants them.

use std::collections::HashMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Api, must_be_live, status::Refusal};
use crate::{
    model::{
        dates, evidence,
        meeting::MOST_REPORTS,
        report::{content_hash, participants},
        resource::{Collection, Deletable, Resource},
        rules::{Path, Violations},
        settle::Told,
    },
    pb::{Article, Meeting, Participant, Report, report::State},
    store::{Doc, article, report},
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

    /// As settling takes it.
    pub fn told(&self) -> Told<'_> {
        Told { report: &self.report, origin: self.origin, publish_date: self.publish_date, uri: &self.uri }
    }
}

/// The reports of these meetings.
pub async fn tellings(api: &Api, meetings: &[Uuid]) -> Result<HashMap<Uuid, Vec<Telling>>, Refusal> {
    let mut tellings: HashMap<Uuid, Vec<Telling>> = HashMap::new();
    for row in report::of_meetings(api.store.reads(), meetings).await? {
        let article = Doc { id: row.origin, contract: row.doc.contract, bytes: row.article_doc };
        let telling = Telling::new(row.doc.decode()?, &article.decode()?, row.origin);
        tellings.entry(row.meeting).or_default().push(telling);
    }
    Ok(tellings)
}

/// The article that a report is of, with its text.
pub struct Source {
    /// The article.
    pub article: Article,
    /// The first article of its group of copies.
    pub origin: Uuid,
    /// Its text, if there is one to check evidence against.
    pub text: Option<String>,
}

/// Reads the article that a report is of, which must be live.
pub async fn source(api: &Api, name: &str) -> Result<Source, Refusal> {
    let missing = || Refusal::NotFound(name.to_owned());
    let id = Collection::Articles.id(name).ok_or_else(missing)?;
    let (doc, origin, text) = article::source(api.store.reads(), id).await?.ok_or_else(missing)?;
    let article: Article = doc.decode()?;
    if article.is_deleted() {
        return Err(Refusal::Deleted(article.name));
    }
    Ok(Source { article, origin, text })
}

/// Completes a report that was sent: its hash, its article's revision, its evidence, which is checked. `at` is where
/// the list of evidence stands in the request. The participants that it names must be live.
pub async fn complete(api: &Api, mut report: Report, source: &Source, at: &Path<'_>) -> Result<Report, Refusal> {
    report.content_hash = content_hash(&report);
    report.article_revision = source.article.revision;
    report.set_state(State::Active);
    let mut violations = Violations::default();
    let text = source.text.as_deref().map(evidence::Text::new);
    let account = report.account.get_or_insert_default();
    evidence::check(&mut report.evidence, account, text.as_ref(), at, &mut violations);
    violations.into_result()?;
    let named: Vec<Uuid> = participants(account).collect();
    must_be_live::<Participant>(&api.store, &named).await?;

    let id = source.article.id().unwrap_or_default();
    let content = [(id, report.content_hash.as_str())];
    if let Some(same) = report::find(api.store.reads(), &content).await?.into_values().next() {
        return Err(Refusal::DuplicateReport(Collection::Reports.name(same.id)));
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
