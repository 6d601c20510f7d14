//! Meetings: docs, the columns that filters ask about, and the index tables of who, where and what about.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx,
    coalesce::{BATCH_BYTES, Found},
    docs, report, revision, time,
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
pub(super) async fn claim(tx: Tx<'_>, meetings: &[&Put<Meeting>], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let new: Vec<_> = meetings.iter().copied().filter(|one| one.replaces.is_none()).collect();
    if !new.is_empty() {
        let rows = Rows::of(&new);
        let claimed: HashSet<Uuid> = sqlx::query_scalar(
            "insert into meeting (id, revision, contract, doc, kind, status, date_from, date_to, place_region, has_dispute,
                                  report_count, independent_source_count)
             select one.*
             from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::smallint[],
                         $7::date[], $8::date[], $9::text[], $10::boolean[], $11::integer[], $12::integer[])
                      as one (id, revision, contract, doc, kind, status, date_from, date_to, place_region, has_dispute,
                              report_count, independent_source_count)
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
pub(super) async fn update(tx: Tx<'_>, meetings: &[&Put<Meeting>]) -> Result<(), StoreError> {
    let next: Vec<_> = meetings.iter().copied().filter(|one| one.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let rows = Rows::of(&next);
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
             independent_source_count = one.independent_source_count
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::smallint[],
                     $7::date[], $8::date[], $9::text[], $10::timestamptz[], $11::smallint[], $12::boolean[],
                     $13::integer[], $14::integer[])
                  as one (id, revision, contract, doc, kind, status, date_from, date_to, place_region, delete_time,
                          review, has_dispute, report_count, independent_source_count)
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
    .execute(&mut *tx)
    .await?;
    for table in [
        "delete from meeting_participant where meeting = any($1)",
        "delete from meeting_region where meeting = any($1)",
        "delete from meeting_topic where meeting = any($1)",
    ] {
        sqlx::query(table).bind(&rows.ids).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Writes the index tables.
pub(super) async fn index(tx: Tx<'_>, meetings: &[&Put<Meeting>]) -> Result<(), StoreError> {
    fn pairs<T: Ord>(meetings: &[&Put<Meeting>], of: impl Fn(&Account) -> BTreeSet<T>) -> (Vec<T>, Vec<Uuid>) {
        let accounts = meetings.iter().filter_map(|one| Some((one.record.account.as_ref()?, one.id)));
        accounts.flat_map(|(account, id)| of(account).into_iter().map(move |value| (value, id))).unzip()
    }

    let (participants, ids) = pairs(meetings, |account| participants(account).collect());
    if !ids.is_empty() {
        sqlx::query(
            "insert into meeting_participant (participant, meeting)
             select one.participant, one.meeting
             from unnest($1::uuid[], $2::uuid[]) as one (participant, meeting)",
        )
        .bind(participants)
        .bind(ids)
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
    fn of(meetings: &[&'a Put<Meeting>]) -> Self {
        fn column<'a, T>(meetings: &[&'a Put<Meeting>], of: impl Fn(&'a Account) -> Option<T>) -> Vec<Option<T>> {
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
