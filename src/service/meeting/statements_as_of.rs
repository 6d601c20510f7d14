//! ListStatements and AggregateStatements as of a time: the statements of reports that have changed since, or whose
//! meetings have.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::{
    model::{
        meeting::{date_precision, is_listed},
        query::{
            filter::{Filter, StatementInput},
            order::SortField,
        },
        resource::{Collection, Record},
        time::dates,
    },
    pb::{Meeting, Report, report::State},
    service::{
        Api,
        error::ServiceError,
        read::as_of::{RECORDS_AT_ONCE, for_each_former},
    },
    store::{
        Doc, participant,
        query::{BoundedQuery, former::MAX_FORMER, history},
        statement::{
            EVERY_STATEMENT, FormerStatement, FormerStatements, StatementQuery, article_languages, searched,
            unchanged_reports,
        },
    },
};

/// A report as of the time. It stays encoded: decoded reports take several times the memory.
pub(super) struct FormerReport {
    doc: Doc,
    meeting: Uuid,
    /// `None` for a ruling.
    article: Option<Uuid>,
    /// The time at which the report was written.
    written: Option<DateTime<Utc>>,
}

impl FormerReport {
    fn new(doc: Doc, report: &Report) -> Option<Self> {
        let written = report.create_time.and_then(|time| {
            let nanos = u32::try_from(time.nanos).ok()?;
            DateTime::from_timestamp(time.seconds, nanos)
        });
        let meeting = Collection::Meetings.id(&report.meeting)?;
        Some(Self { doc, meeting, article: Collection::Articles.id(&report.article), written })
    }
}

/// The parts of a meeting as of the time that its statements are listed and grouped by.
pub(super) struct MeetingOfThen {
    bytes: usize,
    is_listed: bool,
    days: Option<(NaiveDate, NaiveDate)>,
    date_precision: i16,
}

impl MeetingOfThen {
    fn new(meeting: &Meeting, bytes: usize) -> Self {
        let account = meeting.account.as_ref();
        Self {
            bytes,
            is_listed: is_listed(meeting),
            days: account.and_then(|account| account.date.as_ref()).and_then(dates::span),
            date_precision: account.map_or(0, date_precision),
        }
    }
}

/// A statement as of the time that a filter matches.
pub(super) struct FoundStatement<'a> {
    pub input: StatementInput<'a>,
    pub report: Uuid,
    /// The size of the encoded report.
    report_bytes: usize,
    /// Its number in the report, from 0.
    number: i32,
    /// The size of the encoded meeting.
    meeting_bytes: usize,
    /// The precision of the date of the meeting.
    pub date_precision: i16,
}

