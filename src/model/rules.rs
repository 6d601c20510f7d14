//! The rules of the contract, enforced: what a message breaks, all at once, each with the path of its field.
//!
//! `build.rs` writes `Check` and `ClearOutput` for every message from the rules that its `.proto` declares;
//! `rule` holds one function for each kind of rule, `cross_field` those that span fields.

use std::{cmp::Ordering, fmt, sync::LazyLock};

use regex_lite::Regex;

use crate::{
    model::{codes, dates, search},
    pb::{self, ErrorReason},
};

/// Checks a message against the rules of the contract.
pub trait Check {
    /// Adds what it breaks to `out`; `at` is where the message stands in the request.
    fn check(&self, at: &Path<'_>, out: &mut Violations);

    /// What it breaks as a message of its own, such as a whole request.
    fn violations(&self) -> Violations {
        let mut out = Violations::default();
        self.check(&Path::ROOT, &mut out);
        out
    }
}

/// Forgets what a caller wrote into output-only fields (AIP-203).
pub trait ClearOutput {
    /// Sets every field that the contract calls OUTPUT_ONLY to its default, in all parts too.
    fn clear_output(&mut self);
}

/// Where a value stands in a request. A list on the stack: nothing is allocated unless a rule is broken.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    outer: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The request itself.
    pub const ROOT: Path<'static> = Path { outer: None, step: Step::Field("") };

    /// A field of the message here.
    pub fn field(&'a self, name: &'a str) -> Self {
        Path { outer: Some(self), step: Step::Field(name) }
    }

    /// An item of the list here.
    pub fn index(&'a self, index: usize) -> Self {
        Path { outer: Some(self), step: Step::Index(index) }
    }

    /// A pair of the map here.
    pub fn key(&'a self, key: &'a str) -> Self {
        Path { outer: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    /// As `story.reports[2].account.labels["key"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outer) = self.outer else { return Ok(()) };
        outer.fmt(f)?;
        match self.step {
            Step::Field(name) if outer.outer.is_none() => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key:?}]"),
        }
    }
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in proto names.
    pub field: String,
    /// What is wrong, as a sentence that goes on from the field's name.
    pub description: String,
    /// The reason that a request with this violation alone is refused for.
    pub reason: ErrorReason,
}

/// All broken rules of a request, in the order of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    told: Vec<Violation>,
    bytes: usize,
    untold: usize,
}

impl Violations {
    /// A status travels in HTTP/2 headers, of which common clients take no more than 8 KiB, in base64: past so many
    /// bytes violations are only counted.
    pub const MOST_BYTES: usize = 3 * 1024 + 512;
    /// A path may hold a map's key: it is cut after so many characters.
    const LONGEST_PATH: usize = 200;

    /// Adds a broken rule.
    pub fn add(&mut self, at: &Path<'_>, description: impl Into<String>) {
        self.add_as(ErrorReason::InvalidField, at, description);
    }

    /// Adds a broken rule that has a reason of its own.
    pub fn add_as(&mut self, reason: ErrorReason, at: &Path<'_>, description: impl Into<String>) {
        if self.bytes > Self::MOST_BYTES {
            self.untold += 1;
            return;
        }
        let mut field = at.to_string();
        if let Some((cut, _)) = field.char_indices().nth(Self::LONGEST_PATH) {
            field.truncate(cut);
        }
        let description = description.into();
        self.bytes += field.len() + description.len() + 8;
        self.told.push(Violation { field, description, reason });
    }

    /// Leaves these out.
    pub fn forget<'a>(&mut self, others: impl Iterator<Item = &'a Violation>) {
        others.for_each(|other| self.told.retain(|one| one != other));
    }

    /// How many there are beyond those that are told.
    pub fn untold(&self) -> usize {
        self.untold
    }

    /// They, in the order of fields.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.told.iter()
    }

    /// The reason of them all: that of the first, but a malformed field goes before wrong evidence.
    pub fn reason(&self) -> ErrorReason {
        let reasons = || self.told.iter().map(|one| one.reason);
        reasons()
            .find(|reason| *reason == ErrorReason::InvalidField)
            .or_else(|| reasons().next())
            .unwrap_or(ErrorReason::InvalidField)
    }

    /// Whether nothing is broken.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// They, as a result.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.told.into_iter()
    }
}

impl Check for pb::Date {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        if let Err(why) = dates::check_date(self) {
            out.add(at, why);
        }
    }
}

impl Check for pb::TimeOfDay {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        let in_range = (0..24).contains(&self.hours)
            && (0..60).contains(&self.minutes)
            && (0..60).contains(&self.seconds)
            && (0..1_000_000_000).contains(&self.nanos);
        if !in_range {
            out.add(at, "must be a time of day from 00:00:00 to 23:59:59.999999999");
        }
    }
}

impl Check for pb::LatLng {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        if !(-90.0..=90.0).contains(&self.latitude) {
            out.add(&at.field("latitude"), "must be from -90 to 90");
        }
        if !(-180.0..=180.0).contains(&self.longitude) {
            out.add(&at.field("longitude"), "must be from -180 to 180");
        }
    }
}

