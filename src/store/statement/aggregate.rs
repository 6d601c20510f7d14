//! Counts of statements by group.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    model::{
        query::{
            aggregate::{StatementGroup, StatementOrder},
            filter::Filter,
            search::SearchQuery,
        },
        resource::Collection,
    },
    pb::statement::{Act, Quotation, SpeakerKind},
    store::{
        StoreError,
        from_row::from_row,
        query::{BoundedQuery, aggregate::push_name, filter, question::Question},
    },
};

/// The selection, the grouping and the order of counts of statements.
#[derive(Debug, Clone)]
pub struct StatementCountQuery {
    /// A condition on the statements.
    pub filter: Filter,
    /// A full-text search.
    pub question: Option<SearchQuery>,
    /// The grouping, two levels at most; empty: all statements are one group.
    pub groups: Vec<StatementGroup>,
    pub order: StatementOrder,
    /// For counts as of a time: those of the statements whose reports or meetings have changed since. `None` for the
    /// current statements.
    pub former: Option<FormerStatementCounts>,
}

/// The groups of the statements whose reports or meetings have changed since a time.
#[derive(Debug, Clone)]
pub struct FormerStatementCounts {
    /// The time of the counts.
    pub time: DateTime<Utc>,
    /// The number of statements of each group, by the values of both levels.
    pub statements: HashMap<(String, String), i64>,
    /// The persons that the participants which have changed since were settled as then. Groups by speaker need them.
    pub persons: HashMap<Uuid, Uuid>,
}

/// A group of statements.
#[derive(Debug, Clone)]
pub struct StatementCount {
    /// The group's value for each level of the grouping.
    pub keys: Vec<String>,
    pub statements: i64,
}

struct CountRow {
    first: String,
    second: String,
    statements: i64,
}

from_row!(CountRow { first, second, statements });

/// The first groups in the order of the query, at most `limit`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn count(
    bounded: &mut BoundedQuery,
    query: &StatementCountQuery,
    limit: usize,
) -> Result<Vec<StatementCount>, StoreError> {
    let question = stemmed(bounded, query).await?;
    let mut sql = QueryBuilder::<Postgres>::new("");
    push(&mut sql, query, question.as_ref(), limit);
    let rows: Vec<CountRow> = bounded.fetch_all(sql.build_query_as()).await?;
    let counts = |row: CountRow| {
        let values = query.groups.iter().zip([row.first, row.second]);
        StatementCount { keys: values.map(|(group, value)| key(*group, value)).collect(), statements: row.statements }
    };
    Ok(rows.into_iter().map(counts).collect())
}

/// The plan of [`count`]: the output of PostgreSQL's `explain (format json)`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn count_plan(bounded: &mut BoundedQuery, query: &StatementCountQuery) -> Result<String, StoreError> {
    let question = stemmed(bounded, query).await?;
    let mut sql = QueryBuilder::<Postgres>::new("explain (format json) ");
    push(&mut sql, query, question.as_ref(), 50);
    let plans: Vec<(sqlx::types::JsonValue,)> = bounded.fetch_all(sql.build_query_as()).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

async fn stemmed(bounded: &mut BoundedQuery, query: &StatementCountQuery) -> Result<Option<Question>, StoreError> {
    match &query.question {
        Some(search) => Ok(Some(Question::of(bounded, search).await?)),
        None => Ok(None),
    }
}

/// Converts a group's value to its form in the API.
fn key(group: StatementGroup, value: String) -> String {
    let collection = match group {
        StatementGroup::Speaker => Collection::Participants,
        StatementGroup::Meeting => Collection::Meetings,
        StatementGroup::Article => Collection::Articles,
        _ => return value,
    };
    format!("{}/{value}", collection.as_str())
}

fn push(sql: &mut QueryBuilder<Postgres>, query: &StatementCountQuery, question: Option<&Question>, limit: usize) {
    match &query.former {
        None => {
            push_values(sql, query);
            sql.push(", count(*) as statements");
            push_source(sql, query, question);
            sql.push(" group by 1, 2");
        }
        Some(former) => push_with_former(sql, query, question, former),
    }
    sql.push(match query.order {
        StatementOrder::StatementCount => " order by statements desc, first, second limit ",
        StatementOrder::Key => " order by first, second limit ",
    });
    sql.push_bind(limit as i64); // at most 1,001: no overflow
}

/// Appends the counts of the statements that have not changed, and adds those of the others.
fn push_with_former(
    sql: &mut QueryBuilder<Postgres>,
    query: &StatementCountQuery,
    question: Option<&Question>,
    former: &FormerStatementCounts,
) {
    sql.push(
        "select first, second, sum(found)::bigint as statements from (select first, second, count(*) as found from (",
    );
    push_values(sql, query);
    // Two aliases of one person that spoke together count once.
    if query.groups.contains(&StatementGroup::Speaker) {
        sql.push(", statement.report, statement.number");
    }
    push_source(sql, query, question);
    if query.groups.contains(&StatementGroup::Speaker) {
        sql.push(" group by 1, 2, statement.report, statement.number");
    }
    let groups: Vec<(&(String, String), &i64)> = former.statements.iter().collect();
    sql.push(
        ") as unchanged group by 1, 2
         union all select former.first collate \"C\", former.second collate \"C\", former.found from unnest(",
    );
    sql.push_bind(groups.iter().map(|((first, _), _)| first.clone()).collect::<Vec<_>>()).push("::text[], ");
    sql.push_bind(groups.iter().map(|((_, second), _)| second.clone()).collect::<Vec<_>>()).push("::text[], ");
    sql.push_bind(groups.iter().map(|(_, found)| **found).collect::<Vec<_>>());
    sql.push("::bigint[]) as former (first, second, found)) as both_parts group by 1, 2");
}

