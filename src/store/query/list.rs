//! Pages of records by keyset, in the order of ids or of a field with the id as tie-breaker.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, Decode, Encode, Postgres, QueryBuilder, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef},
};
use uuid::Uuid;

pub use super::keyset::Keyset;
use super::{
    BoundedQuery, filter,
    former::{FormerRecords, docs_at},
    keyset::compare,
    question::Question,
};
use crate::{
    model::{
        query::{
            filter::Filter,
            order::{MAX_KEYS, OrderBy, SortField, SortKey},
            search::SearchQuery,
        },
        resource::Collection,
    },
    store::{Doc, StoreError, from_row::from_row, table},
};

/// Maximum bytes of records in a page, not counting its first record.
pub const PAGE_BYTES: i64 = 2 * 1024 * 1024;

/// The selection and the order of a list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// A condition on the records.
    pub filter: Filter,
    /// A full-text search. For participants as of a time, `filter` has the result, and it only ranks.
    pub question: Option<SearchQuery>,
    /// True to include deleted records.
    pub show_deleted: bool,
    pub order: OrderBy,
    /// For a list as of a time: the records that have changed since. `None` for the current records.
    pub former: Option<Arc<FormerRecords>>,
}

/// A page of a list.
#[derive(Debug)]
pub struct RecordPage {
    /// The records, in order.
    pub docs: Vec<Doc>,
    /// The values of the sort columns for each record.
    values: Vec<[i64; MAX_KEYS]>,
    /// True if more records follow.
    pub more: bool,
}

/// Lists at most `limit` records after `after`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn list(
    bounded: &mut BoundedQuery,
    of: Collection,
    list: &ListQuery,
    after: Option<Keyset>,
    limit: usize,
) -> Result<RecordPage, StoreError> {
    let question = match &list.question {
        Some(query) => Some(Question::of(bounded, query).await?),
        None => None,
    };
    let mut query = QueryBuilder::<Postgres>::new("");
    push_page(&mut query, of, list, (question.as_ref(), after), limit);
    let page = RecordPage::of(bounded.fetch_all(query.build_query_as()).await?, limit);
    let Some(former) = &list.former else { return Ok(page) };
    // Unchanged records follow the last one of an incomplete page, and changed ones between them.
    let changed = former.between(list.order, after, page.next());
    let ids: Vec<Uuid> = changed.iter().take(limit).map(|keyset| keyset.id).collect();
    let docs = match ids.is_empty() {
        true => Vec::new(),
        false => {
            bounded
                .fetch_all(sqlx::query_as(AssertSqlSafe(docs_at(of))).bind(of as i16).bind(ids).bind(former.time))
                .await?
        }
    };
    Ok(page.with_former(changed, docs, list.order, limit))
}

