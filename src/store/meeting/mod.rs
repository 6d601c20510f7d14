//! Meetings: docs, the columns that queries read, and the index table of the participants that reports name. The other
//! index tables are in `account_index`; `external_ids` has the external ids.

mod external_ids;

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use prost::Message;
use sqlx::{AssertSqlSafe, FromRow as _, PgPool, Row as _, postgres::types::PgRange};
use uuid::Uuid;

pub use self::external_ids::{ExternalIdKey, LinkedMeetings, find_by_external_ids};
pub(super) use self::external_ids::{claim_external_ids, claims as external_id_claims};
use super::{
    Doc, StoreError, Tx,
    account_index::{self, ParticipantRows, ParticipationTerms},
    docs,
    pool::{
        batch_loader::{BATCH_BYTES, BatchResult},
        kept_connections::KeptConnection,
    },
    query::search::{MEETING_LANGUAGE, WordColumns},
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
        evidence::thousandths,
        meeting::{announcer, date_precision, review, start_time, stated_sizes},
        query::filter::Term,
        report::participants,
        resource::{CONTRACT_VERSION, Collection},
        settle::FragileField,
        text::names,
        time::dates,
    },
    pb::{Account, Meeting},
};

/// The meetings with these ids, in no order. Unknown ids are left out.
///
/// # Errors
/// The database fails.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Meetings, ids).await
}

/// The meetings with an older `settle_version`, the oldest versions first: at most `limit`, without the `excluded` ones.
/// Empty if the database is read-only.
///
/// # Errors
/// The database fails.
pub async fn settled_before(
    pool: &PgPool,
    version: i32,
    excluded: &[Uuid],
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar(
        "select id
         from meeting
         where settle_version < $1
           and id <> all($2)
           and not current_setting('transaction_read_only')::boolean
         order by settle_version, id
         limit $3",
    )
    .bind(version)
    .bind(excluded)
    .bind(limit as i64) // a small constant: no overflow
    .fetch_all(pool)
    .await?;
    Ok(ids)
}

/// Stores `settle_version`, `evidence_coverage` and `fragile_fields` of a meeting in its current revision, unless there
/// is a newer revision. No other field of `meeting` may differ from the stored one: the etag stays.
///
/// # Errors
/// The database fails.
pub async fn confirm(pool: &PgPool, id: Uuid, meeting: &Meeting) -> Result<(), StoreError> {
    sqlx::query(
        "update meeting
         set doc = $3,
             contract = $4,
             settle_version = $5,
             evidence_coverage = $6,
             fragile = $7
         where id = $1
           and revision = $2",
    )
    .bind(id)
    .bind(meeting.revision)
    .bind(meeting.encode_to_vec())
    .bind(CONTRACT_VERSION)
    .bind(meeting.settle_version)
    .bind(coverage(meeting))
    .bind(FragileField::bits(meeting))
    .execute(pool)
    .await?;
    Ok(())
}

/// A meeting with its reports.
#[derive(Debug, Clone)]
pub struct MeetingWithReports {
    pub doc: Doc,
    /// Its active reports, rulings included, in the order of ids; empty if they exceed `BATCH_BYTES` together.
    pub reports: Vec<report::ReportRow>,
    /// The total size of its active reports in bytes.
    pub report_bytes: usize,
}

/// The meetings with these ids and their reports, for a batch loader: those past `BATCH_BYTES` are left for a later
/// batch.
pub(super) async fn with_reports(
    mut connection: KeptConnection,
    ids: Vec<Uuid>,
) -> Result<BatchResult<Uuid, MeetingWithReports>, StoreError> {
    // One round trip: a row for each meeting, then one for each report of those that fit. The subquery counts bytes
    // without fetching any TOASTed doc.
    let statement = format!(
        "with counted as materialized (
             select meeting.id, reports.bytes as report_bytes,
                    sum(octet_length(meeting.doc) + reports.bytes) over (order by meeting.id)
                        - octet_length(meeting.doc) - reports.bytes < $2 as fits
             from meeting
             cross join lateral (
                 select coalesce(sum(octet_length(report.doc)), 0) as bytes
                 from report
                 where report.meeting = meeting.id
                   and report.retract_time is null
             ) as reports
             where meeting.id = any($1)
         )
         select counted.report_bytes, meeting.id, meeting.contract, case when counted.fits then meeting.doc end as doc,
                null::uuid as meeting, null::uuid as origin, null::date as publish_from, null::bytea as article_doc,
                0::bigint as groups, '{{}}'::uuid[] as aliases, '{{}}'::uuid[] as aliases_of
         from counted
         join meeting on meeting.id = counted.id
         union all
         select null, reported.*
         from counted
         cross join lateral ({} where report.meeting = counted.id and report.retract_time is null) as reported
         where counted.fits
           and counted.report_bytes between 1 and $2",
        report::ROWS
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(ids).bind(BATCH_BYTES).fetch_all(&mut *connection).await?;
    connection.keep();
    let mut meetings = HashMap::new();
    let mut reports: HashMap<Uuid, Vec<report::ReportRow>> = HashMap::new();
    for row in rows {
        let Some(report_bytes) = row.try_get::<Option<i64>, _>("report_bytes")? else {
            let report = report::ReportRow::from_row(&row)?;
            reports.entry(report.meeting).or_default().push(report);
            continue;
        };
        let (id, contract): (Uuid, i16) = (row.try_get("id")?, row.try_get("contract")?);
        let doc = row.try_get::<Option<Vec<u8>>, _>("doc")?.map(|bytes| Doc { id, contract, bytes });
        let report_bytes = usize::try_from(report_bytes).unwrap_or(0);
        meetings.insert(id, doc.map(|doc| MeetingWithReports { doc, reports: Vec::new(), report_bytes }));
    }
    for (id, mut of_meeting) in reports {
        of_meeting.sort_unstable_by_key(|report| report.doc.id);
        meetings
            .entry(id)
            .and_modify(|meeting| meeting.iter_mut().for_each(|meeting| meeting.reports.append(&mut of_meeting)));
    }
    Ok(meetings)
}

