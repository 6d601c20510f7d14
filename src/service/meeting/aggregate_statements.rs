//! MeetingService.AggregateStatements: numbers of statements, by groups.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use uuid::Uuid;

use crate::{
    model::{
        query::{
            aggregate::{StatementOrder, statement_groups},
            filter::STATEMENTS,
            search::SearchQuery,
        },
        resource::Collection,
    },
    pb::{AggregateStatementsRequest, AggregateStatementsResponse, Participant, aggregate_statements_response::Group},
    service::{
        Api,
        error::ServiceError,
        participant::persons::parse_statement_filter,
        read::{as_of::records_at, pagination},
    },
    store::{
        query::QueryClass,
        statement::{StatementCount, StatementCountQuery, count},
    },
};

/// Counts statements for a checked request.
///
/// # Errors
/// `Filter`, `Invalid` for unknown groups or an unknown order, `Overloaded` without a permit, `OutOfTime` after
/// `budget`.
pub async fn aggregate(
    api: &Api,
    request: &AggregateStatementsRequest,
    budget: Duration,
) -> Result<AggregateStatementsResponse, ServiceError> {
    let query = StatementCountQuery {
        filter: parse_statement_filter(api, STATEMENTS, &request.filter).await?,
        question: SearchQuery::read(&request.query, &request.query_language),
        groups: statement_groups(&request.group_by)?,
        order: StatementOrder::parse(&request.order_by)?,
    };
    let size = pagination::size(request.page_size);
    let as_of = api.feed.head().to_string();
    let mut db = api.store.bounded_query(QueryClass::Question, budget).await?;
    // One group more than the response holds shows that there are more.
    let mut counts = count(&mut db, &query, size + 1).await?;
    drop(db);
    let truncated = counts.len() > size;
    counts.truncate(size);
    let speakers = speakers(api, &counts).await?;
    let group = |StatementCount { keys, statements }: StatementCount| Group {
        display_names: keys
            .iter()
            .filter_map(|key| {
                Some((key.clone(), speakers.get(&Collection::Participants.id(key)?)?.display_name.clone()))
            })
            .collect(),
        keys: query.groups.iter().map(|group| group.as_str().to_owned()).zip(keys).collect::<BTreeMap<_, _>>(),
        // Counts stay far below the limit of i32.
        statement_count: i32::try_from(statements).unwrap_or(i32::MAX),
    };
    Ok(AggregateStatementsResponse { groups: counts.into_iter().map(group).collect(), truncated, as_of })
}

/// The participants that groups are named after.
async fn speakers(api: &Api, counts: &[StatementCount]) -> Result<HashMap<Uuid, Participant>, ServiceError> {
    let ids = counts.iter().flat_map(|count| &count.keys).filter_map(|key| Collection::Participants.id(key));
    Ok(records_at(api, &ids.collect::<Vec<_>>(), None).await?)
}
