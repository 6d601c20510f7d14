//! Pages of statements by keyset, in the order of reports, of dates, or of search rank.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    model::{
        query::{
            filter::Filter,
            order::{OrderBy, SortField},
            search::SearchQuery,
        },
        resource::Collection,
    },
    store::{
        Doc, StoreError,
        from_row::from_row,
        query::{
            BoundedQuery, filter,
            list::{PAGE_BYTES, Sort, push_sort, push_value},
            search,
        },
        table,
    },
};

/// Maximum number of bytes of the reports and meetings from which a page is built: the size limit of a message.
const SOURCE_BYTES: i64 = 4 * PAGE_BYTES;

/// The selection and the order of a list of statements.
#[derive(Debug, Clone)]
pub struct StatementQuery {
    /// A condition on the statements.
    pub filter: Filter,
    /// A full-text search.
    pub question: Option<SearchQuery>,
    pub order: OrderBy,
}

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
#[derive(Debug)]
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
    sort: Sort,
}

from_row!(StatementLocation { report, number, meeting, article, language_code, sort });

impl StatementLocation {
    /// The sort key of the statement.
    pub fn place(&self) -> StatementPosition {
        StatementPosition { value: self.sort.0, report: self.report, number: self.number }
    }
}

/// A page of statements.
#[derive(Debug)]
pub struct StatementPage {
    /// The statements, in order.
    pub found: Vec<StatementLocation>,
    /// True if more statements follow.
    pub more: bool,
}

struct StatementRow {
    found: StatementLocation,
    /// The number of statements found, before the limit on bytes.
    count: i64,
    report_bytes: i64,
    meeting_bytes: i64,
}

from_row!(StatementRow { ..found, count, report_bytes, meeting_bytes });

/// Lists at most `limit` statements after `after`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn list(
    bounded: &mut BoundedQuery,
    list: &StatementQuery,
    after: Option<StatementPosition>,
    limit: usize,
) -> Result<StatementPage, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("");
    push_page(&mut query, list, after, limit);
    Ok(StatementPage::of(bounded.fetch_all(query.build_query_as()).await?, limit))
}

/// The plan of the first page: the output of PostgreSQL's `explain (format json)`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn plan(bounded: &mut BoundedQuery, list: &StatementQuery, limit: usize) -> Result<String, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("explain (format json) ");
    push_page(&mut query, list, None, limit);
    let plans: Vec<(sqlx::types::JsonValue,)> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

fn push_page(
    query: &mut QueryBuilder<Postgres>,
    list: &StatementQuery,
    after: Option<StatementPosition>,
    limit: usize,
) {
    let direction = if list.order.is_descending { " desc" } else { "" };
    query.push(
        "select page.report, page.number, page.meeting, page.article, page.language_code, page.sort,
                count(*) over () as count, octet_length(report.doc)::bigint as report_bytes,
                octet_length(meeting.doc)::bigint as meeting_bytes
         from (
             select statement.report, statement.number, statement.meeting, statement.article,
                    statement.language_code, ",
    );
    push_sort(query, "statement", list.order.by, list.question.as_ref());
    query.push(" as sort from statement join meeting on meeting.id = statement.meeting where meeting.listed and ");
    if let Some(question) = &list.question {
        search::push_condition(query, "statement", question);
        query.push(" and ");
    }
    if let Some(position) = after {
        push_after(query, list, position);
        query.push(" and ");
    }
    filter::push(query, &list.filter);
    query.push(" order by ");
    if list.order.by != SortField::Name {
        query.push(format_args!("sort{direction}, "));
    }
    // One statement more than the limit shows that more follow. A page has at most 1,000 statements: the cast cannot
    // overflow.
    query.push(format_args!("statement.report{direction}, statement.number{direction} limit "));
    query.push_bind(limit as i64 + 1);
    query.push(format_args!(
        ") as page
         join report on report.id = page.report
         join meeting on meeting.id = page.meeting
         order by page.sort{direction}, page.report{direction}, page.number{direction}"
    ));
}

/// Appends the keyset condition: statements after `position` in the order of the list.
fn push_after(query: &mut QueryBuilder<Postgres>, list: &StatementQuery, position: StatementPosition) {
    let comparison = if list.order.is_descending { "<" } else { ">" };
    query.push("(");
    if list.order.by != SortField::Name {
        push_sort(query, "statement", list.order.by, list.question.as_ref());
        query.push(", ");
    }
    query.push(format_args!("statement.report, statement.number) {comparison} ("));
    if list.order.by != SortField::Name {
        push_value(query, list.order.by, position.value);
        query.push(", ");
    }
    query.push_bind(position.report).push(", ").push_bind(position.number).push(")");
}

impl StatementPage {
    fn of(rows: Vec<StatementRow>, limit: usize) -> Self {
        let count = rows.first().map_or(0, |row| usize::try_from(row.count).unwrap_or(0));
        let mut counted: BTreeSet<Uuid> = BTreeSet::new();
        let mut bytes = 0;
        let mut fits = |row: &StatementRow| {
            let is_first = counted.is_empty();
            for (id, size) in [(row.found.report, row.report_bytes), (row.found.meeting, row.meeting_bytes)] {
                bytes += if counted.insert(id) { size } else { 0 };
            }
            is_first || bytes <= SOURCE_BYTES
        };
        let found: Vec<StatementLocation> =
            rows.into_iter().take(limit).take_while(|row| fits(row)).map(|row| row.found).collect();
        Self { more: count > found.len(), found }
    }
}

/// The records with these ids, in no order. Unknown ids are left out.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn sources(bounded: &mut BoundedQuery, of: Collection, ids: &BTreeSet<Uuid>) -> Result<Vec<Doc>, StoreError> {
    let statement = format!("select id, contract, doc from {} where id = any($1)", table(of));
    let ids: Vec<Uuid> = ids.iter().copied().collect();
    bounded.fetch_all(sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(ids)).await
}
