//! Meetings: docs, the columns that queries ask about, and who is named. The other index tables are `participation`'s.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use prost::Message;
use sqlx::{PgPool, postgres::types::PgRange};
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx, docs, participation,
    pool::batch_loader::{BATCH_BYTES, BatchResult},
    report, statement, time,
    write::{
        Claim, Put,
        columns::Columns,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        meeting::{announcer, date_precision, review},
        report::participants,
        resource::{CONTRACT, Collection},
        text::names,
        time::dates,
    },
    pb::{Account, Meeting},
};

/// The meetings of these ids, in no order; those that are not there are left out.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Meetings, ids).await
}

/// The meetings with an older `settle_version`, in the order of their ids: at most `limit`, without `but_for`. Empty if the
/// database is read-only.
pub async fn settled_before(
    pool: &PgPool,
    version: i32,
    but_for: &[Uuid],
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar(
        "select id
         from meeting
         where settle_version < $1
           and id <> all($2)
           and not current_setting('transaction_read_only')::boolean
         order by id
         limit $3",
    )
    .bind(version)
    .bind(but_for)
    .bind(limit as i64) // few: it fits
    .fetch_all(pool)
    .await?;
    Ok(ids)
}

/// Stores the `settle_version` of a meeting in its current revision, unless there is a newer revision. Nothing else of
/// `meeting` may differ from the stored one, which keeps its etag.
pub async fn confirm(pool: &PgPool, id: Uuid, meeting: &Meeting) -> Result<(), StoreError> {
    sqlx::query(
        "update meeting
         set doc = $3, settle_version = $4
         where id = $1
           and revision = $2",
    )
    .bind(id)
    .bind(meeting.revision)
    .bind(meeting.encode_to_vec())
    .bind(meeting.settle_version)
    .execute(pool)
    .await?;
    Ok(())
}

/// A meeting with its reports.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The meeting.
    pub doc: Doc,
    /// Its active reports, rulings among them, in the order of their names; none where they have more than `BATCH_BYTES` together.
    pub reports: Vec<report::ReportRow>,
    /// How many bytes they have together.
    pub report_bytes: usize,
}

