//! The searches of a write for meetings of the same event. A report is added to the meeting that a search found, or to a
//! new one, so no other meeting of the event may be written between the search and the commit.
//!
//! A search reads every listed meeting that has a certain participant and one of certain days, with its revision. The
//! commit reads them again, while it holds the feed's lock and after it has written the rows of the batch. If there is
//! another one or another revision, the write is stale. Two writes of a batch cannot have a search for one participant
//! and day, because each claims them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::{Claim, Write};
use crate::{
    model::resource::Collection,
    store::{Doc, StoreError, Tx, docs},
};

/// A participant and the days from the first to the last one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SearchKey {
    pub participant: Uuid,
    pub first: NaiveDate,
    /// Not before `first`, and at most a month later.
    pub last: NaiveDate,
}

impl SearchKey {
    /// The claims on the participant and each of the days.
    pub(super) fn claims(&self) -> impl Iterator<Item = Claim> {
        let days = self.first.iter_days().take_while(|day| *day <= self.last);
        days.map(|day| Claim::Meeting(self.participant, day))
    }
}

/// The result of a search that a write relies on.
#[derive(Debug, Clone)]
pub struct MeetingSearch {
    pub key: SearchKey,
    /// The meetings that it found, with their revisions.
    pub found: BTreeMap<Uuid, i64>,
    /// The meetings that the same submission writes.
    pub own: BTreeSet<Uuid>,
}

/// Reads the meetings of a search: all ids with their revisions, and the docs unless there are more than `limit`.
///
/// # Errors
/// The database fails.
pub async fn search(
    pool: &PgPool,
    key: &SearchKey,
    limit: usize,
) -> Result<(BTreeMap<Uuid, i64>, Vec<Doc>), StoreError> {
    let found = run(pool, &[key]).await?;
    let revisions: BTreeMap<Uuid, i64> = found.into_iter().map(|(_, id, revision)| (id, revision)).collect();
    if revisions.is_empty() || revisions.len() > limit {
        return Ok((revisions, Vec::new()));
    }
    // A doc of a later revision than the one in `revisions` makes the write stale.
    let ids: Vec<Uuid> = revisions.keys().copied().collect();
    Ok((revisions, docs(pool, Collection::Meetings, &ids).await?))
}

/// The meetings of these searches, each with the index of the search and its revision, in the order of ids.
async fn run(executor: impl PgExecutor<'_>, keys: &[&SearchKey]) -> Result<Vec<(i32, Uuid, i64)>, StoreError> {
    let numbers: Vec<i32> = (0..).take(keys.len()).collect();
    Ok(sqlx::query_as(
        "select distinct input.number, participation.meeting, dated.revision
         from unnest($1::integer[], $2::uuid[], $3::date[], $4::date[])
                  as input (number, participant, first_day, last_day)
         join participation
             on participation.participant = input.participant
            and participation.day between input.first_day - 31 and input.last_day
         cross join lateral (
             select meeting.revision
             from meeting
             where meeting.id = participation.meeting
               and meeting.listed
               and meeting.days && daterange(input.first_day, input.last_day, '[]')
             limit 1
         ) as dated
         order by participation.meeting",
    )
    .bind(numbers)
    .bind(keys.iter().map(|key| key.participant).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.first).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.last).collect::<Vec<_>>())
    .fetch_all(executor)
    .await?)
}

/// Adds the claims of the searches that would find other meetings to `lost`.
pub(in crate::store) async fn check(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let searches: Vec<&MeetingSearch> = batch.iter().flat_map(|write| &write.meeting_searches).collect();
    if searches.is_empty() {
        return Ok(());
    }
    let keys: Vec<&SearchKey> = searches.iter().map(|search| &search.key).collect();
    let mut found: Vec<BTreeMap<Uuid, i64>> = vec![BTreeMap::new(); searches.len()];
    for (number, id, revision) in run(tx, &keys).await? {
        let of_search = usize::try_from(number).ok().and_then(|number| found.get_mut(number));
        of_search.into_iter().for_each(|of_search| of_search.extend([(id, revision)]));
    }
    for (search, found) in searches.iter().zip(found) {
        let others = |all: &BTreeMap<Uuid, i64>| -> BTreeMap<Uuid, i64> {
            all.iter().filter(|(id, _)| !search.own.contains(id)).map(|(id, revision)| (*id, *revision)).collect()
        };
        if others(&search.found) != others(&found) {
            lost.extend(search.key.claims());
        }
    }
    Ok(())
}
