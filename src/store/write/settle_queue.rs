//! What is to be settled anew: articles whose group of copies, and meetings whose account, another write has made
//! uncertain. Kept in the transaction of that write, so that neither a crash nor another instance loses it.

use std::collections::{BTreeSet, HashSet};

use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{Claim, PutArticle, SettleTask, Write};
use crate::{
    model::{
        copies::{Copy, regroups, resettles},
        resource::Collection,
    },
    store::{StoreError, Tx, copies::NEIGHBOURS},
};

/// The oldest, at most `limit`, but for these.
pub async fn oldest(
    pool: &PgPool,
    but_for: &[(Collection, Uuid)],
    limit: usize,
) -> Result<Vec<SettleTask>, StoreError> {
    let (collections, ids): (Vec<i16>, Vec<Uuid>) = but_for.iter().map(|(of, id)| (*of as i16, *id)).unzip();
    let rows: Vec<(i16, Uuid, i64)> = sqlx::query_as(
        "select collection, id, version
         from unsettled
         where not settled
           and (collection, id) not in (select * from unnest($1::smallint[], $2::uuid[]))
         order by version
         limit $3",
    )
    .bind(collections)
    .bind(ids)
    .bind(limit as i64) // few: it fits
    .fetch_all(pool)
    .await?;
    let unsettled = |(collection, id, version): (i16, _, _)| {
        Some(SettleTask { collection: Collection::try_from(collection).ok()?, id, version })
    };
    Ok(rows.into_iter().filter_map(unsettled).collect())
}

/// One was looked at, and there was nothing to write.
pub async fn mark_settled(pool: &PgPool, one: SettleTask) -> Result<(), StoreError> {
    sqlx::query("update unsettled set settled = true where collection = $1 and id = $2 and version = $3")
        .bind(one.collection as i16)
        .bind(one.id)
        .bind(one.version)
        .execute(pool)
        .await?;
    Ok(())
}

/// Adds to `lost` the state of the groups that a write relies on, if they have another, and the meetings that were made
/// uncertain after what they were settled on was read. The transaction holds the feed's lock, and so does whoever changes
/// these.
pub(in crate::store) async fn check(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let meetings = batch.iter().flat_map(|write| &write.meetings);
    let (ids, read): (Vec<Uuid>, Vec<i64>) = meetings.filter_map(|one| Some((one.id, one.settled_at?))).unzip();
    if !ids.is_empty() {
        let uncertain: Vec<Uuid> = sqlx::query_scalar(
            "select one.id
             from unnest($1::uuid[], $2::bigint[]) as one (id, version)
             join unsettled on unsettled.collection = 4 and unsettled.id = one.id and unsettled.version > one.version",
        )
        .bind(ids)
        .bind(read)
        .fetch_all(&mut *tx)
        .await?;
        lost.extend(uncertain.into_iter().map(|id| Claim::Record(Collection::Meetings, id)));
    }
    let relied_on: BTreeSet<i64> = batch.iter().filter_map(|write| write.groups).collect();
    if relied_on.is_empty() {
        return Ok(());
    }
    let version: i64 = sqlx::query_scalar("select version from grouping").fetch_one(tx).await?;
    lost.extend(relied_on.into_iter().filter(|groups| *groups != version).map(Claim::Groups));
    Ok(())
}

/// Marks what the batch settles, and keeps what it makes uncertain; whether there is any. The transaction has written
/// all else, and holds the feed's lock: of two copies that are written at once the later sees the earlier.
pub(in crate::store) async fn keep(tx: Tx<'_>, batch: &[&Write]) -> Result<bool, StoreError> {
    mark(&mut *tx, batch).await?;
    let articles = || batch.iter().flat_map(|write| &write.articles);
    let placed: Vec<Uuid> = articles().filter(|one| is_placed(one)).map(|one| one.put.id).collect();
    let regrouped: BTreeSet<Uuid> = articles().flat_map(regrouped).collect();
    let resettled = articles().filter(|one| one.former.as_ref().is_some_and(|it| resettles(it, &one.put.record)));
    let resettled: Vec<Uuid> = resettled.map(|one| one.put.id).collect();
    if placed.is_empty() && regrouped.is_empty() && resettled.is_empty() {
        return Ok(false);
    }
    let statement = format!(
        "with found as (
             select 2::smallint as collection, one.id
             from article as one
             where one.id = any($1)
               and one.delete_time is null
               and exists (select from ({NEIGHBOURS}) as neighbour where neighbour.origin <> one.origin)
             union
             select 2::smallint, id
             from unnest($2::uuid[]) as regrouped (id)
             union
             select 4::smallint, meeting
             from report
             where article = any($3)
               and retract_time is null
         ),
         counted as (
             update grouping
             set version = version + 1
             where exists (select from found)
             returning version
         )
         insert into unsettled (collection, id, version, settled)
         select found.collection, found.id, counted.version, false
         from found, counted
         on conflict on constraint unsettled_pkey do update set version = excluded.version, settled = false"
    );
    let regrouped: Vec<Uuid> = regrouped.into_iter().collect();
    let kept =
        sqlx::query(AssertSqlSafe(statement)).bind(placed).bind(regrouped).bind(resettled).execute(&mut *tx).await?;
    Ok(kept.rows_affected() > 0)
}

async fn mark(tx: Tx<'_>, batch: &[&Write]) -> Result<(), StoreError> {
    let settled: Vec<SettleTask> = batch.iter().filter_map(|write| write.settles).collect();
    if settled.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update unsettled
         set settled = true
         from unnest($1::smallint[], $2::uuid[], $3::bigint[]) as one (collection, id, version)
         where unsettled.collection = one.collection
           and unsettled.id = one.id
           and unsettled.version = one.version",
    )
    .bind(settled.iter().map(|one| one.collection as i16).collect::<Vec<_>>())
    .bind(settled.iter().map(|one| one.id).collect::<Vec<_>>())
    .bind(settled.iter().map(|one| one.version).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether an article gets a place among others, which may not agree with it about who is the first.
fn is_placed(one: &PutArticle) -> bool {
    let record = &one.put.record;
    match &one.former {
        None => Copy::of(one.put.id, record, one.text_key).has_neighbours(),
        Some(former) => regroups(former, record) || former.origin != record.origin,
    }
}

/// The articles from which all are found whose group may be another than before: an article with what it counted as a
/// copy of, which leads to those that it leaves.
fn regrouped(one: &PutArticle) -> impl Iterator<Item = Uuid> {
    let former = one.former.as_ref().filter(|former| regroups(former, &one.put.record));
    let origin = former.and_then(|former| Collection::Articles.id(&former.origin));
    former.map(|_| one.put.id).into_iter().chain(origin)
}