/// The plan of the first page: the output of PostgreSQL's `explain (format json)`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn plan(
    bounded: &mut BoundedQuery,
    of: Collection,
    list: &ListQuery,
    limit: usize,
) -> Result<String, StoreError> {
    let question = match &list.question {
        Some(query) => Some(Question::of(bounded, query).await?),
        None => None,
    };
    let mut query = QueryBuilder::<Postgres>::new("explain (format json) ");
    push_page(&mut query, of, list, (question.as_ref(), None), limit);
    let plans: Vec<(sqlx::types::JsonValue,)> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

/// The innermost query finds the records, from indexes alone where possible. The next one counts bytes without fetching
/// any TOASTed doc.
fn push_page(
    query: &mut QueryBuilder<Postgres>,
    of: Collection,
    list: &ListQuery,
    (question, after): (Option<&Question>, Option<Keyset>),
    limit: usize,
) {
    let table = table(of);
    let order = order_clause(list.order, "id");
    query.push(format_args!(
        "select id, contract, doc, sort_1, sort_2, sort_3, found
         from (
             select record.id, record.contract, record.doc, sort_1, sort_2, sort_3, count(*) over () as found,
                    sum(octet_length(record.doc)) over (order by {})
                        - octet_length(record.doc) as bytes_before
             from (
                 select {table}.id, ",
        order_clause(list.order, "record.id")
    ));
    let keys: Vec<SortKey> = list.order.keys().collect();
    for number in 0..MAX_KEYS {
        push_sort(query, table, keys.get(number).map_or(SortField::Name, |key| key.by), question);
        query.push(format_args!(" as sort_{}{}", number + 1, if number + 1 < MAX_KEYS { ", " } else { "" }));
    }
    query.push(format_args!(" from {table} where "));
    if let Some(question) = question.filter(|_| of != Collection::Participants || list.former.is_none()) {
        question.push_condition(query, of);
        query.push(" and ");
    }
    if let Some(keyset) = after {
        push_after(query, table, list.order, (question, keyset));
        query.push(" and ");
    }
    filter::push(query, &list.filter);
    if !list.show_deleted {
        query.push(match of {
            Collection::Meetings => " and meeting.listed",
            Collection::Articles => " and article.delete_time is null",
            Collection::Participants => " and participant.delete_time is null and participant.merged_into is null",
            Collection::Reports => "",
        });
    }
    if let Some(former) = &list.former {
        query.push(format_args!(" and {table}.update_time <= ")).push_bind(former.time);
    }
    // One record more than the limit shows that more follow. A page has at most 1,000 records: the cast cannot
    // overflow.
    query.push(format_args!(" order by {} limit ", order_clause(list.order, &format!("{table}.id"))));
    query.push_bind(limit as i64 + 1);
    query.push(format_args!(") as page join {table} as record on record.id = page.id) as page where bytes_before < "));
    query.push_bind(PAGE_BYTES).push(format_args!(" order by {order}"));
}

/// The columns of `order by` for an order: `sort_1` and so on, and then the id.
pub(in crate::store) fn order_clause(order: OrderBy, id: &str) -> String {
    let direction = |is_descending: bool| if is_descending { " desc" } else { "" };
    let keys = order.keys().zip(1..).map(|(key, number)| format!("sort_{number}{}, ", direction(key.is_descending)));
    format!("{}{id}{}", keys.collect::<String>(), direction(order.is_name_descending))
}

/// Appends the keyset condition: records after `keyset` in the order of the list.
fn push_after(
    query: &mut QueryBuilder<Postgres>,
    table: &'static str,
    order: OrderBy,
    (question, keyset): (Option<&Question>, Keyset),
) {
    let keys: Vec<(SortKey, i64)> = order.keys().zip(keyset.values).collect();
    if keys.iter().all(|(key, _)| key.is_descending == order.is_name_descending) {
        // A comparison of rows, which an index of all these columns serves.
        query.push("(");
        for (key, _) in &keys {
            push_sort(query, table, key.by, question);
            query.push(", ");
        }
        query.push(format_args!("{table}.id) {} (", comparison(order.is_name_descending)));
        for (key, value) in &keys {
            push_value(query, key.by, *value);
            query.push(", ");
        }
        query.push_bind(keyset.id).push(")");
        return;
    }
    // The first key alone is bounded for its index. Then: after in a key, or equal in it and after in the others.
    if let Some((key, value)) = keys.first() {
        push_sort(query, table, key.by, question);
        query.push(format_args!(" {}= ", comparison(key.is_descending)));
        push_value(query, key.by, *value);
        query.push(" and ");
    }
    for (key, value) in &keys {
        query.push("(");
        push_sort(query, table, key.by, question);
        query.push(format_args!(" {} ", comparison(key.is_descending)));
        push_value(query, key.by, *value);
        query.push(" or (");
        push_sort(query, table, key.by, question);
        query.push(" = ");
        push_value(query, key.by, *value);
        query.push(" and ");
    }
    query.push(format_args!("{table}.id {} ", comparison(order.is_name_descending))).push_bind(keyset.id);
    query.push("))".repeat(keys.len()));
}

const fn comparison(is_descending: bool) -> &'static str {
    if is_descending { "<" } else { ">" }
}

/// Appends the sort expression of a list, which is never null. It is constant for lists by name.
pub(in crate::store) fn push_sort(
    query: &mut QueryBuilder<Postgres>,
    table: &'static str,
    by: SortField,
    question: Option<&Question>,
) {
    let column = match (by, question) {
        (SortField::Rank, Some(question)) => {
            // As an integer, which compares exactly. The best rank has the lowest value.
            query.push("((");
            question.push_rank(query, table);
            query.push(") * -1e9)::bigint");
            return;
        }
        (SortField::Name | SortField::Rank, _) => {
            query.push("0::bigint");
            return;
        }
        (SortField::Date, _) => ".sort_date",
        (SortField::CreateTime, _) => ".create_time",
        (SortField::UpdateTime, _) => ".update_time",
        (SortField::IndependentSourceCount, _) => ".independent_source_count",
        (SortField::EvidenceCoverage, _) => ".evidence_coverage",
    };
    query.push(table).push(column);
}

/// Binds a value of the sort expression, in the type of its column.
pub(in crate::store) fn push_value(query: &mut QueryBuilder<Postgres>, by: SortField, value: i64) {
    match by {
        SortField::Date => query.push_bind(Days(value)),
        SortField::CreateTime | SortField::UpdateTime => query.push_bind(Micros(value)),
        SortField::IndependentSourceCount | SortField::EvidenceCoverage | SortField::Name | SortField::Rank => {
            query.push_bind(value)
        }
    };
}

/// A date in PostgreSQL's binary format: days since 2000-01-01, the lowest number for `-infinity`.
struct Days(i64);

/// A time in PostgreSQL's binary format: microseconds since 2000-01-01.
struct Micros(i64);

/// A value of the sort expression: a date, a time or an integer, as its binary number.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Sort(pub(in crate::store) i64);

impl Type<Postgres> for Days {
    fn type_info() -> PgTypeInfo {
        <chrono::NaiveDate as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Days {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend(i32::try_from(self.0)?.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Micros {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend(self.0.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Type<Postgres> for Sort {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }

    fn compatible(_: &PgTypeInfo) -> bool {
        true
    }
}

impl Decode<'_, Postgres> for Sort {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let bytes = value.as_bytes()?;
        Ok(Self(match bytes.len() {
            4 => i32::from_be_bytes(bytes.try_into()?).into(),
            _ => i64::from_be_bytes(bytes.try_into()?),
        }))
    }
}

/// A row of a page query, which reads one record more than its limit.
pub(in crate::store) struct PageRow {
    doc: Doc,
    sort_1: Sort,
    sort_2: Sort,
    sort_3: Sort,
    /// The number of records found, before the limit on bytes.
    found: i64,
}

from_row!(PageRow { ..doc, sort_1, sort_2, sort_3, found });

impl RecordPage {
    pub(in crate::store) fn of(rows: Vec<PageRow>, limit: usize) -> Self {
        let found = rows.first().map_or(0, |row| usize::try_from(row.found).unwrap_or(0));
        let values = |row: &PageRow| [row.sort_1.0, row.sort_2.0, row.sort_3.0];
        let (mut docs, values): (Vec<Doc>, Vec<_>) =
            rows.into_iter().map(|row| (values(&row), row.doc)).map(|(values, doc)| (doc, values)).unzip();
        docs.truncate(limit);
        let mut page = Self { more: found > docs.len(), docs, values };
        // The query includes the record that exceeds the limit on bytes, so that it always finds one.
        page.cut(|_| 0);
        page
    }

    /// Merges the changed records into a page of unchanged ones. `changed` are the next ones up to the last record of the
    /// page, `docs` their docs.
    fn with_former(self, changed: &[Keyset], docs: Vec<Doc>, order: OrderBy, limit: usize) -> Self {
        let more = self.more || changed.len() + self.docs.len() > limit;
        let values: HashMap<Uuid, [i64; MAX_KEYS]> = changed.iter().map(|keyset| (keyset.id, keyset.values)).collect();
        let mut rows: Vec<(Keyset, Doc)> = Vec::with_capacity(self.docs.len() + docs.len());
        rows.extend(self.values.into_iter().zip(self.docs).map(|(values, doc)| (Keyset { values, id: doc.id }, doc)));
        let keyset = |doc: &Doc| Some(Keyset { values: *values.get(&doc.id)?, id: doc.id });
        rows.extend(docs.into_iter().filter_map(|doc| Some((keyset(&doc)?, doc))));
        rows.sort_by(|(left, _), (right, _)| compare(order, left, right));
        rows.truncate(limit);
        let (values, docs) = rows.into_iter().map(|(keyset, doc)| (keyset.values, doc)).unzip();
        let mut page = Self { docs, values, more };
        page.cut(|_| 0);
        page
    }

    /// Cuts the page where it would exceed `PAGE_BYTES`, but keeps its first record. `attached_bytes` is the size of
    /// the parts that the response adds to a record, such as its text or its reports.
    pub fn cut(&mut self, attached_bytes: impl Fn(&Doc) -> usize) {
        let mut bytes = 0;
        let limit = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
        let fits = |doc: &Doc| {
            let bytes_before = bytes;
            bytes += doc.bytes.len() + attached_bytes(doc);
            bytes_before == 0 || bytes <= limit
        };
        let kept = self.docs.iter().map(fits).take_while(|fits| *fits).count();
        if kept < self.docs.len() {
            self.docs.truncate(kept);
            self.more = true;
        }
    }

    /// As [`cut`](Self::cut), by the sizes of the records in the response.
    pub fn cut_to_sizes(&mut self, sizes: impl Iterator<Item = usize>) {
        let own = self.docs.iter().map(|doc| doc.bytes.len());
        let attached: HashMap<Uuid, usize> =
            self.docs.iter().zip(own).zip(sizes).map(|((doc, own), size)| (doc.id, size.saturating_sub(own))).collect();
        self.cut(|doc| attached.get(&doc.id).copied().unwrap_or(0));
    }

    /// The keyset after which the next page begins; `None` on the last page.
    pub fn next(&self) -> Option<Keyset> {
        let last = self.docs.len().checked_sub(1).filter(|_| self.more)?;
        Some(Keyset { values: self.values[last], id: self.docs[last].id })
    }
}
