//! One function for each kind of declared rule, with the names and meanings of buf.validate. Each message states the
//! requirement and the value as sent.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use regex_lite::Regex;

use super::{Path, Violations, codes};
use crate::{
    model::{
        canonical,
        query::search,
        text::{quoted::quoted, suggestion},
    },
    pb::ErrorReason::InvalidField,
};

pub fn required(at: &Path<'_>, out: &mut Violations) {
    out.add(at, "is required");
}

pub fn no_nul(value: &str, at: &Path<'_>, out: &mut Violations) {
    if let Some(byte) = value.bytes().position(|byte| byte == 0) {
        let describe =
            || format!("must not contain U+0000, which follows {} characters", value[..byte].chars().count());
        out.add_with(InvalidField, at, describe);
    }
}

/// For the paths of a field mask, which name fields and keys.
pub fn no_control(value: &str, at: &Path<'_>, out: &mut Violations) {
    if value.contains(char::is_control) {
        out.add_with(InvalidField, at, || format!("must not contain a control character: {}", quoted(value)));
    }
}

pub fn min_len(value: &str, limit: usize, at: &Path<'_>, out: &mut Violations) {
    if value.len() >= 4 * limit {
        return;
    }
    match (value.chars().count(), limit) {
        (length, limit) if length >= limit => {}
        (_, 1) => out.add(at, "is required"),
        (length, limit) => out.add(at, format!("must have at least {limit} characters, not {length}")),
    }
}

pub fn max_len(value: &str, limit: usize, at: &Path<'_>, out: &mut Violations) {
    if value.len() <= limit {
        return;
    }
    let length = value.chars().count();
    if length > limit {
        let describe = || format!("must have at most {limit} characters, not {length}: {}", quoted(value));
        out.add_with(InvalidField, at, describe);
    }
}

pub fn max_bytes(value: &str, limit: usize, at: &Path<'_>, out: &mut Violations) {
    if value.len() > limit {
        let describe = || format!("must have at most {limit} bytes, not {}: {}", value.len(), quoted(value));
        out.add_with(InvalidField, at, describe);
    }
}

pub fn pattern(value: &str, pattern: &Regex, at: &Path<'_>, out: &mut Violations) {
    if !pattern.is_match(value) {
        out.add_with(InvalidField, at, || {
            let nearest = suggestion::nearest(words(pattern.as_str()), value);
            format!("must match {}, not {}{}", pattern.as_str(), quoted(value), suggestion::did_you_mean(nearest))
        });
    }
}

/// The words of a pattern that is an alternative of words: `^(one|other)$`. Yields none for any other pattern.
fn words(pattern: &str) -> impl Iterator<Item = &str> {
    let list = pattern.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$")).unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_|".contains(c);
    Some(list).filter(|list| !list.is_empty() && list.chars().all(is_word)).into_iter().flat_map(|list| list.split('|'))
}

pub fn uuid(value: &str, at: &Path<'_>, out: &mut Violations) {
    if value.len() != 36 || ::uuid::Uuid::try_parse(value).is_err() {
        let describe = || format!("must be a UUID such as 0198f2d1-7c0e-7000-8000-0123456789ab, not {}", quoted(value));
        out.add_with(InvalidField, at, describe);
    }
}

pub fn min_items(length: usize, limit: usize, at: &Path<'_>, out: &mut Violations) {
    if length < limit {
        out.add(at, format!("must have at least {limit} item(s), not {length}"));
    }
}

pub fn max_items(length: usize, limit: usize, at: &Path<'_>, out: &mut Violations) {
    if length > limit {
        out.add(at, format!("must have at most {limit} items, not {length}"));
    }
}

pub fn max_pairs(length: usize, limit: usize, at: &Path<'_>, out: &mut Violations) {
    if length > limit {
        out.add(at, format!("must have at most {limit} pairs, not {length}"));
    }
}

