//! The settle queue, the table `unsettled`: articles whose group of copies, and meetings whose account, must be settled
//! again after another write. A task is enqueued in the transaction of that write, so that no crash loses it.

use std::collections::{BTreeSet, HashSet};

use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{Claim, PutArticle, SettleTask, Write};
use crate::{
    model::{
        article_copies::{CopyCandidate, affects_copy_group, affects_settling},
        resource::Collection,
    },
    store::{StoreError, Tx, article_copies::NEIGHBOURS},
};

/// The oldest tasks of these collections, at most `limit`, without the `excluded` ones.
///
/// # Errors
/// The database fails.
pub async fn next_tasks(
    pool: &PgPool,
    of: &[Collection],
    excluded: &[(Collection, Uuid)],
    limit: usize,
) -> Result<Vec<SettleTask>, StoreError> {
    let of: Vec<i16> = of.iter().map(|collection| *collection as i16).collect();
    let (collections, ids): (Vec<i16>, Vec<Uuid>) = excluded.iter().map(|(of, id)| (*of as i16, *id)).unzip();
    let rows: Vec<(i16, Uuid, i64)> = sqlx::query_as(
        "select collection, id, version
         from unsettled
         where not settled
           and collection = any($4)
           and (collection, id) not in (select * from unnest($1::smallint[], $2::uuid[]))
         order by version
         limit $3",
    )
    .bind(collections)
    .bind(ids)
    .bind(limit as i64) // a small constant: no overflow
    .bind(of)
    .fetch_all(pool)
    .await?;
    let task = |(collection, id, version): (i16, _, _)| {
        Some(SettleTask { collection: Collection::try_from(collection).ok()?, id, version })
    };
    Ok(rows.into_iter().filter_map(task).collect())
}

/// Marks a task as done without a write: settling it again changed nothing.
///
/// # Errors
/// The database fails.
pub async fn mark_settled(pool: &PgPool, task: SettleTask) -> Result<(), StoreError> {
    sqlx::query(
        "update unsettled
         set settled = true
         where collection = $1
           and id = $2
           and version = $3",
    )
    .bind(task.collection as i16)
    .bind(task.id)
    .bind(task.version)
    .execute(pool)
    .await?;
    Ok(())
}

/// Reduces the tasks of the articles of one group to the oldest: each of them leads to the same articles, so one task
/// settles all. Tasks that were enqueued after the groups had the version `groups` stay. Returns the articles whose
/// tasks are done.
///
/// Rows that another transaction has locked are left alone, so this neither waits nor loses the last task: of the rows
/// that it locks, one always stays.
///
/// # Errors
/// The database fails.
pub async fn join_tasks(pool: &PgPool, articles: &[Uuid], groups: i64) -> Result<Vec<Uuid>, StoreError> {
    let done = sqlx::query_scalar(
        "with task as (
             select id, version
             from unsettled
             where collection = 2
               and id = any($1)
               and not settled
               and version <= $2
             for update skip locked
         )
         update unsettled
         set settled = true
         from task
         where unsettled.collection = 2
           and unsettled.id = task.id
           and task.id <> (select id from task order by version, id limit 1)
         returning unsettled.id",
    )
    .bind(articles)
    .bind(groups)
    .fetch_all(pool)
    .await?;
    Ok(done)
}

/// Adds stale claims to `lost`: the version of the groups of copies that a write relies on, if it has changed, and the
/// meetings that were enqueued again after their reports were read. The transaction holds the feed's lock, as does
/// every transaction that changes these tables.
pub(in crate::store) async fn check_settled(
    tx: Tx<'_>,
    batch: &[&Write],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let meetings = batch.iter().flat_map(|write| &write.meetings);
    let (ids, versions): (Vec<Uuid>, Vec<i64>) =
        meetings.filter_map(|meeting| Some((meeting.id, meeting.settled_at?))).unzip();
    if !ids.is_empty() {
        let enqueued: Vec<Uuid> = sqlx::query_scalar(
            "select input.id
             from unnest($1::uuid[], $2::bigint[]) as input (id, version)
             join unsettled
                 on unsettled.collection = 4
                and unsettled.id = input.id
                and unsettled.version > input.version",
        )
        .bind(ids)
        .bind(versions)
        .fetch_all(&mut *tx)
        .await?;
        lost.extend(enqueued.into_iter().map(|id| Claim::Record(Collection::Meetings, id)));
    }
    let expected: BTreeSet<i64> = batch.iter().filter_map(|write| write.groups).collect();
    if expected.is_empty() {
        return Ok(());
    }
    let version: i64 = sqlx::query_scalar("select version from grouping").fetch_one(tx).await?;
    lost.extend(expected.into_iter().filter(|groups| *groups != version).map(Claim::Groups));
    Ok(())
}

