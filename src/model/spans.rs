//! Comparing spans of time: equality, and precision.
//!
//! A time on a full date in a known zone is an instant. Instants compare across zones: 10:00 in Asia/Baku is 06:00 in UTC
//! on the same day, and 03:00 there is 23:00 in UTC on the day before. A time without a zone compares as it stands. A
//! zone without a time is ignored.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use chrono_tz::Tz;

use super::{
    dates::{date_contains, first_day, last_day, of_day},
    zones::{Offsets, instant, last_instant, local, offsets, zone},
};
use crate::pb::{Date, DateSpan, TimeOfDay};

/// Identifies the time that a span means. It leaves out how that is known (`basis`) and the words (`literal`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    start: Moment,
    end: Moment,
    approximate: bool,
}

/// One end of a span.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Moment {
    /// The other end has all that is known.
    Unknown,
    /// A date, which may be partial or unknown.
    Day(Option<Date>),
    /// A time on such a date, without a zone.
    Local(Option<Date>, TimeOfDay),
    /// In UTC.
    Instant(NaiveDateTime),
    /// A time in UTC on a date that is not full. Where the zone's offset changes meanwhile, the later times follow, each
    /// with the second of Unix time from which it applies.
    Recurring(Option<Date>, NaiveTime, Vec<(i64, NaiveTime)>),
}

impl Key {
    /// Whether a span with this key can contain one with key `fine`. Cheaper than `contains`: it compares only instants.
    pub fn may_contain(&self, fine: &Self) -> bool {
        let is_other = |coarse: &Moment, fine: &Moment| match (coarse, fine) {
            (Moment::Instant(coarse), Moment::Instant(fine)) => coarse != fine,
            _ => false,
        };
        !is_other(&self.start, &fine.start) && !is_other(&self.end, &fine.end)
    }
}

/// The key of a span. An end that repeats the start is ignored.
pub fn key(span: &DateSpan) -> Key {
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
    Key { start, end, approximate: span.approximate }
}

/// The last day, if it differs from the first.
fn last(span: &DateSpan) -> Option<Date> {
    span.end.filter(|end| Some(*end) != span.start)
}

/// The instant at which a span ends. If the time occurs twice that day, it is the later one where the earlier one is before
/// the start.
fn not_before(start: NaiveDateTime, end: NaiveDateTime, span: &DateSpan, zone: Option<Tz>) -> NaiveDateTime {
    let again = || Some(last_instant(date_time(last(span).or(span.start)?, span.end_time?)?, zone?));
    if end < start { again().unwrap_or(end) } else { end }
}

fn moment(day: Option<Date>, time: TimeOfDay, zone: Option<Tz>) -> Moment {
    let (Some(zone), Some(clock)) = (zone, naive(time)) else { return Moment::Local(day, time) };
    if let Some(at) = day.and_then(|day| date_time(day, time)) {
        return Moment::Instant(instant(at, zone));
    }
    let Offsets { first, others } = known_offsets(day, zone);
    let utc = |offset: i32| clock.overflowing_sub_signed(chrono::TimeDelta::seconds(offset.into())).0;
    Moment::Recurring(day, utc(first), others.into_iter().map(|(from, offset)| (from, utc(offset))).collect())
}

/// The offsets of a zone on the days that a date covers. For an unknown date they are those from 1970 on, since the time
/// zone database does not claim to be right for earlier times.
fn known_offsets(day: Option<Date>, zone: Tz) -> Offsets {
    const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day");
    const LAST: NaiveDate = NaiveDate::from_ymd_opt(2099, 12, 31).expect("a day");
    let (first, last) = day.map_or((None, None), |day| (first_day(&day), last_day(&day)));
    offsets(zone, first.unwrap_or(FIRST), last.unwrap_or(LAST))
}

/// A time on a date, if the date is full.
fn date_time(day: Date, time: TimeOfDay) -> Option<NaiveDateTime> {
    if day.day == 0 {
        return None;
    }
    Some(first_day(&day)?.and_time(naive(time)?))
}

fn naive(time: TimeOfDay) -> Option<NaiveTime> {
    let part = |number: i32| u32::try_from(number).ok();
    NaiveTime::from_hms_nano_opt(part(time.hours)?, part(time.minutes)?, part(time.seconds)?, part(time.nanos)?)
}

