//! Pages of records by keyset, in the order of names or of a field.

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
            order::{By, OrderBy},
            search::Question,
        },
        resource::Collection,
    },
    store::{Doc, StoreError, row::from_row, table},
};

/// A page ends at this many bytes, and after at least one record.
pub const PAGE_BYTES: i64 = 2 * 1024 * 1024;

/// Which records are listed.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Those for which it is true.
    pub filter: Filter,
    /// Those that it finds; only articles have texts.
    pub question: Option<Question>,
    /// Whether deleted ones, too.
    pub show_deleted: bool,
    /// In which order.
    pub order: OrderBy,
}

/// A place in a list: that of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyset {
    /// What the list is in the order of, as a number of the same order; 0 in the order of names.
    pub value: i64,
    /// The record's id.
    pub id: Uuid,
}

/// Records, and whether there are more after them.
#[derive(Debug)]
pub struct RecordPage {
    /// The records, in order.
    pub docs: Vec<Doc>,
    /// What each has of that which the list is in the order of.
    values: Vec<i64>,
    /// Whether the next page has any.
    pub more: bool,
}

/// At most `limit` of the records that are wanted, after `after`.
pub async fn list(
    ask: &mut BoundedQuery,
    of: Collection,
    wanted: &ListQuery,
    after: Option<Keyset>,
    limit: usize,
) -> Result<RecordPage, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("");
    push_page(&mut query, of, wanted, after, limit);
    Ok(RecordPage::of(ask.all(query.build_query_as()).await?, limit))
}

/// How the database finds the first page (PostgreSQL, EXPLAIN, as JSON).
pub async fn plan(
    ask: &mut BoundedQuery,
    of: Collection,
    wanted: &ListQuery,
    limit: usize,
) -> Result<String, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("explain (format json) ");
    push_page(&mut query, of, wanted, None, limit);
    let plans: Vec<(sqlx::types::JsonValue,)> = ask.all(query.build_query_as()).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

/// The innermost query finds the records, from indexes alone where it can; the next one counts bytes before any doc is
/// fetched from where large ones are kept apart.
fn push_page(
    query: &mut QueryBuilder<Postgres>,
    of: Collection,
    wanted: &ListQuery,
    after: Option<Keyset>,
    limit: usize,
) {
    let (table, order) = (table(of), wanted.order);
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
    push_sort(query, table, order.by, wanted.question.as_ref());
    query.push(format_args!(" as sort from {table} where "));
    if let Some(question) = &wanted.question {
        search::push_condition(query, table, question);
        query.push(" and ");
    }
    if let Some(place) = after {
        push_after(query, table, wanted, place);
        query.push(" and ");
    }
    filter::push(query, &wanted.filter);
    if !wanted.show_deleted {
        query.push(match of {
            Collection::Meetings => " and meeting.listed",
            Collection::Articles => " and article.delete_time is null",
            Collection::Participants => " and participant.delete_time is null",
            Collection::Reports => "",
        });
    }
    query.push(" order by ");
    if order.by != By::Name {
        query.push(format_args!("sort{direction}, "));
    }
    // One more than asked for tells whether there are more; a page has at most 1,000: the number fits.
    query.push(format_args!("{table}.id{direction} limit ")).push_bind(limit as i64 + 1);
    query.push(format_args!(") as page join {table} as record on record.id = page.id) as page where bytes_before < "));
    query.push_bind(PAGE_BYTES).push(format_args!(" order by sort{direction}, id{direction}"));
}

/// What comes after a place.
fn push_after(query: &mut QueryBuilder<Postgres>, table: &'static str, wanted: &ListQuery, place: Keyset) {
    let OrderBy { by, is_descending } = wanted.order;
    query.push("(");
    if by != By::Name {
        push_sort(query, table, by, wanted.question.as_ref());
        query.push(", ");
    }
    query.push(format_args!("{table}.id) {} (", if is_descending { "<" } else { ">" }));
    if by != By::Name {
        push_value(query, by, place.value);
        query.push(", ");
    }
    query.push_bind(place.id).push(")");
}

/// What a list is in the order of, never null; where that is the name, the same for all.
pub(in crate::store) fn push_sort(
    query: &mut QueryBuilder<Postgres>,
    table: &'static str,
    by: By,
    question: Option<&Question>,
) {
    let column = match (by, question) {
        (By::Rank, Some(question)) => {
            // As a whole number, which is the same wherever it is compared; the best has the least.
            query.push("(");
            search::push_rank(query, table, question);
            query.push(" * -1e9)::bigint");
            return;
        }
        (By::Name | By::Rank, _) => {
            query.push("0::bigint");
            return;
        }
        (By::Date, _) => ".sort_date",
        (By::CreateTime, _) => ".create_time",
        (By::UpdateTime, _) => ".update_time",
        (By::IndependentSourceCount, _) => ".independent_source_count",
    };
    query.push(table).push(column);
}

/// A value of that, in its own type.
pub(in crate::store) fn push_value(query: &mut QueryBuilder<Postgres>, by: By, value: i64) {
    match by {
        By::Date => query.push_bind(Days(value)),
        By::CreateTime | By::UpdateTime => query.push_bind(Micros(value)),
        By::IndependentSourceCount | By::Name | By::Rank => query.push_bind(value),
    };
}

/// A date as PostgreSQL sends it: days since 2000, the least number for what is before all dates.
struct Days(i64);

/// A time as PostgreSQL sends it: microseconds since 2000.
struct Micros(i64);

/// Any of these, or a whole number.
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

/// A record of a page that was asked for with one record more than it may have.
pub(in crate::store) struct PageRow {
    doc: Doc,
    sort: Sort,
    /// How many were found, before bytes were counted.
    found: i64,
}

from_row!(PageRow { ..doc, sort, found });

impl RecordPage {
    pub(in crate::store) fn of(rows: Vec<PageRow>, limit: usize) -> Self {
        let found = rows.first().map_or(0, |row| usize::try_from(row.found).unwrap_or(0));
        let (mut docs, values): (Vec<Doc>, Vec<i64>) = rows.into_iter().map(|row| (row.doc, row.sort.0)).unzip();
        docs.truncate(limit);
        let mut page = Self { more: found > docs.len(), docs, values };
        // The query stops after the record that passes the limit, so that it finds one at all.
        page.cut(|_| 0);
        page
    }

    /// Ends the page before it passes `PAGE_BYTES`, with what comes `beside` each record (its text, its reports), but
    /// not before the first record.
    pub fn cut(&mut self, beside: impl Fn(&Doc) -> usize) {
        let mut bytes = 0;
        let most = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
        let fits = |doc: &Doc| {
            let before = bytes;
            bytes += doc.bytes.len() + beside(doc);
            before == 0 || bytes <= most
        };
        let kept = self.docs.iter().map(fits).take_while(|fits| *fits).count();
        if kept < self.docs.len() {
            self.docs.truncate(kept);
            self.more = true;
        }
    }

    /// The place after which the next page begins; `None` on the last.
    pub fn next(&self) -> Option<Keyset> {
        let last = self.docs.len().checked_sub(1).filter(|_| self.more)?;
        Some(Keyset { value: self.values[last], id: self.docs[last].id })
    }
}
