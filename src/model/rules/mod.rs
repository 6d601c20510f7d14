//! Validation of requests against the rules of the contract. Reports all violations at once, each with the path of its
//! field.
//!
//! `build.rs` generates `Strings`, `Check` and `ClearOutput` for every message, from the rules that its `.proto`
//! declares. `rule` has one function for each kind of declared rule. `cross_field` has the rules that span several
//! fields. `wire_limits` checks the size of lists and strings before a message is decoded.

pub mod codes;
pub mod cross_field;
mod rule;
pub mod wire_limits;

use std::{fmt, sync::LazyLock};

use regex_lite::Regex;

use super::time::{dates, spans};
use crate::pb::{self, ErrorReason};

/// Checks every string that a caller can set in a message for characters that no string may contain, independently of
/// the rules of its field. Includes strings in oneofs, in maps, and in parts that [`Check`] skips.
pub trait Strings {
    /// Adds the violations to `out`. `at` is the path of the message in the request. Does nothing for a message without
    /// strings.
    fn check_strings(&self, _at: &Path<'_>, _out: &mut Violations) {}
}

/// Checks a message against the declared rules of the contract.
pub trait Check: Strings {
    /// Adds the violations to `out`. `at` is the path of the message in the request.
    fn check(&self, at: &Path<'_>, out: &mut Violations);

    /// Checks a message that is a whole request, strings included.
    fn violations(&self) -> Violations {
        let mut out = Violations::default();
        self.check_strings(&Path::ROOT, &mut out);
        self.check(&Path::ROOT, &mut out);
        out
    }
}

/// Drops values that a caller sent in output-only fields (AIP-203).
pub trait ClearOutput {
    /// Sets every field with the behaviour `OUTPUT_ONLY` to its default, at any depth.
    fn clear_output(&mut self);
}

/// The path of a value in a request. A linked list on the stack: allocates nothing unless a rule is broken.
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

    /// The path of a field of the message at this path.
    pub fn field(&'a self, name: &'a str) -> Self {
        Path { outer: Some(self), step: Step::Field(name) }
    }

    /// The path of an item of the list at this path.
    pub fn index(&'a self, index: usize) -> Self {
        Path { outer: Some(self), step: Step::Index(index) }
    }

    /// The path of a pair of the map at this path.
    pub fn key(&'a self, key: &'a str) -> Self {
        Path { outer: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    /// Writes the path in proto names: `story.reports[2].account.labels["key"]`.
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
    /// The predicate of a sentence whose subject is the field: "must have at most 3 items, not 4".
    pub description: String,
    /// The error reason if this is the only violation of the request.
    pub reason: ErrorReason,
    /// Metadata of the error if this is the first violation with its reason.
    pub metadata: Vec<(&'static str, String)>,
}

/// The broken rules of a request, in the order of its fields. Beyond a size limit they are only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    kept: Vec<Violation>,
    /// Approximate size of `kept`.
    bytes: usize,
    omitted: usize,
}

impl Violations {
    /// Beyond this size violations are only counted. A status is sent in HTTP/2 headers in base64, and common clients
    /// accept no more than 8 KiB of headers.
    pub const MAX_BYTES: usize = 3 * 1024 + 512;
    /// Characters of a path before it is cut. A path may contain the key of a map, which has any length.
    const MAX_PATH: usize = 200;

    /// Adds a broken rule.
    pub fn add(&mut self, at: &Path<'_>, description: impl Into<String>) {
        self.add_as(ErrorReason::InvalidField, at, description);
    }

    /// Adds a broken rule with a specific error reason.
    pub fn add_as(&mut self, reason: ErrorReason, at: &Path<'_>, description: impl Into<String>) {
        self.add_with(reason, at, || description.into());
    }

    /// Adds a broken rule with a description that is costly to make. Calls `describe` only if the violation is kept.
    pub fn add_with(&mut self, reason: ErrorReason, at: &Path<'_>, describe: impl FnOnce() -> String) {
        self.add_detailed(reason, at, || (describe(), Vec::new()));
    }

    /// As `add_with`, with metadata.
    pub fn add_detailed(
        &mut self,
        reason: ErrorReason,
        at: &Path<'_>,
        describe: impl FnOnce() -> (String, Vec<(&'static str, String)>),
    ) {
        if self.bytes > Self::MAX_BYTES {
            self.omitted += 1;
            return;
        }
        let mut field = at.to_string();
        if let Some((cut, _)) = field.char_indices().nth(Self::MAX_PATH) {
            field.truncate(cut);
        }
        let (description, metadata) = describe();
        self.bytes += field.len() + description.len() + 8;
        self.kept.push(Violation { field, description, reason, metadata });
    }

    /// Removes violations.
    pub fn remove<'a>(&mut self, others: impl Iterator<Item = &'a Violation>) {
        others.for_each(|other| self.kept.retain(|violation| violation != other));
    }

    /// The number of violations that were counted and not kept.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The kept violations, in the order of fields.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.kept.iter()
    }

    /// The error reason of the whole request: `INVALID_FIELD` if any violation has it, else the reason of the first.
    pub fn reason(&self) -> ErrorReason {
        let reasons = || self.kept.iter().map(|violation| violation.reason);
        reasons()
            .find(|reason| *reason == ErrorReason::InvalidField)
            .or_else(|| reasons().next())
            .unwrap_or(ErrorReason::InvalidField)
    }

    /// The metadata of the error: that of the first violation with its reason, and the field of that one.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let reason = self.reason();
        let first = self.kept.iter().find(|violation| violation.reason == reason && !violation.metadata.is_empty());
        let details = |violation: &Violation| {
            let field = [("field", violation.field.clone())];
            field.into_iter().chain(violation.metadata.clone()).collect()
        };
        first.map(details).unwrap_or_default()
    }

    /// True if no rule is broken.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Converts to a result.
    ///
    /// # Errors
    /// Returns the violations, if there are any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.into_iter()
    }
}

impl Check for pb::Date {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        if let Err(description) = dates::check_date(self) {
            out.add(at, format!("{description}, not {:04}-{:02}-{:02}", self.year, self.month, self.day));
        }
    }
}

