//! External ids of meetings. A live meeting holds its ids exclusively; a deleted one keeps its rows for lists.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::{meeting::external_ids, resource::Deletable},
    pb::Meeting,
    store::{
        StoreError, Tx,
        write::{Claim, Put, provenance::Attributed},
    },
};

/// An external id: scheme and value.
pub type ExternalIdKey = (String, String);

/// Live meetings by external id.
pub type LinkedMeetings = HashMap<ExternalIdKey, Uuid>;

/// The live meetings with these external ids.
///
/// # Errors
/// The database fails.
pub async fn find_by_external_ids(pool: &PgPool, ids: &BTreeSet<(&str, &str)>) -> Result<LinkedMeetings, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let (schemes, values): (Vec<&str>, Vec<&str>) = ids.iter().copied().unzip();
    let rows: Vec<(String, String, Uuid)> = sqlx::query_as(
        "select input.scheme, input.value, owner.meeting
         from unnest($1::text[], $2::text[]) as input (scheme, value)
         cross join lateral (
             select held.meeting
             from meeting_external_id as held
             where held.scheme = input.scheme
               and held.value = input.value
               and held.live
             limit 1
         ) as owner",
    )
    .bind(schemes)
    .bind(values)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(scheme, value, meeting)| ((scheme, value), meeting)).collect())
}

/// The claims on the external ids that a meeting is to hold.
pub(in crate::store) fn claims(meeting: &Put<Meeting>) -> impl Iterator<Item = Claim> {
    let held = external_ids(&meeting.record).filter(|_| !meeting.record.is_deleted());
    held.map(|(scheme, value)| Claim::MeetingId(scheme.to_owned(), value.to_owned()))
}

/// Replaces the rows of these meetings, whose former revisions the transaction has locked. The claims on ids that another
/// live meeting holds are lost.
pub(in crate::store) async fn claim_external_ids(
    tx: Tx<'_>,
    meetings: &[Attributed<'_, Put<Meeting>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let replaced: Vec<Uuid> =
        meetings.iter().filter(|meeting| meeting.replaces.is_some()).map(|meeting| meeting.id).collect();
    if !replaced.is_empty() {
        sqlx::query("delete from meeting_external_id where meeting = any($1)").bind(replaced).execute(&mut *tx).await?;
    }

    // Sorted, so that two transactions claim in one order.
    let mut rows: BTreeMap<(&str, &str, Uuid), bool> = BTreeMap::new();
    for meeting in meetings {
        let is_live = !meeting.record.is_deleted();
        rows.extend(external_ids(&meeting.record).map(|(scheme, value)| ((scheme, value, meeting.id), is_live)));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let inserted: HashSet<(String, String, Uuid)> = sqlx::query_as(
        "insert into meeting_external_id (scheme, value, meeting, live)
         select input.*
         from unnest($1::text[], $2::text[], $3::uuid[], $4::boolean[]) as input (scheme, value, meeting, live)
         on conflict do nothing
         returning scheme, value, meeting",
    )
    .bind(rows.keys().map(|(scheme, ..)| *scheme).collect::<Vec<_>>())
    .bind(rows.keys().map(|(_, value, _)| *value).collect::<Vec<_>>())
    .bind(rows.keys().map(|(.., meeting)| *meeting).collect::<Vec<_>>())
    .bind(rows.values().copied().collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();
    for (scheme, value, meeting) in rows.into_keys() {
        let row = (scheme.to_owned(), value.to_owned(), meeting);
        if !inserted.contains(&row) {
            lost.insert(Claim::MeetingId(row.0, row.1));
        }
    }
    Ok(())
}
