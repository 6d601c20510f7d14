//! The fields and functions of the filters of each collection, one table each. ListFilterFields returns the examples
//! and comments of these tables.

mod events;
mod meetings;
mod records;

pub use self::{
    events::{AUDIT_EVENTS, CHANGES},
    meetings::{IN_LISTS_ONLY, MEETINGS, PARTICIPATIONS},
    records::{ARTICLES, PARTICIPANTS},
};
use super::{Field, FilterSchema, STATEMENTS, Values};

/// The fields of a collection, or of `audit_events`, `changes` or `participations`, by its name in ListFilterFields.
pub fn filter_schema(name: &str) -> Option<&'static FilterSchema> {
    match name {
        "articles" => Some(ARTICLES),
        "audit_events" => Some(AUDIT_EVENTS),
        "changes" => Some(&CHANGES),
        "meetings" => Some(MEETINGS),
        "participants" => Some(PARTICIPANTS),
        "participations" => Some(PARTICIPATIONS),
        "statements" => Some(STATEMENTS),
        _ => None,
    }
}

const fn label(values: Values) -> Field {
    Field::single(
        "labels.KEY",
        values,
        "labels.priority = \"high\"",
        "The label with this key. A key with other characters than letters, digits, `_`, `-` and `.` needs quotes: \
         `labels.\"a b\"`.",
    )
}

const fn create_time(values: Values) -> Field {
    Field::single(
        "create_time",
        values,
        "create_time >= \"2020-09-04T12:00:00Z\"",
        "The time of creation in this service.",
    )
}

const fn update_time(values: Values) -> Field {
    Field::single("update_time", values, "update_time < \"2020-09-04\"", "The time of the last update in this service.")
}