impl Check for prost_types::Timestamp {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        // The range of google.protobuf.Timestamp: years 1 to 9999.
        const FIRST: i64 = -62_135_596_800;
        const LAST: i64 = 253_402_300_799;
        if !(FIRST..=LAST).contains(&self.seconds) || !(0..1_000_000_000).contains(&self.nanos) {
            out.add(at, "must be an instant of the years 1 to 9999");
        }
    }
}

impl Check for prost_types::FieldMask {
    // What its paths may be depends on what they are of: see `mask`.
    fn check(&self, _: &Path<'_>, _: &mut Violations) {}
}

impl Check for tonic_types::pb::Status {
    fn check(&self, _: &Path<'_>, _: &mut Violations) {}
}

/// One function for each kind of declared rule, with buf.validate's names and meanings.
mod rule {
    use super::*;

    pub fn required(at: &Path<'_>, out: &mut Violations) {
        out.add(at, "is required");
    }

    pub fn no_nul(value: &str, at: &Path<'_>, out: &mut Violations) {
        if value.as_bytes().contains(&0) {
            out.add(at, "must not contain U+0000");
        }
    }

    pub fn min_len(value: &str, limit: usize, at: &Path<'_>, out: &mut Violations) {
        if value.len() < 4 * limit && value.chars().count() < limit {
            match limit {
                1 => out.add(at, "is required"),
                _ => out.add(at, format!("must have at least {limit} characters")),
            }
        }
    }

    pub fn max_len(value: &str, limit: usize, at: &Path<'_>, out: &mut Violations) {
        if value.len() > limit && value.chars().count() > limit {
            out.add(at, format!("must have at most {limit} characters"));
        }
    }

    pub fn max_bytes(value: &str, limit: usize, at: &Path<'_>, out: &mut Violations) {
        if value.len() > limit {
            out.add(at, format!("must have at most {limit} bytes"));
        }
    }

    pub fn pattern(value: &str, pattern: &Regex, at: &Path<'_>, out: &mut Violations) {
        if !pattern.is_match(value) {
            out.add(at, format!("must match {}", pattern.as_str()));
        }
    }

    pub fn uuid(value: &str, at: &Path<'_>, out: &mut Violations) {
        if value.len() != 36 || ::uuid::Uuid::try_parse(value).is_err() {
            out.add(at, "must be a UUID such as 0198f2d1-7c0e-7000-8000-0123456789ab");
        }
    }

    pub fn min_items(len: usize, limit: usize, at: &Path<'_>, out: &mut Violations) {
        if len < limit {
            out.add(at, format!("must have at least {limit} item(s)"));
        }
    }

    pub fn max_items(len: usize, limit: usize, at: &Path<'_>, out: &mut Violations) {
        if len > limit {
            out.add(at, format!("must have at most {limit} items"));
        }
    }

    pub fn max_pairs(len: usize, limit: usize, at: &Path<'_>, out: &mut Violations) {
        if len > limit {
            out.add(at, format!("must have at most {limit} pairs"));
        }
    }

    pub fn unique<T: Ord>(values: &[T], at: &Path<'_>, out: &mut Violations) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, value) in values.iter().enumerate() {
            if !seen.insert(value) {
                out.add(&at.index(index), "repeats an earlier item");
            }
        }
    }

    pub fn defined_only(is_defined: bool, at: &Path<'_>, out: &mut Violations) {
        if !is_defined {
            out.add(at, "must be a defined value");
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
        // NaN is not, either.
        if !value.partial_cmp(&limit).is_some_and(Ordering::is_ge) {
            out.add(at, format!("must be at least {limit}"));
        }
    }

    pub fn lte<T: PartialOrd + fmt::Display>(value: T, limit: T, at: &Path<'_>, out: &mut Violations) {
        if !value.partial_cmp(&limit).is_some_and(Ordering::is_le) {
            out.add(at, format!("must be at most {limit}"));
        }
    }

    pub fn region(value: &str, at: &Path<'_>, out: &mut Violations) {
        if !value.is_empty() && !codes::is_region(value) {
            out.add(at, "must be an ISO 3166-1 alpha-2 code in upper case, or XK");
        }
    }

    pub fn language(value: &str, at: &Path<'_>, out: &mut Violations) {
        if !value.is_empty() && !codes::is_language(value) {
            out.add(at, "must be a BCP 47 language tag such as \"en\" or \"az-Latn\"");
        }
    }

    pub fn query(value: &str, at: &Path<'_>, out: &mut Violations) {
        if search::count_words(value) > search::MOST_WORDS {
            out.add(at, format!("must have at most {} words", search::MOST_WORDS));
        }
    }

    pub fn time_zone(value: &str, at: &Path<'_>, out: &mut Violations) {
        if !value.is_empty() && !codes::is_time_zone(value) {
            out.add(at, "must be an IANA time zone such as \"Asia/Baku\"");
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/rules.rs"));
