//! MeetingService.AggregateStatements: numbers of statements, by groups.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statements_as_of::{FoundStatement, changed, for_each_statement, members_at};
use crate::{
    model::{
        query::{
            aggregate::{StatementGroup, StatementOrder, statement_groups},
            filter::{self, STATEMENTS},
            group_values::statement_values,
            search::SearchQuery,
        },
        resource::{Collection, Record},
    },
    pb::{AggregateStatementsRequest, AggregateStatementsResponse, Participant, aggregate_statements_response::Group},
    service::{
        Api,
        error::ServiceError,
        participant::persons::{aliases, expand_speakers, parse_statement_filter},
        read::{
            as_of::{MAX_FORMER_ROWS, for_each_former, records_at},
            pagination,
        },
    },
    store::{
        query::{
            BoundedQuery, QueryClass,
            former::{FormerWords, TooMuchChanged},
        },
        statement::{FormerStatementCounts, StatementCount, StatementCountQuery, count, text_ranks},
    },
};

/// Counts statements for a checked request.
///
/// # Errors
/// `Filter`, `Invalid` for unknown groups or an unknown order, `Overloaded` without a permit, `OutOfTime` after
/// `budget`, `TooMuchChanged` since `time`.
pub async fn aggregate(
    api: &Api,
    request: &AggregateStatementsRequest,
    budget: Duration,
    time: Option<DateTime<Utc>>,
) -> Result<AggregateStatementsResponse, ServiceError> {
    let mut query = StatementCountQuery {
        filter: match time {
            Some(_) => filter::parse(STATEMENTS, &request.filter).map_err(ServiceError::Filter)?,
            None => parse_statement_filter(api, STATEMENTS, &request.filter).await?,
        },
        question: SearchQuery::read(&request.query, &request.query_language),
        groups: statement_groups(&request.group_by)?,
        order: StatementOrder::parse(&request.order_by)?,
        former: None,
    };
    let size = pagination::size(request.page_size);
    let as_of = api.feed.head().to_string();
    let mut db = api.store.bounded_query(QueryClass::Question, budget).await?;
    if let Some(time) = time {
        let _permit = api.begin_former().await;
        let members = members_at(api, &mut db, &mut query.filter, time).await?;
        expand_speakers(&mut query.filter, &members);
        query.former = Some(former_counts(api, &mut db, &query, time).await?);
    }
    // One group more than the response holds shows that there are more.
    let mut counts = count(&mut db, &query, size + 1).await?;
    drop(db);
    let truncated = counts.len() > size;
    counts.truncate(size);
    let speakers = speakers(api, &counts, time).await?;
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
async fn speakers(
    api: &Api,
    counts: &[StatementCount],
    time: Option<DateTime<Utc>>,
) -> Result<HashMap<Uuid, Participant>, ServiceError> {
    let ids = counts.iter().flat_map(|count| &count.keys).filter_map(|key| Collection::Participants.id(key));
    let ids: BTreeSet<Uuid> = ids.collect();
    Ok(records_at(api, &Vec::from_iter(ids), time).await?)
}

/// Counts the statements whose reports or meetings have changed since a time, as they were then.
async fn former_counts(
    api: &Api,
    db: &mut BoundedQuery,
    query: &StatementCountQuery,
    time: DateTime<Utc>,
) -> Result<FormerStatementCounts, ServiceError> {
    let by_speaker = query.groups.contains(&StatementGroup::Speaker);
    let mut persons = if by_speaker { changed_persons(db, time).await? } else { HashMap::new() };
    let (reports, meetings) = changed(api, db, time).await?;
    let sources = (&reports[..], &meetings);
    // The statements are counted in a second pass, so that only one report at a time is decoded.
    let (mut words, mut unchanged) = (FormerWords::default(), BTreeSet::new());
    if by_speaker || query.question.is_some() {
        for_each_statement(db, sources, &query.filter, |FoundStatement { input, report, .. }| {
            if query.question.is_some() {
                words.push_text(*report, input.language, &input.statement.text);
            }
            unchanged.extend(input.speakers().filter(|id| !persons.contains_key(id)));
            Ok(())
        })
        .await?;
    }
    let ranks = match &query.question {
        Some(question) => Some(text_ranks(db, question, &words).await?),
        None => None,
    };
    let former = persons.clone();
    persons.extend(aliases(api, &Vec::from_iter(unchanged)).await?);
    let mut counts = FormerStatementCounts { time, statements: HashMap::new(), persons: former };
    let mut number = 0;
    for_each_statement(db, sources, &query.filter, |found| {
        number += 1;
        if ranks.as_ref().is_some_and(|ranks| !ranks.contains_key(&number)) {
            return Ok(());
        }
        let values = |level: usize| match query.groups.get(level) {
            Some(group) => statement_values(*group, &found.input, found.date_precision, &persons),
            None => vec![String::new()],
        };
        let (first, second) = (values(0), values(1));
        for (first, second) in first.iter().flat_map(|first| second.iter().map(move |second| (first, second))) {
            *counts.statements.entry((first.clone(), second.clone())).or_default() += 1;
        }
        match counts.statements.len() {
            0..=MAX_FORMER_ROWS => Ok(()),
            _ => Err(ServiceError::TooMuchChanged(TooMuchChanged::Rows(MAX_FORMER_ROWS))),
        }
    })
    .await?;
    Ok(counts)
}

/// The persons that the participants which have changed since a time were settled as then.
async fn changed_persons(db: &mut BoundedQuery, time: DateTime<Utc>) -> Result<HashMap<Uuid, Uuid>, ServiceError> {
    let mut persons = HashMap::new();
    for_each_former(db, Collection::Participants, time, |doc, record| {
        if let Record::Participant(participant) = record {
            persons.insert(doc.id, Collection::Participants.id(&participant.merged_into).unwrap_or(doc.id));
        }
        Ok(())
    })
    .await?;
    Ok(persons)
}
