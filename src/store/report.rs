//! Reports: docs, the meeting and the article that each belongs to, and the content that an article gives once.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx,
    pool::batch_loader::BatchResult,
    query::list::{PAGE_BYTES, RecordPage},
    row::from_row,
    time,
    write::{
        Claim, Put, Write,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        article::parse_text_hash,
        meeting::{MOST_REPORT_BYTES, MOST_REPORTS},
        report::CONTENT_VERSION,
        resource::{CONTRACT, Collection},
    },
    pb::Report,
};

/// A report, with what settling needs to know of its article.
#[derive(Debug, Clone)]
pub struct ReportRow {
    /// The report.
    pub doc: Doc,
    /// The meeting that it tells of.
    pub meeting: Uuid,
    /// The first article of its article's group of copies; null in a ruling, which has no article.
    pub origin: Option<Uuid>,
    /// First day of its article's publication date.
    pub publish_from: Option<NaiveDate>,
    /// Bytes of its article's doc, which has the uri; null in a ruling.
    pub article_doc: Option<Vec<u8>>,
    /// The state of all groups of copies of which that is so.
    pub groups: i64,
}

from_row!(ReportRow { ..doc, meeting, origin, publish_from, article_doc, groups });

/// All active reports of these meetings, rulings among them, in the order of their names.
pub async fn of_meetings(pool: &PgPool, meetings: &[Uuid]) -> Result<Vec<ReportRow>, StoreError> {
    let reports = sqlx::query_as(
        "select report.id, report.contract, report.doc, report.meeting, article.origin, article.publish_from,
                article.doc as article_doc, (select version from grouping) as groups
         from report
         left join article on article.id = report.article
         where report.meeting = any($1)
           and report.retract_time is null
         order by report.id",
    )
    .bind(meetings)
    .fetch_all(pool)
    .await?;
    Ok(reports)
}

/// The active reports of an article, in the order of their names.
pub async fn active_of(pool: &PgPool, article: Uuid) -> Result<Vec<Doc>, StoreError> {
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

/// All reports of these meetings, retracted ones too, in the order of their names; `None` if they are more, or larger
/// together, than those of one meeting can be.
pub async fn all_of(pool: &PgPool, meetings: &[Uuid]) -> Result<Option<Vec<Doc>>, StoreError> {
    let (count, bytes): (i64, i64) = sqlx::query_as(
        "select count(*), coalesce(sum(octet_length(doc)), 0)::bigint
         from report
         where meeting = any($1)",
    )
    .bind(meetings)
    .fetch_one(pool)
    .await?;
    let fits = |number: i64, most: usize| usize::try_from(number).is_ok_and(|number| number <= most);
    if !fits(count, MOST_REPORTS) || !fits(bytes, MOST_REPORT_BYTES) {
        return Ok(None);
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
    Ok(Some(reports))
}

/// Those of these reports that belong to a meeting, in the order of their names.
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

/// How many bytes the active reports of these meetings have together.
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

/// The reports that articles gave with this content, by article and `content_hash`.
pub async fn find(pool: &PgPool, contents: &[(Uuid, &str)]) -> Result<HashMap<(Uuid, String), Doc>, StoreError> {
    let (articles, hashes): (Vec<Uuid>, Vec<Vec<u8>>) =
        contents.iter().map(|(article, hash)| (*article, content_hash(hash))).unzip();
    let rows: Vec<(Uuid, String, Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select asked.article, encode(asked.content_hash, 'hex'), report.id, report.contract, report.doc
         from unnest($1::uuid[], $2::bytea[]) as asked (article, content_hash)
         cross join lateral (
             select *
             from report
             where report.article = asked.article
               and report.content_hash = asked.content_hash
             limit 1
         ) as report",
    )
    .bind(articles)
    .bind(hashes)
    .fetch_all(pool)
    .await?;
    let entry = |(article, hash, id, contract, bytes)| ((article, hash), Doc { id, contract, bytes });
    Ok(rows.into_iter().map(entry).collect())
}

/// The reports of these articles with a `content_hash` of an older version, in the order of their names.
pub async fn hashed_before(pool: &PgPool, articles: &[Uuid]) -> Result<Vec<(Uuid, Doc)>, StoreError> {
    let rows: Vec<(Uuid, Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select article, id, contract, doc
         from report
         where article = any($1)
           and content_version < $2
         order by id",
    )
    .bind(articles)
    .bind(CONTENT_VERSION)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(article, id, contract, bytes)| (article, Doc { id, contract, bytes })).collect())
}