/// Whether a span on a single full date ends before it starts. If clocks are put back that day, an earlier time can be a
/// later instant.
pub fn ends_before_it_starts(span: &DateSpan) -> bool {
    let (Some(day), None, Some(start), Some(end)) = (span.start, last(span), span.start_time, span.end_time) else {
        return false;
    };
    let (Some(start), Some(end)) = (date_time(day, start), date_time(day, end)) else { return false };
    end < start && zone(&span.time_zone).is_none_or(|zone| last_instant(end, zone) < instant(start, zone))
}

/// Whether `fine` agrees with `coarse` and is more precise: a date of it is finer, it has a time of day or a zone, or it is
/// not approximate. No span contains itself, and none without a start contains or is contained.
///
/// It is a matter of precision, not of extent: 2020-08 contains 2020-08-24 and 2020-08-24 to 2020-08-27, but
/// the visit from 2020-08-24 to 2020-08-27 does not contain talks on 2020-08-24. These contradict each other.
///
/// A day is a day of the span's zone: "on the 4th, Asia/Baku" contains 23:00 in UTC on the 3rd.
pub fn contains(coarse: &DateSpan, fine: &DateSpan) -> bool {
    let (here, there) = (zone(&coarse.time_zone), zone(&fine.time_zone));
    let (Some(here), Some(there)) = (here, there) else { return is_finer(coarse, fine) };
    if here == there || !is_zoned(fine) {
        return is_finer(coarse, fine);
    }
    match in_zone(fine, there, here) {
        Some(fine_here) if is_finer(coarse, &fine_here) => true,
        Some(_) if !is_zoned(coarse) => false,
        _ => is_finer(coarse, fine) || in_zone(coarse, here, there).is_some_and(|coarse| is_finer(&coarse, fine)),
    }
}

/// The same for spans of one zone.
fn is_finer(coarse: &DateSpan, fine: &DateSpan) -> bool {
    let (Some(coarse_ends), Some(fine_ends)) = (ends(coarse), ends(fine)) else { return false };
    let both = || coarse_ends.iter().zip(&fine_ends);
    let holds = |(coarse, fine): (&End, &End)| match coarse.day == fine.day {
        true => coarse.time.is_none() || coarse.time == fine.time,
        false => date_contains(&coarse.day, &fine.day),
    };
    let has_zone = both().any(|(coarse, fine)| coarse.day == fine.day && coarse.time.is_some()) && is_zoned(coarse);
    if !both().all(holds) || (has_zone && !(is_zoned(fine) && same_zone(coarse, fine))) {
        return false;
    }
    let is_of_finer_day = both().any(|(coarse, fine)| coarse.day != fine.day);
    is_of_finer_day || ((coarse.approximate || !fine.approximate) && key(coarse) != key(fine))
}

/// A day of a span, and the time on it.
struct End {
    day: Date,
    time: Option<TimeOfDay>,
}

fn ends(span: &DateSpan) -> Option<[End; 2]> {
    let start = span.start?;
    Some([End { day: start, time: span.start_time }, End { day: span.end.unwrap_or(start), time: span.end_time }])
}

/// Whether the span has a time in a zone.
fn is_zoned(span: &DateSpan) -> bool {
    !span.time_zone.is_empty() && (span.start_time.is_some() || span.end_time.is_some())
}

fn same_zone(one: &DateSpan, other: &DateSpan) -> bool {
    let of = |span: &DateSpan| zone(&span.time_zone).map(|zone| known_offsets(None, zone));
    one.time_zone == other.time_zone || of(one) == of(other)
}

/// Converts a span from its zone to another. `None` if it has no time, or none that can be converted.
fn in_zone(span: &DateSpan, from: Tz, to: Tz) -> Option<DateSpan> {
    if !is_zoned(span) {
        return None;
    }
    let start = span.start?;
    let end = last(span).unwrap_or(start);
    let (start, start_time) = there(start, span.start_time, from, to)?;
    let (end, end_time) = there(end, span.end_time, from, to)?;
    let (start, end) = match (start_time, end_time, last(span)) {
        // A single day is the day of its time.
        (Some(_), None, None) => (start, start),
        (None, Some(_), None) => (end, end),
        _ => (start, end),
    };
    Some(DateSpan {
        start: Some(start),
        end: Some(end),
        start_time,
        end_time,
        time_zone: to.name().into(),
        ..span.clone()
    })
}

