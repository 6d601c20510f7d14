//! Statements as of a time: those of reports that have changed since, or whose meetings have, and what they are searched
//! and sorted by.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::location::{StatementLocation, StatementPosition, compare};
use crate::{
    model::{
        query::{
            order::{OrderBy, SortField},
            search::SearchQuery,
        },
        resource::Collection,
    },
    store::{
        Doc, StoreError,
        query::{
            BoundedQuery,
            former::{FormerBound, FormerWords, TooMuchChanged, days, ranks},
            list::Sort,
            question::Question,
        },
    },
};

/// A statement that a list as of a time has, because its report or its meeting has changed since.
#[derive(Debug, Clone)]
pub struct FormerStatement {
    /// Its location then.
    pub location: StatementLocation,
    /// The size of its report then, in bytes.
    pub report_bytes: i64,
    /// The size of its meeting then, in bytes.
    pub meeting_bytes: i64,
}

impl FormerStatement {
    /// A statement, in the order of reports.
    pub fn new(
        (report, report_bytes, number): (Uuid, usize, i32),
        (meeting, meeting_bytes): (Uuid, usize),
        article: Uuid,
        language_code: Option<String>,
    ) -> Self {
        let location = StatementLocation { report, number, meeting, article, language_code, sort: Sort(0) };
        // Records are far smaller than the maximum.
        let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        Self { location, report_bytes: size(report_bytes), meeting_bytes: size(meeting_bytes) }
    }

    /// Sets the first day of the meeting as the value of the sort column.
    pub fn sort_by_day(&mut self, day: Option<NaiveDate>) {
        self.location.sort = Sort(days(day));
    }
}

/// The statements whose reports or meetings have changed since a time, as they were then.
#[derive(Debug, Clone)]
pub struct FormerStatements {
    /// The time of the list.
    pub time: DateTime<Utc>,
    /// The statements in the order of the list.
    rows: Vec<FormerStatement>,
}

impl FormerStatements {
    /// Sorts statements in the order of a list.
    pub fn new(time: DateTime<Utc>, order: OrderBy, mut rows: Vec<FormerStatement>) -> Self {
        rows.sort_by(|left, right| compare(order, &left.location.place(), &right.location.place()));
        Self { time, rows }
    }

    /// The statements after a position.
    pub(super) fn after(&self, order: OrderBy, after: Option<StatementPosition>) -> &[FormerStatement] {
        let start = after.map_or(0, |after| {
            self.rows.partition_point(|row| compare(order, &row.location.place(), &after) != Ordering::Greater)
        });
        &self.rows[start..]
    }
}

/// The statements among these that a search finds; in an order by rank with their ranks as the values of the sort column. `texts` has the
/// text of each.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn searched(
    bounded: &mut BoundedQuery,
    question: &SearchQuery,
    by: SortField,
    statements: Vec<FormerStatement>,
    texts: &[String],
) -> Result<Vec<FormerStatement>, StoreError> {
    let mut words = FormerWords::default();
    for (statement, text) in statements.iter().zip(texts) {
        let location = &statement.location;
        words.push_text(location.report, location.language_code.as_deref().unwrap_or_default(), text);
    }
    let ranks = text_ranks(bounded, question, &words).await?;
    let found = (1..).zip(statements).filter_map(|(number, mut statement)| {
        let rank = *ranks.get(&number)?;
        if by == SortField::Rank {
            statement.location.sort = Sort(rank);
        }
        Some(statement)
    });
    Ok(found.collect())
}

/// The ranks of the texts that a search finds, by their numbers from 1.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn text_ranks(
    bounded: &mut BoundedQuery,
    question: &SearchQuery,
    words: &FormerWords,
) -> Result<HashMap<i64, i64>, StoreError> {
    let question = Question::of(bounded, question).await?;
    let ranks = ranks(bounded, &question, words).await?;
    Ok(ranks.into_iter().map(|(_, number, rank)| (number, rank)).collect())
}