/// The meetings of these ids with their reports, as many as a batch may have bytes.
pub(super) async fn whole(pool: PgPool, ids: Vec<Uuid>) -> Result<BatchResult<Uuid, Whole>, StoreError> {
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
    let mut reports: HashMap<Uuid, Vec<report::ReportRow>> = HashMap::with_capacity(with_reports.len());
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
    meetings: &[Attributed<'_, Put<Meeting>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let new: Vec<_> = meetings.iter().copied().filter(|one| one.replaces.is_none()).collect();
    if !new.is_empty() {
        let claimed = rows(&new)?.insert(&mut *tx).await?;
        let taken = new.iter().filter(|one| !claimed.contains(&one.id));
        lost.extend(taken.map(|one| Claim::Record(Collection::Meetings, one.id)));
    }

    let old = meetings.iter().filter_map(|one| Some((one.id, one.replaces?))).collect();
    revision::claim(tx, Collection::Meetings, &old, lost).await
}

/// Puts the next revisions in the place of those that were locked, which are kept as superseded.
pub(super) async fn update(tx: Tx<'_>, meetings: &[Attributed<'_, Put<Meeting>>]) -> Result<(), StoreError> {
    let next: Vec<_> = meetings.iter().copied().filter(|one| one.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = next.iter().map(|one| one.id).collect();
    revision::supersede(tx, Collection::Meetings, &ids).await?;
    rows(&next)?.update(&mut *tx).await?;
    participation::clear(tx, &ids).await?;
    statement::date_if_moved(tx, &ids).await?;
    let settled: Vec<Uuid> = next.iter().filter(|one| one.left_out.is_some()).map(|one| one.id).collect();
    sqlx::query(
        "delete from meeting_participant
         where meeting = any($1)
           and (settled or meeting = any($2))",
    )
    .bind(ids)
    .bind(settled)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Writes the index tables.
pub(super) async fn index(tx: Tx<'_>, meetings: &[Attributed<'_, Put<Meeting>>]) -> Result<(), StoreError> {
    let records: Vec<(Uuid, &Meeting)> = meetings.iter().map(|one| (one.id, &one.record)).collect();
    participation::index(tx, &records).await?;
    let named = |one: &(Uuid, &Meeting)| {
        let (id, account) = (one.0, one.1.account.as_ref());
        let named: BTreeSet<Uuid> = account.into_iter().flat_map(participants).collect();
        named.into_iter().map(move |who| (who, id))
    };
    let left_out = meetings.iter().flat_map(|one| one.left_out.iter().flatten().map(|who| (*who, one.id)));
    let mut rows: Vec<(Uuid, Uuid)> = records.iter().flat_map(named).collect();
    let settled = rows.len();
    rows.extend(left_out);
    if rows.is_empty() {
        return Ok(());
    }
    let (participants, ids): (Vec<Uuid>, Vec<Uuid>) = rows.into_iter().unzip();
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
    Ok(())
}

fn rows(meetings: &[Attributed<'_, Put<Meeting>>]) -> Result<Columns, StoreError> {
    let ids: Vec<Uuid> = meetings.iter().map(|one| one.id).collect();
    let records: Vec<&Meeting> = meetings.iter().map(|one| &one.record).collect();
    let rows = Columns::of("meeting", &ids)?
        .with("revision", "bigint", records.iter().map(|one| one.revision).collect())?
        .with("contract", "smallint", vec![CONTRACT; meetings.len()])?
        .with("doc", "bytea", meetings.iter().map(|one| one.doc.as_slice()).collect())?;
    Attributions::of(meetings).columns(derived(rows, &records)?)
}

/// The columns that queries ask about, made from the records.
pub(super) fn derived(rows: Columns, meetings: &[&Meeting]) -> Result<Columns, StoreError> {
    fn column<'a, T>(meetings: &[&'a Meeting], of: impl Fn(&'a Account) -> Option<T>) -> Vec<Option<T>> {
        meetings.iter().map(|one| one.account.as_ref().and_then(&of)).collect()
    }
    fn all<'a, T>(meetings: &[&'a Meeting], of: impl Fn(&'a Meeting) -> T) -> Vec<T> {
        meetings.iter().map(|one| of(one)).collect()
    }
    // Unspecified is unset; the numbers of the contract are small.
    let set = |number: i32| i16::try_from(number).ok().filter(|number| *number != 0);
    let text = |text: &'_ str| Some(names::key(text)).filter(|key| !key.is_empty());
    let span = |account: &Account| account.date.as_ref().and_then(dates::span);
    let announced = |account: &Account| account.announcement.as_ref()?.date.as_ref().and_then(dates::span);
    rows.with("kind", "smallint", column(meetings, |account| set(account.kind)))?
        .with("status", "smallint", column(meetings, |account| set(account.status)))?
        .with("date_from", "date", column(meetings, |account| span(account).map(|(from, _)| from)))?
        .with("date_to", "date", column(meetings, |account| span(account).map(|(_, to)| to)))?
        .with("date_precision", "smallint", all(meetings, |one| one.account.as_ref().map_or(0, date_precision)))?
        .with(
            "place_region",
            "text",
            column(meetings, |account| {
                account.place.as_ref().map(|place| place.region_code.as_str()).filter(|code| !code.is_empty())
            }),
        )?
        .with("place_locality", "text", column(meetings, |account| text(&account.place.as_ref()?.locality)))?
        .with("announced_by", "text", column(meetings, |account| text(&account.announcement.as_ref()?.by)))?
        .with("announcer", "uuid", column(meetings, announcer))?
        .with("announce_days", "daterange", column(meetings, |account| announced(account).map(closed)))?
        .with("publish_date", "date", all(meetings, |one| one.publish_date.as_ref().and_then(dates::first_day)))?
        .with("has_dispute", "boolean", all(meetings, |one| !one.disputes.is_empty()))?
        .with("report_count", "integer", all(meetings, |one| one.report_count))?
        .with("independent_source_count", "integer", all(meetings, |one| one.independent_source_count))?
        // The values of the contract are few: the number fits.
        .with("review", "smallint", all(meetings, |one| review(one) as i16))?
        .with("settle_version", "smallint", all(meetings, |one| i16::try_from(one.settle_version).unwrap_or(i16::MAX)))?
        .with("merged_into", "uuid", all(meetings, |one| Collection::Meetings.id(&one.merged_into)))?
        .with("delete_time", "timestamptz", all(meetings, |one| time(one.delete_time.as_ref())))?
        .with("create_time", "timestamptz", all(meetings, |one| time(one.create_time.as_ref()).unwrap_or_default()))
}

fn closed((from, to): (NaiveDate, NaiveDate)) -> PgRange<NaiveDate> {
    PgRange::from(from..=to)
}
