//! ListFilterFields: its fields, operators, values and examples are those that filters accept.

use std::collections::BTreeSet;

use readout::pb::{
    ErrorReason, FilterField, ListArticlesRequest, ListChangesRequest, ListFilterFieldsRequest,
    ListFilterFieldsResponse, ListMeetingsRequest, ListParticipantsRequest, Origin, filter_field::Type,
    list_changes_request::Start,
};
use tonic::{Response, Status};

use crate::support::{Refused, Service};

const COLLECTIONS: [&str; 5] = ["articles", "changes", "meetings", "participants", "participations"];

async fn fields(service: &Service, collection: &str) -> Result<ListFilterFieldsResponse, Status> {
    let request = ListFilterFieldsRequest { collection: collection.into() };
    service.filters.clone().list_filter_fields(request).await.map(Response::into_inner)
}

/// The value in the example of a field: the text after the operator.
fn value_of(field: &FilterField) -> &str {
    let operator = field.example.find([' ', ':']).expect("an operator");
    field.example[operator..].trim_start_matches([' ', '=', '<', '>', ':'])
}

/// Lists a collection with a filter.
async fn list(service: &Service, collection: &str, filter: String) -> Result<(), Status> {
    match collection {
        "articles" => {
            let request = ListArticlesRequest { filter, ..Default::default() };
            service.articles.clone().list_articles(request).await.map(drop)
        }
        "changes" => {
            let start = Some(Start::Origin(Origin::Beginning.into()));
            let request = ListChangesRequest { start, filter, ..Default::default() };
            service.changes.clone().list_changes(request).await.map(drop)
        }
        "participants" => {
            let request = ListParticipantsRequest { filter, ..Default::default() };
            service.participants.clone().list_participants(request).await.map(drop)
        }
        _ => {
            let filter = if collection == "meetings" { filter } else { format!("participant(({filter}))") };
            let request = ListMeetingsRequest { filter, ..Default::default() };
            service.meetings.clone().list_meetings(request).await.map(drop)
        }
    }
}

#[tokio::test]
async fn every_listed_example_operator_and_value_is_accepted_in_a_filter() {
    let service = Service::start().await;
    for collection in COLLECTIONS {
        let answer = fields(&service, collection).await.unwrap();
        let mut filters: Vec<String> = answer.functions.iter().map(|function| function.example.clone()).collect();
        for field in answer.fields {
            assert!(!field.comment.is_empty() && field.r#type() != Type::Unspecified, "{}", field.name);
            assert_eq!(field.values.is_empty(), !matches!(field.r#type(), Type::Enum | Type::Bool), "{}", field.name);
            filters.extend(field.values.iter().map(|value| format!("{} = {value}", field.name)));
            // The example is a name, an operator and a value.
            let value = value_of(&field);
            filters.extend(field.operators.iter().map(|operator| format!("{} {operator} {value}", field.name)));
            filters.push(format!("{}:*", field.name));
            filters.push(field.example);
        }
        for filter in filters {
            for filter in [format!("NOT {filter}"), filter] {
                let answer = list(&service, collection, filter.clone()).await;
                assert!(answer.is_ok(), "{collection}: {filter}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_operator_that_is_not_listed_is_refused_in_a_filter() {
    let service = Service::start().await;
    let all: BTreeSet<&str> = ["=", "!=", "<", "<=", ">", ">=", ":"].into();
    for collection in COLLECTIONS {
        for field in fields(&service, collection).await.unwrap().fields {
            let value = value_of(&field);
            let listed: BTreeSet<&str> = field.operators.iter().map(String::as_str).collect();
            for operator in all.difference(&listed) {
                let filter = format!("{} {operator} {value}", field.name);
                let refused = list(&service, collection, filter.clone()).await.expect_err(&filter);
                assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidFilter, ["filter"]), "{filter}");
            }
        }
    }
}

#[tokio::test]
async fn list_filter_fields_lists_the_fields_of_each_collection() {
    let service = Service::start().await;
    let names = async |collection: &str| -> BTreeSet<String> {
        let answer = fields(&service, collection).await.unwrap();
        let fields = answer.fields.into_iter().map(|field| field.name);
        fields.chain(answer.functions.into_iter().map(|function| format!("{}()", function.name))).collect()
    };
    let changes = names("changes").await;
    for (resource, collection) in [("meeting", "meetings"), ("participant", "participants"), ("article", "articles")] {
        for name in names(collection).await {
            let within = format!("{resource}.{name}");
            assert_eq!(changes.contains(&within), within != "meeting.article", "{within}");
        }
    }
    let participations = [
        "kind",
        "name",
        "office.organization",
        "office.title",
        "participant",
        "presence",
        "rank",
        "region",
        "role",
        "seniority",
    ];
    let participations = participations.map(str::to_owned).into();
    assert_eq!(names("participations").await, participations);
    for collection in ["", "reports", "Meetings", "meetings "] {
        let refused = fields(&service, collection).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::invalid(["collection"]), "{collection:?}");
    }
}
