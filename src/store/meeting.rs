//! Meetings: docs, the columns that filters ask about, and the index tables of who, where and what about.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx,
    coalesce::{BATCH_BYTES, Found},
    docs, report, revision,
    signed::{Signatures, Signed},
    time,
    write::{Claim, Put},
};
use crate::{
    model::{
        dates,
        meeting::{regions, review},
        report::participants,
        resource::{CONTRACT, Collection},
    },
    pb::{Account, Meeting},
};

/// The meetings of these ids, in no order; those that are not there are left out.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Meetings, ids).await
}

/// A meeting with its reports.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The meeting.
    pub doc: Doc,
    /// Its active reports, rulings among them, in the order of their names; none where they have more than `BATCH_BYTES` together.
    pub reports: Vec<report::Told>,
    /// How many bytes they have together.
    pub report_bytes: usize,
}

/// The meetings of these ids with their reports, as many as a batch may have bytes.
pub(super) async fn whole(pool: PgPool, ids: Vec<Uuid>) -> Result<Found<Uuid, Whole>, StoreError> {
    // Bytes are counted before any doc is fetched from where large ones are kept apart.
    let rows: Vec<(Uuid, i16, Option<Vec<u8>>, i64)> = sqlx::query_as(
        "select id, contract, case when bytes_before < $2 then doc end, report_bytes
         from (
             select meeting.id, meeting.contract, meeting.doc, reports.bytes as report_bytes,
                    sum(octet_length(meeting.doc) + reports.bytes) over (order by meeting.id)
                        - octet_length(meeting.doc) - reports.bytes as bytes_before
             from meeting
             cross join lateral (
                 select coalesce(sum(octet_length(report.doc)), 0) as bytes
                 from report
                 where report.meeting = meeting.id
                   and report.retract_time is null
             ) as reports
             where meeting.id = any($1)
         ) as one",
    )
    .bind(ids)
    .bind(BATCH_BYTES)
    .fetch_all(&pool)
    .await?;
    let is_read = |bytes: i64| (1..=BATCH_BYTES).contains(&bytes);
    let with_reports: Vec<Uuid> =
        rows.iter().filter(|(_, _, doc, bytes)| doc.is_some() && is_read(*bytes)).map(|(id, ..)| *id).collect();
    let mut reports: HashMap<Uuid, Vec<report::Told>> = HashMap::with_capacity(with_reports.len());
    for told in report::of_meetings(&pool, &with_reports).await? {
        reports.entry(told.meeting).or_default().push(told);
    }
    let whole = |(id, contract, bytes, report_bytes): (Uuid, i16, Option<Vec<u8>>, i64)| {
        let whole = bytes.map(|bytes| Whole {
            doc: Doc { id, contract, bytes },
            reports: reports.remove(&id).unwrap_or_default(),
            report_bytes: usize::try_from(report_bytes).unwrap_or(0),
        });
        (id, whole)
    };
    Ok(rows.into_iter().map(whole).collect())
}

/// Inserts the new meetings and locks those that are to be replaced.
pub(super) async fn claim(
    tx: Tx<'_>,
    meetings: &[Signed<'_, Put<Meeting>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let new: Vec<_> = meetings.iter().copied().filter(|one| one.replaces.is_none()).collect();
    if !new.is_empty() {
        let (rows, by) = (Rows::of(&new), Signatures::of(&new));
        let claimed: HashSet<Uuid> = sqlx::query_scalar(
            "insert into meeting (id, revision, contract, doc, kind, status, date_from, date_to, place_region, has_dispute,
                                  report_count, independent_source_count, update_time, change_kind, actor, request_id,
                                  reason)
             select one.*
             from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::smallint[],
                         $7::date[], $8::date[], $9::text[], $10::boolean[], $11::integer[], $12::integer[],
                         $13::timestamptz[], $14::smallint[], $15::text[], $16::text[], $17::text[])
                      as one (id, revision, contract, doc, kind, status, date_from, date_to, place_region, has_dispute,
                              report_count, independent_source_count, update_time, change_kind, actor, request_id,
                              reason)
             on conflict on constraint meeting_pkey do nothing
             returning id",
        )
        .bind(&rows.ids)
        .bind(rows.revisions)
        .bind(rows.contracts)
        .bind(rows.docs)
        .bind(rows.kinds)
        .bind(rows.statuses)
        .bind(rows.date_from)
        .bind(rows.date_to)
        .bind(rows.regions)
        .bind(rows.has_dispute)
        .bind(rows.report_counts)
        .bind(rows.source_counts)
        .bind(by.update_times)
        .bind(by.kinds)
        .bind(by.actors)
        .bind(by.request_ids)
        .bind(by.reasons)
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        let taken = rows.ids.iter().filter(|id| !claimed.contains(id));
        lost.extend(taken.map(|id| Claim::Record(Collection::Meetings, *id)));
    }

    let old = meetings.iter().filter_map(|one| Some((one.id, one.replaces?))).collect();
    revision::claim(tx, Collection::Meetings, &old, lost).await
}

