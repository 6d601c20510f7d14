//! Converts between instants and local times in zones of the IANA time zone database, and in zones of a fixed offset.
//!
//! The database has several names for one zone: Asia/Calcutta links to Asia/Kolkata. Zones compare by their offsets, so
//! links need no table.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use chrono::{Days, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The offsets of fixed zones, in minutes east of UTC: those that clocks have.
const MIN_OFFSET_MINUTES: i32 = -12 * 60;
const MAX_OFFSET_MINUTES: i32 = 14 * 60;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// A zone of the IANA time zone database.
    Named(Tz),
    /// A zone whose clocks always have this offset.
    Fixed(FixedOffset),
}

impl Zone {
    /// The name that [`zone`] takes.
    pub fn name(self) -> String {
        match self {
            Self::Named(zone) => zone.name().to_owned(),
            Self::Fixed(offset) => offset.to_string(),
        }
    }

    fn offset_from_local(self, local: &NaiveDateTime) -> LocalResult<FixedOffset> {
        match self {
            Self::Named(zone) => zone.offset_from_local_datetime(local).map(|offset| offset.fix()),
            Self::Fixed(offset) => LocalResult::Single(offset),
        }
    }
}

/// The zone with this name: of the IANA time zone database, `Z` for UTC, or an offset from `-12:00` to `+14:00` with
/// hours and minutes (ISO 8601, extended format). Case matters.
pub fn zone(name: &str) -> Option<Zone> {
    if name == "Z" {
        return Some(Zone::Fixed(Utc.fix()));
    }
    match name.starts_with(['+', '-']) {
        true => fixed_offset(name).map(Zone::Fixed),
        false => name.parse().ok().map(Zone::Named),
    }
}

fn fixed_offset(name: &str) -> Option<FixedOffset> {
    let (sign, rest) = name.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let number = |digits: &str| -> Option<i32> {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    };
    let minutes = number(minutes).filter(|minutes| *minutes < 60)?;
    let east = number(hours)? * 60 + minutes;
    let east = if sign == "-" { -east } else { east };
    let is_used = (MIN_OFFSET_MINUTES..=MAX_OFFSET_MINUTES).contains(&east);
    FixedOffset::east_opt(east * 60).filter(|_| is_used)
}

/// The instant of a local time, in UTC.
///
/// A time that occurs twice, because clocks are put back, means the first occurrence. A time that does not occur,
/// because clocks are put forward, is read with the offset before the change (RFC 5545, 3.3.5).
pub fn instant(local: NaiveDateTime, zone: Zone) -> NaiveDateTime {
    readings(local, zone).0
}

/// [`instant`], but the second occurrence of a time that occurs twice.
pub fn last_instant(local: NaiveDateTime, zone: Zone) -> NaiveDateTime {
    readings(local, zone).1
}

/// The first and the last instant of a local time.
fn readings(local: NaiveDateTime, zone: Zone) -> (NaiveDateTime, NaiveDateTime) {
    // At the ends of chrono's calendar the time stays as it is.
    let utc = |offset: TimeDelta| local.checked_sub_signed(offset).unwrap_or(local);
    let offsets = zone.offset_from_local(&local).map(|offset| shift(offset.local_minus_utc()));
    if let (Some(earliest), Some(latest)) = (offsets.earliest(), offsets.latest()) {
        return (utc(earliest.max(latest)), utc(earliest.min(latest)));
    }
    // No clock was ever put forward by more than a day.
    let before = (1..=25).find_map(|hours| {
        let before = local.checked_sub_signed(TimeDelta::hours(hours))?;
        zone.offset_from_local(&before).latest()
    });
    let instant = utc(shift(before.map_or(0, |offset| offset.local_minus_utc())));
    (instant, instant)
}

/// The local time of an instant.
pub fn local(instant: NaiveDateTime, zone: Zone) -> NaiveDateTime {
    instant.checked_add_signed(shift(offset_at(instant, zone))).unwrap_or(instant)
}

/// The offset in seconds east of UTC.
fn offset_at(instant: NaiveDateTime, zone: Zone) -> i32 {
    match zone {
        Zone::Named(zone) => zone.offset_from_utc_datetime(&instant).fix().local_minus_utc(),
        Zone::Fixed(offset) => offset.local_minus_utc(),
    }
}

