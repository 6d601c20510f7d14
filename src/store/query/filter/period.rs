//! Merges a lower and an upper bound of a date into one comparison with a period.

use std::borrow::Cow;

use crate::model::query::filter::{Comparison, ComparisonOp, DateRange, Filter};

/// The parts of a conjunction, with `date >= a AND date <= b` merged into one comparison. A span of days that ends on
/// or after the first day of `a` and starts on or before the last day of `b` overlaps the days from `a` to `b`, if `a`
/// is not after `b`. The planner would estimate that each bound alone selects half of all meetings.
pub fn merge_bounds(parts: &[Filter]) -> Cow<'_, [Filter]> {
    let (mut from, mut to) = (None, None);
    for (index, part) in parts.iter().enumerate() {
        match part {
            Filter::Compare(Comparison::MeetingDate(ComparisonOp::InOrAfter, range)) => {
                from = Some((index, range.first))
            }
            Filter::Compare(Comparison::MeetingDate(ComparisonOp::BeforeOrIn, range)) => to = Some((index, range.last)),
            _ => {}
        }
    }
    let (Some((lower, first)), Some((upper, last))) = (from, to) else { return parts.into() };
    if first > last {
        return parts.into();
    }
    let mut merged = parts.to_vec();
    merged[lower] = Filter::Compare(Comparison::MeetingDate(ComparisonOp::In, DateRange { first, last }));
    merged.remove(upper);
    merged.into()
}
