//! The index tables of meetings' accounts: participations, and the traits, regions, topics and places of each meeting.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{StoreError, Tx, write::columns::array_literal};
use crate::{
    model::{
        meeting::{self, is_listed, is_met, takes_part},
        query::filter::Term,
        resource::Collection,
        text::names,
        time::dates,
    },
    pb::{Account, Meeting, Participation, participation::Presence},
};

/// The offset of roles in `meeting_trait.trait`.
pub const ROLE: i16 = 100;
/// The offset of seniorities in `meeting_trait.trait`.
pub const SENIORITY: i16 = 200;
/// The offset of presences in `meeting_trait.trait`. PRESENT is not indexed: nearly every meeting has it.
pub const PRESENCE: i16 = 300;

/// The bit of a role in `participation.roles`: bit r for the role with number r.
pub fn role_bit(role: i32) -> i32 {
    // The contract has fewer than 31 roles.
    1_i32.checked_shl(role.unsigned_abs()).unwrap_or(0)
}

/// Deletes the rows of these meetings.
pub(super) async fn clear(tx: Tx<'_>, meetings: &[Uuid]) -> Result<(), StoreError> {
    // Each range is larger than the contract's enum.
    let traits: Vec<i16> =
        [(ROLE, 24), (SENIORITY, 8), (PRESENCE, 8)].into_iter().flat_map(|(from, count)| from..from + count).collect();
    // `meeting_trait` is indexed by trait first: naming all traits makes the index usable.
    sqlx::query(
        "with of_region as (
             delete from meeting_region
             where meeting = any($1)
         ),
         of_place as (
             delete from meeting_place
             where meeting = any($1)
         ),
         of_topic as (
             delete from meeting_topic
             where meeting = any($1)
         ),
         of_trait as (
             delete from meeting_trait
             where trait = any($2)
               and meeting = any($1)
         )
         delete from participation
         where meeting = any($1)",
    )
    .bind(meetings)
    .bind(traits)
    .execute(tx)
    .await?;
    Ok(())
}

/// The rows of `meeting_participant`, by column.
#[derive(Default)]
pub(super) struct ParticipantRows {
    pub participants: Vec<Uuid>,
    pub meetings: Vec<Uuid>,
    /// True for a participant of the settled account.
    pub settled: Vec<bool>,
    /// True for a participant that reports name.
    pub reported: Vec<bool>,
}

