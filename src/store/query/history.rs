//! History: the revisions of a record, and records as of a time.
//!
//! The current revision is in the record's table, the former ones are in `superseded`. The `lateral` joins look each
//! record up by its key, independently of the planner's estimates, so that the cost of a lookup does not grow with the
//! tables.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{
    former::docs_at,
    list::{PAGE_BYTES, PageRow, RecordPage},
};
use crate::{
    model::resource::Collection,
    store::{Doc, StoreError, from_row::from_row, table},
};

/// One revision of a record, and its provenance.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Counts from 1.
    pub revision: i64,
    /// The time from which reads saw it.
    pub update_time: DateTime<Utc>,
    /// The number of its `change::Kind`; 0 if it is not recorded.
    pub change_kind: i16,
    /// The caller that made it; empty if it is not recorded.
    pub actor: String,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    /// The caller's reason; empty if none was given.
    pub reason: String,
    /// The encoded record.
    pub doc: Vec<u8>,
}

from_row!(Revision { revision, update_time, change_kind, actor, request_id, reason, doc });

/// The revisions of a record below `below`, the newest first: up to `limit`, and one more to show that more follow. The
/// list ends before its docs exceed `PAGE_BYTES`, but has at least two revisions if there are two.
///
/// # Errors
/// The database fails.
pub async fn revisions(
    pool: &PgPool,
    of: Collection,
    id: Uuid,
    below: i64,
    limit: usize,
) -> Result<Vec<Revision>, StoreError> {
    // The subquery counts bytes without fetching any TOASTed doc.
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
             ) as version
             window newest_first as (order by revision desc)
         ) as counted
         where bytes <= $5 or number <= 2
         order by revision desc",
        table(of)
    );
    let revisions = sqlx::query_as(AssertSqlSafe(statement))
        .bind(of as i16)
        .bind(id)
        .bind(below)
        .bind(limit as i64 + 1) // a page has at most 1,000: no overflow
        .bind(PAGE_BYTES)
        .fetch_all(pool)
        .await?;
    Ok(revisions)
}

/// Records as of a time, in no order. Records that did not exist at the time are left out.
///
/// # Errors
/// The database fails.
pub async fn docs(pool: &PgPool, of: Collection, ids: &[Uuid], time: DateTime<Utc>) -> Result<Vec<Doc>, StoreError> {
    let query = sqlx::query_as(AssertSqlSafe(docs_at(of))).bind(of as i16).bind(ids).bind(time);
    Ok(query.fetch_all(pool).await?)
}

/// SQL: `version`, the state of the report `member` at the time `$2`.
macro_rules! version_of_report {
    () => {
        "
    cross join lateral (
        (select revision, contract, doc, meeting
         from report
         where report.id = member.id
           and report.update_time <= $2)
        union all
        (select revision, contract, doc, meeting
         from superseded
         where superseded.collection = 3
           and superseded.id = member.id
           and superseded.update_time <= $2
         order by superseded.update_time desc, superseded.revision desc
         limit 1)
        order by revision desc
        limit 1
    ) as version"
    };
}

/// The reports that belong or once belonged to the meetings `$1`, in the order of ids: `member` has the id of each,
/// `version` its state at the time `$2`.
const REPORTS: &str = concat!(
    "
    from unnest($1::uuid[]) as input (meeting)
    cross join lateral (
        select id
        from report
        where report.meeting = input.meeting
        union
        select id
        from superseded
        where superseded.meeting = input.meeting
        order by id
    ) as member",
    version_of_report!()
);

/// The reports of the article `$1`, which a report never changes: `member` has the id of each, `version` its state at
/// the time `$2`.
const REPORTS_OF_ARTICLE: &str = concat!(
    "
    from report as member",
    version_of_report!(),
    "
    where member.article = $1"
);

/// A report as of a time, with its article as of the same time.
#[derive(Debug, Clone)]
pub struct ReportRowAt {
    /// The report, active or retracted.
    pub doc: Doc,
    /// The meeting that it belonged to.
    pub meeting: Uuid,
    /// The current origin of its article's group of copies; `None` for a ruling, which has no article.
    pub origin: Option<Uuid>,
    /// The encoded article; `None` for a ruling.
    pub article_doc: Option<Vec<u8>>,
}

