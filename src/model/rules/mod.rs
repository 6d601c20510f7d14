//! The rules of the contract, enforced: what a message breaks, all at once, each with the path of its field.
//!
//! `build.rs` writes `Strings`, `Check` and `ClearOutput` for every message from the rules that its `.proto` declares;
//! `rule` holds one function for each kind of rule, `cross_field` those that span fields.

pub mod codes;
pub mod cross_field;
mod rule;

use std::{fmt, sync::LazyLock};

use regex_lite::Regex;

use super::time::dates;
use crate::pb::{self, ErrorReason};

/// Visits every string that a caller can set in a message, whatever rules hold for its field: those in oneofs, in maps and
/// in parts that are checked elsewhere, too.
pub trait Strings {
    /// Adds those with a character that no string holds to `out`; `at` is where the message stands in the request. Does
    /// nothing for a message without strings.
    fn check_strings(&self, _at: &Path<'_>, _out: &mut Violations) {}
}

/// Checks a message against the rules of the contract.
pub trait Check: Strings {
    /// Adds what it breaks to `out`; `at` is where the message stands in the request.
    fn check(&self, at: &Path<'_>, out: &mut Violations);

    /// The violations of a message that is a whole request.
    fn violations(&self) -> Violations {
        let mut out = Violations::default();
        self.check_strings(&Path::ROOT, &mut out);
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
        self.add_with(reason, at, || description.into());
    }

    /// The same with a description that costs something: it is made only where it is kept.
    pub fn add_with(&mut self, reason: ErrorReason, at: &Path<'_>, describe: impl FnOnce() -> String) {
        if self.bytes > Self::MOST_BYTES {
            self.untold += 1;
            return;
        }
        let mut field = at.to_string();
        if let Some((cut, _)) = field.char_indices().nth(Self::LONGEST_PATH) {
            field.truncate(cut);
        }
        let description = describe();
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
            out.add(at, format!("{why}, not {:04}-{:02}-{:02}", self.year, self.month, self.day));
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
            let Self { hours, minutes, seconds, nanos } = self;
            let sent = format!("{hours:02}:{minutes:02}:{seconds:02} and {nanos} ns");
            out.add(at, format!("must be a time of day from 00:00:00 to 23:59:59.999999999, not {sent}"));
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
    // What its paths may be depends on what they are of: see `mask`.
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
