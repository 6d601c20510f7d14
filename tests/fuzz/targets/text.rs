//! Names, dates, spans, codes, and the URL of the database.

use prost::Message;
use readout::{
    config::database_url::DatabaseUrl,
    model::{
        canonical,
        rules::{Check, codes},
        text::{names, quoted::quoted},
        time::{dates, spans, zones},
    },
    pb::{Account, DateSpan},
    url_redaction,
};

use super::assert_printable;

/// Makes the keys of a name, and corrects codes.
pub fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut composed = text.clone().into_owned();
    canonical::text(&mut composed);
    assert_eq!(canonical::composed(&composed), composed, "composed text stays as it is");
    let key = names::key(&text);
    assert_eq!(names::key(&key), key, "a key is its own key");
    assert_eq!(names::key(&composed), key, "equal text has an equal key");
    let quoted = quoted(&text);
    assert_printable(&quoted);
    assert!(quoted.len() <= 100, "{quoted}");
    let is_known = codes::is_region(&text) || codes::is_language(&text) || codes::is_time_zone(&text);
    if !is_known {
        let zone = codes::nearest_time_zone(&text);
        for nearest in [codes::nearest_region(&text), codes::nearest_language(&text), zone].into_iter().flatten() {
            assert!(nearest.len() <= 100, "{nearest}");
        }
    }
}

/// Parses a date of a filter.
pub fn dates(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some((first, last)) = dates::parse(&text) else { return };
    assert!(first <= last, "{text}");
    for day in [first, last] {
        let date = dates::of_day(day);
        assert_eq!(dates::check_date(&date), Ok(()), "{text}");
        assert_eq!((dates::first_day(&date), dates::last_day(&date)), (Some(day), Some(day)));
    }
}

/// Compares the date of an account with that of its announcement.
pub fn spans(input: &[u8]) {
    let Ok(account) = Account::decode(input) else { return };
    let span = account.date.unwrap_or_default();
    let other = account.announcement.and_then(|announcement| announcement.date).unwrap_or_default();
    for span in [&span, &other] {
        spans::key(span);
        spans::ends_before_it_starts(span);
        dates::span(span);
        zones::zone(&span.time_zone);
    }
    let is_valid = |span: &DateSpan| span.violations().is_empty();
    if is_valid(&span) && is_valid(&other) {
        for (coarse, fine) in [(&span, &other), (&other, &span)] {
            if spans::contains(coarse, fine) {
                assert!(spans::key(coarse).may_contain(&spans::key(fine)), "{coarse:?} {fine:?}");
            }
        }
    } else {
        spans::contains(&span, &other);
    }
}

/// Parses the URL of a database. Neither its errors nor its redacted form show the password.
pub fn database_url(input: &[u8]) {
    const SECRET: &str = "hunter2secret";
    let text = String::from_utf8_lossy(input);
    if let Err(error) = DatabaseUrl::parse(&text) {
        assert_printable(&error.to_string());
    }
    url_redaction::url(&text);
    url_redaction::text(&text);
    // A password that the URL states as such stays secret whatever comes after it, unless that spells it again.
    let rest: String = text.chars().filter(|c| !matches!(c, '@' | '/' | '?' | '#' | ':' | '%')).collect();
    if rest.contains(SECRET) {
        return;
    }
    let url = format!("postgres://user:{SECRET}@host/{rest}");
    let parsed = DatabaseUrl::parse(&url);
    let shown = [format!("{parsed:?}"), parsed.map_or_else(|error| error.to_string(), |_| String::new())];
    for shown in shown.into_iter().chain([url_redaction::url(&url), url_redaction::text(&url)]) {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
