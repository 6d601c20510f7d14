//! Pages of records by keyset, in the order of ids or of a field with the id as tie-breaker.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{
    Decode, Encode, Postgres, QueryBuilder, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef},
};
use uuid::Uuid;

use super::{BoundedQuery, filter, search};
use crate::{
    model::{
        query::{
            filter::Filter,
            order::{OrderBy, SortField},
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
    /// A full-text search; only articles have texts.
    pub question: Option<SearchQuery>,
    /// True to include deleted records.
    pub show_deleted: bool,
    pub order: OrderBy,
}

/// The sort key of a record: the next page begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyset {
    /// The value of the sort column, as a number of the same order; 0 if the list is sorted by name.
    pub value: i64,
    /// The record's id.
    pub id: Uuid,
}

/// A page of a list.
#[derive(Debug)]
pub struct RecordPage {
    /// The records, in order.
    pub docs: Vec<Doc>,
    /// The value of the sort column for each record.
    values: Vec<i64>,
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
    let mut query = QueryBuilder::<Postgres>::new("");
    push_page(&mut query, of, list, after, limit);
    Ok(RecordPage::of(bounded.fetch_all(query.build_query_as()).await?, limit))
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
    let mut query = QueryBuilder::<Postgres>::new("explain (format json) ");
    push_page(&mut query, of, list, None, limit);
    let plans: Vec<(sqlx::types::JsonValue,)> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

/// The innermost query finds the records, from indexes alone where possible. The next one counts bytes without fetching
/// any TOASTed doc.
fn push_page(
    query: &mut QueryBuilder<Postgres>,
    of: Collection,
    list: &ListQuery,
    after: Option<Keyset>,
    limit: usize,
) {
    let (table, order) = (table(of), list.order);
    let direction = if order.is_descending { " desc" } else { "" };
    query.push(format_args!(
        "select id, contract, doc, sort, found
         from (
             select record.id, record.contract, record.doc, page.sort, count(*) over () as found,
                    sum(octet_length(record.doc)) over (order by page.sort{direction}, page.id{direction})
                        - octet_length(record.doc) as bytes_before
             from (
                 select {table}.id, "
    ));
    push_sort(query, table, order.by, list.question.as_ref());
    query.push(format_args!(" as sort from {table} where "));
    if let Some(question) = &list.question {
        search::push_condition(query, table, question);
        query.push(" and ");
    }
    if let Some(keyset) = after {
        push_after(query, table, list, keyset);
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
    query.push(" order by ");
    if order.by != SortField::Name {
        query.push(format_args!("sort{direction}, "));
    }
    // One record more than the limit shows that more follow. A page has at most 1,000 records: the cast cannot
    // overflow.
    query.push(format_args!("{table}.id{direction} limit ")).push_bind(limit as i64 + 1);
    query.push(format_args!(") as page join {table} as record on record.id = page.id) as page where bytes_before < "));
    query.push_bind(PAGE_BYTES).push(format_args!(" order by sort{direction}, id{direction}"));
}

/// Appends the keyset condition: records after `keyset` in the order of the list.
fn push_after(query: &mut QueryBuilder<Postgres>, table: &'static str, list: &ListQuery, keyset: Keyset) {
    let OrderBy { by, is_descending } = list.order;
    query.push("(");
    if by != SortField::Name {
        push_sort(query, table, by, list.question.as_ref());
        query.push(", ");
    }
    query.push(format_args!("{table}.id) {} (", if is_descending { "<" } else { ">" }));
    if by != SortField::Name {
        push_value(query, by, keyset.value);
        query.push(", ");
    }
    query.push_bind(keyset.id).push(")");
}

/// Appends the sort expression of a list, which is never null. It is constant for lists by name.
pub(in crate::store) fn push_sort(
    query: &mut QueryBuilder<Postgres>,
    table: &'static str,
    by: SortField,
    question: Option<&SearchQuery>,
) {
    let column = match (by, question) {
        (SortField::Rank, Some(question)) => {
            // As an integer, which compares exactly. The best rank has the lowest value.
            query.push("(");
            search::push_rank(query, table, question);
            query.push(" * -1e9)::bigint");
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
    };
    query.push(table).push(column);
}

/// Binds a value of the sort expression, in the type of its column.
pub(in crate::store) fn push_value(query: &mut QueryBuilder<Postgres>, by: SortField, value: i64) {
    match by {
        SortField::Date => query.push_bind(Days(value)),
        SortField::CreateTime | SortField::UpdateTime => query.push_bind(Micros(value)),
        SortField::IndependentSourceCount | SortField::Name | SortField::Rank => query.push_bind(value),
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
    sort: Sort,
    /// The number of records found, before the limit on bytes.
    found: i64,
}

from_row!(PageRow { ..doc, sort, found });

impl RecordPage {
    pub(in crate::store) fn of(rows: Vec<PageRow>, limit: usize) -> Self {
        let found = rows.first().map_or(0, |row| usize::try_from(row.found).unwrap_or(0));
        let (mut docs, values): (Vec<Doc>, Vec<i64>) = rows.into_iter().map(|row| (row.doc, row.sort.0)).unzip();
        docs.truncate(limit);
        let mut page = Self { more: found > docs.len(), docs, values };
        // The query includes the record that exceeds the limit on bytes, so that it always finds one.
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
        Some(Keyset { value: self.values[last], id: self.docs[last].id })
    }
}
