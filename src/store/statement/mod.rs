//! Statements: a row for each statement of an active report, and index tables of speakers, regions and topics. Writes
//! of reports insert, move and delete the rows; writes of meetings date them.

mod aggregate;
mod best;
mod former;
mod list;
mod location;

use std::collections::BTreeSet;

use uuid::Uuid;

pub use self::aggregate::{FormerStatementCounts, StatementCount, StatementCountQuery, count, count_plan};
pub use self::best::{BestStatement, best};
pub use self::former::{
    EVERY_STATEMENT, FormerStatement, FormerStatements, article_languages, searched, text_ranks, unchanged_reports,
};
pub use self::list::{StatementPage, StatementQuery, list, plan, sources};
pub use self::location::{StatementLocation, StatementPosition};
use super::{
    Doc, StoreError, Tx, change,
    write::{Put, provenance::Attributed},
};
use crate::{
    model::{query::search::WordVector, report::meant_participant, resource::Collection, statement::speakers},
    pb::{Account, Report, Statement, report::State},
};

/// Updates the rows for reports that are created, moved or retracted. Their meetings have been written before.
pub(super) async fn index(tx: Tx<'_>, reports: &[Attributed<'_, Put<Report>>]) -> Result<(), StoreError> {
    let (mut new, mut kept, mut bound, mut retracted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for report in reports.iter().filter(|report| statements(&report.record).next().is_some()) {
        match (report.replaces, report.record.state()) {
            (_, State::Retracted) => retracted.push((report.id, &report.record)),
            (None, _) => new.push((report.id, &report.record)),
            // A binding changes the speakers.
            (Some(_), _) if report.kind == change::Kind::Bound => {
                bound.push((report.id, &report.record));
            }
            (Some(_), _) => kept.push((report.id, &report.record)),
        }
    }
    clear(tx, &retracted).await?;
    relocate(tx, &kept).await?;
    if !bound.is_empty() {
        let former = former_revisions(tx, &bound).await?;
        clear(tx, &former.iter().map(|(id, report)| (*id, report)).collect::<Vec<_>>()).await?;
        new.extend(bound);
    }
    insert(tx, &new).await
}

/// The revisions that these replaced.
async fn former_revisions(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<Vec<(Uuid, Report)>, StoreError> {
    let docs: Vec<Doc> = sqlx::query_as(
        "select superseded.id, superseded.contract, superseded.doc
         from unnest($1::uuid[], $2::bigint[]) as input (id, revision)
         join superseded
             on superseded.collection = 3
            and superseded.id = input.id
            and superseded.revision = input.revision - 1",
    )
    .bind(reports.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(reports.iter().map(|(_, report)| report.revision).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    docs.iter().map(|doc| Ok((doc.id, doc.decode()?))).collect()
}

/// Rebuilds the rows of these reports.
pub(super) async fn reindex(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    let active: Vec<_> = reports.iter().copied().filter(|(_, report)| report.state() == State::Active).collect();
    clear(tx, reports).await?;
    insert(tx, &active).await
}

/// Rebuilds the search column for the statements of these reports. Rows whose words do not change are not written.
pub(super) async fn reindex_words(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    let rows = StatementColumns::of(reports);
    sqlx::query(
        "update statement
         set search = rebuilt.search
         from (
             select statement.report, statement.number,
                    search_vector(statement.language_code, input.literal, '', input.words) as search
             from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[])
                      as input (report, number, literal, words)
             join statement
                 on statement.report = input.report
                and statement.number = input.number
         ) as rebuilt
         where statement.report = rebuilt.report
           and statement.number = rebuilt.number
           and statement.search <> rebuilt.search",
    )
    .bind(rows.reports)
    .bind(rows.numbers)
    .bind(rows.literals)
    .bind(rows.words)
    .execute(tx)
    .await?;
    Ok(())
}

/// The statements of an article's report, in its order. A ruling has no article, and its statements are not indexed.
fn statements(report: &Report) -> impl Iterator<Item = (&Account, &Statement)> {
    let account = report.account.as_ref().filter(|_| !report.article.is_empty());
    account.into_iter().flat_map(|account| account.statements.iter().map(move |statement| (account, statement)))
}

/// Moves statements to the current meetings of their reports.
async fn relocate(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update statement
         set meeting = meeting.id,
             sort_date = meeting.sort_date,
             days = meeting.days
         from unnest($1::uuid[], $2::uuid[]) as input (report, meeting)
         join meeting on meeting.id = input.meeting
         where statement.report = input.report
           and statement.meeting <> input.meeting",
    )
    .bind(reports.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(reports.iter().map(|(_, report)| Collection::Meetings.id(&report.meeting)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Dates the statements of meetings whose date has changed. All statements of a meeting have the same date, so that the
/// first one shows a change.
pub(super) async fn date_if_moved(tx: Tx<'_>, meetings: &[Uuid]) -> Result<(), StoreError> {
    let moved: Vec<Uuid> = sqlx::query_scalar(
        "select meeting.id
         from meeting
         cross join lateral (
             select sort_date, days
             from statement
             where statement.meeting = meeting.id
             order by report, number
             limit 1
         ) as first
         where meeting.id = any($1)
           and (first.sort_date, first.days) is distinct from (meeting.sort_date, meeting.days)",
    )
    .bind(meetings)
    .fetch_all(&mut *tx)
    .await?;
    if moved.is_empty() { Ok(()) } else { date(tx, &moved).await }
}

/// Copies the dates of meetings to those of their statements that differ.
pub(super) async fn date(tx: Tx<'_>, meetings: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query(
        "update statement
         set sort_date = meeting.sort_date,
             days = meeting.days
         from meeting
         where statement.meeting = any($1)
           and meeting.id = statement.meeting
           and (statement.sort_date, statement.days) is distinct from (meeting.sort_date, meeting.days)",
    )
    .bind(meetings)
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    let rows = StatementColumns::of(reports);
    if rows.reports.is_empty() {
        return Ok(());
    }
    let Index { speakers, regions, topics } = Index::of(reports);
    // The lateral joins look meetings and articles up by key. A plan cached while a table is small scans it, and
    // becomes slow as the table grows.
    sqlx::query(
        "with inserted as (
             insert into statement (report, number, meeting, article, speaker_kind, act, quotation, language_code,
                                    sort_date, days, search)
             select input.report, input.number, input.meeting, input.article, input.speaker_kind, input.act,
                    input.quotation, coalesce(input.language_code, article.language_code), meeting.sort_date,
                    meeting.days,
                    search_vector(coalesce(input.language_code, article.language_code), input.literal, '', input.words)
             from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::smallint[], $6::smallint[],
                         $7::smallint[], $8::text[], $9::text[], $19::text[])
                      as input (report, number, meeting, article, speaker_kind, act, quotation, language_code, words,
                                literal)
             cross join lateral (select sort_date, days from meeting where id = input.meeting limit 1) as meeting
             cross join lateral (select language_code from article where id = input.article limit 1) as article
         ),
         of_speaker as (
             insert into statement_speaker (participant, report, number)
             select input.*
             from unnest($10::uuid[], $11::uuid[], $12::integer[]) as input (participant, report, number)
         ),
         of_region as (
             insert into statement_region (region_code, report, number)
             select input.*
             from unnest($13::text[], $14::uuid[], $15::integer[]) as input (region_code, report, number)
         )
         insert into statement_topic (topic, report, number)
         select input.*
         from unnest($16::text[], $17::uuid[], $18::integer[]) as input (topic, report, number)",
    )
    .bind(rows.reports)
    .bind(rows.numbers)
    .bind(rows.meetings)
    .bind(rows.articles)
    .bind(rows.speaker_kinds)
    .bind(rows.acts)
    .bind(rows.quotations)
    .bind(rows.languages)
    .bind(rows.words)
    .bind(speakers.values)
    .bind(speakers.reports)
    .bind(speakers.numbers)
    .bind(regions.values)
    .bind(regions.reports)
    .bind(regions.numbers)
    .bind(topics.values)
    .bind(topics.reports)
    .bind(topics.numbers)
    .bind(rows.literals)
    .execute(tx)
    .await?;
    Ok(())
}

async fn clear(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    let Index { speakers, regions, topics } = Index::of(reports);
    // The index tables have no index by report, and need none: a report's account is never edited, so that it names the
    // keys of its rows.
    sqlx::query(
        "with of_speaker as (
             delete from statement_speaker
             where participant = any($2)
               and report = any($1)
         ),
         of_region as (
             delete from statement_region
             where region_code = any($3)
               and report = any($1)
         ),
         of_topic as (
             delete from statement_topic
             where topic = any($4)
               and report = any($1)
         )
         delete from statement
         where report = any($1)",
    )
    .bind(reports.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(speakers.values)
    .bind(regions.values)
    .bind(topics.values)
    .execute(tx)
    .await?;
    Ok(())
}

/// The columns of `statement`, one entry per statement.
#[derive(Default)]
struct StatementColumns<'a> {
    reports: Vec<Uuid>,
    numbers: Vec<i32>,
    meetings: Vec<Option<Uuid>>,
    articles: Vec<Option<Uuid>>,
    speaker_kinds: Vec<Option<i16>>,
    acts: Vec<Option<i16>>,
    quotations: Vec<Option<i16>>,
    languages: Vec<Option<&'a str>>,
    words: Vec<String>,
    literals: Vec<String>,
}

impl<'a> StatementColumns<'a> {
    fn of(reports: &[(Uuid, &'a Report)]) -> Self {
        // Unspecified becomes null. The contract's numbers are small.
        let set = |number: i32| i16::try_from(number).ok().filter(|number| *number != 0);
        let mut rows = Self::default();
        for (id, report) in reports {
            for ((_, statement), number) in statements(report).zip(0..) {
                rows.reports.push(*id);
                rows.numbers.push(number);
                rows.meetings.push(Collection::Meetings.id(&report.meeting));
                rows.articles.push(Collection::Articles.id(&report.article));
                rows.speaker_kinds.push(set(statement.speaker_kind));
                rows.acts.push(set(statement.act));
                rows.quotations.push(set(statement.quotation));
                rows.languages.push(Some(statement.language_code.as_str()).filter(|code| !code.is_empty()));
                let mut vector = WordVector::default();
                rows.words.push(vector.add(&statement.text, false));
                rows.literals.push(vector.into_literal());
            }
        }
        rows
    }
}

/// The rows of the index tables.
#[derive(Default)]
struct Index<'a> {
    speakers: IndexRows<Uuid>,
    regions: IndexRows<&'a str>,
    topics: IndexRows<&'a str>,
}

/// The columns of an index table, one entry per row.
#[derive(Default)]
struct IndexRows<T> {
    values: Vec<T>,
    reports: Vec<Uuid>,
    numbers: Vec<i32>,
}

impl<T: Ord> IndexRows<T> {
    fn add(&mut self, values: impl Iterator<Item = T>, (report, number): (Uuid, i32)) {
        let values: BTreeSet<T> = values.collect();
        self.reports.extend(values.iter().map(|_| report));
        self.numbers.extend(values.iter().map(|_| number));
        self.values.extend(values);
    }
}

impl<'a> Index<'a> {
    fn of(reports: &[(Uuid, &'a Report)]) -> Self {
        let mut index = Self::default();
        for (id, report) in reports {
            for ((account, statement), number) in statements(report).zip(0..) {
                let location = (*id, number);
                let participants =
                    speakers(account, statement).filter_map(|speaker| meant_participant(report, speaker));
                index.speakers.add(participants, location);
                let regions = speakers(account, statement).map(|speaker| speaker.region_code.as_str());
                index.regions.add(regions.filter(|code| !code.is_empty()), location);
                index.topics.add(statement.topics.iter().map(String::as_str), location);
            }
        }
        index
    }
}
