//! Who took part in meetings, and what about: the index tables of their accounts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::{
    model::{
        meeting::{is_listed, is_met, takes_part},
        resource::Collection,
        time::dates,
    },
    pb::{Account, Meeting, Participation, participation::Presence},
};

/// `meeting_trait` counts roles, seniorities and presences from these numbers.
pub const ROLE: i16 = 100;
/// See `ROLE`.
pub const SENIORITY: i16 = 200;
/// See `ROLE`. Nearly all meetings have somebody PRESENT: that is no trait.
pub const PRESENCE: i16 = 300;

/// What it does: bit r for the role of number r.
pub fn role_bit(role: i32) -> i32 {
    // The contract has less than 31 of them.
    1_i32.checked_shl(role.unsigned_abs()).unwrap_or(0)
}

/// Takes the rows of these meetings out.
pub(super) async fn clear(tx: Tx<'_>, meetings: &[Uuid]) -> Result<(), StoreError> {
    // More than the contract has of each.
    let traits: Vec<i16> =
        [(ROLE, 24), (SENIORITY, 8), (PRESENCE, 8)].into_iter().flat_map(|(from, count)| from..from + count).collect();
    // `meeting_trait` has no index by meeting, and needs none.
    sqlx::query(
        "with of_region as (
             delete from meeting_region where meeting = any($1)
         ),
         of_topic as (
             delete from meeting_topic where meeting = any($1)
         ),
         of_trait as (
             delete from meeting_trait where trait = any($2) and meeting = any($1)
         )
         delete from participation where meeting = any($1)",
    )
    .bind(meetings)
    .bind(traits)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes the rows of these meetings.
pub(super) async fn index(tx: Tx<'_>, meetings: &[(Uuid, &Meeting)]) -> Result<(), StoreError> {
    participations(tx, meetings).await?;
    traits(tx, meetings).await?;
    regions(tx, meetings).await?;
    topics(tx, meetings).await
}

fn accounts<'a>(meetings: &[(Uuid, &'a Meeting)]) -> impl Iterator<Item = (Uuid, &'a Account)> {
    meetings.iter().filter_map(|(id, meeting)| Some((*id, meeting.account.as_ref()?)))
}

async fn participations(tx: Tx<'_>, meetings: &[(Uuid, &Meeting)]) -> Result<(), StoreError> {
    let mut rows: Vec<(Uuid, i32, &Meeting, &Participation)> = Vec::new();
    for (id, meeting) in meetings {
        let all = meeting.account.iter().flat_map(|account| &account.participations).zip(0..);
        rows.extend(all.map(|(one, number)| (*id, number, *meeting, one)));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let who = |one: &Participation| Collection::Participants.id(&one.participant);
    // A ruling can have somebody twice in a meeting.
    let mut met: HashSet<(Uuid, Uuid)> = HashSet::with_capacity(rows.len());
    let mut is_first = |id: Uuid, one: &Participation| who(one).is_none_or(|who| met.insert((id, who)));
    let together: Vec<bool> =
        rows.iter().map(|row| is_listed(row.2) && is_met(row.3) && is_first(row.0, row.3)).collect();
    sqlx::query(
        "insert into participation (meeting, number, participant, region_code, presence, seniority, roles, together, day)
         select one.*
         from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::smallint[], $6::smallint[], $7::integer[],
                     $8::boolean[], $9::date[])
                  as one (meeting, number, participant, region_code, presence, seniority, roles, together, day)",
    )
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| who(row.3)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Some(row.3.region_code.as_str()).filter(|code| !code.is_empty())).collect::<Vec<_>>())
    // The values of the contract are few: the numbers fit.
    .bind(rows.iter().map(|row| row.3.presence as i16).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| seniority(row.3)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.roles.iter().fold(0, |bits, role| bits | role_bit(*role))).collect::<Vec<_>>())
    .bind(together)
    .bind(rows.iter().map(|row| first_day(row.2)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

fn first_day(meeting: &Meeting) -> Option<NaiveDate> {
    let date = meeting.account.as_ref()?.date.as_ref()?;
    dates::span(date).map(|(first, _)| first)
}

fn seniority(one: &Participation) -> i16 {
    one.office.as_ref().map_or(0, |office| office.seniority as i16)
}

async fn traits(tx: Tx<'_>, meetings: &[(Uuid, &Meeting)]) -> Result<(), StoreError> {
    let of_one = |one: &Participation| {
        let presence = Some(one.presence as i16).filter(|_| one.presence() != Presence::Present);
        let numbers = [(SENIORITY, Some(seniority(one))), (PRESENCE, presence)];
        let numbers = numbers.into_iter().filter_map(|(from, number)| Some((from, number?)));
        let roles = one.roles.iter().map(|role| (ROLE, *role as i16));
        numbers.chain(roles).filter(|(_, number)| *number != 0).map(|(from, number)| from + number).collect::<Vec<_>>()
    };
    let rows = accounts(meetings).flat_map(|(id, account)| {
        let traits: BTreeSet<i16> = account.participations.iter().flat_map(of_one).collect();
        traits.into_iter().map(move |one| (one, id))
    });
    let (traits, ids): (Vec<i16>, Vec<Uuid>) = rows.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into meeting_trait (trait, meeting)
         select one.*
         from unnest($1::smallint[], $2::uuid[]) as one (trait, meeting)",
    )
    .bind(traits)
    .bind(ids)
    .execute(tx)
    .await?;
    Ok(())
}

async fn regions(tx: Tx<'_>, meetings: &[(Uuid, &Meeting)]) -> Result<(), StoreError> {
    let (mut codes, mut ids, mut take_part) = (Vec::new(), Vec::new(), Vec::new());
    for (id, account) in accounts(meetings) {
        let mut regions: BTreeMap<&str, bool> = BTreeMap::new();
        for one in account.participations.iter().filter(|one| !one.region_code.is_empty()) {
            *regions.entry(&one.region_code).or_default() |= takes_part(one);
        }
        for (code, takes_part) in regions {
            codes.push(code);
            ids.push(id);
            take_part.push(takes_part);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into meeting_region (region_code, meeting, takes_part)
         select one.*
         from unnest($1::text[], $2::uuid[], $3::boolean[]) as one (region_code, meeting, takes_part)",
    )
    .bind(codes)
    .bind(ids)
    .bind(take_part)
    .execute(tx)
    .await?;
    Ok(())
}

async fn topics(tx: Tx<'_>, meetings: &[(Uuid, &Meeting)]) -> Result<(), StoreError> {
    let rows = accounts(meetings).flat_map(|(id, account)| {
        let topics: BTreeSet<&str> = account.topics.iter().map(String::as_str).collect();
        topics.into_iter().map(move |topic| (topic, id))
    });
    let (topics, ids): (Vec<&str>, Vec<Uuid>) = rows.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into meeting_topic (topic, meeting)
         select one.*
         from unnest($1::text[], $2::uuid[]) as one (topic, meeting)",
    )
    .bind(topics)
    .bind(ids)
    .execute(tx)
    .await?;
    Ok(())
}