impl Check for pb::TimeOfDay {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        let in_day = (0..24).contains(&self.hours)
            && (0..60).contains(&self.minutes)
            && (0..60).contains(&self.seconds)
            && (0..1_000_000_000).contains(&self.nanos);
        let in_range = in_day || *self == spans::END_OF_DAY;
        if !in_range {
            let Self { hours, minutes, seconds, nanos } = self;
            let sent = format!("{hours:02}:{minutes:02}:{seconds:02} and {nanos} ns");
            out.add(at, format!("must be a time of day from 00:00:00 to 23:59:59.999999999, or 24:00:00, not {sent}"));
        }
    }
}

impl Check for pb::LatLng {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        for (name, degrees, most) in [("latitude", self.latitude, 90.0), ("longitude", self.longitude, 180.0)] {
            if !(-most..=most).contains(&degrees) {
                out.add(&at.field(name), format!("must be from -{most} to {most}, not {degrees}"));
            }
        }
    }
}

impl Check for prost_types::Timestamp {
    fn check(&self, at: &Path<'_>, out: &mut Violations) {
        // The range of google.protobuf.Timestamp: years 1 to 9999.
        const FIRST: i64 = -62_135_596_800;
        const LAST: i64 = 253_402_300_799;
        if !(FIRST..=LAST).contains(&self.seconds) || !(0..1_000_000_000).contains(&self.nanos) {
            let sent = format!("{} s and {} ns after 1970", self.seconds, self.nanos);
            out.add(at, format!("must be an instant of the years 1 to 9999, not {sent}"));
        }
    }
}

impl Check for prost_types::FieldMask {
    // Valid paths depend on the resource: see `mask`.
    fn check(&self, _: &Path<'_>, _: &mut Violations) {}
}

impl Strings for prost_types::FieldMask {
    fn check_strings(&self, at: &Path<'_>, out: &mut Violations) {
        let at = at.field("paths");
        for (index, path) in self.paths.iter().enumerate() {
            rule::no_control(path, &at.index(index), out);
        }
    }
}

impl Strings for pb::Date {}
impl Strings for pb::TimeOfDay {}
impl Strings for pb::LatLng {}
impl Strings for prost_types::Timestamp {}

include!(concat!(env!("OUT_DIR"), "/rules.rs"));
