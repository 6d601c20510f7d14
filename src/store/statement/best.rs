//! The statements that match a search best, for the snippets of meetings.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::list::SOURCE_BYTES;
use crate::store::{
    Doc, StoreError,
    from_row::from_row,
    query::{BoundedQuery, question::Question},
};

/// The statement of a meeting that matches a search best, with its report.
#[derive(Debug, Clone)]
pub struct BestStatement {
    pub meeting: Uuid,
    /// Its place in the report, from 0.
    pub number: i32,
    /// Its language, or that of its article.
    pub language_code: Option<String>,
    /// The report.
    pub doc: Doc,
}

from_row!(BestStatement { ..doc, meeting, number, language_code });

/// The best statement of each of these meetings that has one with a term of the search. As of a time, of meetings that
/// have not changed since. Those past the size limit of a message are left out.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn best(
    bounded: &mut BoundedQuery,
    question: &Question,
    meetings: &[Uuid],
    time: Option<DateTime<Utc>>,
) -> Result<Vec<BestStatement>, StoreError> {
    let Some(any_term) = question.any_term() else { return Ok(Vec::new()) };
    let query = sqlx::query_as(
        "select id, contract, doc, meeting, number, language_code
         from (
             select report.id, report.contract, report.doc, best.meeting, best.number, best.language_code,
                    sum(octet_length(report.doc)) over (order by best.meeting) as bytes
             from meeting
             cross join lateral (
                 select statement.meeting, statement.report, statement.number, statement.language_code
                 from statement
                 where statement.meeting = meeting.id
                   and statement.search @@ $2::tsquery
                 order by ts_rank(statement.search, $3::tsquery) desc, statement.report, statement.number
                 limit 1
             ) as best
             join report on report.id = best.report
             where meeting.id = any($1)
               and ($4::timestamptz is null or (meeting.update_time <= $4 and report.update_time <= $4))
         ) as counted
         where bytes <= $5",
    );
    let query = query.bind(meetings).bind(any_term).bind(question.tsquery()).bind(time).bind(SOURCE_BYTES);
    bounded.fetch_all(query).await
}
