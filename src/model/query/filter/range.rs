//! Comparison of the days, times and numbers of a record with literals in filters.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::model::time::dates;

/// The relation of the days that a record spans to a [`DateRange`]. `>=` is `>` or `=`, and `<=` is `<` or `=`. Numbers
/// compare like single days, and a time compares with a [`TimeRange`] like a day with a `DateRange`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonOp {
    /// `<`: the span starts before the first day of the range.
    Before,
    /// `<=`: the span starts on or before the last day of the range.
    BeforeOrIn,
    /// `=`: the span overlaps the range.
    In,
    /// `>=`: the span ends on or after the first day of the range.
    InOrAfter,
    /// `>`: the span ends after the last day of the range.
    After,
}

impl ComparisonOp {
    /// True if the number of a record has this relation to a literal.
    pub(crate) fn holds(self, value: i64, literal: i64) -> bool {
        match self {
            Self::Before => value < literal,
            Self::BeforeOrIn => value <= literal,
            Self::In => value == literal,
            Self::InOrAfter => value >= literal,
            Self::After => value > literal,
        }
    }
}

/// The days of a date literal, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateRange {
    /// The first day.
    pub first: NaiveDate,
    /// The last day.
    pub last: NaiveDate,
}

impl DateRange {
    /// Parses a year, month or day.
    pub(crate) fn parse(literal: &str) -> Option<Self> {
        dates::parse(literal).map(|(first, last)| Self { first, last })
    }

    /// True if the span of days, both inclusive, has this relation to the range.
    pub(crate) fn holds(&self, order: ComparisonOp, (from, to): (NaiveDate, NaiveDate)) -> bool {
        match order {
            ComparisonOp::Before => from < self.first,
            ComparisonOp::BeforeOrIn => from <= self.last,
            ComparisonOp::In => from <= self.last && to >= self.first,
            ComparisonOp::InOrAfter => to >= self.first,
            ComparisonOp::After => to > self.last,
        }
    }
}

/// The times of a literal, half-open. An instant covers its microsecond, the precision of stored times; a date covers
/// its days in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The start, inclusive.
    pub from: DateTime<Utc>,
    /// The end, exclusive.
    pub until: DateTime<Utc>,
}

impl TimeRange {
    /// Parses a time of RFC 3339, or a year, month or day.
    pub(crate) fn parse(literal: &str) -> Option<Self> {
        if let Some((first, last)) = dates::parse(literal) {
            let start = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
            return Some(Self { from: start(first), until: start(last.succ_opt()?) });
        }
        let micros = DateTime::parse_from_rfc3339(literal).ok()?.timestamp_micros();
        let from = DateTime::from_timestamp_micros(micros)?;
        Some(Self { from, until: from.checked_add_signed(TimeDelta::microseconds(1))? })
    }

    /// True if the time has this relation to the range.
    pub(crate) fn holds(&self, order: ComparisonOp, time: DateTime<Utc>) -> bool {
        match order {
            ComparisonOp::Before => time < self.from,
            ComparisonOp::BeforeOrIn => time < self.until,
            ComparisonOp::In => self.from <= time && time < self.until,
            ComparisonOp::InOrAfter => time >= self.from,
            ComparisonOp::After => time >= self.until,
        }
    }
}