/// The result of looking up a report by its article and `content_hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingReport {
    /// The report with this content.
    Same(Uuid),
    /// None, but the article has reports with a hash of an older version, which must be compared by content.
    Former,
}

/// Looks up reports by article and `content_hash`.
pub(super) async fn known(
    pool: PgPool,
    contents: Vec<(Uuid, String)>,
) -> Result<BatchResult<(Uuid, String), ExistingReport>, StoreError> {
    let (articles, hashes): (Vec<Uuid>, Vec<Vec<u8>>) =
        contents.iter().map(|(article, hash)| (*article, content_hash(hash))).unzip();
    // Each is looked up by its key: what a planner takes for small, and reads as a whole, grows while its plan is kept.
    let rows: Vec<(Uuid, String, Option<Uuid>, bool)> = sqlx::query_as(
        "select asked.article, encode(asked.content_hash, 'hex'),
                (select id from report
                 where report.article = asked.article and report.content_hash = asked.content_hash),
                exists (select from report where report.article = asked.article and report.content_version < $3)
         from unnest($1::uuid[], $2::bytea[]) as asked (article, content_hash)",
    )
    .bind(articles)
    .bind(hashes)
    .bind(CONTENT_VERSION)
    .fetch_all(&pool)
    .await?;
    let given = |id: Option<Uuid>, has_former: bool| {
        id.map(ExistingReport::Same).or(has_former.then_some(ExistingReport::Former))
    };
    let known = |(article, hash, id, has_former)| Some(((article, hash), Some(given(id, has_former)?)));
    Ok(rows.into_iter().filter_map(known).collect())
}

/// A page of the reports of a meeting, of an article, or of both, in the order of names: at most `limit` after `after`.
pub async fn list(
    pool: &PgPool,
    meeting: Option<Uuid>,
    article: Option<Uuid>,
    after: Uuid,
    limit: usize,
) -> Result<RecordPage, StoreError> {
    // Bounded by bytes too: a report is at most as large as a message, and a page of the largest would be gigabytes.
    let rows = sqlx::query_as(
        "select id, contract, doc, 0::bigint as sort, found
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
         ) as page
         where bytes_before < $5
         order by id",
    )
    .bind(meeting)
    .bind(article)
    .bind(after)
    .bind(limit as i64 + 1) // a page has at most 1,000: it fits
    .bind(PAGE_BYTES)
    .fetch_all(pool)
    .await?;
    Ok(RecordPage::of(rows, limit))
}

/// Inserts the new reports and locks those that are to be replaced.
pub(super) async fn claim(
    tx: Tx<'_>,
    reports: &[Attributed<'_, Put<Report>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let old = reports.iter().filter_map(|one| Some((one.id, one.replaces?))).collect();
    revision::claim(tx, Collection::Reports, &old, lost).await?;
    let new: Vec<_> = reports.iter().copied().filter(|one| one.replaces.is_none()).collect();
    insert(tx, &new, lost).await
}

fn column<'a, T>(reports: &'a [Attributed<'_, Put<Report>>], of: impl Fn(&'a Put<Report>) -> T) -> Vec<T> {
    reports.iter().map(|one| of(one)).collect()
}

