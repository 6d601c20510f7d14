//! Rules on changes.

use crate::pb::{list_changes_request, watch_changes_request};

/// Converts the start of a list request to that of a watch request. Both have the same variants.
pub fn start(list_start: list_changes_request::Start) -> watch_changes_request::Start {
    use list_changes_request::Start as ListStart;
    use watch_changes_request::Start;
    match list_start {
        ListStart::Cursor(cursor) => Start::Cursor(cursor),
        ListStart::After(position) => Start::After(position),
        ListStart::StartTime(time) => Start::StartTime(time),
        ListStart::Origin(origin) => Start::Origin(origin),
    }
}
