//! Query plans of lists: no filter on a single field or function needs a sequential scan of a table.

use std::time::Duration;

use chrono::{DateTime, Utc};
use readout::{
    cli::json,
    model::{
        query::{
            aggregate::{StatementOrder, statement_groups},
            filter::{self, FilterSchema},
            order::{BEST_FIRST, BY_NAME},
            search::SearchQuery,
        },
        resource::Collection,
    },
    pb::Story,
    store::{
        Store,
        query::{
            QueryClass,
            former::{self, FormerRecords},
            list::{self, plan},
        },
        statement::{self, FormerStatementCounts, FormerStatements, StatementCountQuery},
    },
};
use serde_json::Value;
use sqlx::{ConnectOptions, Connection};

use crate::support::{
    Service, make,
    stories::{lines, request, story},
    story_stream::ingest_all,
};

/// The lists and their collections. Statements have no collection.
const LISTS: [(Option<Collection>, &str); 4] = [
    (Some(Collection::Articles), "articles"),
    (Some(Collection::Meetings), "meetings"),
    (Some(Collection::Participants), "participants"),
    (None, "statements"),
];

/// Full-text queries of each form.
const QUERIES: [&str; 6] = ["peace -war", "minist* or talks", "林", "苏林 总书记", "\"defence minister\" baku", "-war"];

/// A service with some stories and fresh statistics, and a store whose planner avoids sequential scans where it can.
async fn database() -> (Service, Store) {
    let service = Service::start().await;
    let requests: Vec<_> = lines().iter().step_by(40).map(|line| request(&story(line))).collect();
    ingest_all(&service.ingest, requests).await;
    let story: Story = json::parse("readout.v1.Story", include_str!("../data/azernews.story.json")).unwrap();
    service.ingest.clone().ingest_story(make::ingest(story)).await.unwrap();
    service.create_article(make::article("urn:other")).await;
    run(&service, "analyze").await;
    let store = Store::new(service.database.clone().options([("enable_seqscan", "off")]));
    (service, store)
}

