//! The locations of statements, and their sort keys in lists.

use std::cmp::Ordering;

use uuid::Uuid;

use crate::{
    model::query::order::OrderBy,
    store::{from_row::from_row, query::list::Sort},
};

/// The sort key of a statement: the next page begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementPosition {
    /// The value of the sort column, as a number of the same order; 0 if the list is sorted by report.
    pub value: i64,
    pub report: Uuid,
    /// The statement's index in the report, from 0.
    pub number: i32,
}

/// The location of a statement: its report, and its index there.
#[derive(Debug, Clone)]
pub struct StatementLocation {
    pub report: Uuid,
    /// The statement's index in the report, from 0.
    pub number: i32,
    /// The report's meeting.
    pub meeting: Uuid,
    /// The report's article.
    pub article: Uuid,
    /// The statement's language, else the article's.
    pub language_code: Option<String>,
    pub(super) sort: Sort,
}

from_row!(StatementLocation { report, number, meeting, article, language_code, sort });

impl StatementLocation {
    /// The sort key of the statement.
    pub fn place(&self) -> StatementPosition {
        StatementPosition { value: self.sort.0, report: self.report, number: self.number }
    }
}

/// The order of two statements in a list.
pub(super) fn compare(order: OrderBy, left: &StatementPosition, right: &StatementPosition) -> Ordering {
    let directed = |is_descending: bool, ordering: Ordering| if is_descending { ordering.reverse() } else { ordering };
    let by_value = directed(order.first.is_descending, left.value.cmp(&right.value));
    let by_name = (left.report, left.number).cmp(&(right.report, right.number));
    by_value.then(directed(order.is_name_descending, by_name))
}