/// The reports that meetings had at a time, in the order of ids. If they have more than `max_bytes` together, the inner
/// error is their size.
///
/// # Errors
/// The database fails.
pub async fn reports_of(
    pool: &PgPool,
    meetings: &[Uuid],
    time: DateTime<Utc>,
    max_bytes: i64,
) -> Result<Result<Vec<ReportRowAt>, i64>, StoreError> {
    // The subquery counts bytes without fetching any TOASTed doc. A report is younger than its article. If the clocks
    // of two instances differ so far that it is not, the current article is used.
    let statement = format!(
        "select id, contract, case when bytes <= $3 then doc end, meeting,
                (select origin from article where article.id = counted.article),
                coalesce(
                    (select doc
                     from article
                     where article.id = counted.article
                       and article.update_time <= $2),
                    (select doc
                     from superseded
                     where superseded.collection = 2
                       and superseded.id = counted.article
                       and superseded.update_time <= $2
                     order by superseded.update_time desc, superseded.revision desc
                     limit 1),
                    (select doc from article where article.id = counted.article)
                ),
                bytes::bigint
         from (
             select member.id, version.contract, version.doc, version.meeting,
                    (select article from report where report.id = member.id) as article,
                    sum(octet_length(version.doc)) over () as bytes
             {REPORTS}
             where version.meeting = input.meeting
         ) as counted
         order by id"
    );
    type ReportTuple = (Uuid, i16, Option<Vec<u8>>, Uuid, Option<Uuid>, Option<Vec<u8>>, i64);
    let rows: Vec<ReportTuple> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(meetings).bind(time).bind(max_bytes).fetch_all(pool).await?;
    let report = |(id, contract, bytes, meeting, origin, article_doc, total): ReportTuple| {
        Ok(ReportRowAt { doc: Doc { id, contract, bytes: bytes.ok_or(total)? }, meeting, origin, article_doc })
    };
    Ok(rows.into_iter().map(report).collect())
}

/// The size of the reports that each meeting had at a time, in bytes, retracted ones included. Meetings without reports
/// are left out.
///
/// # Errors
/// The database fails.
pub async fn report_sizes(
    pool: &PgPool,
    meetings: &[Uuid],
    time: DateTime<Utc>,
) -> Result<HashMap<Uuid, usize>, StoreError> {
    let statement = format!(
        "select version.meeting, sum(octet_length(version.doc))
         {REPORTS}
         where version.meeting = input.meeting
         group by version.meeting"
    );
    let sizes: Vec<(Uuid, i64)> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(meetings).bind(time).fetch_all(pool).await?;
    Ok(sizes.into_iter().map(|(id, size)| (id, usize::try_from(size).unwrap_or(0))).collect())
}

/// The reports of an article as of a time, retracted ones included, in no order.
///
/// # Errors
/// The database fails.
pub async fn reports_of_article(pool: &PgPool, article: Uuid, time: DateTime<Utc>) -> Result<Vec<Doc>, StoreError> {
    let statement = format!("select member.id, version.contract, version.doc {REPORTS_OF_ARTICLE}");
    Ok(sqlx::query_as(AssertSqlSafe(statement)).bind(article).bind(time).fetch_all(pool).await?)
}

/// Lists the reports that a meeting had at a time, or the reports of an article at that time, or those of both, in the
/// order of ids: at most `limit` after `after`.
///
/// # Errors
/// The database fails.
pub async fn list_reports(
    pool: &PgPool,
    meeting: Option<Uuid>,
    article: Option<Uuid>,
    time: DateTime<Utc>,
    (after, limit): (Uuid, usize),
) -> Result<RecordPage, StoreError> {
    // Like `report::list`, for a time.
    let found = match meeting {
        Some(_) => {
            format!(
                "{REPORTS}
                 where version.meeting = input.meeting
                   and member.id > $3
                   and ($4::uuid is null or $4 = (select article from report where report.id = member.id))"
            )
        }
        None => format!("{REPORTS_OF_ARTICLE} and member.id > $3 and $4::uuid is null"),
    };
    let statement = format!(
        "select id, contract, doc, 0::bigint as sort_1, 0::bigint as sort_2, 0::bigint as sort_3, found
         from (
             select id, contract, doc, count(*) over () as found,
                    sum(octet_length(doc)) over (order by id) - octet_length(doc) as bytes_before
             from (
                 select member.id, version.contract, version.doc
                 {found}
                 order by member.id
                 limit $5
             ) as page
         ) as counted
         where bytes_before < $6
         order by id"
    );
    let query = sqlx::query_as(AssertSqlSafe(statement));
    let query = match meeting {
        Some(meeting) => query.bind(vec![meeting]).bind(time).bind(after).bind(article),
        None => query.bind(article).bind(time).bind(after).bind(None::<Uuid>),
    };
    let rows: Vec<PageRow> = query
        .bind(limit as i64 + 1) // a page has at most 1,000: no overflow
        .bind(PAGE_BYTES)
        .fetch_all(pool)
        .await?;
    Ok(RecordPage::of(rows, limit))
}
