//! Comparison of spans of time: by equality, and by precision.
//!
//! A time on a full date in a known zone is an instant. Instants compare across zones: 10:00 in Asia/Baku is 06:00 in
//! UTC on the same day, and 03:00 there is 23:00 in UTC on the day before. A time without a zone is compared as
//! written. A zone without a time is ignored.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};

use super::{
    dates::{date_contains, first_day, last_day, of_day, span},
    zones::{Offsets, Zone, instant, last_instant, local, offsets, zone},
};
use crate::pb::{Date, DateSpan, TimeOfDay, date_span::Extent};

/// The time 24:00, which is 00:00 of the next day.
pub const END_OF_DAY: TimeOfDay = TimeOfDay { hours: 24, minutes: 0, seconds: 0, nanos: 0 };

/// Identifies the time that a span denotes. Leaves out the source of the date (`basis`) and the wording (`literal`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpanKey {
    start: Moment,
    end: Moment,
    approximate: bool,
    /// True if the event took place on unknown days within the span.
    is_within: bool,
}

/// One end of a span.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Moment {
    /// Nothing is known beyond the other end.
    Unknown,
    /// A date, which may be partial or unknown.
    Day(Option<Date>),
    /// A time on a date that may be partial or unknown, without a zone.
    Local(Option<Date>, TimeOfDay),
    /// An instant, in UTC.
    Instant(NaiveDateTime),
    /// A time in UTC on a partial or unknown date. If the offset of the zone changes within the date, the list has the
    /// later times, each with the second of Unix time from which it applies.
    Recurring(Option<Date>, NaiveTime, Vec<(i64, NaiveTime)>),
}

impl SpanKey {
    /// A cheap test before [`contains`], on instants only. False: a span with this key cannot contain one with key
    /// `fine`.
    pub fn may_contain(&self, fine: &Self) -> bool {
        let differs = |coarse: &Moment, fine: &Moment| match (coarse, fine) {
            (Moment::Instant(coarse), Moment::Instant(fine)) => coarse != fine,
            _ => false,
        };
        !differs(&self.start, &fine.start) && !differs(&self.end, &fine.end)
    }
}

/// The key of a span. An end that repeats the start is ignored.
pub fn key(span: &DateSpan) -> SpanKey {
    let zone = zone(&span.time_zone);
    let (start, end) = match last(span) {
        Some(end) => {
            let at = |day: Date, time: Option<TimeOfDay>| match time {
                Some(time) => moment(Some(day), time, zone),
                None => Moment::Day(Some(day)),
            };
            (span.start.map_or(Moment::Day(None), |day| at(day, span.start_time)), at(end, span.end_time))
        }
        None => {
            let at = |time: Option<TimeOfDay>| time.map(|time| moment(span.start, time, zone));
            let end = at(span.end_time);
            // The day of an instant depends on the zone, so the key leaves it out.
            let day = if matches!(end, Some(Moment::Instant(_))) { Moment::Unknown } else { Moment::Day(span.start) };
            (at(span.start_time).unwrap_or(day), end.unwrap_or(Moment::Unknown))
        }
    };
    let end = match (&start, end) {
        (Moment::Instant(start), Moment::Instant(end)) => Moment::Instant(not_before(*start, end, span, zone)),
        (_, end) => end,
    };
    SpanKey { start, end, approximate: span.approximate, is_within: is_within(span) }
}

/// True if the event took place some time within a span of several dates. A single partial date says the same in any
/// case: the event took place some time in that month or year.
fn is_within(span: &DateSpan) -> bool {
    span.extent() == Extent::SometimeWithin && last(span).is_some()
}

/// The instant at which a span starts; `None` without a full date, a time and a known zone.
pub fn start_instant(span: &DateSpan) -> Option<DateTime<Utc>> {
    match moment(span.start, span.start_time?, zone(&span.time_zone)) {
        Moment::Instant(instant) => Some(instant.and_utc()),
        _ => None,
    }
}

/// The last date, if it differs from the first.
fn last(span: &DateSpan) -> Option<Date> {
    span.end.filter(|end| Some(*end) != span.start)
}

/// The instant at which a span ends. If the time occurs twice that day and the earlier instant is before the start, it
/// is the later one.
fn not_before(start: NaiveDateTime, end: NaiveDateTime, span: &DateSpan, zone: Option<Zone>) -> NaiveDateTime {
    let later = || Some(last_instant(date_time(last(span).or(span.start)?, span.end_time?)?, zone?));
    if end < start { later().unwrap_or(end) } else { end }
}