/// Puts the next revisions in the place of those that were locked, which are kept as superseded.
pub(super) async fn update(tx: Tx<'_>, meetings: &[Signed<'_, Put<Meeting>>]) -> Result<(), StoreError> {
    let next: Vec<_> = meetings.iter().copied().filter(|one| one.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let (rows, by) = (Rows::of(&next), Signatures::of(&next));
    let merged_into = next.iter().map(|one| Collection::Meetings.id(&one.record.merged_into)).collect::<Vec<_>>();
    revision::supersede(tx, Collection::Meetings, &rows.ids).await?;
    sqlx::query(
        "update meeting
         set revision = one.revision,
             contract = one.contract,
             doc = one.doc,
             kind = one.kind,
             status = one.status,
             date_from = one.date_from,
             date_to = one.date_to,
             place_region = one.place_region,
             delete_time = one.delete_time,
             review = one.review,
             has_dispute = one.has_dispute,
             report_count = one.report_count,
             independent_source_count = one.independent_source_count,
             merged_into = one.merged_into,
             update_time = one.update_time,
             change_kind = one.change_kind,
             actor = one.actor,
             request_id = one.request_id,
             reason = one.reason
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::smallint[],
                     $7::date[], $8::date[], $9::text[], $10::timestamptz[], $11::smallint[], $12::boolean[],
                     $13::integer[], $14::integer[], $15::uuid[], $16::timestamptz[], $17::smallint[], $18::text[],
                     $19::text[], $20::text[])
                  as one (id, revision, contract, doc, kind, status, date_from, date_to, place_region, delete_time,
                          review, has_dispute, report_count, independent_source_count, merged_into, update_time,
                          change_kind, actor, request_id, reason)
         where meeting.id = one.id",
    )
    .bind(&rows.ids)
    .bind(rows.revisions)
    .bind(rows.contracts)
    .bind(rows.docs)
    .bind(rows.kinds)
    .bind(rows.statuses)
    .bind(rows.date_from)
    .bind(rows.date_to)
    .bind(rows.regions)
    .bind(rows.delete_times)
    .bind(rows.reviews)
    .bind(rows.has_dispute)
    .bind(rows.report_counts)
    .bind(rows.source_counts)
    .bind(merged_into)
    .bind(by.update_times)
    .bind(by.kinds)
    .bind(by.actors)
    .bind(by.request_ids)
    .bind(by.reasons)
    .execute(&mut *tx)
    .await?;
    let settled: Vec<Uuid> = next.iter().filter(|one| one.left_out.is_some()).map(|one| one.id).collect();
    sqlx::query(
        "with of_region as (
             delete from meeting_region where meeting = any($1)
         ),
         of_topic as (
             delete from meeting_topic where meeting = any($1)
         )
         delete from meeting_participant
         where meeting = any($1)
           and (settled or meeting = any($2))",
    )
    .bind(&rows.ids)
    .bind(settled)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Writes the index tables.
