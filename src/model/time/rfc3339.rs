//! Parses times in RFC 3339, and describes the fault of a malformed one.

use chrono::{DateTime, NaiveDate};
use prost_types::Timestamp;

/// Parses a time.
///
/// # Errors
/// The fault of the text, as a sentence that continues from the text.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    if let Some(problem) = problem(text) {
        return Err(problem);
    }
    match DateTime::parse_from_rfc3339(text) {
        // chrono adds 10⁹ ns in a leap second, which `problem` has refused.
        Ok(time) => {
            Ok(Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos().min(999_999_999) as i32 })
        }
        Err(_) => Err("is not a time: write it as 2020-09-04T12:00:00Z".to_owned()),
    }
}

/// Returns `true` for a text that looks like a time, well-formed or not. Neither words nor positions of the feed have
/// these characters.
pub fn looks_like_time(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit()) && text.contains(['-', ':', '/', 'T', 't', 'Z', ' '])
}

/// Returns the fault of a malformed time, if it can be named.
fn problem(text: &str) -> Option<String> {
    let (day, rest) = match text.find(['T', 't', ' ']) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, ""),
    };
    let is_in_shape = |part: &str, shape: &str| {
        part.len() == shape.len()
            && part.bytes().zip(shape.bytes()).all(|(byte, sign)| match sign {
                b'0' => byte.is_ascii_digit(),
                _ => byte == sign,
            })
    };
    if !is_in_shape(day, "0000-00-00") {
        return Some("must begin with its day, as 2020-09-04T12:00:00Z does".to_owned());
    }
    let number = |part: &str| part.parse::<u32>().unwrap_or_default();
    let (year, month, day_of_month) = (number(&day[..4]), number(&day[5..7]), number(&day[8..]));
    if year == 0 || NaiveDate::from_ymd_opt(year as i32, month, day_of_month).is_none() {
        return Some(format!("has no such day: {day} is not in the calendar"));
    }
    if rest.is_empty() {
        return Some(format!("is a day without a time: write {day}T00:00:00Z for its beginning in UTC"));
    }
    let zone_at = rest.find(['Z', 'z', '+', '-']);
    let (time, zone) = zone_at.map_or((rest, None), |at| (&rest[..at], Some(&rest[at..])));
    let (clock, fraction) = time.split_once('.').map_or((time, None), |(clock, fraction)| (clock, Some(fraction)));
    if is_in_shape(clock, "00:00") {
        return Some(format!("has no seconds: write {day}T{clock}:00 and then Z or an offset"));
    }
    if !is_in_shape(clock, "00:00:00") {
        return Some("must have its time as hours, minutes and seconds: 12:00:00".to_owned());
    }
    if fraction.is_some_and(|digits| digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some("must have digits, and digits alone, after the point of its seconds".to_owned());
    }
    let (hour, minute, second) = (number(&clock[..2]), number(&clock[3..5]), number(&clock[6..]));
    match (hour, minute, second) {
        (24.., _, _) => return Some(format!("has no such hour: {hour} is not from 0 to 23")),
        (_, 60.., _) => return Some(format!("has no such minute: {minute} is not from 0 to 59")),
        (_, _, 60) => {
            return Some(
                "has a leap second (60), which cannot be stored: write the second before or after it".to_owned(),
            );
        }
        (_, _, 61..) => return Some(format!("has no such second: {second} is not from 0 to 59")),
        _ => {}
    }
    let Some(zone) = zone else {
        return Some("has no time zone: add Z for UTC, or an offset such as +04:00".to_owned());
    };
    let is_offset = is_in_shape(&zone[1..], "00:00") && number(&zone[1..3]) < 24 && number(&zone[4..]) < 60;
    match zone {
        "Z" | "z" => None,
        _ if is_offset => None,
        _ => Some("must end with Z for UTC, or with an offset such as +04:00".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parser_keeps_nanoseconds() {
        for (text, seconds, nanos) in [
            ("2020-09-04T12:00:00Z", 1_599_220_800, 0),
            ("2020-09-04T14:00:00.5+02:00", 1_599_220_800, 500_000_000),
            ("2020-09-04 12:00:00.000000001z", 1_599_220_800, 1),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ] {
            assert_eq!(parse(text), Ok(Timestamp { seconds, nanos }), "{text}");
        }
    }

    #[test]
    fn parser_names_the_fault_of_a_malformed_time() {
        for (text, why) in [
            ("2016-12-31T23:59:60Z", "leap second"),
            ("2016-12-31T23:59:60.5+00:00", "leap second"),
            ("2020-09-04T12:00:00", "no time zone"),
            ("2020-09-04T12:00:00.25", "no time zone"),
            ("2020-09-04 12:00:00", "no time zone"),
            ("2020-09-04", "day without a time: write 2020-09-04T00:00:00Z"),
            ("2020-09-04T", "day without a time"),
            ("2020-09-04T12:00Z", "no seconds"),
            ("2020-09-04T12:00", "no seconds"),
            ("2020-09-04T12Z", "hours, minutes and seconds"),
            ("2020-09-31T12:00:00Z", "not in the calendar"),
            ("2021-02-29T12:00:00Z", "not in the calendar"),
            ("0000-01-01T00:00:00Z", "not in the calendar"),
            ("2020-13-01T12:00:00Z", "not in the calendar"),
            ("2020-09-04T24:00:00Z", "no such hour"),
            ("2020-09-04T12:60:00Z", "no such minute"),
            ("2020-09-04T12:00:61Z", "no such second"),
            ("2020-09-04T12:00:00.Z", "after the point"),
            ("2020-09-04T12:00:00+0400", "offset such as +04:00"),
            ("2020-09-04T12:00:00+04", "offset such as +04:00"),
            ("2020-09-04T12:00:00+25:00", "offset such as +04:00"),
            ("2020-09-04T12:00:00Z+1", "offset such as +04:00"),
            ("2020-09-04T12:00:00 Baku", "hours, minutes and seconds"),
            ("04.09.2020 12:00", "must begin with its day"),
            ("20200904T120000Z", "must begin with its day"),
            ("", "must begin with its day"),
            ("2020-09-04T12:00:00é", "hours, minutes and seconds"),
            ("٢٠٢٠-09-04T12:00:00Z", "must begin with its day"),
        ] {
            let problem = parse(text).expect_err(text);
            assert!(problem.contains(why), "{text}: {problem}");
        }
    }

    #[test]
    fn positions_and_words_do_not_look_like_times() {
        for text in ["2020-09-04", "2020/09/04 12.00", "12:00", "20161231T235960.5Z", "1.9.2020 12.00"] {
            assert!(looks_like_time(text), "{text}");
        }
        for text in ["5c9e71d0.1207", "12345678.9", "now", "beginning", "7", "a.b", "yesterday"] {
            assert!(!looks_like_time(text), "{text}");
        }
    }
}
