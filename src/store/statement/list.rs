//! Pages of statements by keyset, in the order of reports, of dates, or the best first.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    model::{
        query::{
            filter::Filter,
            order::{By, OrderBy},
            search::Question,
        },
        resource::Collection,
    },
    store::{
        Doc, StoreError,
        query::{
            BoundedQuery, filter,
            list::{PAGE_BYTES, Sort, push_sort, push_value},
            search,
        },
        row::from_row,
        table,
    },
};

/// What a page is read from has no more bytes than a message may have.
const SOURCE_BYTES: i64 = 4 * PAGE_BYTES;

/// Which statements are listed.
#[derive(Debug, Clone)]
pub struct StatementQuery {
    /// Those for which it is true.
    pub filter: Filter,
    /// Those that it finds.
    pub question: Option<Question>,
    /// In which order.
    pub order: OrderBy,
}

/// A place in a list: that of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementPosition {
    /// What the list is in the order of, as a number of the same order; 0 in the order of reports.
    pub value: i64,
    /// The report.
    pub report: Uuid,
    /// The statement's place in the report, from 0.
    pub number: i32,
}

/// Where a statement stands.
#[derive(Debug)]
pub struct StatementLocation {
    /// The report.
    pub report: Uuid,
    /// Its place in the report, from 0.
    pub number: i32,
    /// The meeting that the report tells of.
    pub meeting: Uuid,
    /// The report's article.
    pub article: Uuid,
    /// Its language, or that of the article.
    pub language_code: Option<String>,
    sort: Sort,
}

from_row!(StatementLocation { report, number, meeting, article, language_code, sort });

impl StatementLocation {
    /// Its place in the list.
    pub fn place(&self) -> StatementPosition {
        StatementPosition { value: self.sort.0, report: self.report, number: self.number }
    }
}

/// Statements, and whether there are more after them.
#[derive(Debug)]
pub struct StatementPage {
    /// They, in order.
    pub found: Vec<StatementLocation>,
    /// Whether the next page has any.
    pub more: bool,
}

struct StatementRow {
    found: StatementLocation,
    /// How many were found, before bytes were counted.
    count: i64,
    report_bytes: i64,
    meeting_bytes: i64,
}

from_row!(StatementRow { ..found, count, report_bytes, meeting_bytes });

/// At most `limit` of the statements that are wanted, after `after`.
pub async fn list(
    ask: &mut BoundedQuery,
    wanted: &StatementQuery,
    after: Option<StatementPosition>,
    limit: usize,
) -> Result<StatementPage, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("");
    push_page(&mut query, wanted, after, limit);
    Ok(StatementPage::of(ask.all(query.build_query_as()).await?, limit))
}

/// How the database finds the first page (PostgreSQL, EXPLAIN, as JSON).
pub async fn plan(ask: &mut BoundedQuery, wanted: &StatementQuery, limit: usize) -> Result<String, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("explain (format json) ");
    push_page(&mut query, wanted, None, limit);
    let plans: Vec<(sqlx::types::JsonValue,)> = ask.all(query.build_query_as()).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

fn push_page(
    query: &mut QueryBuilder<Postgres>,
    wanted: &StatementQuery,
    after: Option<StatementPosition>,
    limit: usize,
) {
    let direction = if wanted.order.is_descending { " desc" } else { "" };
    query.push(
        "select page.report, page.number, page.meeting, page.article, page.language_code, page.sort,
                count(*) over () as count, octet_length(report.doc)::bigint as report_bytes,
                octet_length(meeting.doc)::bigint as meeting_bytes
         from (
             select statement.report, statement.number, statement.meeting, statement.article,
                    statement.language_code, ",
    );
    push_sort(query, "statement", wanted.order.by, wanted.question.as_ref());
    query.push(" as sort from statement join meeting on meeting.id = statement.meeting where meeting.listed and ");
    if let Some(question) = &wanted.question {
        search::push_condition(query, "statement", question);
        query.push(" and ");
    }
    if let Some(place) = after {
        push_after(query, wanted, place);
        query.push(" and ");
    }
    filter::push(query, &wanted.filter);
    query.push(" order by ");
    if wanted.order.by != By::Name {
        query.push(format_args!("sort{direction}, "));
    }
    // One more than asked for tells whether there are more; a page has at most 1,000: the number fits.
    query.push(format_args!("statement.report{direction}, statement.number{direction} limit "));
    query.push_bind(limit as i64 + 1);
    query.push(format_args!(
        ") as page
         join report on report.id = page.report
         join meeting on meeting.id = page.meeting
         order by page.sort{direction}, page.report{direction}, page.number{direction}"
    ));
}

/// What comes after a place.
fn push_after(query: &mut QueryBuilder<Postgres>, wanted: &StatementQuery, place: StatementPosition) {
    let comparison = if wanted.order.is_descending { "<" } else { ">" };
    query.push("(");
    if wanted.order.by != By::Name {
        push_sort(query, "statement", wanted.order.by, wanted.question.as_ref());
        query.push(", ");
    }
    query.push(format_args!("statement.report, statement.number) {comparison} ("));
    if wanted.order.by != By::Name {
        push_value(query, wanted.order.by, place.value);
        query.push(", ");
    }
    query.push_bind(place.report).push(", ").push_bind(place.number).push(")");
}

impl StatementPage {
    fn of(rows: Vec<StatementRow>, limit: usize) -> Self {
        let count = rows.first().map_or(0, |row| usize::try_from(row.count).unwrap_or(0));
        let mut counted: BTreeSet<Uuid> = BTreeSet::new();
        let mut bytes = 0;
        let mut fits = |row: &StatementRow| {
            let is_first = counted.is_empty();
            for (id, more) in [(row.found.report, row.report_bytes), (row.found.meeting, row.meeting_bytes)] {
                bytes += if counted.insert(id) { more } else { 0 };
            }
            is_first || bytes <= SOURCE_BYTES
        };
        let found: Vec<StatementLocation> =
            rows.into_iter().take(limit).take_while(|row| fits(row)).map(|row| row.found).collect();
        Self { more: count > found.len(), found }
    }
}

/// The records of these ids, in no order; those that are not there are left out.
pub async fn sources(ask: &mut BoundedQuery, of: Collection, ids: &BTreeSet<Uuid>) -> Result<Vec<Doc>, StoreError> {
    let statement = format!("select id, contract, doc from {} where id = any($1)", table(of));
    let ids: Vec<Uuid> = ids.iter().copied().collect();
    ask.all(sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(ids)).await
}
