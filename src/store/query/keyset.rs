//! The sort keys of lists of records.

use std::cmp::Ordering;

use uuid::Uuid;

use crate::model::query::order::{MAX_KEYS, OrderBy};

/// The sort key of a record: the next page begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyset {
    /// The values of the sort columns, as numbers of the same order; 0 for a key that the order does not have.
    pub values: [i64; MAX_KEYS],
    /// The record's id.
    pub id: Uuid,
}

impl Keyset {
    /// The sort key in an order by one key, or by name.
    pub fn single(value: i64, id: Uuid) -> Self {
        let mut values = [0; MAX_KEYS];
        values[0] = value;
        Self { values, id }
    }
}

/// The order of two records in a list.
pub(super) fn compare(order: OrderBy, left: &Keyset, right: &Keyset) -> Ordering {
    let directed = |is_descending: bool, ordering: Ordering| if is_descending { ordering.reverse() } else { ordering };
    let keys = order.keys().zip(left.values.iter().zip(&right.values));
    let by_keys = keys.map(|(key, (left, right))| directed(key.is_descending, left.cmp(right)));
    let by_name = || directed(order.is_name_descending, left.id.cmp(&right.id));
    by_keys.fold(Ordering::Equal, Ordering::then).then_with(by_name)
}