fn shift(seconds: i32) -> TimeDelta {
    TimeDelta::seconds(seconds.into())
}

/// The offsets of a zone during some days, in seconds east of UTC.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offsets {
    /// The offset at the start of the first day.
    pub first: i32,
    /// The later offsets, each with the second of Unix time from which it applies.
    pub others: Vec<(i64, i32)>,
}

/// The offsets of a zone from `first` to `last`, inclusive. Two zones with equal offsets have the same local times on
/// these days.
pub fn offsets(zone: Zone, first: NaiveDate, last: NaiveDate) -> Offsets {
    let zone = match zone {
        Zone::Named(zone) => zone,
        Zone::Fixed(offset) => return Offsets { first: offset.local_minus_utc(), others: Vec::new() },
    };
    let midnight = |day: NaiveDate| instant(day.into(), Zone::Named(zone));
    let (from, until) = (midnight(first), midnight(last.checked_add_days(Days::new(1)).unwrap_or(last)));
    let (from, until) = (from.and_utc().timestamp(), until.and_utc().timestamp());
    let all = transitions(zone);
    let inside = all.iter().filter(|(at, _)| (from + 1..until).contains(at));
    let before = all.iter().rfind(|(at, _)| *at <= from);
    Offsets { first: before.map_or(0, |(_, offset)| *offset), others: inside.copied().collect() }
}

/// All transitions of the database lie between these days. chrono-tz has none for later years.
const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1800, 1, 1).expect("a day");
const LAST: NaiveDate = NaiveDate::from_ymd_opt(2100, 1, 1).expect("a day");

/// All offsets of a zone, each with the second of Unix time from which it applies, in order.
type Transitions = Arc<[(i64, i32)]>;

