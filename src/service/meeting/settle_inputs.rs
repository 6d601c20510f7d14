//! The inputs of settling: the active reports and rulings of a meeting, each report with what settling needs to know of
//! its article.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::SystemTime,
};

use chrono::NaiveDate;
use prost::Message;
use uuid::Uuid;

use super::size_limits::check_report_limits;
use crate::{
    model::{
        article::uri_of,
        canonical::Canonical,
        meeting::{basic, full, settle_on, within},
        message_bound::MessageBound,
        participant::Persons,
        report::{
            Aliases, decode_for_settling, decode_for_view, participants, referenced_participants, resolved, with_links,
        },
        resource::{Collection, Resource},
        settle::SourceReport,
        time::dates,
    },
    pb::{Article, Meeting, Report},
    service::{Api, error::ServiceError},
    store::{StoreError, change, meeting::LinkedMeetings, participant, query::history, report, write::Put},
};

/// A report, with the facts about its article that settling needs.
#[derive(Debug, Clone)]
pub struct ReportInput {
    /// The report.
    pub report: Report,
    pub(in crate::service) origin: Uuid,
    pub(in crate::service) publish_date: Option<NaiveDate>,
    pub(in crate::service) uri: String,
}

impl ReportInput {
    /// A report of this article.
    pub fn new(report: Report, article: &Article, origin: Uuid) -> Self {
        let publish_date = article.publish_date.as_ref().and_then(dates::first_day);
        Self { report, origin, publish_date, uri: article.uri.clone() }
    }

    /// The form that settling takes, with the resolved report.
    fn source_report<'a>(&'a self, report: &'a Report, persons: &'a Persons) -> SourceReport<'a> {
        SourceReport { report, origin: self.origin, publish_date: self.publish_date, uri: &self.uri, persons }
    }
}

/// The active reports of a meeting, on which it is settled.
#[derive(Debug, Clone, Default)]
pub struct SettleInputs {
    /// The reports of articles.
    pub reports: Vec<ReportInput>,
    /// The rulings.
    pub rulings: Vec<Report>,
    /// Total bytes of the reports that were read from the store.
    pub bytes: usize,
    /// Version of the groups of copies when they were read.
    pub groups: Option<i64>,
    /// The aliases among the participants that the reports and rulings refer to.
    pub aliases: Aliases,
    /// The facts about the participants that these are settled as.
    pub persons: Persons,
    /// The meetings of links by external id, for the FULL view.
    pub linked: Arc<LinkedMeetings>,
}

/// The reports and rulings of a meeting, with the participants that they mean.
struct ResolvedInputs<'a> {
    reports: Vec<Cow<'a, Report>>,
    rulings: Vec<Cow<'a, Report>>,
}

impl SettleInputs {
    /// Decodes the stored reports of one meeting, for its FULL view.
    ///
    /// # Errors
    /// `Damaged` for a report or an article that cannot be decoded.
    pub fn to_view(rows: &[report::ReportRow]) -> Result<Self, StoreError> {
        let mut inputs = Self::default();
        rows.iter().try_for_each(|row| inputs.push(decoded(row, decode_for_view)?, row))?;
        Ok(inputs)
    }

    /// Adds a stored report, made canonical: release 0.1.0 stored reports as they were sent.
    fn push(&mut self, mut report: Report, row: &report::ReportRow) -> Result<(), StoreError> {
        report.canonicalize();
        self.bytes += row.doc.bytes.len();
        self.groups = self.groups.or(Some(row.groups));
        self.aliases.extend(row.aliases.iter().copied().zip(row.aliases_of.iter().copied()));
        match (row.origin, &row.article_doc) {
            (Some(origin), Some(article)) => {
                let uri = uri_of(article).map_err(|_| StoreError::Damaged(report.article.clone()))?;
                self.reports.push(ReportInput { report, origin, publish_date: row.publish_from, uri });
            }
            _ => self.rulings.push(report),
        }
        Ok(())
    }

