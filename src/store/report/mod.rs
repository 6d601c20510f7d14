//! Reports: docs, the meeting and the article of each, and the content hash, which is unique within an article.

mod content;

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, PgExecutor, PgPool};
use uuid::Uuid;

pub(super) use self::content::existing;
pub use self::content::{ExistingReport, find, hashed_before};
use super::{
    Doc, StoreError, Tx,
    from_row::from_row,
    query::list::{PAGE_BYTES, RecordPage},
    time,
    write::{
        Claim, Put, Write,
        columns::Columns,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        article::parse_text_hash,
        meeting::{MAX_REPORT_BYTES, MAX_REPORTS},
        report::CONTENT_VERSION,
        resource::{CONTRACT_VERSION, Collection},
    },
    pb::Report,
};

/// A report, with the columns of its article that settling reads.
#[derive(Debug, Clone)]
pub struct ReportRow {
    /// The report.
    pub doc: Doc,
    /// The meeting that it belongs to.
    pub meeting: Uuid,
    /// The origin of its article's group of copies; `None` for a ruling, which has no article.
    pub origin: Option<Uuid>,
    /// The first day of its article's publication date.
    pub publish_from: Option<NaiveDate>,
    /// Its article, encoded; `None` for a ruling.
    pub article_doc: Option<Vec<u8>>,
    /// The version of all groups of copies at which these values were read.
    pub groups: i64,
    /// The aliases among the participants that the reports of its meeting refer to.
    pub aliases: Vec<Uuid>,
    /// The participant that each of them is settled as.
    pub aliases_of: Vec<Uuid>,
}

from_row!(ReportRow { ..doc, meeting, origin, publish_from, article_doc, groups, aliases, aliases_of });

/// The query of the columns of [`ReportRow`], without its condition.
pub(super) const ROWS: &str =
    "select report.id, report.contract, report.doc, report.meeting, article.origin, article.publish_from,
            article.doc as article_doc, (select version from grouping) as groups, alias.aliases, alias.aliases_of
     from report
     left join article on article.id = report.article
     cross join lateral (
         select coalesce(array_agg(participant.id order by participant.id), '{}') as aliases,
                coalesce(array_agg(participant.merged_into order by participant.id), '{}') as aliases_of
         from meeting_participant
         join participant on participant.id = meeting_participant.participant
         where meeting_participant.meeting = report.meeting
           and participant.merged_into is not null
     ) as alias";

/// All active reports of these meetings, rulings included, in the order of ids.
///
/// # Errors
/// The database fails.
pub async fn of_meetings(executor: impl PgExecutor<'_>, meetings: &[Uuid]) -> Result<Vec<ReportRow>, StoreError> {
    let statement = format!("{ROWS} where report.meeting = any($1) and report.retract_time is null order by report.id");
    Ok(sqlx::query_as(AssertSqlSafe(statement)).bind(meetings).fetch_all(executor).await?)
}

/// Active reports of these meetings, without rulings: the newest, at most `limit` of each, each with its meeting.
///
/// # Errors
/// The database fails.
pub async fn newest_of_meetings(
    pool: &PgPool,
    meetings: &[Uuid],
    limit: usize,
) -> Result<Vec<(Uuid, Doc)>, StoreError> {
    let reports: Vec<(Uuid, Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select input.id, newest.id, newest.contract, newest.doc
         from unnest($1::uuid[]) as input (id)
         cross join lateral (
             select report.id, report.contract, report.doc
             from report
             join article on article.id = report.article
             where report.meeting = input.id
               and report.retract_time is null
             order by report.id desc
             limit $2
         ) as newest",
    )
    .bind(meetings)
    .bind(limit as i64) // a small constant: no overflow
    .fetch_all(pool)
    .await?;
    let report = |(meeting, id, contract, bytes)| (meeting, Doc { id, contract, bytes });
    Ok(reports.into_iter().map(report).collect())
}

