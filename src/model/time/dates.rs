//! Calendar dates, which may be partial, and spans of dates.
//!
//! A `google.type.Date` is a year, a year and month, or a full date of the (proleptic) Gregorian calendar;
//! a month or day of 0 is unknown. The text form is that of ISO 8601: "2020", "2020-09", "2020-09-04".

use chrono::{Datelike, NaiveDate};

use crate::pb;

/// Checks that a full or partial date exists: a year from 1 to 9999, a month from 1 to 12 or 0, and a day of that month
/// or 0. A year alone and a year with a month are valid. A month and day without a year, which `google.type.Date`
/// allows, is not.
///
/// # Errors
/// The description of a violation, for the first part that is wrong.
pub fn check_date(date: &pb::Date) -> Result<(), &'static str> {
    if !(1..=9999).contains(&date.year) {
        return Err("must have a year from 1 to 9999");
    }
    if !(0..=12).contains(&date.month) {
        return Err("must have a month from 1 to 12, or 0 for a year alone");
    }
    if date.month == 0 && date.day != 0 {
        return Err("must have a month, as it has a day");
    }
    match first_day(date) {
        Some(_) => Ok(()),
        None => Err("must have a day that exists in its month, or 0 for a month or year alone"),
    }
}

/// The first day that a date covers; for a partial date the first day of its year or month. `None` if the date does not
/// exist.
pub fn first_day(date: &pb::Date) -> Option<NaiveDate> {
    let or_first = |part: i32| if part == 0 { 1 } else { part };
    // A day without a month is invalid. It does not mean a day in January.
    if !(1..=9999).contains(&date.year) || (date.month == 0 && date.day != 0) {
        return None;
    }
    let month = or_first(date.month).try_into().ok()?;
    let day = or_first(date.day).try_into().ok()?;
    NaiveDate::from_ymd_opt(date.year, month, day)
}

/// The last day that a date covers; for a partial date the last day of its year or month. `None` if the date does not
/// exist.
pub fn last_day(date: &pb::Date) -> Option<NaiveDate> {
    let first = first_day(date)?;
    match (date.month, date.day) {
        (0, _) => NaiveDate::from_ymd_opt(date.year, 12, 31),
        (month, 0) => {
            let month = month.try_into().ok()?;
            (28..=31).rev().find_map(|day| NaiveDate::from_ymd_opt(date.year, month, day))
        }
        _ => Some(first),
    }
}

/// The number of a day, in days since 1 January 1970.
pub fn day_number(day: NaiveDate) -> i32 {
    day.to_epoch_days()
}

/// Converts a day to a full date.
pub fn of_day(day: NaiveDate) -> pb::Date {
    // Months and days are small: the numbers fit.
    pb::Date { year: day.year(), month: day.month() as i32, day: day.day() as i32 }
}

/// The date that begins on this day and has this precision (see `meeting::date_precision`). `None` if not even the year
/// is known.
pub fn of_precision(day: NaiveDate, precision: i16) -> Option<pb::Date> {
    let date = of_day(day);
    match precision {
        0 => None,
        1 => Some(pb::Date { month: 0, day: 0, ..date }),
        2 => Some(pb::Date { day: 0, ..date }),
        _ => Some(date),
    }
}

/// The first and the last day of a span, both inclusive. A span without an end covers its start. `None` if there is no
/// start, or if one of the dates does not exist.
pub fn span(span: &pb::DateSpan) -> Option<(NaiveDate, NaiveDate)> {
    let start = span.start.as_ref()?;
    let end = span.end.as_ref().unwrap_or(start);
    Some((first_day(start)?, last_day(end)?))
}

/// True if `fine` is a more precise form of `coarse`: 2020 and 2020-08 contain 2020-08-24. No date contains itself.
pub fn date_contains(coarse: &pb::Date, fine: &pb::Date) -> bool {
    let same_year = coarse.year == fine.year;
    let same_month = same_year && coarse.month == fine.month;
    (same_year && coarse.month == 0 && fine.month != 0) || (same_month && coarse.day == 0 && fine.day != 0)
}

