//! Two bounds of a date as the one period that they mean.

use std::borrow::Cow;

use crate::model::query::filter::{Comparison, DateRange, Filter, Order};

/// The parts of a conjunction, with `date >= a AND date <= b` as one comparison: what ends on or after the first day of a
/// and starts on or before the last day of b overlaps the days between, unless these are none. A planner takes each bound
/// alone for half of all meetings.
pub fn joined(parts: &[Filter]) -> Cow<'_, [Filter]> {
    let (mut from, mut to) = (None, None);
    for (at, part) in parts.iter().enumerate() {
        match part {
            Filter::Compare(Comparison::MeetingDate(Order::InOrAfter, range)) => from = Some((at, range.first)),
            Filter::Compare(Comparison::MeetingDate(Order::BeforeOrIn, range)) => to = Some((at, range.last)),
            _ => {}
        }
    }
    let (Some((lower, first)), Some((upper, last))) = (from, to) else { return parts.into() };
    if first > last {
        return parts.into();
    }
    let mut joined = parts.to_vec();
    joined[lower] = Filter::Compare(Comparison::MeetingDate(Order::In, DateRange { first, last }));
    joined.remove(upper);
    joined.into()
}