/// The active reports of an article, in the order of ids.
///
/// # Errors
/// The database fails.
pub async fn active_reports_of_article(pool: &PgPool, article: Uuid) -> Result<Vec<Doc>, StoreError> {
    let reports = sqlx::query_as(
        "select id, contract, doc
         from report
         where article = $1
           and retract_time is null
         order by id",
    )
    .bind(article)
    .fetch_all(pool)
    .await?;
    Ok(reports)
}

/// The number and the bytes of reports that exceed a limit of one meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// More than `MAX_REPORTS`.
    Reports,
    /// More than `MAX_REPORT_BYTES`: the size.
    Bytes(usize),
}

/// All reports of these meetings, retracted ones included, in the order of ids. The inner error is the limit of one
/// meeting that they exceed.
///
/// # Errors
/// The database fails.
pub async fn all_of(pool: &PgPool, meetings: &[Uuid]) -> Result<Result<Vec<Doc>, TooMany>, StoreError> {
    let (count, bytes): (i64, i64) = sqlx::query_as(
        "select count(*), coalesce(sum(octet_length(doc)), 0)::bigint
         from report
         where meeting = any($1)",
    )
    .bind(meetings)
    .fetch_one(pool)
    .await?;
    let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    if number(count) > MAX_REPORTS {
        return Ok(Err(TooMany::Reports));
    }
    if number(bytes) > MAX_REPORT_BYTES {
        return Ok(Err(TooMany::Bytes(number(bytes))));
    }
    let reports = sqlx::query_as(
        "select id, contract, doc
         from report
         where meeting = any($1)
         order by id",
    )
    .bind(meetings)
    .fetch_all(pool)
    .await?;
    Ok(Ok(reports))
}

/// The reports with these ids that belong to the meeting, in the order of ids.
///
/// # Errors
/// The database fails.
pub async fn some_of(pool: &PgPool, meeting: Uuid, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    let reports = sqlx::query_as(
        "select id, contract, doc
         from report
         where id = any($1)
           and meeting = $2
         order by id",
    )
    .bind(ids)
    .bind(meeting)
    .fetch_all(pool)
    .await?;
    Ok(reports)
}

/// The total size of each meeting's active reports, in bytes. Meetings without active reports are left out.
///
/// # Errors
/// The database fails.
pub async fn sizes(pool: &PgPool, meetings: &[Uuid]) -> Result<HashMap<Uuid, usize>, StoreError> {
    let sizes: Vec<(Uuid, i64)> = sqlx::query_as(
        "select meeting, sum(octet_length(doc))
         from report
         where meeting = any($1)
           and retract_time is null
         group by meeting",
    )
    .bind(meetings)
    .fetch_all(pool)
    .await?;
    Ok(sizes.into_iter().map(|(id, size)| (id, usize::try_from(size).unwrap_or(0))).collect())
}

/// Lists the reports of a meeting, of an article, or of both, in the order of ids: at most `limit` after `after`.
///
/// # Errors
/// The database fails.
pub async fn list(
    pool: &PgPool,
    meeting: Option<Uuid>,
    article: Option<Uuid>,
    after: Uuid,
    limit: usize,
) -> Result<RecordPage, StoreError> {
    // Also bounded by bytes: a report can be as large as a message, and a page of the largest would be gigabytes.
    let rows = sqlx::query_as(
        "select id, contract, doc, 0::bigint as sort_1, 0::bigint as sort_2, 0::bigint as sort_3, found
         from (
             select id, contract, doc, count(*) over () as found,
                    sum(octet_length(doc)) over (order by id) - octet_length(doc) as bytes_before
             from (
                 select id, contract, doc
                 from report
                 where ($1::uuid is null or meeting = $1)
                   and ($2::uuid is null or article = $2)
                   and id > $3
                 order by id
                 limit $4
             ) as page
         ) as counted
         where bytes_before < $5
         order by id",
    )
    .bind(meeting)
    .bind(article)
    .bind(after)
    .bind(limit as i64 + 1) // a page has at most 1,000: no overflow
    .bind(PAGE_BYTES)
    .fetch_all(pool)
    .await?;
    Ok(RecordPage::of(rows, limit))
}