    /// Adds a report of the past, with its article as of the same time.
    ///
    /// # Errors
    /// `Damaged` for an article that cannot be decoded.
    pub fn push_as_of(&mut self, mut report: Report, row: &history::ReportRowAt) -> Result<(), StoreError> {
        report.canonicalize();
        match (row.origin, &row.article_doc) {
            (Some(origin), Some(article)) => {
                let damaged = |_| StoreError::Damaged(report.article.clone());
                let article = Article::decode(article.as_slice()).map_err(damaged)?;
                let origin = Collection::Articles.id(&article.origin).unwrap_or(origin); // empty in release 0.1.0
                self.reports.push(ReportInput::new(report, &article, origin));
            }
            _ => self.rulings.push(report),
        }
        Ok(())
    }

    /// Replaces what the reports' articles tell, and the persons that participants are settled as: those that are their
    /// own stand for themselves.
    pub fn replace_facts(&mut self, articles: &HashMap<Uuid, Article>, persons: &Aliases) {
        for input in &mut self.reports {
            let id = Collection::Articles.id(&input.report.article);
            if let Some((id, article)) = id.and_then(|id| articles.get_key_value(&id)) {
                let origin = Collection::Articles.id(&article.origin).unwrap_or(*id);
                let report = std::mem::take(&mut input.report);
                *input = ReportInput::new(report, article, origin);
            }
        }
        self.aliases.retain(|participant, _| !persons.contains_key(participant));
        self.aliases.extend(persons.iter().filter(|(participant, person)| participant != person));
    }

    /// Replaces the bindings of a report.
    pub fn rebind(&mut self, next: &Report) {
        let reports = self.reports.iter_mut().map(|input| &mut input.report).chain(&mut self.rulings);
        for report in reports.filter(|report| report.name == next.name) {
            report.bindings.clone_from(&next.bindings);
        }
    }

    /// The participants that the reports and rulings refer to, with repetitions.
    pub fn referenced_participants(&self) -> impl Iterator<Item = Uuid> {
        let reports = self.reports.iter().map(|input| &input.report).chain(&self.rulings);
        reports.flat_map(referenced_participants)
    }

    /// The participants that the reports and rulings are settled as, with repetitions.
    pub fn settled_participants(&self) -> impl Iterator<Item = Uuid> {
        self.referenced_participants().map(|id| self.aliases.get(&id).copied().unwrap_or(id))
    }

