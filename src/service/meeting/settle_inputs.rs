//! Reports on their way in, for all calls that make one, and the reports of a meeting as settling wants them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::SystemTime,
};

use chrono::NaiveDate;
use prost::Message;
use uuid::Uuid;

use crate::{
    model::{
        article::uri_of,
        canonical::Canonical,
        evidence,
        meeting::{MOST_REPORT_BYTES, MOST_REPORTS, basic, full, settle_on},
        report::{content, content_hash, has_content, participants, read_to_settle},
        resource::{Collection, Deletable, Resource},
        rules::{Path, Violations},
        settle::SourceReport,
        time::dates,
    },
    pb::{Article, Meeting, Participant, Report, report::State},
    service::{Api, error::ServiceError, require_live, status::MESSAGE_BYTES},
    store::{
        Doc, StoreError, article, change,
        query::history,
        report::{self, ExistingReport},
        write::Put,
    },
};

/// A report with what settling needs to know of its article.
#[derive(Debug, Clone)]
pub struct ReportInput {
    /// The report.
    pub report: Report,
    origin: Uuid,
    publish_date: Option<NaiveDate>,
    uri: String,
}

impl ReportInput {
    /// A report of this article.
    pub fn new(report: Report, article: &Article, origin: Uuid) -> Self {
        let publish_date = article.publish_date.as_ref().and_then(dates::first_day);
        Self { report, origin, publish_date, uri: article.uri.clone() }
    }

    /// As settling takes it.
    pub fn told(&self) -> SourceReport<'_> {
        SourceReport { report: &self.report, origin: self.origin, publish_date: self.publish_date, uri: &self.uri }
    }
}

/// The active reports of a meeting: what it is settled on.
#[derive(Debug, Clone, Default)]
pub struct SettleInputs {
    /// Those of articles.
    pub reports: Vec<ReportInput>,
    /// The rulings.
    pub rulings: Vec<Report>,
    /// How many bytes those have together that were read from the store.
    pub bytes: usize,
    /// The state of all groups of copies when those were read.
    pub groups: Option<i64>,
}

impl SettleInputs {
    /// Reports of one meeting as they are stored.
    pub fn of(rows: &[report::ReportRow]) -> Result<Self, StoreError> {
        let mut tellings = Self::default();
        rows.iter().try_for_each(|row| tellings.push(row.doc.decode()?, row))?;
        Ok(tellings)
    }

    /// Adds a stored report. It may have the spelling of release 0.1.0.
    fn push(&mut self, mut report: Report, row: &report::ReportRow) -> Result<(), StoreError> {
        report.canonicalize();
        self.bytes += row.doc.bytes.len();
        self.groups = self.groups.or(Some(row.groups));
        match (row.origin, &row.article_doc) {
            (Some(origin), Some(article)) => {
                let uri = uri_of(article).map_err(|_| StoreError::Damaged(report.article.clone()))?;
                self.reports.push(ReportInput { report, origin, publish_date: row.publish_from, uri });
            }
            _ => self.rulings.push(report),
        }
        Ok(())
    }

    /// Adds a report as it was, of its article as it was.
    pub fn push_as_of(&mut self, mut report: Report, row: &history::ReportRowAt) -> Result<(), StoreError> {
        report.canonicalize();
        match (row.origin, &row.article_doc) {
            (Some(origin), Some(article)) => {
                let article = Article::decode(article.as_slice());
                let article = article.map_err(|_| StoreError::Damaged(report.article.clone()))?;
                self.reports.push(ReportInput::new(report, &article, origin));
            }
            _ => self.rulings.push(report),
        }
        Ok(())
    }

