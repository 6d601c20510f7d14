//! What was said, as it is found: a row for each statement of an active report, and index tables of who spoke and what
//! about. Reports bring, move and take away their statements; meetings say when they were made.

mod list;

use std::collections::BTreeSet;

use uuid::Uuid;

pub use self::list::{StatementLocation, StatementPage, StatementPosition, StatementQuery, list, plan, sources};
use super::{
    StoreError, Tx,
    write::{Put, provenance::Attributed},
};
use crate::{
    model::{
        query::search::{MOST_BYTES, fold},
        resource::Collection,
        statement::speakers,
    },
    pb::{Account, Report, Statement, report::State},
};

/// Keeps the rows of reports that come, move or go; their meetings have been written.
pub(super) async fn index(tx: Tx<'_>, reports: &[Attributed<'_, Put<Report>>]) -> Result<(), StoreError> {
    let (mut new, mut there, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for one in reports.iter().filter(|one| said(&one.record).next().is_some()) {
        match (one.replaces, one.record.state()) {
            (_, State::Retracted) => gone.push((one.id, &one.record)),
            (None, _) => new.push((one.id, &one.record)),
            (Some(_), _) => there.push((one.id, &one.record)),
        }
    }
    clear(tx, &gone).await?;
    relocate(tx, &there).await?;
    insert(tx, &new).await
}

/// Makes the rows of these reports anew.
pub(super) async fn reindex(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    let active: Vec<_> = reports.iter().copied().filter(|(_, one)| one.state() == State::Active).collect();
    clear(tx, reports).await?;
    insert(tx, &active).await
}

/// Makes again the words that the statements of these reports are searched by. Where they are the same, nothing is
/// written.
pub(super) async fn fold_again(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    let rows = StatementColumns::of(reports);
    sqlx::query(
        "update statement
         set search = made.search
         from (
             select statement.report, statement.number, search_words(statement.language_code, one.words) as search
             from unnest($1::uuid[], $2::integer[], $3::text[]) as one (report, number, words)
             join statement
                 on statement.report = one.report and statement.number = one.number
         ) as made
         where statement.report = made.report
           and statement.number = made.number
           and statement.search <> made.search",
    )
    .bind(rows.reports)
    .bind(rows.numbers)
    .bind(rows.words)
    .execute(tx)
    .await?;
    Ok(())
}

/// What a report of an article says was said, in its order.
fn said(report: &Report) -> impl Iterator<Item = (&Account, &Statement)> {
    let account = report.account.as_ref().filter(|_| !report.article.is_empty());
    account.into_iter().flat_map(|account| account.statements.iter().map(move |one| (account, one)))
}

/// Moves statements to the meetings that their reports belong to.
async fn relocate(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update statement
         set meeting = meeting.id,
             sort_date = meeting.sort_date,
             days = meeting.days
         from unnest($1::uuid[], $2::uuid[]) as one (report, meeting)
         join meeting on meeting.id = one.meeting
         where statement.report = one.report
           and statement.meeting <> one.meeting",
    )
    .bind(reports.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(reports.iter().map(|(_, one)| Collection::Meetings.id(&one.meeting)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Dates the statements of meetings whose date is another than it was. Those of one meeting have one date: the first tells.
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

/// Dates the statements of meetings that have another date than these.
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
    // Each is looked up by its key: what a planner takes for small, and reads as a whole, grows while its plan is kept.
    sqlx::query(
        "with told as (
             insert into statement (report, number, meeting, article, speaker_kind, act, quotation, language_code,
                                    sort_date, days, search)
             select one.report, one.number, one.meeting, one.article, one.speaker_kind, one.act, one.quotation,
                    coalesce(one.language_code, article.language_code), meeting.sort_date, meeting.days,
                    search_words(coalesce(one.language_code, article.language_code), one.words)
             from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::smallint[], $6::smallint[],
                         $7::smallint[], $8::text[], $9::text[])
                      as one (report, number, meeting, article, speaker_kind, act, quotation, language_code, words)
             cross join lateral (select sort_date, days from meeting where id = one.meeting limit 1) as meeting
             cross join lateral (select language_code from article where id = one.article limit 1) as article
         ),
         of_speaker as (
             insert into statement_speaker (participant, report, number)
             select one.* from unnest($10::uuid[], $11::uuid[], $12::integer[]) as one (participant, report, number)
         ),
         of_region as (
             insert into statement_region (region_code, report, number)
             select one.* from unnest($13::text[], $14::uuid[], $15::integer[]) as one (region_code, report, number)
         )
         insert into statement_topic (topic, report, number)
         select one.* from unnest($16::text[], $17::uuid[], $18::integer[]) as one (topic, report, number)",
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
    .execute(tx)
    .await?;
    Ok(())
}

async fn clear(tx: Tx<'_>, reports: &[(Uuid, &Report)]) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    let Index { speakers, regions, topics } = Index::of(reports);
    // Those tables have no index by report, and need none: a report is never edited, and says itself what they have.
    sqlx::query(
        "with of_speaker as (
             delete from statement_speaker where participant = any($2) and report = any($1)
         ),
         of_region as (
             delete from statement_region where region_code = any($3) and report = any($1)
         ),
         of_topic as (
             delete from statement_topic where topic = any($4) and report = any($1)
         )
         delete from statement where report = any($1)",
    )
    .bind(reports.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(speakers.values)
    .bind(regions.values)
    .bind(topics.values)
    .execute(tx)
    .await?;
    Ok(())
}

/// Columns of `statement`, one entry a statement.
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
}

impl<'a> StatementColumns<'a> {
    fn of(reports: &[(Uuid, &'a Report)]) -> Self {
        // Unspecified is unset; the numbers of the contract are small.
        let set = |number: i32| i16::try_from(number).ok().filter(|number| *number != 0);
        let mut rows = Self::default();
        for (id, report) in reports {
            for ((_, one), number) in said(report).zip(0..) {
                rows.reports.push(*id);
                rows.numbers.push(number);
                rows.meetings.push(Collection::Meetings.id(&report.meeting));
                rows.articles.push(Collection::Articles.id(&report.article));
                rows.speaker_kinds.push(set(one.speaker_kind));
                rows.acts.push(set(one.act));
                rows.quotations.push(set(one.quotation));
                rows.languages.push(Some(one.language_code.as_str()).filter(|code| !code.is_empty()));
                rows.words.push(fold(&one.text, MOST_BYTES));
            }
        }
        rows
    }
}

/// Rows of the index tables.
#[derive(Default)]
struct Index<'a> {
    speakers: Values<Uuid>,
    regions: Values<&'a str>,
    topics: Values<&'a str>,
}

/// Columns of an index table, one entry a row.
#[derive(Default)]
struct Values<T> {
    values: Vec<T>,
    reports: Vec<Uuid>,
    numbers: Vec<i32>,
}

impl<T: Ord> Values<T> {
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
            for ((account, one), number) in said(report).zip(0..) {
                let at = (*id, number);
                let who = speakers(account, one).filter_map(|one| Collection::Participants.id(&one.participant));
                index.speakers.add(who, at);
                let regions = speakers(account, one).map(|one| one.region_code.as_str());
                index.regions.add(regions.filter(|code| !code.is_empty()), at);
                index.topics.add(one.topics.iter().map(String::as_str), at);
            }
        }
        index
    }
}
