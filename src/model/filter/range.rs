//! Days and numbers in filters, and how those of a record compare with them.

use chrono::NaiveDate;

/// How the days that a record spans stand to a [`DateRange`]. So `>=` is `>` or `=`, and `<=` is `<` or `=`. A number
/// compares with another as if both were days.
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

/// The days of a date literal, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateRange {
    /// The first day.
    pub first: NaiveDate,
    /// The last day.
    pub last: NaiveDate,
}