    /// The reports of articles as settling takes them.
    pub fn told(&self) -> Vec<SourceReport<'_>> {
        self.reports.iter().map(ReportInput::told).collect()
    }

    /// The rulings as settling takes them.
    pub fn rulings(&self) -> Vec<&Report> {
        self.rulings.iter().collect()
    }

    /// These and those of another meeting.
    pub fn and(mut self, others: Self) -> Self {
        self.reports.extend(others.reports);
        self.rulings.extend(others.rulings);
        self.bytes += others.bytes;
        self.groups = self.groups.into_iter().chain(others.groups).min();
        self
    }

    /// Those that have one of these names, and the others.
    pub fn partition(self, names: &BTreeSet<&str>) -> (Self, Self) {
        let is_named = |report: &Report| names.contains(report.name.as_str());
        let (these, reports) = self.reports.into_iter().partition(|one| is_named(&one.report));
        let (those, rulings) = self.rulings.into_iter().partition(is_named);
        let parts = |reports: Vec<ReportInput>, rulings: Vec<Report>| {
            let all = reports.iter().map(|one| &one.report).chain(&rulings);
            Self { bytes: all.map(Message::encoded_len).sum(), reports, rulings, groups: self.groups }
        };
        (parts(these, those), parts(reports, rulings))
    }

    /// The ruling that comes before all others.
    pub fn newest_ruling(&self) -> Option<&Report> {
        let age = |one: &Report| (one.create_time.map(|time| (time.seconds, time.nanos)), one.name.clone());
        self.rulings.iter().max_by_key(|one| age(one))
    }

    /// Settles their meeting on them.
    pub fn settle(&self, meeting: &mut Meeting) {
        settle_on(meeting, &self.told(), &self.rulings());
    }

    /// The next revision of their meeting, settled on them.
    pub fn settled(&self, former: &Meeting, now: SystemTime) -> Meeting {
        let mut next = former.clone();
        self.settle(&mut next);
        next.succeed(former, now);
        next
    }

    /// The write of their meeting, which was settled on them.
    pub fn put(&self, meeting: Meeting, kind: change::Kind) -> Put<Meeting> {
        let account = meeting.account.clone().unwrap_or_default();
        let accounts = self.reports.iter().map(|one| &one.report).chain(&self.rulings);
        // Where nobody rules, the account has everybody.
        let accounts = accounts.filter(|_| !self.rulings.is_empty()).filter_map(|one| one.account.as_ref());
        let told: BTreeSet<Uuid> = accounts.flat_map(participants).collect();
        let settled: BTreeSet<Uuid> = participants(&account).collect();
        let left_out = Some(told.difference(&settled).copied().collect());
        let id = meeting.id().unwrap_or_default();
        let put = if meeting.revision == 1 { Put::new(id, meeting) } else { Put::next(id, meeting, kind) };
        Put { left_out, settled_at: self.groups, ..put }
    }

    /// Their meeting in the FULL view.
    pub fn full(&self, meeting: Meeting) -> Meeting {
        full(meeting, &self.told(), &self.rulings())
    }

    /// Their meeting as whoever writes it is answered: in the FULL view, where that is no larger than a message may be,
    /// else in the BASIC one. What was asked for is done all the same.
    pub fn answer(&self, meeting: Meeting) -> Meeting {
        let full = self.full(meeting.clone());
        if full.encoded_len() > MESSAGE_BYTES { basic(meeting) } else { full }
    }
}

/// The active reports of these meetings.
pub async fn tellings(api: &Api, meetings: &[Uuid]) -> Result<HashMap<Uuid, SettleInputs>, ServiceError> {
    let mut tellings: HashMap<Uuid, SettleInputs> = HashMap::new();
    for row in report::of_meetings(api.store.reads(), meetings).await? {
        tellings.entry(row.meeting).or_default().push(row.doc.decode()?, &row)?;
    }
    Ok(tellings)
}

/// The same for those who only settle these meetings: reports without what they say besides.
pub async fn to_settle(api: &Api, meetings: &[Uuid]) -> Result<HashMap<Uuid, SettleInputs>, ServiceError> {
    let mut tellings: HashMap<Uuid, SettleInputs> = HashMap::new();
    for row in report::of_meetings(api.store.reads(), meetings).await? {
        let damaged = |_| StoreError::Damaged(Collection::Reports.name(row.doc.id));
        let report = read_to_settle(&row.doc.bytes).map_err(damaged)?;
        tellings.entry(row.meeting).or_default().push(report, &row)?;
    }
    Ok(tellings)
}