/// Appends the values of the groups: `first`, `second`.
fn push_values(sql: &mut QueryBuilder<Postgres>, query: &StatementCountQuery) {
    for (level, name) in ["first", "second"].into_iter().enumerate() {
        sql.push(if level == 0 { "select " } else { ", " });
        match query.groups.get(level) {
            Some(StatementGroup::Speaker) if query.former.is_some() => {
                sql.push("coalesce(former_person.person, participant.merged_into, participant.id)::text collate \"C\"");
            }
            Some(group) => push_value(sql, *group),
            None => {
                sql.push("'' collate \"C\"");
            }
        }
        sql.push(" as ").push(name);
    }
}

/// Appends the tables and the conditions.
fn push_source(sql: &mut QueryBuilder<Postgres>, query: &StatementCountQuery, question: Option<&Question>) {
    sql.push(" from statement join meeting on meeting.id = statement.meeting");
    let groups: BTreeSet<&str> = query.groups.iter().map(|group| join(*group, query.former.is_some())).collect();
    groups.into_iter().for_each(|join| {
        sql.push(join);
    });
    if let Some(former) = &query.former {
        if query.groups.contains(&StatementGroup::Speaker) {
            let (participants, persons): (Vec<Uuid>, Vec<Uuid>) = former.persons.iter().unzip();
            sql.push(" left join unnest(").push_bind(participants).push("::uuid[], ").push_bind(persons);
            sql.push("::uuid[]) as former_person (participant, person) on former_person.participant = participant.id");
        }
        sql.push(" join report as source on source.id = statement.report and source.update_time <= ");
        sql.push_bind(former.time).push(" and meeting.update_time <= ").push_bind(former.time);
    }
    sql.push(" where meeting.listed and ");
    if let Some(question) = question {
        question.push_match(sql, "statement");
        sql.push(" and ");
    }
    filter::push(sql, &query.filter);
}

/// The tables that a group reads beside `statement` and `meeting`.
const fn join(group: StatementGroup, is_as_of_a_time: bool) -> &'static str {
    match group {
        StatementGroup::Speaker if is_as_of_a_time => {
            " join statement_speaker
                  on statement_speaker.report = statement.report and statement_speaker.number = statement.number
              join participant on participant.id = statement_speaker.participant"
        }
        // Two aliases of one person that speak together count once.
        StatementGroup::Speaker => {
            " cross join lateral (
                  select distinct coalesce(participant.merged_into, participant.id) as person
                  from statement_speaker
                  join participant on participant.id = statement_speaker.participant
                  where statement_speaker.report = statement.report
                    and statement_speaker.number = statement.number
              ) as speaker"
        }
        StatementGroup::Region => {
            " join statement_region as of_region
                  on of_region.report = statement.report and of_region.number = statement.number"
        }
        StatementGroup::Topic => {
            " join statement_topic as of_topic
                  on of_topic.report = statement.report and of_topic.number = statement.number"
        }
        _ => "",
    }
}

/// Appends the displayed value of a group, which sorts as its text does.
fn push_value(sql: &mut QueryBuilder<Postgres>, group: StatementGroup) {
    sql.push(match group {
        StatementGroup::Act => {
            return push_name(sql, "statement.act", |number| Some(Act::try_from(number).ok()?.as_str_name()));
        }
        StatementGroup::SpeakerKind => {
            let name = |number| Some(SpeakerKind::try_from(number).ok()?.as_str_name());
            return push_name(sql, "statement.speaker_kind", name);
        }
        StatementGroup::Quotation => {
            return push_name(sql, "statement.quotation", |number| Some(Quotation::try_from(number).ok()?.as_str_name()));
        }
        StatementGroup::Speaker => "speaker.person::text collate \"C\"",
        StatementGroup::Region => "of_region.region_code collate \"C\"",
        StatementGroup::Topic => "of_topic.topic collate \"C\"",
        StatementGroup::Language => "coalesce(statement.language_code, '') collate \"C\"",
        StatementGroup::Meeting => "statement.meeting::text collate \"C\"",
        StatementGroup::Article => "statement.article::text collate \"C\"",
        StatementGroup::Year => {
            "case when meeting.date_precision >= 1 then to_char(meeting.sort_date::timestamp, 'YYYY') else '' end collate \"C\""
        }
        StatementGroup::Quarter => {
            "case when meeting.date_precision >= 2
                    or meeting.date_precision = 1
                   and date_trunc('quarter', meeting.sort_date::timestamp)
                     = date_trunc('quarter', meeting.date_to::timestamp)
             then to_char(meeting.sort_date::timestamp, 'YYYY-\"Q\"Q') else '' end collate \"C\""
        }
        StatementGroup::Month => {
            "case when meeting.date_precision >= 2 then to_char(meeting.sort_date::timestamp, 'YYYY-MM') else '' end collate \"C\""
        }
    });
}
