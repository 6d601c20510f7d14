//! Pages of statements by keyset, in the order of reports, of dates, or of search rank.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    former::{FormerStatement, FormerStatements},
    location::{StatementLocation, StatementPosition, compare},
};
use crate::{
    model::{
        query::{
            filter::Filter,
            order::{OrderBy, SortField, SortKey},
            search::SearchQuery,
        },
        resource::Collection,
    },
    store::{
        Doc, StoreError,
        from_row::from_row,
        query::{
            BoundedQuery, filter,
            list::{PAGE_BYTES, push_sort, push_value},
            question::Question,
        },
        table,
    },
};

/// Maximum number of bytes of the reports and meetings from which a page is built: the size limit of a message.
pub(super) const SOURCE_BYTES: i64 = 4 * PAGE_BYTES;

/// The selection and the order of a list of statements.
#[derive(Debug, Clone)]
pub struct StatementQuery {
    /// A condition on the statements.
    pub filter: Filter,
    /// A full-text search.
    pub question: Option<SearchQuery>,
    pub order: OrderBy,
    /// For a list as of a time: the statements whose reports or meetings have changed since. `None` for the current ones.
    pub former: Option<FormerStatements>,
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
    let question = match &list.question {
        Some(query) => Some(Question::of(bounded, query).await?),
        None => None,
    };
    let mut query = QueryBuilder::<Postgres>::new("");
    push_page(&mut query, list, (question.as_ref(), after), limit);
    let mut rows: Vec<StatementRow> = bounded.fetch_all(query.build_query_as()).await?;
    if let Some(former) = &list.former {
        rows = with_former(rows, former.after(list.order, after), list.order, limit);
    }
    Ok(StatementPage::of(rows, limit))
}

/// The plan of the first page: the output of PostgreSQL's `explain (format json)`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn plan(bounded: &mut BoundedQuery, list: &StatementQuery, limit: usize) -> Result<String, StoreError> {
    let question = match &list.question {
        Some(query) => Some(Question::of(bounded, query).await?),
        None => None,
    };
    let mut query = QueryBuilder::<Postgres>::new("explain (format json) ");
    push_page(&mut query, list, (question.as_ref(), None), limit);
    let plans: Vec<(sqlx::types::JsonValue,)> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

/// Merges changed statements into unchanged ones. Both have at least one more than the limit, if there are more.
fn with_former(
    mut rows: Vec<StatementRow>,
    former: &[FormerStatement],
    order: OrderBy,
    limit: usize,
) -> Vec<StatementRow> {
    let row = |statement: &FormerStatement| StatementRow {
        found: statement.location.clone(),
        count: 0,
        report_bytes: statement.report_bytes,
        meeting_bytes: statement.meeting_bytes,
    };
    rows.extend(former.iter().take(limit + 1).map(row));
    rows.sort_by(|left, right| compare(order, &left.found.place(), &right.found.place()));
    // A page has at most 1,000 statements: the cast cannot overflow.
    let count = rows.len() as i64;
    rows.iter_mut().for_each(|row| row.count = count);
    rows
}

fn push_page(
    query: &mut QueryBuilder<Postgres>,
    list: &StatementQuery,
    (question, after): (Option<&Question>, Option<StatementPosition>),
    limit: usize,
) {
    let direction = if list.order.first.is_descending { " desc" } else { "" };
    let name_direction = if list.order.is_name_descending { " desc" } else { "" };
    query.push(
        "select page.report, page.number, page.meeting, page.article, page.language_code, page.sort,
                count(*) over () as count, octet_length(report.doc)::bigint as report_bytes,
                octet_length(meeting.doc)::bigint as meeting_bytes
         from (
             select statement.report, statement.number, statement.meeting, statement.article,
                    statement.language_code, ",
    );
    push_sort(query, "statement", list.order.first.by, question);
    query.push(" as sort from statement join meeting on meeting.id = statement.meeting");
    if let Some(former) = &list.former {
        query.push(" and meeting.update_time <= ").push_bind(former.time);
        query.push(" join report as source on source.id = statement.report and source.update_time <= ");
        query.push_bind(former.time);
    }
    query.push(" where meeting.listed and ");
    if let Some(question) = question {
        question.push_match(query, "statement");
        query.push(" and ");
    }
    if let Some(position) = after {
        push_after(query, list.order, (question, position));
        query.push(" and ");
    }
    filter::push(query, &list.filter);
    query.push(" order by ");
    if list.order.first.by != SortField::Name {
        query.push(format_args!("sort{direction}, "));
    }
    // One statement more than the limit shows that more follow. A page has at most 1,000 statements: the cast cannot
    // overflow.
    query.push(format_args!("statement.report{name_direction}, statement.number{name_direction} limit "));
    query.push_bind(limit as i64 + 1);
    query.push(format_args!(
        ") as page
         join report on report.id = page.report
         join meeting on meeting.id = page.meeting
         order by page.sort{direction}, page.report{name_direction}, page.number{name_direction}"
    ));
}

/// Appends the keyset condition: statements after `position` in the order of the list.
fn push_after(
    query: &mut QueryBuilder<Postgres>,
    order: OrderBy,
    (question, position): (Option<&Question>, StatementPosition),
) {
    let OrderBy { first: SortKey { by, is_descending }, is_name_descending, .. } = order;
    let comparison = |is_descending: bool| if is_descending { "<" } else { ">" };
    let name = "statement.report, statement.number";
    if by == SortField::Name {
        query.push(format_args!("({name}) {} (", comparison(is_name_descending)));
        query.push_bind(position.report).push(", ").push_bind(position.number).push(")");
        return;
    }
    let sort = |query: &mut QueryBuilder<Postgres>| push_sort(query, "statement", by, question);
    if is_descending == is_name_descending {
        query.push("(");
        sort(query);
        query.push(format_args!(", {name}) {} (", comparison(is_descending)));
        push_value(query, by, position.value);
        query.push(", ").push_bind(position.report).push(", ").push_bind(position.number).push(")");
        return;
    }
    // The first bound is for the index.
    sort(query);
    query.push(format_args!(" {}= ", comparison(is_descending)));
    push_value(query, by, position.value);
    query.push(" and (");
    sort(query);
    query.push(" <> ");
    push_value(query, by, position.value);
    query.push(format_args!(" or ({name}) {} (", comparison(is_name_descending)));
    query.push_bind(position.report).push(", ").push_bind(position.number).push("))");
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