fn moment(day: Option<Date>, time: TimeOfDay, zone: Option<Zone>) -> Moment {
    let Some(zone) = zone else { return Moment::Local(day, time) };
    if let Some(at) = day.and_then(|day| date_time(day, time)) {
        return Moment::Instant(instant(at, zone));
    }
    let Some(clock) = naive(time) else { return Moment::Local(day, time) };
    let Offsets { first, others } = known_offsets(day, zone);
    let utc = |offset: i32| clock.overflowing_sub_signed(chrono::TimeDelta::seconds(offset.into())).0;
    Moment::Recurring(day, utc(first), others.into_iter().map(|(from, offset)| (from, utc(offset))).collect())
}

/// The offsets of a zone on the days that a date covers. For an unknown date those from 1970 on, because the time zone
/// database does not claim to be right for earlier times.
fn known_offsets(day: Option<Date>, zone: Zone) -> Offsets {
    const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day");
    const LAST: NaiveDate = NaiveDate::from_ymd_opt(2099, 12, 31).expect("a day");
    let (first, last) = day.map_or((None, None), |day| (first_day(&day), last_day(&day)));
    offsets(zone, first.unwrap_or(FIRST), last.unwrap_or(LAST))
}

/// Combines a date and a time. `None` if the date is partial.
fn date_time(day: Date, time: TimeOfDay) -> Option<NaiveDateTime> {
    if day.day == 0 {
        return None;
    }
    match time == END_OF_DAY {
        true => Some(first_day(&day)?.succ_opt()?.into()),
        false => Some(first_day(&day)?.and_time(naive(time)?)),
    }
}

fn naive(time: TimeOfDay) -> Option<NaiveTime> {
    let part = |number: i32| u32::try_from(number).ok();
    NaiveTime::from_hms_nano_opt(part(time.hours)?, part(time.minutes)?, part(time.seconds)?, part(time.nanos)?)
}

/// True if a span on a single full date ends before it starts. If clocks are put back that day, an earlier time can be
/// a later instant.
pub fn ends_before_it_starts(span: &DateSpan) -> bool {
    let (Some(day), None, Some(start), Some(end)) = (span.start, last(span), span.start_time, span.end_time) else {
        return false;
    };
    let (Some(start), Some(end)) = (date_time(day, start), date_time(day, end)) else { return false };
    end < start && zone(&span.time_zone).is_none_or(|zone| last_instant(end, zone) < instant(start, zone))
}

/// True if `fine` agrees with `coarse` and is more precise: it has a finer date, a time of day or a zone, or it is not
/// approximate. No span contains itself. A span without a start neither contains another nor is contained.
///
/// The relation is one of precision, not of bounds: 2020-08 contains 2020-08-24 and also 2020-08-24 to 2020-08-27. A
/// visit from 2020-08-24 to 2020-08-27 does not contain talks on 2020-08-24: these two contradict each other. Bounds
/// count for events some time within a span: October to December contains 2020-11-05, and also November.
///
/// A day is a day in the zone of the span: "on the 4th, Asia/Baku" contains 23:00 in UTC on the 3rd.
pub fn contains(coarse: &DateSpan, fine: &DateSpan) -> bool {
    if is_within(coarse) || is_within(fine) {
        return contains_within(coarse, fine);
    }
    let zones = (zone(&coarse.time_zone), zone(&fine.time_zone));
    let (Some(coarse_zone), Some(fine_zone)) = zones else { return is_finer(coarse, fine) };
    if coarse_zone == fine_zone || !is_zoned(fine) {
        return is_finer(coarse, fine);
    }
    match in_zone(fine, fine_zone, coarse_zone) {
        Some(converted) if is_finer(coarse, &converted) => true,
        Some(_) if !is_zoned(coarse) => false,
        _ => {
            let converted = in_zone(coarse, coarse_zone, fine_zone);
            is_finer(coarse, fine) || converted.is_some_and(|coarse| is_finer(&coarse, fine))
        }
    }
}

