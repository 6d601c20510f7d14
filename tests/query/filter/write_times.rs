//! Filters on the times at which records were written, and on the records that they derive from, in lists and in
//! changes.

use std::collections::BTreeSet;

use chrono::DateTime;
use prost_types::Timestamp;
use readout::pb::{
    Article, ListArticlesRequest, ListChangesRequest, ListMeetingsRequest, ListParticipantsRequest, Origin,
    Participant, list_changes_request::Start,
};

use crate::support::{Service, calls::of_participant, make};

/// The time as RFC 3339, `later` nanoseconds later.
fn written(time: Option<Timestamp>, later: i64) -> String {
    let time = time.expect("the time is set");
    let time = DateTime::from_timestamp(time.seconds, time.nanos.try_into().unwrap()).unwrap();
    (time + chrono::TimeDelta::nanoseconds(later)).to_rfc3339()
}

async fn participants(service: &Service, filter: &str) -> BTreeSet<String> {
    let request = ListParticipantsRequest { filter: filter.into(), ..Default::default() };
    let list = service
        .participants
        .clone()
        .list_participants(request)
        .await
        .unwrap_or_else(|status| panic!("{filter}: {status}"));
    list.into_inner().participants.into_iter().map(|participant| participant.name).collect()
}

async fn articles(service: &Service, filter: &str) -> BTreeSet<String> {
    let request = ListArticlesRequest { filter: filter.into(), ..Default::default() };
    let list =
        service.articles.clone().list_articles(request).await.unwrap_or_else(|status| panic!("{filter}: {status}"));
    list.into_inner().articles.into_iter().map(|article| article.name).collect()
}

async fn changed(service: &Service, filter: &str) -> BTreeSet<String> {
    let start = Some(Start::Origin(Origin::Beginning.into()));
    let request = ListChangesRequest { start, filter: filter.into(), ..Default::default() };
    let page =
        service.changes.clone().list_changes(request).await.unwrap_or_else(|status| panic!("{filter}: {status}"));
    page.into_inner().changes.into_iter().map(|change| change.name).collect()
}

fn names(names: &[&String]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).clone()).collect()
}

#[tokio::test]
async fn a_filter_compares_times_to_the_microsecond_and_by_the_day() {
    let service = Service::start().await;
    let first = service.create_participant(make::person("Kerim Veliyev", "AZ")).await;
    let second = service.create_participant(make::person("Ruslan Tsalikov", "RU")).await;
    let noted = Participant { note: "seen".into(), ..first.clone() };
    let request = of_participant(noted, &["note"]);
    let updated = service.participants.clone().update_participant(request).await.unwrap().into_inner();
    let [a, b] = [&first.name, &second.name];
    let created = written(first.create_time, 0);
    for (filter, expected) in [
        (format!("create_time = \"{created}\""), names(&[a])),
        (format!("create_time = \"{}\"", written(first.create_time, 999)), names(&[a])),
        (format!("create_time = \"{}\"", written(first.create_time, 1_000)), names(&[])),
        (format!("create_time != \"{created}\""), names(&[b])),
        (format!("create_time <= \"{created}\""), names(&[a])),
        (format!("create_time < \"{created}\""), names(&[])),
        (format!("create_time > \"{created}\""), names(&[b])),
        (format!("create_time >= \"{created}\""), names(&[a, b])),
        (format!("create_time = \"{}\"", &created[..10]), names(&[a, b])),
        (format!("update_time = \"{}\"", written(updated.update_time, 0)), names(&[a])),
        (format!("update_time = \"{created}\""), names(&[])),
        ("create_time < \"2020\" OR update_time > 9999".to_owned(), names(&[])),
    ] {
        assert_eq!(participants(&service, &filter).await, expected, "{filter}");
    }
    // Before the update, the update time was the creation time.
    let filter = format!("participant.update_time = \"{created}\"");
    assert_eq!(changed(&service, &filter).await, names(&[a]));
    assert_eq!(changed(&service, "meeting.create_time >= 2000 OR article.update_time >= 2000").await, names(&[]));
}

#[tokio::test]
async fn a_filter_compares_the_times_that_meetings_and_articles_return() {
    let service = Service::start().await;
    let (article, meeting) = service.article_and_meeting().await;
    let meeting = service.meeting(&meeting).await;
    let stored = articles(&service, "").await;
    for field in ["create_time", "update_time"] {
        let of_article = changed(&service, &format!("article.{field} >= 2000")).await;
        assert_eq!((&of_article, of_article.len()), (&stored, 1));
        let time = if field == "create_time" { meeting.create_time } else { meeting.update_time };
        for (operator, found) in [("=", 1), ("<", 0), (">", 0), ("!=", 0)] {
            let filter = format!("{field} {operator} \"{}\"", written(time, 0));
            let request = ListMeetingsRequest { filter: filter.clone(), ..Default::default() };
            let list = service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
            assert_eq!(list.meetings.len(), found, "{filter}");
        }
    }
    assert_eq!(stored, names(&[&article]));
}

#[tokio::test]
async fn a_filter_finds_records_by_parent_origin_and_syndication_source() {
    let service = Service::start().await;
    let ministry = service.create_participant(make::person("The Ministry", "AZ")).await;
    let press = Participant { parent: ministry.name.clone(), ..make::person("Its Press Service", "AZ") };
    let press = service.create_participant(press).await;
    let filter = format!("parent = \"{}\"", ministry.name);
    assert_eq!(participants(&service, &filter).await, names(&[&press.name]));
    assert_eq!(participants(&service, &format!("NOT {filter}")).await, names(&[&ministry.name]));
    assert_eq!(changed(&service, &format!("participant.{filter}")).await, names(&[&press.name]));

    let agency = service.create_article(make::article("urn:agency")).await;
    let copy = Article { syndicated_from: agency.name.clone(), ..make::article("urn:copy") };
    let copy = service.create_article(copy).await;
    let alone = service.create_article(make::article("urn:other")).await;
    for (filter, expected) in [
        (format!("origin = \"{}\"", agency.name), names(&[&agency.name, &copy.name])),
        (format!("origin = \"{}\"", copy.name), names(&[])),
        (format!("origin != \"{}\"", agency.name), names(&[&alone.name])),
        (format!("syndicated_from = \"{}\"", agency.name), names(&[&copy.name])),
        (format!("syndicated_from != \"{}\"", agency.name), names(&[&agency.name, &alone.name])),
    ] {
        assert_eq!(articles(&service, &filter).await, expected, "{filter}");
        let filter = format!("collection = articles AND article.{filter}");
        assert_eq!(changed(&service, &filter).await, expected, "{filter}");
    }
}
