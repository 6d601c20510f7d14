//! The record of a meeting as derived from its reports, and its views.

pub mod matching;
pub mod merge;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use prost::Message;
use uuid::Uuid;

use super::{
    evidence::mean_share,
    resource::Collection,
    settle::{self, Settled, SourceReport, fragile_of_one_source, has_one_source, settle, unite_within},
    statement::{participation_ids, retain_participating},
    time::{dates, spans},
};
use crate::pb::{
    Account, Dispute, Meeting, Omission, Participation, Place, Report, date_span::Extent, dispute, meeting::Review,
    participation::Presence,
};

/// Limit of reports of a meeting, rulings included.
pub const MAX_REPORTS: usize = 1_000;
/// Limit of the total size of the reports of a meeting, in bytes.
pub const MAX_REPORT_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of the name of a report in a dispute: `reports/{uuid}`, with tag and length. The lengths of the value and of
/// the dispute around it grow with it, by less than a byte a name; that is counted in full.
const REPORT_NAME_BYTES: usize = 48;
/// Maximum bytes of `omission` in a meeting, and of the growth of the lengths of `account` and of the messages around
/// it.
pub(super) const OMISSION_BYTES: usize = 64;

/// Derives the fields of a meeting from its active reports: the account (without the parts that [`full`] adds), the
/// disputes, the fragile fields, the counts and the review. `sources` are the reports of articles.
pub fn settle_on(meeting: &mut Meeting, sources: &[SourceReport<'_>], rulings: &[&Report]) {
    let Settled { account, disputes, fragile_fields } = settle(sources, rulings);
    meeting.account = Some(account);
    meeting.disputes = disputes;
    meeting.fragile_fields = fragile_fields;
    meeting.settle_version = settle::VERSION;
    let articles: BTreeSet<&str> = sources.iter().map(|source| source.report.article.as_str()).collect();
    let origins: BTreeSet<_> = sources.iter().map(|source| source.origin).collect();
    // At most 1,000 of each: the numbers fit.
    meeting.report_count = sources.len() as i32;
    meeting.article_count = articles.len() as i32;
    meeting.independent_source_count = origins.len() as i32;
    meeting.evidence_coverage = mean_share(sources.iter().map(|source| source.report.evidence_coverage));
    let published: Option<NaiveDate> = sources.iter().filter_map(|source| source.publish_date).min();
    meeting.publish_date = published.map(dates::of_day);
    match (sources.is_empty(), meeting.review()) {
        (true, _) => meeting.set_review(Review::Retracted),
        (false, Review::Unspecified | Review::Retracted) => meeting.set_review(Review::Unreviewed),
        (false, Review::Unreviewed | Review::Reviewed) => {}
    }
}

/// The meeting in the FULL view: adds the statements, outcomes and links of its reports, the reports of each disputed
/// value, and the fragile fields of a meeting with one source. Speakers and addressees are limited to participations of the meeting, because a ruling can remove
/// some.
///
/// The result has at most `max_bytes`, unless the meeting itself has more. `omission` counts the parts that do not fit.
/// The names of reports in disputes take at most half of the room.
pub fn full(mut meeting: Meeting, sources: &[SourceReport<'_>], rulings: &[&Report], max_bytes: usize) -> Meeting {
    let room = |meeting: &Meeting| max_bytes.saturating_sub(meeting.encoded_len() + OMISSION_BYTES);
    let fragile_fields = fragile_of_one_source(&meeting);
    // Each has at most 4 bytes besides its text.
    if !fragile_fields.is_empty() && fragile_fields.iter().map(|path| path.len() + 4).sum::<usize>() <= room(&meeting) {
        meeting.fragile_fields = fragile_fields;
    }
    let mut unnamed = 0;
    if !meeting.disputes.is_empty() {
        let max_names = room(&meeting) / 2 / REPORT_NAME_BYTES;
        let (named, left_out) = settle::disputes(sources, rulings, max_names);
        name_reports(&mut meeting.disputes, named);
        unnamed = left_out;
    }
    let room = room(&meeting);
    let account = meeting.account.get_or_insert_default();
    let ids = participation_ids(account);
    let united = unite_within(sources, room, |statement| retain_participating(statement, &ids));
    (account.statements, account.outcomes, account.links) = (united.statements, united.outcomes, united.links);
    let omission = Omission { dispute_report_count: unnamed.try_into().unwrap_or(i32::MAX), ..united.omitted };
    meeting.omission = Some(omission).filter(|omission| *omission != Omission::default());
    meeting
}

/// The bytes of the settled part of a meeting: of all that its reports and its caller decide, without the fields that
/// the service sets in each revision, and without the fragile fields that are not stored.
pub fn settled_bytes(meeting: &Meeting) -> usize {
    let Meeting { name, etag, revision, create_time, update_time, delete_time, fragile_fields, .. } = meeting;
    let own = Meeting {
        name: name.clone(),
        etag: etag.clone(),
        revision: *revision,
        create_time: *create_time,
        update_time: *update_time,
        delete_time: *delete_time,
        fragile_fields: if has_one_source(meeting) { fragile_fields.clone() } else { Vec::new() },
        ..Default::default()
    };
    meeting.encoded_len() - own.encoded_len()
}

/// The meeting without its large fields, if it has more than `max_bytes`. `omission` has its size.
pub fn within(meeting: Meeting, max_bytes: usize) -> Meeting {
    let bytes = meeting.encoded_len();
    if bytes <= max_bytes {
        return meeting;
    }
    let omission = Some(Omission { record_bytes: bytes as i64, ..Default::default() }); // a size in memory: it fits
    Meeting { account: None, omission, ..basic(meeting) }
}

/// Copies the report names of each value from `named`, the disputes as computed from the reports. A value that `named`
/// does not have stays without names: another version of the rule may have stored it.
fn name_reports(disputes: &mut [Dispute], named: Vec<Dispute>) {
    let mut by_field: HashMap<String, Vec<dispute::Value>> =
        named.into_iter().map(|dispute| (dispute.field, dispute.values)).collect();
    for dispute in disputes {
        let Some(mut named) = by_field.remove(&dispute.field) else { continue };
        for value in &mut dispute.values {
            if let Some(named) = named.iter_mut().find(|named| named.value == value.value) {
                value.reports = std::mem::take(&mut named.reports);
            }
        }
    }
}

/// The review state of a meeting. Older releases stored none, which counts as unreviewed.
pub fn review(meeting: &Meeting) -> Review {
    match meeting.review() {
        Review::Unspecified => Review::Unreviewed,
        review => review,
    }
}

/// The meeting in the BASIC view.
pub fn basic(mut meeting: Meeting) -> Meeting {
    meeting.disputes.clear();
    meeting.fragile_fields.clear();
    meeting.merged_reports.clear();
    meeting
}

/// True if a participant takes part: in person, remotely or by a representative.
pub fn takes_part(participation: &Participation) -> bool {
    matches!(participation.presence(), Presence::Present | Presence::Remote | Presence::Represented)
}

/// The regions of the participants who take part, with repetitions.
pub fn regions(account: &Account) -> impl Iterator<Item = &str> {
    let attending = account.participations.iter().filter(|participation| takes_part(participation));
    attending.map(|participation| participation.region_code.as_str()).filter(|code| !code.is_empty())
}

/// True if other participants can meet this one: it takes part in person or remotely.
pub fn is_met(participation: &Participation) -> bool {
    matches!(participation.presence(), Presence::Present | Presence::Remote)
}

/// True if lists include the meeting: it is live, not merged into another, and has an active report.
pub fn is_listed(meeting: &Meeting) -> bool {
    meeting.delete_time.is_none() && meeting.merged_into.is_empty() && review(meeting) != Review::Retracted
}

/// The precision of the start date: 1 year, 2 month, 3 day; 0 if it is unknown. Of an event some time within a span: the
/// shortest of these periods that contains the span; 0 if none does.
pub fn date_precision(account: &Account) -> i16 {
    let date = account.date.as_ref();
    if let Some((first, last)) = date.filter(|date| date.extent() == Extent::SometimeWithin).and_then(dates::span) {
        let period = |day: NaiveDate| (day.year(), day.month());
        return match first.year() == last.year() {
            true => 1 + i16::from(period(first) == period(last)),
            false => 0,
        };
    }
    let start = date.and_then(|date| date.start.as_ref());
    start.filter(|start| dates::first_day(start).is_some()).map_or(0, |start| match (start.month, start.day) {
        (0, _) => 1,
        (_, 0) => 2,
        _ => 3,
    })
}

/// The instant of the beginning; `None` without a full date, a time of day and a time zone.
pub fn start_time(account: &Account) -> Option<DateTime<Utc>> {
    account.date.as_ref().and_then(spans::start_instant)
}

/// The stated numbers of members of its delegations.
pub fn stated_sizes(account: &Account) -> impl Iterator<Item = i32> {
    account.delegations.iter().map(|delegation| delegation.stated_size).filter(|size| *size != 0)
}

/// The external ids of a meeting: scheme and value.
pub fn external_ids(meeting: &Meeting) -> impl Iterator<Item = (&str, &str)> {
    let ids = meeting.account.iter().flat_map(|account| &account.external_ids);
    ids.map(|id| (id.scheme.as_str(), id.value.as_str()))
}

/// The places of an event: its place, then its stops.
pub fn places(account: &Account) -> impl Iterator<Item = &Place> {
    account.place.iter().chain(account.stops.iter().filter_map(|stop| stop.place.as_ref()))
}

/// The participant who announced the meeting, if known.
pub fn announcer(account: &Account) -> Option<Uuid> {
    let id = account.announcement.as_ref()?.participation.as_str();
    let by = account.participations.iter().find(|participation| participation.id == id)?;
    Collection::Participants.id(&by.participant)
}