/// Writes the rows of these meetings, in one statement: a write has one round trip for all tables.
pub(super) async fn index(
    tx: Tx<'_>,
    meetings: &[(Uuid, &Meeting)],
    terms: &[&ParticipationTerms],
    participants: ParticipantRows,
) -> Result<(), StoreError> {
    let rows = ParticipationRow::all(meetings);
    let (traits, of_traits) = traits(meetings);
    let regions = RegionRows::of(meetings);
    let (topics, of_topics) = topics(meetings);
    let places = PlaceRows::of(meetings);
    // Each other table has rows only for meetings with participations, topics or places.
    if rows.is_empty() && topics.is_empty() && places.meetings.is_empty() && participants.meetings.is_empty() {
        return Ok(());
    }
    let together = ParticipationRow::together(&rows);
    sqlx::query(
        "with of_trait as (
             insert into meeting_trait (trait, meeting)
             select input.*
             from unnest($11::smallint[], $12::uuid[]) as input (trait, meeting)
         ),
         of_region as (
             insert into meeting_region (region_code, meeting, takes_part)
             select input.*
             from unnest($13::text[], $14::uuid[], $15::boolean[]) as input (region_code, meeting, takes_part)
         ),
         of_topic as (
             insert into meeting_topic (topic, meeting)
             select input.*
             from unnest($16::text[], $17::uuid[]) as input (topic, meeting)
         ),
         of_place as (
             insert into meeting_place (meeting, number, region_code, locality)
             select input.*
             from unnest($18::uuid[], $19::integer[], $20::text[], $21::text[])
                      as input (meeting, number, region_code, locality)
         ),
         of_participant as (
             insert into meeting_participant (participant, meeting, settled, reported)
             select input.*
             from unnest($22::uuid[], $23::uuid[], $24::boolean[], $25::boolean[])
                      as input (participant, meeting, settled, reported)
         )
         insert into participation (meeting, number, participant, region_code, presence, seniority, roles, together, day,
                                    terms)
         select input.meeting, input.number, input.participant, input.region_code, input.presence, input.seniority,
                input.roles, input.together, input.day, input.terms::bigint[]
         from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::smallint[], $6::smallint[], $7::integer[],
                     $8::boolean[], $9::date[], $10::text[])
                  as input (meeting, number, participant, region_code, presence, seniority, roles, together, day, terms)",
    )
    .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.number).collect::<Vec<_>>())
    .bind(rows.iter().map(ParticipationRow::participant).collect::<Vec<_>>())
    .bind(rows.iter().map(ParticipationRow::region).collect::<Vec<_>>())
    // The contract has few values: the casts cannot overflow.
    .bind(rows.iter().map(|row| row.participation.presence as i16).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| seniority(row.participation)).collect::<Vec<_>>())
    .bind(rows.iter().map(ParticipationRow::roles).collect::<Vec<_>>())
    .bind(together)
    .bind(rows.iter().map(|row| first_day(row.meeting)).collect::<Vec<_>>())
    .bind(terms.iter().flat_map(|terms| terms.columns()).collect::<Vec<_>>())
    .bind(traits)
    .bind(of_traits)
    .bind(regions.codes)
    .bind(regions.meetings)
    .bind(regions.take_part)
    .bind(topics)
    .bind(of_topics)
    .bind(places.meetings)
    .bind(places.numbers)
    .bind(places.regions)
    .bind(places.localities)
    .bind(participants.participants)
    .bind(participants.meetings)
    .bind(participants.settled)
    .bind(participants.reported)
    .execute(tx)
    .await?;
    Ok(())
}

fn accounts<'a>(meetings: &[(Uuid, &'a Meeting)]) -> impl Iterator<Item = (Uuid, &'a Account)> {
    meetings.iter().filter_map(|(id, meeting)| Some((*id, meeting.account.as_ref()?)))
}

/// A row of `participation`.
struct ParticipationRow<'a> {
    id: Uuid,
    number: i32,
    meeting: &'a Meeting,
    participation: &'a Participation,
}

impl<'a> ParticipationRow<'a> {
    fn all(meetings: &[(Uuid, &'a Meeting)]) -> Vec<Self> {
        let rows = meetings.iter().flat_map(|&(id, meeting)| {
            let participations = meeting.account.iter().flat_map(|account| &account.participations).zip(0..);
            participations.map(move |(participation, number)| Self { id, number, meeting, participation })
        });
        rows.collect()
    }

    /// The column `together`. A ruling can name a participant twice in a meeting: only the first one counts.
    fn together(rows: &[Self]) -> Vec<bool> {
        let mut met: HashSet<(Uuid, Uuid)> = HashSet::with_capacity(rows.len());
        let mut is_first = |row: &Self| row.participant().is_none_or(|participant| met.insert((row.id, participant)));
        rows.iter().map(|row| is_listed(row.meeting) && is_met(row.participation) && is_first(row)).collect()
    }

    fn participant(&self) -> Option<Uuid> {
        Collection::Participants.id(&self.participation.participant)
    }

    fn region(&self) -> Option<&'a str> {
        Some(self.participation.region_code.as_str()).filter(|code| !code.is_empty())
    }

    fn roles(&self) -> i32 {
        self.participation.roles.iter().fold(0, |bits, role| bits | role_bit(*role))
    }
}

/// The terms of the participations of a meeting, in their order: the hash of each, and that of its field.
#[derive(Debug, Default)]
pub struct ParticipationTerms(Vec<Vec<[i64; 2]>>);

impl ParticipationTerms {
    /// Makes the terms.
    pub fn of(meeting: &Meeting) -> Self {
        let participations = meeting.account.iter().flat_map(|account| &account.participations);
        let hashes = |term: &Term| [term.hash(), term.field_hash()];
        let terms = |participation| Term::of_participation(participation).iter().map(hashes).collect();
        Self(participations.map(terms).collect())
    }