fn there(day: Date, time: Option<TimeOfDay>, from: Tz, to: Tz) -> Option<(Date, Option<TimeOfDay>)> {
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
    // Parts of a day are small: the numbers fit.
    let [hours, minutes, seconds, nanos] =
        [time.hour(), time.minute(), time.second(), time.nanosecond()].map(|part| part as i32);
    TimeOfDay { hours, minutes, seconds, nanos }
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*, sample::select};

    use super::*;

    /// A span by its parts: `2020-09-04`, `2020-09` or nothing, `10:00` or nothing, and a zone or nothing.
    fn span(days: [&str; 2], times: [&str; 2], zone: &str) -> DateSpan {
        let day = |text: &str| {
            let mut parts = text.split('-').map(|part| part.parse().expect("a number"));
            let mut next = || parts.next().unwrap_or_default();
            (!text.is_empty()).then(|| Date { year: next(), month: next(), day: next() })
        };
        let time = |text: &str| {
            let (hours, minutes) = text.split_once(':')?;
            let part = |text: &str| text.parse().expect("a number");
            Some(TimeOfDay { hours: part(hours), minutes: part(minutes), ..Default::default() })
        };
        DateSpan {
            start: day(days[0]),
            end: day(days[1]),
            start_time: time(times[0]),
            end_time: time(times[1]),
            time_zone: zone.into(),
            ..Default::default()
        }
    }

    fn on(day: &str, time: &str, zone: &str) -> DateSpan {
        span([day, ""], [time, ""], zone)
    }

    fn from_to(day: &str, times: [&str; 2], zone: &str) -> DateSpan {
        span([day, ""], times, zone)
    }

    #[test]
    fn keys_are_equal_for_equal_instants() {
        for (one, other) in [
            (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "6:00", "UTC")),
            (on("2020-09-04", "3:00", "Asia/Baku"), on("2020-09-03", "23:00", "UTC")),
            (on("2020-12-31", "20:00", "America/New_York"), on("2021-01-01", "1:00", "GMT")),
            (on("2015-07-01", "10:00", "Asia/Baku"), on("2015-07-01", "5:00", "Zulu")),
            (
                from_to("2020-09-04", ["3:00", "5:00"], "Asia/Baku"),
                span(["2020-09-03", "2020-09-04"], ["23:00", "1:00"], "UTC"),
            ),
            (from_to("2020-09-04", ["", "3:00"], "Asia/Baku"), from_to("2020-09-03", ["", "23:00"], "UTC")),
            (
                span(["2020-09-04", "2020-09-06"], ["3:00", ""], "Asia/Baku"),
                span(["2020-09-03", "2020-09-06"], ["23:00", ""], "UTC"),
            ),
            // Partial and unknown dates.
            (on("2020-09", "10:00", "Asia/Baku"), on("2020-09", "6:00", "UTC")),
            (on("2020", "10:00", "Europe/Kiev"), on("2020", "10:00", "Europe/Kyiv")),
            (on("2020", "10:00", "Europe/Kyiv"), on("2020", "9:00", "Europe/Berlin")),
            (on("", "10:00", "Asia/Calcutta"), on("", "10:00", "Asia/Kolkata")),
            (on("", "10:00", "GMT"), on("", "10:00", "Etc/UTC")),
            (on("", "10:00", "US/Eastern"), on("", "10:00", "America/New_York")),
            // A zone without a time, and an end that repeats the start.
            (on("2020-09-04", "", "Asia/Baku"), on("2020-09-04", "", "")),
            (span(["2020-09-04", "2020-09-04"], ["3:00", ""], "Asia/Baku"), on("2020-09-03", "23:00", "UTC")),
            // Clocks that are put back, and forward.
            (from_to("2020-10-25", ["2:50", "2:10"], "Europe/Berlin"), from_to("2020-10-25", ["0:50", "1:10"], "UTC")),
            (on("2020-03-29", "2:30", "Europe/Berlin"), on("2020-03-29", "1:30", "UTC")),
        ] {
            assert_eq!(key(&one), key(&other), "{one:?} {other:?}");
            assert!(!contains(&one, &other) && !contains(&other, &one), "{one:?} {other:?}");
        }
    }

    #[test]
    fn keys_differ_for_other_instants() {
        for (one, other) in [
            (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "10:00", "UTC")),
            (on("2020-09-04", "3:00", "Asia/Baku"), on("2020-09-04", "23:00", "UTC")),
            (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "10:00", "")),
            (on("2020-09-04", "6:00", ""), on("2020-09-04", "6:00", "UTC")),
            (on("2020", "10:00", "Europe/Kyiv"), on("2020", "10:00", "Europe/Berlin")),
            (on("2020", "10:00", "Europe/Berlin"), on("2020", "9:00", "UTC")),
            (on("2020-09", "10:00", "Asia/Baku"), on("2020-10", "6:00", "UTC")),
            (on("", "10:00", "Asia/Baku"), on("", "6:00", "UTC")),
            (on("2020-09-04", "0:00", "UTC"), on("2020-09-04", "", "UTC")),
        ] {
            assert_ne!(key(&one), key(&other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn contains_compares_precision_and_not_extent() {
        let august = on("2020-8", "", "");
        let visit = span(["2020-8-24", "2020-8-27"], ["", ""], "");
        let talks = on("2020-8-24", "", "");
        let at_two = on("2020-8-24", "14:00", "");
        let about = DateSpan { approximate: true, ..talks.clone() };
        assert!(contains(&august, &visit) && contains(&august, &talks));
        assert!(!contains(&visit, &talks) && !contains(&talks, &visit));
        assert!(contains(&talks, &at_two) && !contains(&at_two, &talks));
        assert!(contains(&about, &talks) && !contains(&talks, &about));
        assert!(contains(&august, &about) && !contains(&at_two, &about));
    }

    #[test]
    fn contains_compares_across_zones() {
        for (coarse, fine) in [
            (on("2020-09-04", "", "Asia/Baku"), on("2020-09-03", "23:00", "UTC")),
            (on("2020-09-04", "", "Asia/Baku"), on("2020-09-04", "3:00", "Asia/Baku")),
            (on("2020-09-04", "10:00", ""), on("2020-09-04", "10:00", "Asia/Baku")),
            (on("2020-09-03", "23:00", "UTC"), from_to("2020-09-04", ["3:00", "5:00"], "Asia/Baku")),
            (on("2020-09-04", "3:00", "Asia/Baku"), span(["2020-09-03", "2020-09-04"], ["23:00", "1:00"], "UTC")),
            (on("2020-09", "10:00", "Asia/Baku"), from_to("2020-09", ["6:00", "7:00"], "UTC")),
            (on("2020", "10:00", "Europe/Kiev"), from_to("2020", ["10:00", "11:00"], "Europe/Kyiv")),
            (on("2020-09", "", "Asia/Baku"), on("2020-08-31", "22:00", "UTC")),
            (on("2020", "", "Asia/Baku"), on("2020", "10:00", "Europe/Berlin")),
        ] {
            assert!(contains(&coarse, &fine), "{coarse:?} {fine:?}");
            assert!(!contains(&fine, &coarse), "{coarse:?} {fine:?}");
            assert!(key(&coarse).may_contain(&key(&fine)));
        }
        for (one, other) in [
            (on("2020-09-04", "", "Asia/Baku"), on("2020-09-04", "22:00", "UTC")),
            (on("2020-09-04", "10:00", ""), on("2020-09-04", "6:00", "UTC")),
            (on("2020-09-04", "10:00", "UTC"), from_to("2020-09-04", ["10:00", "11:00"], "Asia/Baku")),
        ] {
            assert!(!contains(&one, &other) && !contains(&other, &one), "{one:?} {other:?}");
        }
    }

    #[test]
    fn only_a_single_full_date_ends_before_it_starts() {
        let night = ["22:00", "2:00"];
        for (days, zone, expected) in [
            (["2020-09-04", ""], "", true),
            (["2020-09-04", "2020-09-04"], "Asia/Baku", true),
            (["2020-09-04", "2020-09-05"], "", false),
            (["2020-09", ""], "", false),
            (["2020-09", "2020-09"], "", false),
            (["2020", ""], "Asia/Baku", false),
            (["", ""], "", false),
            (["2020-09-04", "2020-09"], "", false),
        ] {
            assert_eq!(ends_before_it_starts(&span(days, night, zone)), expected, "{days:?}");
        }
        let put_back = |zone| from_to("2020-10-25", ["2:50", "2:10"], zone);
        assert!(!ends_before_it_starts(&put_back("Europe/Berlin")));
        assert!(ends_before_it_starts(&put_back("Asia/Baku")) && ends_before_it_starts(&put_back("")));
        assert!(!ends_before_it_starts(&from_to("2020-03-29", ["2:30", "3:10"], "Europe/Berlin")));
    }

    fn any_span() -> impl Strategy<Value = DateSpan> {
        let day = || {
            (2020..2022, 0..4, 0..3).prop_map(|(year, month, day)| Date {
                year,
                month,
                day: if month == 0 { 0 } else { day },
            })
        };
        let time = || option::of((0..2).prop_map(|hours| TimeOfDay { hours, ..Default::default() }));
        let zone = select(vec!["", "UTC", "GMT", "Asia/Baku", "Europe/Berlin", "Europe/Paris", "America/New_York"]);
        (option::of(day()), option::of(day()), time(), time(), any::<bool>(), zone).prop_map(
            |(start, end, start_time, end_time, approximate, zone)| DateSpan {
                start,
                end,
                start_time,
                end_time,
                approximate,
                time_zone: zone.into(),
                ..Default::default()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn contains_is_a_strict_order_without_zones(a in any_span(), b in any_span(), c in any_span()) {
            let [a, b, c] = [a, b, c].map(|span| DateSpan { time_zone: String::new(), ..span });
            prop_assert!(!contains(&a, &a));
            prop_assert!(!(contains(&a, &b) && contains(&b, &a)));
            prop_assert!(!(contains(&a, &b) && contains(&b, &c)) || contains(&a, &c));
        }

        #[test]
        fn contains_has_no_cycle(a in any_span(), b in any_span(), c in any_span()) {
            prop_assert!(!contains(&a, &a));
            prop_assert!(!(contains(&a, &b) && contains(&b, &a)));
            prop_assert!(!(contains(&a, &b) && contains(&b, &c) && contains(&c, &a)));
        }

        #[test]
        fn contains_holds_only_when_the_keys_allow_it(a in any_span(), b in any_span()) {
            prop_assert!(!contains(&a, &b) || key(&a) != key(&b) && key(&a).may_contain(&key(&b)));
        }

        #[test]
        fn a_span_has_the_same_key_in_every_zone(
            day in 0i64..40_000, times in (0i64..86_400, option::of(0i64..86_400)), zones in select(chrono_tz::TZ_VARIANTS.to_vec()).prop_flat_map(|zone| (Just(zone), select(chrono_tz::TZ_VARIANTS.to_vec())))
        ) {
            // Times from 1970 on that are unambiguous in both zones.
            let at = |seconds: i64| chrono::DateTime::from_timestamp(day * 86_400 + seconds, 0).expect("in range").naive_utc();
            let (start, end) = (at(times.0), times.1.map(|lasting| at(times.0 + lasting)));
            let is_unambiguous = |at: NaiveDateTime, zone| instant(local(at, zone), zone) == at;
            prop_assume!([zones.0, zones.1].iter().all(|zone| is_unambiguous(start, *zone) && end.is_none_or(|end| is_unambiguous(end, *zone))));
            let in_zone = |zone: Tz| {
                let (start, end) = (local(start, zone), end.map(|end| local(end, zone)));
                DateSpan {
                    start: Some(of_day(start.date())),
                    end: end.map(|end| of_day(end.date())),
                    start_time: Some(of_time(start.time())),
                    end_time: end.map(|end| of_time(end.time())),
                    time_zone: zone.name().into(),
                    ..Default::default()
                }
            };
            let (one, other) = (in_zone(zones.0), in_zone(zones.1));
            prop_assert_eq!(key(&one), key(&other));
            prop_assert!(!contains(&one, &other) && !contains(&other, &one));
        }
    }
}