async fn run(service: &Service, statement: &'static str) {
    let mut connection = service.database.connect().await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The tables that the first page of a filter scans sequentially.
async fn sequential_scans(
    store: &Store,
    of: Option<Collection>,
    schema: &'static FilterSchema,
    (filter, query): (&str, &str),
    time: Option<DateTime<Utc>>,
) -> Vec<String> {
    let parsed = filter::parse(schema, filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let (filter, question) = (parsed, SearchQuery::read(query, ""));
    let order = if question.is_some() { BEST_FIRST } else { BY_NAME };
    let mut ask = store.bounded_query(QueryClass::Page, Duration::from_secs(30)).await.unwrap();
    let plan = match of {
        Some(of) => {
            let former = time.map(|time| FormerRecords::new(time, order, Vec::new()));
            plan(&mut ask, of, &list::ListQuery { filter, question, show_deleted: false, order, former }, 50).await
        }
        None => {
            let former = time.map(|time| FormerStatements::new(time, order, Vec::new()));
            statement::plan(&mut ask, &statement::StatementQuery { filter, question, order, former }, 50).await
        }
    };
    scans_of(&plan.unwrap())
}

/// The tables that a plan scans sequentially.
fn scans_of(plan: &str) -> Vec<String> {
    fn collect(node: &Value, found: &mut Vec<String>) {
        if node["Node Type"] == "Seq Scan" {
            found.push(node["Relation Name"].as_str().unwrap_or_default().to_owned());
        }
        match node {
            Value::Array(all) => all.iter().for_each(|child| collect(child, found)),
            Value::Object(fields) => fields.values().for_each(|child| collect(child, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(plan).unwrap(), &mut found);
    found
}

/// Filters for all functions by their examples, and for all fields with each of their operators.
fn filters(schema: &FilterSchema) -> Vec<String> {
    let mut filters: Vec<String> = schema.functions.iter().map(|function| function.example.to_owned()).collect();
    for field in schema.fields {
        let operator = field.example.find([' ', ':']).expect("an operator");
        let value = field.example[operator..].trim_start_matches([' ', '=', '<', '>', ':']);
        filters.push(format!("{}:*", field.name));
        filters.extend(field.operators().iter().map(|operator| format!("{} {operator} {value}", field.name)));
    }
    filters
}

#[tokio::test]
async fn list_filter_on_a_single_field_never_scans_a_whole_table() {
    let (service, store) = database().await;
    for (of, name) in LISTS {
        let schema = filter::filter_schema(name).expect("a collection");
        let mut filters = filters(schema);
        if name == "meetings" {
            let inside = self::filters(filter::PARTICIPATIONS);
            filters.extend(inside.into_iter().map(|conditions| format!("participant(({conditions}))")));
        }
        for filter in filters {
            for filter in [format!("NOT ({filter})"), filter] {
                assert_eq!(
                    sequential_scans(&store, of, schema, (&filter, ""), None).await,
                    [""; 0],
                    "{name}: {filter}"
                );
            }
        }
    }
    for (of, name) in LISTS {
        let schema = filter::filter_schema(name).expect("a collection");
        for query in QUERIES {
            assert_eq!(sequential_scans(&store, of, schema, ("", query), None).await, [""; 0], "{name}: {query}");
        }
    }
    // Without its indexes, the same filter does scan the table: the check can fail.
    run(&service, "alter table meeting_topic drop constraint meeting_topic_pkey").await;
    run(&service, "drop index meeting_topic_meeting_idx").await;
    let found = sequential_scans(&store, Some(Collection::Meetings), filter::MEETINGS, ("topic = x", ""), None).await;
    assert_eq!(found, ["meeting_topic"]);
    store.close().await;
}

/// Groups of statements, each alone and some together.
const STATEMENT_GROUPS: [&[&str]; 15] = [
    &[],
    &["speaker"],
    &["region"],
    &["topic"],
    &["act"],
    &["speaker_kind"],
    &["quotation"],
    &["language"],
    &["meeting"],
    &["article"],
    &["year"],
    &["quarter"],
    &["month"],
    &["speaker", "topic"],
    &["region", "act"],
];

/// The tables that counts of statements scan sequentially.
async fn scans_of_counts(
    store: &Store,
    (filter, query): (&str, &str),
    groups: &[&str],
    former: Option<FormerStatementCounts>,
) -> Vec<String> {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let query = StatementCountQuery {
        filter: filter::parse(filter::STATEMENTS, filter).unwrap(),
        question: SearchQuery::read(query, ""),
        groups: statement_groups(&groups).unwrap(),
        order: StatementOrder::StatementCount,
        former,
    };
    let mut ask = store.bounded_query(QueryClass::Question, Duration::from_secs(30)).await.unwrap();
    scans_of(&statement::count_plan(&mut ask, &query).await.unwrap())
}

#[tokio::test]
async fn counts_of_statements_never_scan_a_whole_table() {
    let (service, store) = database().await;
    let former = FormerStatementCounts {
        time: Utc::now(),
        statements: [((String::new(), String::new()), 1)].into(),
        persons: [(uuid::Uuid::nil(), uuid::Uuid::nil())].into(),
    };
    for former in [None, Some(former)] {
        for groups in STATEMENT_GROUPS {
            let filters = filters(filter::STATEMENTS);
            let filters = filters.iter().map(|filter| (filter.as_str(), ""));
            for question in filters.chain(QUERIES.map(|query| ("", query))) {
                let scans = scans_of_counts(&store, question, groups, former.clone()).await;
                assert_eq!(scans, [""; 0], "{question:?} by {groups:?}, former: {}", former.is_some());
            }
        }
    }
    // Without its indexes, a group does scan its table: the check can fail.
    run(&service, "alter table statement_topic drop constraint statement_topic_pkey").await;
    run(&service, "drop index if exists statement_topic_statement_idx").await;
    assert_eq!(scans_of_counts(&store, ("act = STRESS", ""), &["topic"], None).await, ["statement_topic"]);
    store.close().await;
}

#[tokio::test]
async fn list_as_of_a_time_never_scans_a_whole_table() {
    let (service, store) = database().await;
    let time = Some(Utc::now());
    for (of, name) in LISTS {
        let schema = filter::filter_schema(name).expect("a collection");
        for filter in filters(schema) {
            for filter in [format!("NOT ({filter})"), filter] {
                assert_eq!(
                    sequential_scans(&store, of, schema, (&filter, ""), time).await,
                    [""; 0],
                    "{name}: {filter}"
                );
            }
        }
    }
    for (of, name) in LISTS {
        let schema = filter::filter_schema(name).expect("a collection");
        for query in QUERIES {
            assert_eq!(sequential_scans(&store, of, schema, ("", query), time).await, [""; 0], "{name}: {query}");
        }
    }
    let mut ask = store.bounded_query(QueryClass::Page, Duration::from_secs(30)).await.unwrap();
    for of in Collection::ALL {
        let plan = former::plan(&mut ask, of, Utc::now()).await.unwrap();
        assert_eq!(scans_of(&plan), [""; 0], "{of:?}");
    }
    drop(ask);
    // Without its index, the changed records are found by a scan: the check can fail.
    run(&service, "drop index participant_update_time_idx").await;
    run(&service, "drop index participant_create_time_idx").await;
    let mut ask = store.bounded_query(QueryClass::Page, Duration::from_secs(30)).await.unwrap();
    let plan = former::plan(&mut ask, Collection::Participants, Utc::now()).await.unwrap();
    assert_eq!(scans_of(&plan), ["participant"]);
    drop(ask);
    store.close().await;
}