/// The active reports of these meetings that have not changed since `time`, in no order.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails. The inner error is the bound that they exceed.
pub async fn unchanged_reports(
    bounded: &mut BoundedQuery,
    meetings: &[Uuid],
    time: DateTime<Utc>,
    bound: FormerBound,
) -> Result<Result<Vec<Doc>, TooMuchChanged>, StoreError> {
    // The subquery counts bytes without fetching any TOASTed doc.
    let query = sqlx::query_as(
        "select id, contract, case when bytes <= $3 then doc end, bytes::bigint
         from (
             select found.id, found.contract, found.doc, sum(octet_length(found.doc)) over () as bytes
             from unnest($1::uuid[]) as input (meeting)
             cross join lateral (
                 select id, contract, doc
                 from report
                 where report.meeting = input.meeting
                   and report.article is not null
                   and report.retract_time is null
                   and report.update_time <= $2
             ) as found
             limit $4 + 1
         ) as counted",
    );
    let limit = i64::try_from(bound.records).unwrap_or(i64::MAX - 1);
    let query = query.bind(meetings).bind(time).bind(bound.bytes).bind(limit);
    let rows: Vec<(Uuid, i16, Option<Vec<u8>>, i64)> = bounded.fetch_all(query).await?;
    if rows.len() > bound.records {
        return Ok(Err(TooMuchChanged::Records(Collection::Reports, bound.records)));
    }
    let doc = |(id, contract, bytes, total): (Uuid, i16, Option<Vec<u8>>, i64)| {
        let bytes = bytes.ok_or(TooMuchChanged::Bytes(Collection::Reports, total))?;
        Ok(Doc { id, contract, bytes })
    };
    Ok(rows.into_iter().map(doc).collect())
}

/// The languages of the articles of reports: as they were indexed, or for a report that was retracted since, as the
/// article was when the report was written. Each input is a report, its article and the time of the report.
///
/// # Errors
/// `OutOfTime` at the deadline, `Damaged` for an article that cannot be decoded, or the database fails.
pub async fn article_languages(
    bounded: &mut BoundedQuery,
    reports: &[(Uuid, Uuid, DateTime<Utc>)],
) -> Result<HashMap<(Uuid, i32), String>, StoreError> {
    let ids: Vec<Uuid> = reports.iter().map(|(report, ..)| *report).collect();
    let indexed = sqlx::query_as("select report, number, language_code from statement where report = any($1)");
    let indexed: Vec<(Uuid, i32, Option<String>)> = bounded.fetch_all(indexed.bind(&ids)).await?;
    let known: HashSet<Uuid> = indexed.iter().map(|(report, ..)| *report).collect();
    let mut languages: HashMap<(Uuid, i32), String> =
        indexed.into_iter().filter_map(|(report, number, language)| Some(((report, number), language?))).collect();
    let missing: Vec<_> = reports.iter().filter(|(report, ..)| !known.contains(report)).collect();
    if missing.is_empty() {
        return Ok(languages);
    }
    let query = sqlx::query_as(
        "select input.report as id, version.contract, version.doc
         from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as input (report, article, time)
         cross join lateral (
             (select revision, contract, doc
              from article
              where article.id = input.article
                and article.update_time <= input.time)
             union all
             (select revision, contract, doc
              from superseded
              where superseded.collection = 2
                and superseded.id = input.article
                and superseded.update_time <= input.time
              order by superseded.update_time desc, superseded.revision desc
              limit 1)
             order by revision desc
             limit 1
         ) as version",
    );
    let query = query
        .bind(missing.iter().map(|(report, ..)| *report).collect::<Vec<_>>())
        .bind(missing.iter().map(|(_, article, _)| *article).collect::<Vec<_>>())
        .bind(missing.iter().map(|(.., time)| *time).collect::<Vec<_>>());
    let docs: Vec<Doc> = bounded.fetch_all(query).await?;
    for doc in docs {
        let article: crate::pb::Article = doc.decode()?;
        if !article.language_code.is_empty() {
            // The language of every statement of the report.
            languages.insert((doc.id, EVERY_STATEMENT), article.language_code);
        }
    }
    Ok(languages)
}

/// Stands for every statement of a report in the result of [`article_languages`].
pub const EVERY_STATEMENT: i32 = -1;