    /// The hashes of all terms, without those of their fields.
    pub fn hashes(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flatten().map(|[hash, _]| *hash)
    }

    /// The column `terms` of each participation.
    fn columns(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|terms| array_literal(terms.as_flattened()))
    }
}

fn first_day(meeting: &Meeting) -> Option<NaiveDate> {
    let date = meeting.account.as_ref()?.date.as_ref()?;
    dates::span(date).map(|(first, _)| first)
}

fn seniority(participation: &Participation) -> i16 {
    participation.office.as_ref().map_or(0, |office| office.seniority as i16)
}

/// The rows of `meeting_trait`, by column.
fn traits(meetings: &[(Uuid, &Meeting)]) -> (Vec<i16>, Vec<Uuid>) {
    let traits_of = |participation: &Participation| {
        let presence = Some(participation.presence as i16).filter(|_| participation.presence() != Presence::Present);
        let numbers = [(SENIORITY, Some(seniority(participation))), (PRESENCE, presence)];
        let numbers = numbers.into_iter().filter_map(|(offset, number)| Some((offset, number?)));
        let roles = participation.roles.iter().map(|role| (ROLE, *role as i16));
        let all = numbers.chain(roles).filter(|(_, number)| *number != 0);
        all.map(|(offset, number)| offset + number).collect::<Vec<_>>()
    };
    let rows = accounts(meetings).flat_map(|(id, account)| {
        let traits: BTreeSet<i16> = account.participations.iter().flat_map(traits_of).collect();
        traits.into_iter().map(move |number| (number, id))
    });
    rows.unzip()
}

/// The rows of `meeting_region`, by column.
#[derive(Default)]
struct RegionRows<'a> {
    codes: Vec<&'a str>,
    meetings: Vec<Uuid>,
    take_part: Vec<bool>,
}

impl<'a> RegionRows<'a> {
    fn of(meetings: &[(Uuid, &'a Meeting)]) -> Self {
        let mut rows = Self::default();
        for (id, account) in accounts(meetings) {
            let mut regions: BTreeMap<&str, bool> = BTreeMap::new();
            for participation in &account.participations {
                if !participation.region_code.is_empty() {
                    *regions.entry(&participation.region_code).or_default() |= takes_part(participation);
                }
            }
            for (code, takes_part) in regions {
                rows.codes.push(code);
                rows.meetings.push(id);
                rows.take_part.push(takes_part);
            }
        }
        rows
    }
}

/// The rows of `meeting_topic`, by column.
fn topics<'a>(meetings: &[(Uuid, &'a Meeting)]) -> (Vec<&'a str>, Vec<Uuid>) {
    let rows = accounts(meetings).flat_map(|(id, account)| {
        let topics: BTreeSet<&str> = account.topics.iter().map(String::as_str).collect();
        topics.into_iter().map(move |topic| (topic, id))
    });
    rows.unzip()
}

/// The rows of `meeting_place`, by column.
#[derive(Default)]
struct PlaceRows<'a> {
    meetings: Vec<Uuid>,
    numbers: Vec<i32>,
    regions: Vec<Option<&'a str>>,
    localities: Vec<Option<String>>,
}

impl<'a> PlaceRows<'a> {
    fn of(meetings: &[(Uuid, &'a Meeting)]) -> Self {
        let mut rows = Self::default();
        for (id, account) in accounts(meetings) {
            // Without a place of its own, the first stop has number 0: the number only makes the row unique.
            for (place, number) in meeting::places(account).zip(0_i32..) {
                let region = Some(place.region_code.as_str()).filter(|code| !code.is_empty());
                let locality = Some(names::key(&place.locality)).filter(|key| !key.is_empty());
                if region.is_some() || locality.is_some() {
                    rows.meetings.push(id);
                    rows.numbers.push(number);
                    rows.regions.push(region);
                    rows.localities.push(locality);
                }
            }
        }
        rows
    }
}