async fn insert(
    tx: Tx<'_>,
    reports: &[Attributed<'_, Put<Report>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    let by = Attributions::of(reports);
    let claimed: HashSet<Uuid> = sqlx::query_scalar(
        "insert into report (id, revision, contract, doc, meeting, article, content_hash, update_time, change_kind,
                             actor, request_id, reason, content_version)
         select one.*, $13
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::uuid[], $6::uuid[], $7::bytea[],
                     $8::timestamptz[], $9::smallint[], $10::text[], $11::text[], $12::text[])
                  as one (id, revision, contract, doc, meeting, article, content_hash, update_time, change_kind, actor,
                          request_id, reason)
         on conflict do nothing
         returning id",
    )
    .bind(column(reports, |one| one.id))
    .bind(column(reports, |one| one.record.revision))
    .bind(vec![CONTRACT; reports.len()])
    .bind(column(reports, |one| one.doc.as_slice()))
    .bind(column(reports, |one| Collection::Meetings.id(&one.record.meeting)))
    .bind(column(reports, |one| Collection::Articles.id(&one.record.article)))
    .bind(column(reports, |one| content_hash(&one.record.content_hash)))
    .bind(by.update_times)
    .bind(by.kinds)
    .bind(by.actors)
    .bind(by.request_ids)
    .bind(by.reasons)
    .bind(CONTENT_VERSION)
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();
    // Either the id or the content is taken; the write that lost is prepared anew and finds out which.
    let taken = reports.iter().filter(|one| !claimed.contains(&one.id));
    lost.extend(taken.map(|one| Claim::Record(Collection::Reports, one.id)));
    Ok(())
}

/// Puts the next revisions in the place of those that were locked, which are kept as superseded. Of a report only
/// its state and its meeting change, and what is said of its evidence.
pub(super) async fn update(tx: Tx<'_>, reports: &[Attributed<'_, Put<Report>>]) -> Result<(), StoreError> {
    let next: Vec<_> = reports.iter().copied().filter(|one| one.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let (ids, by) = (column(&next, |one| one.id), Attributions::of(&next));
    revision::supersede(tx, Collection::Reports, &ids).await?;
    sqlx::query(
        "update report
         set revision = one.revision,
             contract = one.contract,
             doc = one.doc,
             meeting = one.meeting,
             retract_time = one.retract_time,
             update_time = one.update_time,
             change_kind = one.change_kind,
             actor = one.actor,
             request_id = one.request_id,
             reason = one.reason
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::uuid[], $6::timestamptz[],
                     $7::timestamptz[], $8::smallint[], $9::text[], $10::text[], $11::text[])
                  as one (id, revision, contract, doc, meeting, retract_time, update_time, change_kind, actor,
                          request_id, reason)
         where report.id = one.id",
    )
    .bind(ids)
    .bind(column(&next, |one| one.record.revision))
    .bind(vec![CONTRACT; next.len()])
    .bind(column(&next, |one| one.doc.as_slice()))
    .bind(column(&next, |one| Collection::Meetings.id(&one.record.meeting)))
    .bind(column(&next, |one| time(one.record.retraction.as_ref().and_then(|one| one.time.as_ref()))))
    .bind(by.update_times)
    .bind(by.kinds)
    .bind(by.actors)
    .bind(by.request_ids)
    .bind(by.reasons)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Loses the articles whose text changes and that have reports whose evidence was not compared with it. The transaction
/// has written all else, and holds the feed's lock.
pub(super) async fn check_compared(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let articles = batch.iter().flat_map(|write| &write.articles);
    let changed = articles.filter_map(|one| Some((one.put.id, one.compared.as_ref()?)));
    let (articles, compared): (Vec<Uuid>, Vec<&Vec<Uuid>>) = changed.unzip();
    if articles.is_empty() {
        return Ok(());
    }
    // What the batch brings was compared, too, or is lost for having been made on the former text.
    let brought = batch.iter().flat_map(|write| &write.reports).map(|one| one.id);
    let compared: Vec<Uuid> = compared.into_iter().flatten().copied().chain(brought).collect();
    let others: Vec<Uuid> = sqlx::query_scalar(
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
    lost.extend(others.into_iter().map(|id| Claim::Record(Collection::Articles, id)));
    Ok(())
}

fn content_hash(hex: &str) -> Vec<u8> {
    parse_text_hash(hex).unwrap_or_default().to_vec()
}
