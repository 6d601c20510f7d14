//! Suggestions: the error of an invalid value shows the value, its position, and the value that was probably meant.
//! Fields and values come from ListFilterFields, so that added ones are tested too.

use readout::pb::{
    AggregateMeetingsRequest, ErrorReason, ListArticlesRequest, ListChangesRequest, ListFilterFieldsRequest,
    ListMeetingsRequest, ListParticipantsRequest, ListStatementsRequest, Origin, WatchChangesRequest,
    list_changes_request, watch_changes_request,
};
use strsim::osa_distance;
use tonic::Status;

use crate::support::{Refused, Service, metadata_of};

const COLLECTIONS: [&str; 6] = ["articles", "changes", "meetings", "participants", "participations", "statements"];

/// The errors of every method that accepts a filter on the collection.
async fn refusals(service: &Service, collection: &str, filter: &str) -> Vec<Status> {
    let filter = filter.to_owned();
    match collection {
        "articles" => {
            let request = ListArticlesRequest { filter, ..Default::default() };
            let mut client = service.articles.clone();
            vec![
                client.list_articles(request.clone()).await.unwrap_err(),
                client.stream_articles(request).await.unwrap_err(),
            ]
        }
        "participants" => {
            let request = ListParticipantsRequest { filter, ..Default::default() };
            let mut client = service.participants.clone();
            vec![
                client.list_participants(request.clone()).await.unwrap_err(),
                client.stream_participants(request).await.unwrap_err(),
            ]
        }
        "statements" => {
            let request = ListStatementsRequest { filter, ..Default::default() };
            vec![service.meetings.clone().list_statements(request).await.unwrap_err()]
        }
        "changes" => {
            let origin = Origin::Beginning.into();
            let start = Some(list_changes_request::Start::Origin(origin));
            let list = ListChangesRequest { start, filter: filter.clone(), ..Default::default() };
            let start = Some(watch_changes_request::Start::Origin(origin));
            let watch = WatchChangesRequest { start, filter, ..Default::default() };
            let mut client = service.changes.clone();
            vec![client.list_changes(list).await.unwrap_err(), client.watch_changes(watch).await.unwrap_err()]
        }
        _ => {
            let list = ListMeetingsRequest { filter: filter.clone(), ..Default::default() };
            let count = AggregateMeetingsRequest { filter, group_by: vec!["year".into()], ..Default::default() };
            let mut client = service.meetings.clone();
            vec![
                client.list_meetings(list.clone()).await.unwrap_err(),
                client.stream_meetings(list).await.unwrap_err(),
                client.aggregate_meetings(count).await.unwrap_err(),
            ]
        }
    }
}

/// Typical misspellings of a name.
fn misspelt(name: &str) -> Vec<String> {
    let other_case = if name.contains(char::is_uppercase) { name.to_lowercase() } else { name.to_uppercase() };
    let mut swapped: Vec<char> = name.chars().collect();
    swapped.swap(0, 1);
    vec![
        other_case,
        name[..name.len() - 1].to_owned(),
        format!("{}{name}", &name[..1]),
        swapped.into_iter().collect(),
        name.replace('_', "-"),
        format!(" {name}"),
    ]
}

/// True if `name` is nearer to `word` than every other name, and no name equals `word`.
fn is_nearest(name: &str, word: &str, names: &[String]) -> bool {
    let distance = |name: &str| osa_distance(&name.to_lowercase(), &word.to_lowercase());
    names.iter().all(|other| other != word && (other == name || distance(other) > distance(name)))
}