    fn resolved(&self) -> ResolvedInputs<'_> {
        ResolvedInputs {
            reports: self
                .reports
                .iter()
                .map(|input| with_links(resolved(&input.report, &self.aliases), &self.linked))
                .collect(),
            rulings: self.rulings.iter().map(|ruling| resolved(ruling, &self.aliases)).collect(),
        }
    }

    /// The reports of articles, in the form that settling takes.
    fn source_reports<'a>(&'a self, resolved: &'a ResolvedInputs<'a>) -> Vec<SourceReport<'a>> {
        let reports = self.reports.iter().zip(&resolved.reports);
        reports.map(|(input, report)| input.source_report(report, &self.persons)).collect()
    }

    /// Adds the inputs of another meeting.
    pub fn and(mut self, other: Self) -> Self {
        self.reports.extend(other.reports);
        self.rulings.extend(other.rulings);
        self.bytes += other.bytes;
        self.groups = self.groups.into_iter().chain(other.groups).min();
        self.aliases.extend(other.aliases);
        self.persons.extend(other.persons);
        self
    }

    /// Splits into the reports that have one of these names, and the others.
    pub fn partition(self, names: &BTreeSet<&str>) -> (Self, Self) {
        let is_named = |report: &Report| names.contains(report.name.as_str());
        let (named_reports, reports) = self.reports.into_iter().partition(|input| is_named(&input.report));
        let (named_rulings, rulings) = self.rulings.into_iter().partition(is_named);
        let part = |reports: Vec<ReportInput>, rulings: Vec<Report>| {
            let all = reports.iter().map(|input| &input.report).chain(&rulings);
            let bytes = all.map(Message::encoded_len).sum();
            let (aliases, linked) = (self.aliases.clone(), Arc::clone(&self.linked));
            Self { bytes, reports, rulings, groups: self.groups, aliases, persons: self.persons.clone(), linked }
        };
        (part(named_reports, named_rulings), part(reports, rulings))
    }

    /// The newest ruling, which takes precedence over all others.
    pub fn newest_ruling(&self) -> Option<&Report> {
        let age = |ruling: &Report| (ruling.create_time.map(|time| (time.seconds, time.nanos)), ruling.name.clone());
        self.rulings.iter().max_by_key(|ruling| age(ruling))
    }

    /// Settles the meeting on these inputs.
    pub fn settle(&self, meeting: &mut Meeting) {
        let resolved = self.resolved();
        settle_on(meeting, &self.source_reports(&resolved), &resolved.rulings());
    }

    /// The next revision of the meeting, settled on these inputs.
    pub fn settled(&self, former: &Meeting, now: SystemTime) -> Meeting {
        let mut next = former.clone();
        self.settle(&mut next);
        next.make_next_revision(former, now);
        next
    }

    /// The write of the meeting, which was settled on these inputs.
    pub fn put(&self, meeting: Meeting, kind: change::Kind) -> Put<Meeting> {
        let account = meeting.account.clone().unwrap_or_default();
        let reports = self.reports.iter().map(|input| &input.report).chain(&self.rulings);
        // Of the participants that reports refer to, only a ruling, an alias or a binding can leave out one.
        let is_plain = self.rulings.is_empty() && self.aliases.is_empty();
        let reports = reports.filter(|report| !is_plain || !report.bindings.is_empty());
        let reported: BTreeSet<Uuid> = reports.flat_map(referenced_participants).collect();
        let settled: BTreeSet<Uuid> = participants(&account).collect();
        let left_out = Some(reported.difference(&settled).copied().collect());
        let unreported = if is_plain { Vec::new() } else { settled.difference(&reported).copied().collect() };
        let id = meeting.id().unwrap_or_default();
        let mut put = if meeting.revision == 1 { Put::new(id, meeting) } else { Put::next(id, meeting, kind) };
        (put.left_out, put.unreported, put.settled_at) = (left_out, unreported, self.groups);
        put
    }

    /// Rejects the `added` reports if the meeting would then have too many, or too many bytes of them.
    ///
    /// # Errors
    /// `TooManyReports`, `ReportsTooLarge`.
    pub fn check_limits<'a>(
        &self,
        meeting: &str,
        added: impl IntoIterator<Item = &'a Report>,
    ) -> Result<(), ServiceError> {
        check_report_limits(meeting, (self.reports.len() + self.rulings.len(), self.bytes), added)
    }

    /// The meeting in the FULL view, without the parts that exceed `max_bytes`.
    pub fn full(&self, meeting: Meeting, max_bytes: usize) -> Meeting {
        let resolved = self.resolved();
        full(meeting, &self.source_reports(&resolved), &resolved.rulings(), max_bytes)
    }

    /// The answer to a write of the meeting: its FULL view, without the parts that exceed a message. The size of the
    /// answer never fails the write: a meeting that is too large is answered without its large fields.
    pub fn answer(&self, meeting: Meeting, bound: MessageBound) -> Meeting {
        match meeting.encoded_len() > bound.wrapped() {
            true => within(basic(meeting), bound.wrapped()),
            false => self.full(meeting, bound.message()),
        }
    }
}

impl ResolvedInputs<'_> {
    fn rulings(&self) -> Vec<&Report> {
        self.rulings.iter().map(|ruling| &**ruling).collect()
    }
}