/// The transitions of a zone. chrono-tz does not expose them, so this compares the offsets of consecutive days and
/// bisects, which takes a few milliseconds. Cached per zone.
fn transitions(zone: Tz) -> Transitions {
    static CACHE: LazyLock<Mutex<HashMap<Tz, Transitions>>> = LazyLock::new(Mutex::default);
    // No code panics while it holds the lock.
    let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(transitions) = cache().get(&zone) {
        return Arc::clone(transitions);
    }
    let offset = |second: i64| {
        let instant = chrono::DateTime::from_timestamp(second, 0).unwrap_or_default();
        offset_at(instant.naive_utc(), Zone::Named(zone))
    };
    let second = |day: NaiveDate| NaiveDateTime::from(day).and_utc().timestamp();
    let mut found = vec![(i64::MIN, offset(second(FIRST)))];
    let (mut before, day) = (second(FIRST), 24 * 60 * 60);
    while before < second(LAST) {
        let (mut from, mut until) = (before, before + day);
        let (old, next) = (offset(from), offset(until));
        while old != next && until - from > 1 {
            let middle = from + (until - from) / 2;
            match offset(middle) == old {
                true => from = middle,
                false => until = middle,
            }
        }
        if old != next {
            found.push((until, next));
        }
        before += day;
    }
    let transitions: Transitions = found.into();
    cache().insert(zone, Arc::clone(&transitions));
    transitions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().expect("a time of the test")
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day of the test")
    }

    #[test]
    fn instant_uses_the_offset_of_that_day() {
        for (name, local_time, utc) in [
            ("Asia/Baku", "2020-09-04T10:00:00", "2020-09-04T06:00:00"),
            ("Asia/Baku", "2020-09-04T03:00:00", "2020-09-03T23:00:00"),
            ("Asia/Baku", "2015-07-01T10:00:00", "2015-07-01T05:00:00"),
            ("Asia/Kathmandu", "2020-01-01T00:00:00", "2019-12-31T18:15:00"),
            ("America/New_York", "2020-07-01T20:00:00", "2020-07-02T00:00:00"),
            ("UTC", "2020-09-04T10:00:00", "2020-09-04T10:00:00"),
        ] {
            let zone = zone(name).unwrap();
            assert_eq!(instant(at(local_time), zone), at(utc), "{name} {local_time}");
            assert_eq!(local(at(utc), zone), at(local_time), "{name} {local_time}");
        }
    }

    #[test]
    fn instant_reads_times_that_occur_twice_or_never() {
        let berlin = zone("Europe/Berlin").unwrap();
        let twice = at("2020-10-25T02:30:00");
        assert_eq!(
            (instant(twice, berlin), last_instant(twice, berlin)),
            (at("2020-10-25T00:30:00"), at("2020-10-25T01:30:00"))
        );
        let never = at("2020-03-29T02:30:00");
        assert_eq!(instant(never, berlin), at("2020-03-29T01:30:00"));
        assert_eq!(last_instant(never, berlin), instant(never, berlin));
        // Samoa had no 30 December 2011.
        assert_eq!(instant(at("2011-12-30T10:00:00"), zone("Pacific/Apia").unwrap()), at("2011-12-30T20:00:00"));
    }

    #[test]
    fn instant_does_not_panic_at_the_ends_of_the_calendar() {
        let fixed = ["-12:00", "+14:00"].map(|name| zone(name).unwrap());
        for zone in chrono_tz::TZ_VARIANTS.into_iter().map(Zone::Named).chain(fixed) {
            for day in ["0001-01-01", "9999-12-31", "1799-12-31", "2100-01-01", "+262142-12-31", "-262143-01-01"] {
                let time = NaiveDateTime::from(day.parse::<NaiveDate>().unwrap());
                assert!(last_instant(time, zone) >= instant(time, zone));
                local(time, zone);
            }
        }
    }

    #[test]
    fn offsets_of_a_link_are_those_of_its_target() {
        let (first, last) = (day("1970-01-01"), day("2099-12-31"));
        let offsets_of = |name: &str| offsets(zone(name).unwrap(), first, last);
        for (link, target) in [
            ("Asia/Calcutta", "Asia/Kolkata"),
            ("Europe/Kiev", "Europe/Kyiv"),
            ("GMT", "Etc/UTC"),
            ("UTC", "Etc/UTC"),
            ("Zulu", "Etc/GMT"),
            ("US/Eastern", "America/New_York"),
            ("Asia/Saigon", "Asia/Ho_Chi_Minh"),
            ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
            ("Turkey", "Europe/Istanbul"),
        ] {
            assert_eq!(offsets_of(link), offsets_of(target), "{link}");
        }
        for (name, other) in [("Asia/Baku", "Asia/Yerevan"), ("Europe/Berlin", "Europe/London"), ("Asia/Baku", "UTC")] {
            assert_ne!(offsets_of(name), offsets_of(other), "{name}");
        }
    }

    #[test]
    fn offsets_change_at_the_second_of_the_transition() {
        let berlin = zone("Europe/Berlin").unwrap();
        let second = |text: &str| at(text).and_utc().timestamp();
        let expected = Offsets {
            first: 3600,
            others: vec![(second("2020-03-29T01:00:00"), 7200), (second("2020-10-25T01:00:00"), 3600)],
        };
        assert_eq!(offsets(berlin, day("2020-01-01"), day("2020-12-31")), expected);
        let summer = Offsets { first: 7200, others: Vec::new() };
        assert_eq!(offsets(berlin, day("2020-04-01"), day("2020-09-30")), summer);
    }

    #[test]
    fn zone_accepts_offsets_of_two_digits_each_from_twelve_west_to_fourteen_east() {
        for (name, minutes) in [
            ("Z", 0),
            ("+00:00", 0),
            ("-00:00", 0),
            ("+04:00", 240),
            ("-03:30", -210),
            ("+05:45", 345),
            ("-12:00", -720),
            ("+14:00", 840),
        ] {
            let zone = zone(name).unwrap_or_else(|| panic!("{name}"));
            let noon = at("2020-07-01T12:00:00");
            assert_eq!(instant(noon, zone), noon - TimeDelta::minutes(minutes), "{name}");
            assert_eq!(local(instant(noon, zone), zone), noon);
            assert_eq!(super::zone(&zone.name()), Some(zone), "{name}");
        }
        for name in ["+25:00", "-12:01", "+14:01", "+04:60", "+4:00", "+0400", "+04", "+", "z", "", "+04:00 ", "+é4:00"]
        {
            assert_eq!(zone(name), None, "{name}");
        }
        let all = |name| offsets(zone(name).unwrap(), day("1970-01-01"), day("2099-12-31"));
        assert_eq!(all("+04:00"), all("Asia/Dubai"));
        assert_eq!(all("Z"), all("UTC"));
    }
}
