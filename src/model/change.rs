//! Rules on changes.

use crate::pb::{list_changes_request, watch_changes_request};

/// The start of a page as that of a watch: they are the same.
pub fn start(of_list: list_changes_request::Start) -> watch_changes_request::Start {
    use list_changes_request::Start as Of;
    use watch_changes_request::Start;
    match of_list {
        Of::Cursor(cursor) => Start::Cursor(cursor),
        Of::After(position) => Start::After(position),
        Of::StartTime(time) => Start::StartTime(time),
        Of::Origin(origin) => Start::Origin(origin),
    }
}
