//! Days, times and numbers in filters, and how those of a record compare with them.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::model::time::dates;

/// How the days that a record spans stand to a [`DateRange`]. So `>=` is `>` or `=`, and `<=` is `<` or `=`. A number
/// compares with another as if both were days, and a time with a [`TimeRange`] as a day does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `<`: they start before its first day.
    Before,
    /// `<=`: they start on or before its last day.
    BeforeOrIn,
    /// `=`: they overlap it.
    In,
    /// `>=`: they end on or after its first day.
    InOrAfter,
    /// `>`: they end after its last day.
    After,
}

impl Order {
    /// Whether one number stands so to another.
    pub(crate) fn holds(self, one: i64, other: i64) -> bool {
        match self {
            Self::Before => one < other,
            Self::BeforeOrIn => one <= other,
            Self::In => one == other,
            Self::InOrAfter => one >= other,
            Self::After => one > other,
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
    /// Reads a year, month or day.
    pub(crate) fn parse(literal: &str) -> Option<Self> {
        dates::parse(literal).map(|(first, last)| Self { first, last })
    }

    /// Whether the days from one to the other stand so to the range.
    pub(crate) fn holds(&self, order: Order, (from, to): (NaiveDate, NaiveDate)) -> bool {
        match order {
            Order::Before => from < self.first,
            Order::BeforeOrIn => from <= self.last,
            Order::In => from <= self.last && to >= self.first,
            Order::InOrAfter => to >= self.first,
            Order::After => to > self.last,
        }
    }
}

/// The times of a literal, half-open: of an instant its microsecond, which is what is stored; of a date its days in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When it is over.
    pub until: DateTime<Utc>,
}

impl TimeRange {
    /// Reads a time of RFC 3339, or a year, month or day.
    pub(crate) fn parse(literal: &str) -> Option<Self> {
        if let Some((first, last)) = dates::parse(literal) {
            let start = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
            return Some(Self { from: start(first), until: start(last.succ_opt()?) });
        }
        let micros = DateTime::parse_from_rfc3339(literal).ok()?.timestamp_micros();
        let from = DateTime::from_timestamp_micros(micros)?;
        Some(Self { from, until: from.checked_add_signed(TimeDelta::microseconds(1))? })
    }

    /// Whether a time stands so to the range.
    pub(crate) fn holds(&self, order: Order, time: DateTime<Utc>) -> bool {
        match order {
            Order::Before => time < self.from,
            Order::BeforeOrIn => time < self.until,
            Order::In => self.from <= time && time < self.until,
            Order::InOrAfter => time >= self.from,
            Order::After => time >= self.until,
        }
    }
}