/// Locks the reports that are to be replaced, and inserts the new ones.
pub(super) async fn claim(
    tx: Tx<'_>,
    reports: &[Attributed<'_, Put<Report>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let replaced = reports.iter().filter_map(|report| Some((report.id, report.replaces?))).collect();
    revision::claim(tx, Collection::Reports, &replaced, lost).await?;
    let new: Vec<_> = reports.iter().copied().filter(|report| report.replaces.is_none()).collect();
    insert(tx, &new, lost).await
}

async fn insert(
    tx: Tx<'_>,
    reports: &[Attributed<'_, Put<Report>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    let rows = columns(reports)?
        .with("article", "uuid", column(reports, |report| Collection::Articles.id(&report.record.article)))?
        .with("content_hash", "bytea", column(reports, |report| content_hash(&report.record.content_hash)))?
        .with("content_version", "smallint", vec![CONTENT_VERSION; reports.len()])?;
    let inserted: HashSet<Uuid> = rows.insert(tx).await?.into_iter().collect();
    // Either the id or the content is taken. The next preparation of the lost write finds out which.
    let taken = reports.iter().filter(|report| !inserted.contains(&report.id));
    lost.extend(taken.map(|report| Claim::Record(Collection::Reports, report.id)));
    Ok(())
}

/// Replaces the locked revisions by the next ones, and keeps the former ones as superseded. Only the state, the meeting
/// and the evidence of a report change.
pub(super) async fn update(tx: Tx<'_>, reports: &[Attributed<'_, Put<Report>>]) -> Result<(), StoreError> {
    let next: Vec<_> = reports.iter().copied().filter(|report| report.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    revision::supersede(tx, Collection::Reports, &column(&next, |report| report.id)).await?;
    let retract_time = |report: &Put<Report>| time(report.record.retraction.as_ref()?.time.as_ref());
    columns(&next)?.with("retract_time", "timestamptz", column(&next, retract_time))?.update(tx).await
}

/// The columns that an insert and an update set in the same way.
fn columns(reports: &[Attributed<'_, Put<Report>>]) -> Result<Columns, StoreError> {
    let rows = Columns::of("report", &column(reports, |report| report.id))?
        .with("revision", "bigint", column(reports, |report| report.record.revision))?
        .with("contract", "smallint", vec![CONTRACT_VERSION; reports.len()])?
        .with("doc", "bytea", column(reports, |report| report.doc.as_slice()))?
        .with("meeting", "uuid", column(reports, |report| Collection::Meetings.id(&report.record.meeting)))?;
    Attributions::of(reports).columns(rows)
}

fn column<'a, T>(reports: &'a [Attributed<'_, Put<Report>>], of: impl Fn(&'a Put<Report>) -> T) -> Vec<T> {
    reports.iter().map(|report| of(report)).collect()
}

/// Adds the articles to `lost` whose text changes and that have reports whose evidence was not compared with the new
/// text. The transaction has written all rows, and holds the feed's lock.
pub(super) async fn check_compared(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let articles = batch.iter().flat_map(|write| &write.articles);
    let changed = articles.filter_map(|article| Some((article.put.id, article.compared.as_ref()?)));
    let (articles, compared): (Vec<Uuid>, Vec<&Vec<Uuid>>) = changed.unzip();
    if articles.is_empty() {
        return Ok(());
    }
    // The reports of the batch were compared, too, or are lost because they were made on the former text.
    let written = batch.iter().flat_map(|write| &write.reports).map(|report| report.id);
    let compared: Vec<Uuid> = compared.into_iter().flatten().copied().chain(written).collect();
    let uncompared: Vec<Uuid> = sqlx::query_scalar(
        "select distinct article
         from report
         where article = any($1)
           and retract_time is null
           and id <> all($2)",
    )
    .bind(articles)
    .bind(compared)
    .fetch_all(tx)
    .await?;
    lost.extend(uncompared.into_iter().map(|id| Claim::Record(Collection::Articles, id)));
    Ok(())
}

fn content_hash(hex: &str) -> Vec<u8> {
    parse_text_hash(hex).unwrap_or_default().to_vec()
}