/// Inserts the new meetings, and locks those that are to be replaced.
pub(super) async fn claim(
    tx: Tx<'_>,
    meetings: &[Attributed<'_, Put<Meeting>>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let new: Vec<_> = meetings.iter().copied().filter(|meeting| meeting.replaces.is_none()).collect();
    if !new.is_empty() {
        let inserted = columns(&new)?.insert(&mut *tx).await?;
        let taken = new.iter().filter(|meeting| !inserted.contains(&meeting.id));
        lost.extend(taken.map(|meeting| Claim::Record(Collection::Meetings, meeting.id)));
    }

    let replaced = meetings.iter().filter_map(|meeting| Some((meeting.id, meeting.replaces?))).collect();
    revision::claim(tx, Collection::Meetings, &replaced, lost).await
}

/// Replaces the locked revisions by the next ones, and keeps the former ones as superseded.
pub(super) async fn update(tx: Tx<'_>, meetings: &[Attributed<'_, Put<Meeting>>]) -> Result<(), StoreError> {
    let next: Vec<_> = meetings.iter().copied().filter(|meeting| meeting.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = next.iter().map(|meeting| meeting.id).collect();
    revision::supersede(tx, Collection::Meetings, &ids).await?;
    columns(&next)?.update(&mut *tx).await?;
    account_index::clear(tx, &ids).await?;
    statement::date_if_moved(tx, &ids).await?;
    let settled: Vec<Uuid> =
        next.iter().filter(|meeting| meeting.left_out.is_some()).map(|meeting| meeting.id).collect();
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
    let records: Vec<(Uuid, &Meeting)> = meetings.iter().map(|meeting| (meeting.id, &meeting.record)).collect();
    let mut rows = ParticipantRows::default();
    for meeting in meetings {
        let named: BTreeSet<Uuid> = meeting.record.account.iter().flat_map(participants).collect();
        let settled = named.into_iter().map(|participant| (participant, true));
        let left_out = meeting.left_out.iter().flatten().map(|participant| (*participant, false));
        for (participant, is_settled) in settled.chain(left_out) {
            rows.participants.push(participant);
            rows.meetings.push(meeting.id);
            rows.settled.push(is_settled);
            rows.reported.push(!meeting.unreported.contains(&participant));
        }
    }
    account_index::index(tx, &records, &terms_of(meetings), rows).await
}

fn terms_of<'a>(meetings: &'a [Attributed<'a, Put<Meeting>>]) -> Vec<&'a ParticipationTerms> {
    meetings.iter().map(|meeting| meeting.terms()).collect()
}

fn columns(meetings: &[Attributed<'_, Put<Meeting>>]) -> Result<Columns, StoreError> {
    let ids: Vec<Uuid> = meetings.iter().map(|meeting| meeting.id).collect();
    let records: Vec<&Meeting> = meetings.iter().map(|meeting| &meeting.record).collect();
    let rows = Columns::of("meeting", &ids)?
        .with("revision", "bigint", records.iter().map(|meeting| meeting.revision).collect())?
        .with("contract", "smallint", vec![CONTRACT_VERSION; meetings.len()])?
        .with("doc", "bytea", meetings.iter().map(|meeting| meeting.doc.as_slice()).collect())?;
    Attributions::of(meetings).columns(derived(rows, &records, &terms_of(meetings))?)
}

/// The columns that are derived from the records, for queries.
pub(super) fn derived(
    rows: Columns,
    meetings: &[&Meeting],
    of_parts: &[&ParticipationTerms],
) -> Result<Columns, StoreError> {
    fn column<'a, T>(meetings: &[&'a Meeting], of: impl Fn(&'a Account) -> Option<T>) -> Vec<Option<T>> {
        meetings.iter().map(|meeting| meeting.account.as_ref().and_then(&of)).collect()
    }
    fn all<'a, T>(meetings: &[&'a Meeting], of: impl Fn(&'a Meeting) -> T) -> Vec<T> {
        meetings.iter().map(|meeting| of(meeting)).collect()
    }
    // Unspecified becomes null. The contract's numbers are small.
    let set = |number: i32| i16::try_from(number).ok().filter(|number| *number != 0);
    let text = |text: &'_ str| Some(names::key(text)).filter(|key| !key.is_empty());
    let span = |account: &Account| account.date.as_ref().and_then(dates::span);
    let announced = |account: &Account| account.announcement.as_ref()?.date.as_ref().and_then(dates::span);
    let mut words = WordColumns::default();
    meetings.iter().for_each(|meeting| words.push_meeting(meeting));
    rows.with("kind", "smallint", column(meetings, |account| set(account.kind)))?
        .with("visit_type", "smallint", column(meetings, |account| set(account.visit_type)))?
        .with("status", "smallint", column(meetings, |account| set(account.status)))?
        .with("date_from", "date", column(meetings, |account| span(account).map(|(from, _)| from)))?
        .with("date_to", "date", column(meetings, |account| span(account).map(|(_, to)| to)))?
        .with(
            "date_precision",
            "smallint",
            all(meetings, |meeting| meeting.account.as_ref().map_or(0, date_precision)),
        )?
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
        .with("announce_days", "daterange", column(meetings, |account| announced(account).map(closed_range)))?
        .with(
            "publish_date",
            "date",
            all(meetings, |meeting| meeting.publish_date.as_ref().and_then(dates::first_day)),
        )?
        .with("start_time", "timestamptz", column(meetings, start_time))?
        .with_arrays("terms", "bigint", meetings.iter().zip(of_parts).map(|(meeting, of)| Some(terms(meeting, of))))?
        .with_arrays("delegation_sizes", "integer", meetings.iter().map(|meeting| delegation_sizes(meeting)))?
        .with("has_dispute", "boolean", all(meetings, |meeting| !meeting.disputes.is_empty()))?
        .with("report_count", "integer", all(meetings, |meeting| meeting.report_count))?
        .with("independent_source_count", "integer", all(meetings, |meeting| meeting.independent_source_count))?
        .with("evidence_coverage", "integer", all(meetings, coverage))?
        .with("fragile", "smallint", all(meetings, FragileField::bits))?
        // The contract has few values: the cast cannot overflow.
        .with("review", "smallint", all(meetings, |meeting| review(meeting) as i16))?
        .with(
            "settle_version",
            "smallint",
            all(meetings, |meeting| i16::try_from(meeting.settle_version).unwrap_or(i16::MAX)),
        )?
        .with("merged_into", "uuid", all(meetings, |meeting| Collection::Meetings.id(&meeting.merged_into)))?
        .with("delete_time", "timestamptz", all(meetings, |meeting| time(meeting.delete_time.as_ref())))?
        .with(
            "create_time",
            "timestamptz",
            all(meetings, |meeting| time(meeting.create_time.as_ref()).unwrap_or_default()),
        )?
        .input("search_language", "text", vec![MEETING_LANGUAGE; meetings.len()])?
        .input("literal", "text", words.literals)?
        .input("title", "text", words.titles)?
        .input("words", "text", words.texts)
        .map(|rows| rows.expression("search", SEARCH))
}

/// The column `terms`. The fields of participations are asked by value alone: see `Comparison::OneParticipation`.
fn terms(meeting: &Meeting, participations: &ParticipationTerms) -> Vec<i64> {
    let own = Term::of_meeting(meeting);
    let own = own.iter().flat_map(|term| [term.hash(), term.field_hash()]);
    let all: BTreeSet<i64> = own.chain(participations.hashes()).collect();
    all.into_iter().collect()
}

/// The column `delegation_sizes`.
fn delegation_sizes(meeting: &Meeting) -> Option<Vec<i64>> {
    let sizes: BTreeSet<i64> = meeting.account.iter().flat_map(stated_sizes).map(i64::from).collect();
    (!sizes.is_empty()).then(|| sizes.into_iter().collect())
}
/// The value of the column `search`.
const SEARCH: &str = "search_vector(input.search_language, input.literal, input.title, input.words)";

/// The column `evidence_coverage`.
fn coverage(meeting: &Meeting) -> i32 {
    thousandths(meeting.evidence_coverage) as i32 // at most 1,000: the cast cannot overflow
}

fn closed_range((from, to): (NaiveDate, NaiveDate)) -> PgRange<NaiveDate> {
    PgRange::from(from..=to)
}