/// [`contains`] if one of the events took place some time within its span. Times and zones are not compared: a time
/// within a day does not change that day.
fn contains_within(coarse: &DateSpan, fine: &DateSpan) -> bool {
    let (Some(outer), Some(inner)) = (span(coarse), span(fine)) else { return false };
    let is_inside = outer.0 <= inner.0 && inner.1 <= outer.1;
    // Of two that are known to their bounds, the narrower is finer. A month or year without a time is such a one, too.
    let is_period = last(coarse).is_none() && coarse.start_time.is_none() && coarse.end_time.is_none();
    is_inside && if is_within(fine) { outer != inner && (is_within(coarse) || is_period) } else { true }
}

/// [`contains`] for spans of the same zone.
fn is_finer(coarse: &DateSpan, fine: &DateSpan) -> bool {
    let (Some(coarse_ends), Some(fine_ends)) = (ends(coarse), ends(fine)) else { return false };
    let both = || coarse_ends.iter().zip(&fine_ends);
    let agrees = |(coarse, fine): (&SpanEnd, &SpanEnd)| match coarse.day == fine.day {
        true => coarse.time.is_none() || coarse.time == fine.time,
        false => date_contains(&coarse.day, &fine.day),
    };
    let needs_zone = both().any(|(coarse, fine)| coarse.day == fine.day && coarse.time.is_some()) && is_zoned(coarse);
    if !both().all(agrees) || (needs_zone && !(is_zoned(fine) && same_zone(coarse, fine))) {
        return false;
    }
    let has_finer_day = both().any(|(coarse, fine)| coarse.day != fine.day);
    has_finer_day || ((coarse.approximate || !fine.approximate) && key(coarse) != key(fine))
}

/// One end of a span: its date, and the time of day on it.
struct SpanEnd {
    day: Date,
    time: Option<TimeOfDay>,
}

fn ends(span: &DateSpan) -> Option<[SpanEnd; 2]> {
    let start = span.start?;
    Some([
        SpanEnd { day: start, time: span.start_time },
        SpanEnd { day: span.end.unwrap_or(start), time: span.end_time },
    ])
}

/// True if the span has a time in a zone.
fn is_zoned(span: &DateSpan) -> bool {
    !span.time_zone.is_empty() && (span.start_time.is_some() || span.end_time.is_some())
}

fn same_zone(left: &DateSpan, right: &DateSpan) -> bool {
    let offsets = |span: &DateSpan| zone(&span.time_zone).map(|zone| known_offsets(None, zone));
    left.time_zone == right.time_zone || offsets(left) == offsets(right)
}

/// Converts a span from its zone to another. `None` if it has no time, or a time that cannot be converted.
fn in_zone(span: &DateSpan, from: Zone, to: Zone) -> Option<DateSpan> {
    if !is_zoned(span) {
        return None;
    }
    let start = span.start?;
    let end = last(span).unwrap_or(start);
    let (start, start_time) = end_in_zone(start, span.start_time, from, to)?;
    let (end, end_time) = end_in_zone(end, span.end_time, from, to)?;
    let (start, end) = match (start_time, end_time, last(span)) {
        // The date of a span on a single day follows its time.
        (Some(_), None, None) => (start, start),
        (None, Some(_), None) => (end, end),
        _ => (start, end),
    };
    Some(DateSpan { start: Some(start), end: Some(end), start_time, end_time, time_zone: to.name(), ..span.clone() })
}

/// Converts one end of a span. Without a time, the date stays as it is.
fn end_in_zone(day: Date, time: Option<TimeOfDay>, from: Zone, to: Zone) -> Option<(Date, Option<TimeOfDay>)> {
    let Some(time) = time else { return Some((day, None)) };
    if let Some(at) = date_time(day, time) {
        let at = local(instant(at, from), to);
        return Some((of_day(at.date()), Some(of_time(at.time()))));
    }
    let (from, to) = (known_offsets(Some(day), from), known_offsets(Some(day), to));
    let is_constant = from.others.is_empty() && to.others.is_empty();
    let difference = chrono::TimeDelta::seconds(i64::from(to.first) - i64::from(from.first));
    let time = naive(time).filter(|_| is_constant)?.overflowing_add_signed(difference).0;
    Some((day, Some(of_time(time))))
}

fn of_time(time: NaiveTime) -> TimeOfDay {
    // Parts of a time of day are small: the numbers fit.
    let [hours, minutes, seconds, nanos] =
        [time.hour(), time.minute(), time.second(), time.nanosecond()].map(|part| part as i32);
    TimeOfDay { hours, minutes, seconds, nanos }
}

#[cfg(test)]
mod tests;