/// Calls a function with each statement of listed meetings, among these reports, that a filter matches.
///
/// # Errors
/// Those of the function, `Damaged` for a record that cannot be decoded, `OutOfTime` at the deadline.
pub(super) async fn for_each_statement(
    db: &mut BoundedQuery,
    (reports, meetings): (&[FormerReport], &HashMap<Uuid, MeetingOfThen>),
    filter: &Filter,
    mut call: impl FnMut(&FoundStatement<'_>) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let written: Vec<_> =
        reports.iter().filter_map(|report| Some((report.doc.id, report.article?, report.written?))).collect();
    let languages = article_languages(db, &written).await?;
    for (number, FormerReport { doc, meeting: meeting_id, article, .. }) in reports.iter().enumerate() {
        if number % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let Some(article) = *article else { continue };
        let Some(meeting) = meetings.get(meeting_id).filter(|meeting| meeting.is_listed) else { continue };
        let report: Report = doc.decode()?;
        let Some(account) = &report.account else { continue };
        for (statement, number) in account.statements.iter().zip(0..) {
            let of_article = || languages.get(&(doc.id, number)).or_else(|| languages.get(&(doc.id, EVERY_STATEMENT)));
            let own = Some(&statement.language_code).filter(|code| !code.is_empty());
            let language = own.or_else(of_article).map(String::as_str).unwrap_or_default();
            let (meeting_id, days) = (*meeting_id, meeting.days);
            let input =
                StatementInput { report: &report, account, statement, meeting: meeting_id, article, language, days };
            if filter.holds_for_statement(&input) {
                call(&FoundStatement {
                    input,
                    report: doc.id,
                    report_bytes: doc.bytes.len(),
                    number,
                    meeting_bytes: meeting.bytes,
                    date_precision: meeting.date_precision,
                })?;
            }
        }
    }
    Ok(())
}

/// Adds the statements whose reports or meetings have changed since `time` to a list as of that time.
///
/// # Errors
/// `TooMuchChanged`, `Damaged` for a record that cannot be decoded, `OutOfTime` at the deadline.
pub async fn with_former(
    api: &Api,
    db: &mut BoundedQuery,
    query: StatementQuery,
    time: DateTime<Utc>,
) -> Result<StatementQuery, ServiceError> {
    let (reports, meetings) = changed(api, db, time).await?;
    let (mut rows, mut texts) = (Vec::new(), Vec::new());
    for_each_statement(db, (&reports, &meetings), &query.filter, |found| {
        let StatementInput { statement, meeting, article, language, days, .. } = found.input;
        let mut row = FormerStatement::new(
            (found.report, found.report_bytes, found.number),
            (meeting, found.meeting_bytes),
            article,
            Some(language.to_owned()).filter(|language| !language.is_empty()),
        );
        if query.order.first.by == SortField::Date {
            row.sort_by_day(days.map(|(first, _)| first));
        }
        rows.push(row);
        texts.extend(query.question.as_ref().map(|_| statement.text.clone()));
        Ok(())
    })
    .await?;
    if let Some(question) = &query.question {
        rows = searched(db, question, query.order.first.by, rows, &texts).await?;
    }
    Ok(StatementQuery { former: Some(FormerStatements::new(time, query.order, rows)), ..query })
}

/// The texts of the statements of reports with an article, each with its language, by meeting.
///
/// # Errors
/// `Damaged` for a record that cannot be decoded, `OutOfTime` at the deadline.
pub(super) async fn statement_texts(
    db: &mut BoundedQuery,
    reports: &[FormerReport],
) -> Result<HashMap<Uuid, Vec<(String, String)>>, ServiceError> {
    let written: Vec<_> =
        reports.iter().filter_map(|report| Some((report.doc.id, report.article?, report.written?))).collect();
    let languages = article_languages(db, &written).await?;
    let mut texts: HashMap<Uuid, Vec<(String, String)>> = HashMap::new();
    for FormerReport { doc, meeting, .. } in reports.iter().filter(|report| report.article.is_some()) {
        let report: Report = doc.decode()?;
        let statements = report.account.into_iter().flat_map(|account| account.statements);
        for (statement, number) in statements.zip(0..) {
            let of_article = || languages.get(&(doc.id, number)).or_else(|| languages.get(&(doc.id, EVERY_STATEMENT)));
            let own = Some(statement.language_code).filter(|code| !code.is_empty());
            let language = own.or_else(|| of_article().cloned()).unwrap_or_default();
            texts.entry(*meeting).or_default().push((language, statement.text));
        }
    }
    Ok(texts)
}

/// The active reports that have changed since `time`, or whose meetings have, and the meetings of all of them.
pub(super) async fn changed(
    api: &Api,
    db: &mut BoundedQuery,
    time: DateTime<Utc>,
) -> Result<(Vec<FormerReport>, HashMap<Uuid, MeetingOfThen>), ServiceError> {
    let mut meetings = HashMap::new();
    for_each_former(db, Collection::Meetings, time, |doc, record| {
        if let Record::Meeting(meeting) = record {
            meetings.insert(doc.id, MeetingOfThen::new(&meeting, doc.bytes.len()));
        }
        Ok(())
    })
    .await?;
    let mut reports = Vec::new();
    for_each_former(db, Collection::Reports, time, |doc, record| {
        if let Record::Report(report) = record
            && report.state() == State::Active
        {
            reports.extend(FormerReport::new(doc.clone(), &report));
        }
        Ok(())
    })
    .await?;
    let listed: Vec<Uuid> = meetings.iter().filter(|(_, meeting)| meeting.is_listed).map(|(id, _)| *id).collect();
    let unchanged = unchanged_reports(db, &listed, time, MAX_FORMER).await?.map_err(ServiceError::TooMuchChanged)?;
    for doc in unchanged {
        let report: Report = doc.decode()?;
        reports.extend(FormerReport::new(doc, &report));
    }
    let unchanged: BTreeSet<Uuid> =
        reports.iter().map(|report| report.meeting).filter(|id| !meetings.contains_key(id)).collect();
    let unchanged: Vec<Uuid> = unchanged.into_iter().collect();
    for doc in history::docs(api.store.reads(), Collection::Meetings, &unchanged, time).await? {
        meetings.insert(doc.id, MeetingOfThen::new(&doc.decode()?, doc.bytes.len()));
    }
    Ok((reports, meetings))
}

/// Parses the speakers of a filter on statements: each becomes all participants that were settled as the same person at
/// a time.
///
/// # Errors
/// Those of [`with_former`].
pub async fn members_at(
    api: &Api,
    db: &mut BoundedQuery,
    filter: &mut Filter,
    time: DateTime<Utc>,
) -> Result<HashMap<Uuid, Vec<Uuid>>, ServiceError> {
    let mut named = Vec::new();
    filter.for_each_participant(&mut |id| named.push(*id));
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let aliases = api.aliases_at(&named, time).await?;
    let person = |id: &Uuid| aliases.get(id).copied().unwrap_or(*id);
    let persons: BTreeSet<Uuid> = named.iter().map(person).collect();
    let persons: Vec<Uuid> = persons.into_iter().collect();
    let mut members: BTreeSet<(Uuid, Uuid)> =
        participant::unchanged_aliases(api.store.reads(), &persons, time).await?.into_iter().collect();
    members.extend(persons.iter().map(|person| (*person, *person)));
    for_each_former(db, Collection::Participants, time, |doc, record| {
        if let Record::Participant(alias) = record
            && let Some(person) = Collection::Participants.id(&alias.merged_into)
            && persons.contains(&person)
        {
            members.insert((person, doc.id));
        }
        Ok(())
    })
    .await?;
    let of = |id: &Uuid| members.iter().filter(|(of, _)| *of == person(id)).map(|(_, member)| *member).collect();
    Ok(named.iter().map(|id| (*id, of(id))).collect())
}