/// Marks the tasks that the batch settles, and enqueues those that it causes. Returns true if it enqueued any. The
/// transaction has written all rows and holds the feed's lock, so that of two concurrent copies the later sees the
/// earlier.
pub(in crate::store) async fn enqueue(tx: Tx<'_>, batch: &[&Write]) -> Result<bool, StoreError> {
    mark_batch_settled(&mut *tx, batch).await?;
    let articles = || batch.iter().flat_map(|write| &write.articles);
    let placed: Vec<Uuid> =
        articles().filter(|article| joins_or_changes_group(article)).map(|article| article.put.id).collect();
    let seeds: BTreeSet<Uuid> = articles().flat_map(regrouped_seeds).collect();
    let resettled: Vec<Uuid> = articles()
        .filter(|article| article.former.as_ref().is_some_and(|former| affects_settling(former, &article.put.record)))
        .map(|article| article.put.id)
        .chain(with_stale_evidence(batch))
        .collect();
    let resolved: Vec<Uuid> = batch
        .iter()
        .flat_map(|write| &write.participants)
        .filter(|participant| participant.affects_settling())
        .map(|participant| participant.put.id)
        .collect();
    if placed.is_empty() && seeds.is_empty() && resettled.is_empty() && resolved.is_empty() {
        return Ok(false);
    }
    let statement = format!(
        "with task as (
             select 2::smallint as collection, this.id
             from article as this
             where this.id = any($1)
               and this.delete_time is null
               and exists (select from ({NEIGHBOURS}) as neighbour where neighbour.origin <> this.origin)
             union
             select 2::smallint, id
             from unnest($2::uuid[]) as seed (id)
             union
             select 4::smallint, meeting
             from report
             where article = any($3)
               and retract_time is null
             union
             select 4::smallint, meeting
             from meeting_participant
             where participant = any($4)
         ),
         counted as (
             update grouping
             set version = version + 1
             where exists (select from task)
             returning version
         )
         insert into unsettled (collection, id, version, settled)
         select task.collection, task.id, counted.version, false
         from task, counted
         on conflict on constraint unsettled_pkey do update
         set version = excluded.version,
             settled = false"
    );
    let seeds: Vec<Uuid> = seeds.into_iter().collect();
    let enqueued = sqlx::query(AssertSqlSafe(statement))
        .bind(placed)
        .bind(seeds)
        .bind(resettled)
        .bind(resolved)
        .execute(&mut *tx)
        .await?;
    Ok(enqueued.rows_affected() > 0)
}

/// The meetings with active reports of these articles, and those that these participants take part in, in the order of
/// ids.
///
/// # Errors
/// The database fails.
pub async fn affected_meetings(
    pool: &PgPool,
    articles: &[Uuid],
    participants: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    let meetings = sqlx::query_scalar(
        "select meeting
         from report
         where article = any($1)
           and retract_time is null
         union
         select meeting
         from meeting_participant
         where participant = any($2)
         order by meeting",
    )
    .bind(articles)
    .bind(participants)
    .fetch_all(pool)
    .await?;
    Ok(meetings)
}

async fn mark_batch_settled(tx: Tx<'_>, batch: &[&Write]) -> Result<(), StoreError> {
    let tasks: Vec<SettleTask> = batch.iter().filter_map(|write| write.settles).collect();
    if tasks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update unsettled
         set settled = true
         from unnest($1::smallint[], $2::uuid[], $3::bigint[]) as input (collection, id, version)
         where unsettled.collection = input.collection
           and unsettled.id = input.id
           and unsettled.version = input.version",
    )
    .bind(tasks.iter().map(|task| task.collection as i16).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.id).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.version).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// The articles with reports whose evidence the same write marks or unmarks as stale: the coverage of their meetings
/// depends on it.
fn with_stale_evidence(batch: &[&Write]) -> impl Iterator<Item = Uuid> {
    let with_reports = batch.iter().filter(|write| !write.reports.is_empty());
    let articles = with_reports.flat_map(|write| &write.articles).filter(|article| article.compared.is_some());
    articles.map(|article| article.put.id)
}

/// True if an article joins a group of copies or changes its origin, so that its neighbours may have another origin.
fn joins_or_changes_group(article: &PutArticle) -> bool {
    let record = &article.put.record;
    match &article.former {
        None => CopyCandidate::of(article.put.id, record, article.text_key).may_be_copy(),
        Some(former) => affects_copy_group(former, record) || former.origin != record.origin,
    }
}

/// Seeds from which every article whose group may have changed is reachable: the article itself, and its former origin,
/// which leads to the group that it leaves.
fn regrouped_seeds(article: &PutArticle) -> impl Iterator<Item = Uuid> {
    let former = article.former.as_ref().filter(|former| affects_copy_group(former, &article.put.record));
    let origin = former.and_then(|former| Collection::Articles.id(&former.origin));
    former.map(|_| article.put.id).into_iter().chain(origin)
}