#[tokio::test]
async fn a_misspelt_filter_value_gets_a_suggestion_for_every_value_of_every_field() {
    let service = Service::start().await;
    for collection in COLLECTIONS {
        let request = ListFilterFieldsRequest { collection: collection.into() };
        let fields = service.filters.clone().list_filter_fields(request).await.unwrap().into_inner().fields;
        let mut tried = 0;
        for field in &fields {
            for value in &field.values {
                for word in misspelt(value) {
                    let is_clear = 3 * osa_distance(&value.to_lowercase(), &word.to_lowercase()) <= value.len();
                    if !is_clear || !is_nearest(value, &word, &field.values) {
                        continue;
                    }
                    tried += 1;
                    for literal in [format!("\"{word}\""), format!("'{word}'"), word.clone()] {
                        // Skips unquoted keywords of the grammar, and a leading space, which the grammar ignores.
                        if literal.starts_with(' ') || ["AND", "OR", "NOT"].contains(&&*literal) {
                            continue;
                        }
                        let comparison = format!("{} = {literal}", field.name);
                        let (prefix, suffix) = match collection {
                            "participations" => ("participant((", "))"),
                            _ => ("", ""),
                        };
                        let filter = format!("{prefix}{comparison}{suffix}");
                        let position = prefix.len() + field.name.len() + 3;
                        for refused in refusals(&service, collection, &filter).await {
                            let message = refused.message().to_owned();
                            let start = format!("at byte {position}: {} must be compared with one of", field.name);
                            let start =
                                if field.values == ["true", "false"] { &start[..start.len() - 6] } else { &*start };
                            assert!(message.contains(start), "{filter}: {message}");
                            let end = format!(", not \"{word}\"; did you mean \"{value}\"?");
                            assert!(message.ends_with(&end), "{filter}: {message}");
                            assert_eq!(metadata_of(&refused, "position"), position.to_string());
                            let expected = Refused::fields(ErrorReason::InvalidFilter, ["filter"]);
                            assert_eq!(Refused::from(refused), expected, "{filter}");
                        }
                    }
                }
            }
        }
        assert_eq!(tried > 0, fields.iter().any(|field| !field.values.is_empty()), "{collection}");
    }
}

#[tokio::test]
async fn a_misspelt_order_group_or_collection_gets_a_suggestion() {
    let service = Service::start().await;
    let ordered = async |order_by: &str| {
        let request = ListMeetingsRequest { order_by: order_by.into(), ..Default::default() };
        service.meetings.clone().list_meetings(request).await.unwrap_err()
    };
    let grouped = async |group_by: &[&str], order_by: &str| {
        let group_by = group_by.iter().map(|word| (*word).to_owned()).collect();
        let request = AggregateMeetingsRequest { group_by, order_by: order_by.into(), ..Default::default() };
        service.meetings.clone().aggregate_meetings(request).await.unwrap_err()
    };
    let collection = async |name: &str| {
        let request = ListFilterFieldsRequest { collection: name.into() };
        service.filters.clone().list_filter_fields(request).await.unwrap_err()
    };
    for (refused, end) in [
        (ordered("Date").await, "not \"Date\" at byte 0; did you mean \"date\"?"),
        (ordered("  creat_time desc").await, "not \"creat_time\" at byte 2; did you mean \"create_time\"?"),
        (ordered("date DESC").await, "not \"date DESC\"; did you mean \"date desc\"?"),
        (ordered("update_time  descending").await, "; did you mean \"update_time desc\"?"),
        (ordered("date ascnd").await, "; did you mean \"date asc\"?"),
        (grouped(&["year", "MONTH"], "").await, "not \"MONTH\"; did you mean \"month\"?"),
        (grouped(&["place_region"], "").await, "not \"place_region\"; did you mean \"place.region\"?"),
        (grouped(&["year"], "Key").await, "not \"Key\"; did you mean \"key\"?"),
        (grouped(&["year"], "meeting-count DESC").await, "; did you mean \"meeting_count desc\"?"),
        (collection("meeting").await, "not \"meeting\"; did you mean \"meetings\"?"),
        (collection("Articles").await, "not \"Articles\"; did you mean \"articles\"?"),
    ] {
        assert!(refused.message().ends_with(end), "{}", refused.message());
    }
    for (refused, path) in [
        (grouped(&["year", "MONTH"], "").await, "group_by[1]"),
        (grouped(&["year"], "Key").await, "order_by"),
        (collection("meeting").await, "collection"),
    ] {
        assert_eq!(Refused::from(refused).fields, [path]);
    }
}
