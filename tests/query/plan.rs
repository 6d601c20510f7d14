//! Query plans of lists: no filter on a single field or function needs a sequential scan of a table.

use std::time::Duration;

use readout::{
    cli::json,
    model::{
        query::{
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
            list::{self, plan},
        },
        statement,
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
) -> Vec<String> {
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
    let parsed = filter::parse(schema, filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let (filter, question) = (parsed, SearchQuery::read(query, ""));
    let order = if question.is_some() { BEST_FIRST } else { BY_NAME };
    let mut ask = store.bounded_query(QueryClass::Page, Duration::from_secs(30)).await.unwrap();
    let plan = match of {
        Some(of) => plan(&mut ask, of, &list::ListQuery { filter, question, show_deleted: false, order }, 50).await,
        None => statement::plan(&mut ask, &statement::StatementQuery { filter, question, order }, 50).await,
    };
    let plan = plan.unwrap();
    let mut found = Vec::new();
    collect(&serde_json::from_str(&plan).unwrap(), &mut found);
    found
}

/// Filters for all functions by their examples, and for all fields with each of their operators.
fn filters(schema: &FilterSchema) -> Vec<String> {
    let mut filters: Vec<String> = schema.functions.iter().map(|function| function.example.to_owned()).collect();
    for field in schema.fields {
        let value = field.example.trim_start_matches(field.name).trim_start_matches([' ', '=', '<', '>', ':']);
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
                assert_eq!(sequential_scans(&store, of, schema, (&filter, "")).await, [""; 0], "{name}: {filter}");
            }
        }
    }
    for (of, schema) in [(Some(Collection::Articles), filter::ARTICLES), (None, filter::STATEMENTS)] {
        assert_eq!(sequential_scans(&store, of, schema, ("", "peace -war")).await, [""; 0]);
    }
    // Without its indexes, the same filter does scan the table: the check can fail.
    run(&service, "alter table meeting_topic drop constraint meeting_topic_pkey").await;
    run(&service, "drop index meeting_topic_meeting_idx").await;
    let found = sequential_scans(&store, Some(Collection::Meetings), filter::MEETINGS, ("topic = x", "")).await;
    assert_eq!(found, ["meeting_topic"]);
    store.close().await;
}