/// Parses a date of a filter: "2020", "2020-09" or "2020-09-04". Returns the first and the last day that it covers.
/// Accepts calendar dates of ISO 8601 in extended format, years 0001 to 9999; `None` for anything else.
pub fn parse(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let number = |part: Option<&str>, digits: usize| match part {
        None => Some(0),
        Some(part) if part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()) => {
            // Zero means "unknown" in the message, but is not a month or day in ISO 8601.
            part.parse().ok().filter(|&number: &i32| number != 0)
        }
        Some(_) => None,
    };
    let mut parts = text.splitn(3, '-');
    let date =
        pb::Date { year: number(parts.next(), 4)?, month: number(parts.next(), 2)?, day: number(parts.next(), 2)? };
    Some((first_day(&date)?, last_day(&date)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(year: i32, month: i32, day: i32) -> pb::Date {
        pb::Date { year, month, day }
    }

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).expect("a day of the test")
    }

    fn from_to(start: pb::Date, end: Option<pb::Date>) -> pb::DateSpan {
        pb::DateSpan { start: Some(start), end, ..Default::default() }
    }

    #[test]
    fn check_date_accepts_only_dates_that_exist() {
        for (year, month, day) in [(1, 0, 0), (9999, 12, 31), (2020, 2, 29), (2000, 2, 29), (2020, 9, 0)] {
            assert_eq!(check_date(&date(year, month, day)), Ok(()), "{year}-{month}-{day}");
        }
        for (year, month, day) in [
            (0, 0, 0),
            (0, 9, 4),
            (10_000, 0, 0),
            (-1, 1, 1),
            (2020, 13, 1),
            (2020, -1, 0),
            (2020, 0, 4),
            (2020, 9, 31),
            (2020, 9, -1),
            (2021, 2, 29),
            (1900, 2, 29),
            (i32::MAX, i32::MAX, i32::MAX),
            (2020, 9, i32::MIN),
        ] {
            assert!(check_date(&date(year, month, day)).is_err(), "{year}-{month}-{day}");
            assert_eq!(first_day(&date(year, month, day)), None, "{year}-{month}-{day}");
            assert_eq!(last_day(&date(year, month, day)), None, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn partial_date_covers_its_month_or_year() {
        let covered = |date| (first_day(&date), last_day(&date));
        let days = |first, last| (Some(first), Some(last));
        assert_eq!(covered(date(2020, 0, 0)), days(day(2020, 1, 1), day(2020, 12, 31)));
        assert_eq!(covered(date(2020, 2, 0)), days(day(2020, 2, 1), day(2020, 2, 29)));
        assert_eq!(covered(date(9999, 12, 0)), days(day(9999, 12, 1), day(9999, 12, 31)));
        assert_eq!(covered(date(2020, 8, 24)), days(day(2020, 8, 24), day(2020, 8, 24)));
    }

    #[test]
    fn span_ends_inclusively_or_covers_its_start() {
        assert_eq!(span(&from_to(date(2020, 8, 0), None)), Some((day(2020, 8, 1), day(2020, 8, 31))));
        assert_eq!(
            span(&from_to(date(2020, 8, 24), Some(date(2020, 9, 0)))),
            Some((day(2020, 8, 24), day(2020, 9, 30)))
        );
        let no_start = pb::DateSpan { end: Some(date(2020, 8, 24)), ..Default::default() };
        assert_eq!(span(&no_start), None);
    }

    #[test]
    fn date_contains_a_finer_date_and_not_itself() {
        assert!(date_contains(&date(2020, 8, 0), &date(2020, 8, 24)));
        assert!(date_contains(&date(2020, 0, 0), &date(2020, 8, 24)));
        assert!(date_contains(&date(2020, 0, 0), &date(2020, 8, 0)));
        assert!(!date_contains(&date(2020, 8, 0), &date(2020, 8, 0)));
        assert!(!date_contains(&date(2020, 8, 24), &date(2020, 8, 0)));
        assert!(!date_contains(&date(2020, 8, 0), &date(2020, 9, 4)));
        assert!(!date_contains(&date(2019, 0, 0), &date(2020, 9, 4)));
    }

    #[test]
    fn parse_is_strict() {
        assert_eq!(parse("2020"), Some((day(2020, 1, 1), day(2020, 12, 31))));
        assert_eq!(parse("2020-09"), Some((day(2020, 9, 1), day(2020, 9, 30))));
        assert_eq!(parse("2020-09-04"), Some((day(2020, 9, 4), day(2020, 9, 4))));
        for text in [
            "",
            "-",
            "20",
            "0000",
            "12020",
            "2020-",
            "2020-9",
            "2020-00",
            "2020-13",
            "2020-09-",
            "2020-09-00",
            "2020-09-31",
            "2020-09-04-",
            "2020-09-04T00",
            "+020",
            "2020-+9",
            " 2020",
            "２０２０",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn check_date_accepts_exactly_the_dates_that_cover_days(y in -1..3000, m in -1..14, d in -1..33) {
            let date = date(y, m, d);
            prop_assert_eq!(check_date(&date).is_ok(), first_day(&date).is_some());
            prop_assert!(first_day(&date) <= last_day(&date));
        }
    }
}