fn decoded(
    row: &report::ReportRow,
    decode: impl Fn(&[u8]) -> Result<Report, prost::DecodeError>,
) -> Result<Report, StoreError> {
    decode(&row.doc.bytes).map_err(|_| StoreError::Damaged(Collection::Reports.name(row.doc.id)))
}

/// Loads the active reports of meetings, complete.
///
/// # Errors
/// `Damaged` for a report or an article that cannot be decoded, or the database fails.
pub async fn load_inputs(api: &Api, meetings: &[Uuid]) -> Result<HashMap<Uuid, SettleInputs>, ServiceError> {
    let mut inputs: HashMap<Uuid, SettleInputs> = HashMap::new();
    for row in report::of_meetings(api.store.reads(), meetings).await? {
        inputs.entry(row.meeting).or_default().push(row.doc.decode()?, &row)?;
    }
    load_persons(api, &mut inputs).await?;
    Ok(inputs)
}

/// As `load_inputs`, without the parts of reports that settling does not read.
///
/// # Errors
/// Those of [`load_inputs`].
pub async fn load_inputs_to_settle(api: &Api, meetings: &[Uuid]) -> Result<HashMap<Uuid, SettleInputs>, ServiceError> {
    let mut inputs = load_decoded(api, meetings, decode_for_settling).await?;
    load_persons(api, &mut inputs).await?;
    Ok(inputs)
}

/// Loads the facts about the participants of these inputs. They are read after the reports: a later change of them
/// enqueues the meeting again, with a later version than that of the reports.
///
/// # Errors
/// The database fails.
pub async fn load_persons(api: &Api, inputs: &mut HashMap<Uuid, SettleInputs>) -> Result<(), ServiceError> {
    let ids: BTreeSet<Uuid> = inputs.values().flat_map(SettleInputs::settled_participants).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let persons = participant::persons(api.store.reads(), &ids.into_iter().collect::<Vec<_>>()).await?;
    for of_meeting in inputs.values_mut() {
        let known = of_meeting.settled_participants().filter_map(|id| Some((id, persons.get(&id)?.clone())));
        let known: Persons = known.collect();
        of_meeting.persons.extend(known);
    }
    Ok(())
}

/// As `load_inputs`, without the parts of reports that the FULL view of a meeting does not have.
///
/// # Errors
/// Those of [`load_inputs`].
pub async fn load_inputs_to_view(api: &Api, meetings: &[Uuid]) -> Result<HashMap<Uuid, SettleInputs>, ServiceError> {
    load_decoded(api, meetings, decode_for_view).await
}

async fn load_decoded(
    api: &Api,
    meetings: &[Uuid],
    decode: impl Fn(&[u8]) -> Result<Report, prost::DecodeError>,
) -> Result<HashMap<Uuid, SettleInputs>, ServiceError> {
    let mut inputs: HashMap<Uuid, SettleInputs> = HashMap::new();
    for row in report::of_meetings(api.store.reads(), meetings).await? {
        inputs.entry(row.meeting).or_default().push(decoded(&row, &decode)?, &row)?;
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::meeting::MAX_REPORT_BYTES;

    #[test]
    fn check_limits_counts_only_the_bytes_of_each_part_after_a_partition() {
        let report = |name: &str| Report { name: name.into(), content_hash: "f".repeat(40), ..Default::default() };
        let input = |name| ReportInput::new(report(name), &Article::default(), Uuid::nil());
        let reports = vec![input("a"), input("b")];
        let bytes = MAX_REPORT_BYTES + 1;
        let all = SettleInputs { reports, rulings: vec![report("c")], bytes, ..Default::default() };
        assert!(all.check_limits("m", []).is_err());
        for part in <[SettleInputs; 2]>::from(all.partition(&BTreeSet::from(["a", "c"]))) {
            assert!((1..200).contains(&part.bytes));
            assert!(part.check_limits("m", []).is_ok());
        }
    }
}