/// Refuses keys that are equal in Unicode NFC. `Canonical` has already merged such keys with equal values.
pub fn distinct_keys(pairs: &BTreeMap<String, String>, at: &Path<'_>, out: &mut Violations) {
    for key in pairs.keys() {
        let composed = canonical::composed(key);
        if *composed != **key && pairs.contains_key(&*composed) {
            out.add(&at.key(key), "differs from another key in its Unicode normal form alone");
        }
    }
}

/// Refuses repeated items. `show` writes an item in the form in which it was sent.
pub fn unique<T: Ord>(values: &[T], show: impl Fn(&T) -> String, at: &Path<'_>, out: &mut Violations) {
    let mut seen = std::collections::BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        if !seen.insert(value) {
            out.add_with(InvalidField, &at.index(index), || format!("repeats an earlier item: {}", show(value)));
        }
    }
}

pub fn defined_only(value: i32, is_defined: bool, at: &Path<'_>, out: &mut Violations) {
    if !is_defined {
        out.add(at, format!("must be a defined value, not {value}"));
    }
}

pub fn not_in(value: i32, refused: i32, at: &Path<'_>, out: &mut Violations) {
    if value == refused {
        match refused {
            0 => out.add(at, "is required"),
            _ => out.add(at, format!("must not be {refused}")),
        }
    }
}

pub fn gte<T: PartialOrd + fmt::Display>(value: T, limit: T, at: &Path<'_>, out: &mut Violations) {
    // Refuses NaN, too.
    if !value.partial_cmp(&limit).is_some_and(Ordering::is_ge) {
        out.add(at, format!("must be at least {limit}, not {value}"));
    }
}

pub fn lte<T: PartialOrd + fmt::Display>(value: T, limit: T, at: &Path<'_>, out: &mut Violations) {
    if !value.partial_cmp(&limit).is_some_and(Ordering::is_le) {
        out.add(at, format!("must be at most {limit}, not {value}"));
    }
}

pub fn region(value: &str, at: &Path<'_>, out: &mut Violations) {
    if !value.is_empty() && !codes::is_region(value) {
        out.add_with(InvalidField, at, || {
            let rule = codes::REGION_RULE;
            format!("must be {rule}, not {}{}", quoted(value), suggestion::did_you_mean(codes::nearest_region(value)))
        });
    }
}

pub fn language(value: &str, at: &Path<'_>, out: &mut Violations) {
    if !value.is_empty() && !codes::is_language(value) {
        out.add_with(InvalidField, at, || {
            let rule = "must be a BCP 47 language tag such as \"en\" or \"az-Latn\"";
            format!("{rule}, not {}{}", quoted(value), suggestion::did_you_mean(codes::nearest_language(value)))
        });
    }
}

pub fn query(value: &str, at: &Path<'_>, out: &mut Violations) {
    if let Err(error) = search::check(value) {
        out.add(at, error.to_string());
    }
}

pub fn query_language(value: &str, at: &Path<'_>, out: &mut Violations) {
    if !value.is_empty() && !search::is_query_language(value) {
        out.add_with(InvalidField, at, || {
            let rule = "must be a BCP 47 language tag such as \"en\", an ISO 639 code such as \"eng\", or a name such as \"english\"";
            let nearest = suggestion::nearest(search::language_names(), value).map(str::to_owned);
            let nearest = nearest.or_else(|| codes::nearest_language(value).filter(|tag| search::is_query_language(tag)));
            format!("{rule}, not {}{}", quoted(value), suggestion::did_you_mean(nearest))
        });
    }
}

pub fn time_zone(value: &str, at: &Path<'_>, out: &mut Violations) {
    if !value.is_empty() && !codes::is_time_zone(value) {
        out.add_with(InvalidField, at, || {
            let rule = "must be an IANA time zone such as \"Asia/Baku\", an offset from -12:00 to +14:00, or Z";
            format!("{rule}, not {}{}", quoted(value), suggestion::did_you_mean(codes::nearest_time_zone(value)))
        });
    }
}