pub(super) async fn index(tx: Tx<'_>, meetings: &[Signed<'_, Put<Meeting>>]) -> Result<(), StoreError> {
    fn pairs<T: Ord>(
        meetings: &[Signed<'_, Put<Meeting>>],
        of: impl Fn(&Account) -> BTreeSet<T>,
    ) -> (Vec<T>, Vec<Uuid>) {
        let accounts = meetings.iter().filter_map(|one| Some((one.record.account.as_ref()?, one.id)));
        accounts.flat_map(|(account, id)| of(account).into_iter().map(move |value| (value, id))).unzip()
    }

    let (mut participants, mut ids) = pairs(meetings, |account| participants(account).collect());
    let settled = ids.len();
    let left_out = meetings.iter().flat_map(|one| one.left_out.iter().flatten().map(|who| (*who, one.id)));
    left_out.for_each(|(who, meeting)| {
        participants.push(who);
        ids.push(meeting);
    });
    if !ids.is_empty() {
        sqlx::query(
            "insert into meeting_participant (participant, meeting, settled)
             select one.participant, one.meeting, one.number <= $3
             from unnest($1::uuid[], $2::uuid[]) with ordinality as one (participant, meeting, number)",
        )
        .bind(participants)
        .bind(ids)
        .bind(settled as i64) // a batch is bounded: it fits
        .execute(&mut *tx)
        .await?;
    }
    let (regions, ids) = pairs(meetings, |account| regions(account).map(str::to_owned).collect());
    if !ids.is_empty() {
        sqlx::query(
            "insert into meeting_region (region_code, meeting)
             select one.region_code, one.meeting
             from unnest($1::text[], $2::uuid[]) as one (region_code, meeting)",
        )
        .bind(regions)
        .bind(ids)
        .execute(&mut *tx)
        .await?;
    }
    let (topics, ids) = pairs(meetings, |account| account.topics.iter().cloned().collect());
    if !ids.is_empty() {
        sqlx::query(
            "insert into meeting_topic (topic, meeting)
             select one.topic, one.meeting
             from unnest($1::text[], $2::uuid[]) as one (topic, meeting)",
        )
        .bind(topics)
        .bind(ids)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Columns of `meeting`, one entry a meeting.
struct Rows<'a> {
    ids: Vec<Uuid>,
    revisions: Vec<i64>,
    contracts: Vec<i16>,
    docs: Vec<&'a [u8]>,
    kinds: Vec<Option<i16>>,
    statuses: Vec<Option<i16>>,
    date_from: Vec<Option<NaiveDate>>,
    date_to: Vec<Option<NaiveDate>>,
    regions: Vec<Option<&'a str>>,
    delete_times: Vec<Option<DateTime<Utc>>>,
    reviews: Vec<i16>,
    has_dispute: Vec<bool>,
    report_counts: Vec<i32>,
    source_counts: Vec<i32>,
}

impl<'a> Rows<'a> {
    fn of(meetings: &'a [Signed<'a, Put<Meeting>>]) -> Self {
        fn column<'a, T>(
            meetings: &'a [Signed<'a, Put<Meeting>>],
            of: impl Fn(&'a Account) -> Option<T>,
        ) -> Vec<Option<T>> {
            meetings.iter().map(|one| one.record.account.as_ref().and_then(&of)).collect()
        }
        // Unspecified is unset; the numbers of the contract are small.
        let set = |number: i32| i16::try_from(number).ok().filter(|number| *number != 0);
        let span = |account: &Account| account.date.as_ref().and_then(dates::span);
        Self {
            ids: meetings.iter().map(|one| one.id).collect(),
            revisions: meetings.iter().map(|one| one.record.revision).collect(),
            contracts: vec![CONTRACT; meetings.len()],
            docs: meetings.iter().map(|one| one.doc.as_slice()).collect(),
            kinds: column(meetings, |account| set(account.kind)),
            statuses: column(meetings, |account| set(account.status)),
            date_from: column(meetings, |account| span(account).map(|(from, _)| from)),
            date_to: column(meetings, |account| span(account).map(|(_, to)| to)),
            regions: column(meetings, |account| {
                account.place.as_ref().map(|place| place.region_code.as_str()).filter(|code| !code.is_empty())
            }),
            // The values of the contract are few: the number fits.
            reviews: meetings.iter().map(|one| review(&one.record) as i16).collect(),
            has_dispute: meetings.iter().map(|one| !one.record.disputes.is_empty()).collect(),
            report_counts: meetings.iter().map(|one| one.record.report_count).collect(),
            source_counts: meetings.iter().map(|one| one.record.independent_source_count).collect(),
            delete_times: meetings.iter().map(|one| time(one.record.delete_time.as_ref())).collect(),
        }
    }
}