/// The article that a report is of, with its text.
pub struct ReportArticle {
    /// The article.
    pub article: Article,
    source: Arc<article::ArticleSource>,
}

impl ReportArticle {
    /// The first article of its group of copies.
    pub fn origin(&self) -> Uuid {
        self.source.origin
    }
}

/// Reads the article that a report is of, which must be live.
pub async fn source(api: &Api, name: &str) -> Result<ReportArticle, ServiceError> {
    let missing = || ServiceError::NotFound(name.to_owned());
    let id = Collection::Articles.id(name).ok_or_else(missing)?;
    let source = api.store.by_id().sources.get(id).await?.ok_or_else(missing)?;
    let article: Article = source.doc.decode()?;
    if article.is_deleted() {
        return Err(ServiceError::Deleted(article.name));
    }
    Ok(ReportArticle { article, source })
}

/// Completes a report that was sent: its hash, its article's revision, its evidence, which is checked. `at` is where
/// the list of evidence stands in the request. The participants that it names must be live.
pub async fn complete(
    api: &Api,
    mut report: Report,
    source: &ReportArticle,
    at: &Path<'_>,
) -> Result<Report, ServiceError> {
    let text = source.source.text.as_deref().map(evidence::IndexedText::new);
    let content = content(&report, text.as_ref());
    report.content_hash = content_hash(&content);
    report.article_revision = source.article.revision;
    report.set_state(State::Active);
    let mut violations = Violations::default();
    let account = report.account.get_or_insert_default();
    evidence::check(&mut report.evidence, account, text.as_ref(), at, &mut violations);
    violations.into_result()?;
    let named: Vec<Uuid> = participants(account).collect();
    let article = source.article.id().unwrap_or_default();
    let key = (article, report.content_hash.clone());
    let (live, same) =
        tokio::join!(require_live::<Participant>(&api.store, &named), api.store.by_id().contents.get(key));
    live?;
    let same = match same?.as_deref() {
        Some(ExistingReport::Same(id)) => Some(*id),
        Some(ExistingReport::Former) => {
            let former = report::hashed_before(api.store.reads(), &[article]).await?;
            given_before(&former, &content)?
        }
        None => None,
    };
    match same {
        Some(same) => Err(ServiceError::DuplicateReport(Collection::Reports.name(same))),
        None => Ok(report),
    }
}

/// The oldest of these reports with this content, which has no `#keys`.
fn given_before(former: &[(Uuid, Doc)], content: &Report) -> Result<Option<Uuid>, StoreError> {
    for (_, doc) in former {
        if has_content(&doc.decode()?, content, |_, _| false) {
            return Ok(Some(doc.id));
        }
    }
    Ok(None)
}

/// Refuses so many reports more for a meeting that is full.
pub fn require_room(meeting: &str, tellings: &SettleInputs, more: usize) -> Result<(), ServiceError> {
    let is_full = tellings.reports.len() + tellings.rulings.len() + more > MOST_REPORTS;
    match is_full || tellings.bytes > MOST_REPORT_BYTES {
        true => Err(ServiceError::TooManyReports(meeting.to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_meeting_has_room_for_what_it_has_itself() {
        let report = |name: &str| Report { name: name.into(), content_hash: "f".repeat(40), ..Default::default() };
        let telling = |name| ReportInput::new(report(name), &Article::default(), Uuid::nil());
        let reports = vec![telling("a"), telling("b")];
        let all = SettleInputs { reports, rulings: vec![report("c")], bytes: MOST_REPORT_BYTES + 1, groups: None };
        assert!(require_room("m", &all, 0).is_err());
        for part in <[SettleInputs; 2]>::from(all.partition(&BTreeSet::from(["a", "c"]))) {
            assert!((1..200).contains(&part.bytes));
            assert!(require_room("m", &part, 0).is_ok());
        }
    }
}
