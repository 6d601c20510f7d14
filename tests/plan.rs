//! How the database finds the pages of lists: for no field or function on its own by reading a table from end to end.

use std::time::Duration;

use readout::{
    cli::json,
    model::{
        query::{
            filter::{self, Vocabulary},
            order::{BEST_FIRST, BY_NAME},
            search::Question,
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
    stream::ingest_all,
};

/// Statements are of no collection.
const LISTS: [(Option<Collection>, &str); 4] = [
    (Some(Collection::Articles), "articles"),
    (Some(Collection::Meetings), "meetings"),
    (Some(Collection::Participants), "participants"),
    (None, "statements"),
];

/// A database with some stories that knows what it has, and reads no table from end to end where there is another way.
async fn database() -> (Service, Store) {
    let service = Service::start().await;
    let requests: Vec<_> = lines().iter().step_by(40).map(|line| request(&story(line))).collect();
    ingest_all(&service.ingest, requests).await;
    let story: Story = json::parse("readout.v1.Story", include_str!("data/azernews.story.json")).unwrap();
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

/// The tables that a filter's first page reads from end to end.
async fn read_whole(
    store: &Store,
    of: Option<Collection>,
    vocabulary: &'static Vocabulary,
    (filter, query): (&str, &str),
) -> Vec<String> {
    fn look(at: &Value, found: &mut Vec<String>) {
        if at["Node Type"] == "Seq Scan" {
            found.push(at["Relation Name"].as_str().unwrap_or_default().to_owned());
        }
        match at {
            Value::Array(all) => all.iter().for_each(|one| look(one, found)),
            Value::Object(fields) => fields.values().for_each(|one| look(one, found)),
            _ => {}
        }
    }
    let parsed = filter::parse(vocabulary, filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let (filter, question) = (parsed, Question::read(query, ""));
    let order = if question.is_some() { BEST_FIRST } else { BY_NAME };
    let mut ask = store.ask(QueryClass::Page, Duration::from_secs(30)).await.unwrap();
    let plan = match of {
        Some(of) => plan(&mut ask, of, &list::ListQuery { filter, question, show_deleted: false, order }, 50).await,
        None => statement::plan(&mut ask, &statement::StatementQuery { filter, question, order }, 50).await,
    };
    let plan = plan.unwrap();
    let mut found = Vec::new();
    look(&serde_json::from_str(&plan).unwrap(), &mut found);
    found
}

/// Each example, with each operator that its field has, inside and outside of a function.
fn filters(vocabulary: &Vocabulary) -> Vec<String> {
    let mut filters: Vec<String> = vocabulary.functions.iter().map(|one| one.example.to_owned()).collect();
    for field in vocabulary.fields {
        let value = field.example.trim_start_matches(field.name).trim_start_matches([' ', '=', '<', '>', ':']);
        filters.extend(field.operators().iter().map(|operator| format!("{} {operator} {value}", field.name)));
    }
    filters
}

#[tokio::test]
async fn no_field_alone_makes_a_page_read_a_whole_table() {
    let (service, store) = database().await;
    for (of, name) in LISTS {
        let vocabulary = filter::vocabulary(name).expect("a collection");
        let mut filters = filters(vocabulary);
        if name == "meetings" {
            let inside = self::filters(filter::PARTICIPATIONS);
            filters.extend(inside.into_iter().map(|conditions| format!("participant(({conditions}))")));
        }
        for filter in filters {
            for filter in [format!("NOT ({filter})"), filter] {
                assert_eq!(read_whole(&store, of, vocabulary, (&filter, "")).await, [""; 0], "{name}: {filter}");
            }
        }
    }
    for (of, vocabulary) in [(Some(Collection::Articles), filter::ARTICLES), (None, filter::STATEMENTS)] {
        assert_eq!(read_whole(&store, of, vocabulary, ("", "peace -war")).await, [""; 0]);
    }
    // Where there is no other way, it would be seen.
    run(&service, "alter table meeting_topic drop constraint meeting_topic_pkey").await;
    run(&service, "drop index meeting_topic_meeting_idx").await;
    let found = read_whole(&store, Some(Collection::Meetings), filter::MEETINGS, ("topic = x", "")).await;
    assert_eq!(found, ["meeting_topic"]);
    store.close().await;
}
