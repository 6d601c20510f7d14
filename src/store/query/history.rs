//! What was: the revisions of a record, and records as of a time.
//!
//! The current revision stands in its own table, the others in `superseded`. Each is looked up by its key, whatever the
//! planner thinks of the sizes of tables, and costs the same, however many there are.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::list::{PAGE_BYTES, PageRow, RecordPage};
use crate::{
    model::resource::Collection,
    store::{Doc, StoreError, row::from_row, table},
};

/// One revision, and who made it.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Counts from 1.
    pub revision: i64,
    /// Since when it was to be read.
    pub update_time: DateTime<Utc>,
    /// Number of the `change::Kind`; 0 where it is not known any more.
    pub change_kind: i16,
    /// Who asked for it; empty where it is not known any more.
    pub actor: String,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    /// Why; empty where no reason was given.
    pub reason: String,
    /// The record's bytes.
    pub doc: Vec<u8>,
}

from_row!(Revision { revision, update_time, change_kind, actor, request_id, reason, doc });

/// The revisions of a record below one of them, the newest first: `limit`, and one more if there are more. Ends before
/// their docs pass `PAGE_BYTES`, but not before the first two.
pub async fn revisions(
    pool: &PgPool,
    of: Collection,
    id: Uuid,
    below: i64,
    limit: usize,
) -> Result<Vec<Revision>, StoreError> {
    // Bytes are counted before any doc is fetched from where large ones are kept apart.
    let statement = format!(
        "select revision, update_time, change_kind, actor, request_id, reason, doc
         from (
             select *, sum(octet_length(doc)) over newest_first as bytes, row_number() over newest_first as number
             from (
                 (select revision, update_time, change_kind, actor, request_id, reason, doc
                  from {}
                  where id = $2 and revision < $3)
                 union all
                 (select revision, update_time, change_kind, actor, request_id, reason, doc
                  from superseded
                  where collection = $1 and id = $2 and revision < $3
                  order by revision desc
                  limit $4)
                 order by revision desc
                 limit $4
             ) as one
             window newest_first as (order by revision desc)
         ) as one
         where bytes <= $5 or number <= 2
         order by revision desc",
        table(of)
    );
    let revisions = sqlx::query_as(AssertSqlSafe(statement))
        .bind(of as i16)
        .bind(id)
        .bind(below)
        .bind(limit as i64 + 1) // a page has at most 1,000: it fits
        .bind(PAGE_BYTES)
        .fetch_all(pool)
        .await?;
    Ok(revisions)
}

/// Records as of a time, in no order; those that were not there are left out.
pub async fn docs(pool: &PgPool, of: Collection, ids: &[Uuid], time: DateTime<Utc>) -> Result<Vec<Doc>, StoreError> {
    let statement = format!(
        "select asked.id, version.contract, version.doc
         from unnest($2::uuid[]) as asked (id)
         cross join lateral (
             (select revision, contract, doc
              from {} as one
              where one.id = asked.id and one.update_time <= $3)
             union all
             (select revision, contract, doc
              from superseded as one
              where one.collection = $1 and one.id = asked.id and one.update_time <= $3
              order by one.update_time desc, one.revision desc
              limit 1)
             order by revision desc
             limit 1
         ) as version",
        table(of)
    );
    let docs = sqlx::query_as(AssertSqlSafe(statement)).bind(of as i16).bind(ids).bind(time).fetch_all(pool).await?;
    Ok(docs)
}

/// The reports that the meetings `$1` have, and those that moved away from them, in the order of names; `version` is each
/// as of the time `$2`.
const REPORTS: &str = "
    from unnest($1::uuid[]) as asked (meeting)
    cross join lateral (
        select id from report where report.meeting = asked.meeting
        union
        select id from superseded where superseded.meeting = asked.meeting
        order by id
    ) as known
    cross join lateral (
        (select revision, contract, doc, meeting
         from report as one
         where one.id = known.id and one.update_time <= $2)
        union all
        (select revision, contract, doc, meeting
         from superseded as one
         where one.collection = 3 and one.id = known.id and one.update_time <= $2
         order by one.update_time desc, one.revision desc
         limit 1)
        order by revision desc
        limit 1
    ) as version";

/// A report as of a time, with its article as of then.
#[derive(Debug, Clone)]
pub struct ReportRowAt {
    /// The report, active or not.
    pub doc: Doc,
    /// The meeting that it told of.
    pub meeting: Uuid,
    /// The first article of its article's group of copies, as it is known today; a ruling has no article.
    pub origin: Option<Uuid>,
    /// Bytes of its article's doc.
    pub article_doc: Option<Vec<u8>>,
}

/// The reports that meetings had at a time, in the order of their names; `None` where they have more than `most_bytes`
/// together.
pub async fn reports_of(
    pool: &PgPool,
    meetings: &[Uuid],
    time: DateTime<Utc>,
    most_bytes: i64,
) -> Result<Option<Vec<ReportRowAt>>, StoreError> {
    // Bytes are counted before any doc is fetched from where large ones are kept apart. A report is younger than its
    // article; where the clocks of two instances have it otherwise, the article counts as it is.
    let statement = format!(
        "select id, contract, case when bytes <= $3 then doc end, meeting,
                (select origin from article where article.id = one.article),
                coalesce(
                    (select doc from article where article.id = one.article and article.update_time <= $2),
                    (select doc from superseded as former
                     where former.collection = 2 and former.id = one.article and former.update_time <= $2
                     order by former.update_time desc, former.revision desc
                     limit 1),
                    (select doc from article where article.id = one.article)
                )
         from (
             select known.id, version.contract, version.doc, version.meeting,
                    (select article from report where report.id = known.id) as article,
                    sum(octet_length(version.doc)) over () as bytes
             {REPORTS}
             where version.meeting = asked.meeting
         ) as one
         order by id"
    );
    type PageRow = (Uuid, i16, Option<Vec<u8>>, Uuid, Option<Uuid>, Option<Vec<u8>>);
    let rows: Vec<PageRow> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(meetings).bind(time).bind(most_bytes).fetch_all(pool).await?;
    let told = |(id, contract, bytes, meeting, origin, article_doc): (_, _, Option<_>, _, _, _)| {
        Some(ReportRowAt { doc: Doc { id, contract, bytes: bytes? }, meeting, origin, article_doc })
    };
    Ok(rows.into_iter().map(told).collect())
}

/// A page of the reports that a meeting had at a time, and an article if one is given, in the order of names: at most
/// `limit` after `after`.
pub async fn list_reports(
    pool: &PgPool,
    meeting: Uuid,
    article: Option<Uuid>,
    time: DateTime<Utc>,
    (after, limit): (Uuid, usize),
) -> Result<RecordPage, StoreError> {
    // As the list of what is: `report::list`.
    let statement = format!(
        "select id, contract, doc, 0::bigint as sort, found
         from (
             select id, contract, doc, count(*) over () as found,
                    sum(octet_length(doc)) over (order by id) - octet_length(doc) as bytes_before
             from (
                 select known.id, version.contract, version.doc
                 {REPORTS}
                 where version.meeting = asked.meeting
                   and known.id > $3
                   and ($4::uuid is null or $4 = (select article from report where report.id = known.id))
                 order by known.id
                 limit $5
             ) as page
         ) as page
         where bytes_before < $6
         order by id"
    );
    let rows: Vec<PageRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind([meeting])
        .bind(time)
        .bind(after)
        .bind(article)
        .bind(limit as i64 + 1) // a page has at most 1,000: it fits
        .bind(PAGE_BYTES)
        .fetch_all(pool)
        .await?;
    Ok(RecordPage::of(rows, limit))
}
