//! Filters on changes: a change matches if its resource matches before or after it.

use readout::pb::{ErrorReason, ListChangesRequest, Origin, list_changes_request::Start};
use tonic::Code;

use crate::support::{
    Refused, Service,
    follow::{all, beginning, matching, number},
    make::{self, ingest, person, story},
    metadata_of,
};

/// Positions of the changes that match, as a watch and a list both deliver them.
async fn positions(service: &Service, filter: &str) -> Vec<i64> {
    let watched: Vec<_> =
        service.watch(matching(beginning(), filter)).await.caught_up().await.iter().map(number).collect();
    let start = Some(Start::Origin(Origin::Beginning.into()));
    let request = ListChangesRequest { start, filter: filter.into(), page_size: 1_000, ..Default::default() };
    let page = service.changes.clone().list_changes(request).await.unwrap().into_inner();
    assert_eq!(page.changes.iter().map(number).collect::<Vec<_>>(), watched, "{filter}");
    watched
}

/// Changes 1 and 2 are people, 3 an article, 4 a report, 5 a meeting, 6 a second report and 7 the meeting again.
async fn service() -> (Service, String, String) {
    let service = Service::start().await;
    let mut story = story("urn:a", &[person("Kerim Veliyev", "AZ"), person("Ruslan Tsalikov", "RU")]);
    let account = story.reports[0].account.as_mut().unwrap();
    account.topics = vec!["trust".into()];
    account.participations[0].region_code = "AZ".into();
    let article = story.article.as_mut().unwrap();
    article.section = "Politics".into();
    article.publish_date = Some(readout::pb::Date { year: 2020, month: 9, day: 4 });
    let answer = service.ingest.clone().ingest_story(ingest(story)).await.unwrap().into_inner();
    let meeting = answer.meetings[0].meeting.clone();
    service.add_report(&meeting, &answer.article, make::talks("Again")).await.unwrap();
    (service, answer.article, meeting)
}

#[tokio::test]
async fn a_change_filter_tests_fields_of_the_change_and_of_its_resource() {
    let (service, article, meeting) = service().await;
    for (filter, expected) in [
        ("", vec![1, 2, 3, 4, 5, 6, 7]),
        ("collection = meetings", vec![5, 7]),
        ("collection != meetings", vec![1, 2, 3, 4, 6]),
        ("kind = REPORTED", vec![7]),
        ("kind = CREATED AND collection = \"reports\"", vec![4, 6]),
        (&format!("name = \"{meeting}\""), vec![5, 7]),
        ("meeting.kind = TALKS", vec![5, 7]),
        ("NOT meeting.kind = TALKS", vec![1, 2, 3, 4, 6]),
        ("meeting.kind = VISIT", vec![]),
        ("meeting.status = HELD", vec![5, 7]),
        ("meeting.region = AZ", vec![5, 7]),
        // The region of the second participation is that of its participant.
        ("meeting.region = RU", vec![5, 7]),
        ("meeting.region = FR", vec![]),
        ("meeting.topic = trust", vec![5, 7]),
        ("meeting.date >= 2000", vec![]),
        ("meeting.has_dispute = true", vec![]),
        ("meeting.has_dispute = false", vec![5, 7]),
        ("meeting.report_count = 2", vec![7]),
        ("meeting.report_count < 2", vec![5, 7]),
        ("meeting.independent_source_count > 1", vec![]),
        ("meeting.independent_source_count = 1", vec![5, 7]),
        ("meeting.review = UNREVIEWED", vec![5, 7]),
        ("participant.region = AZ", vec![1]),
        ("participant.name = \"RUSLAN tsalikov\"", vec![2]),
        ("participant.kind = PERSON", vec![1, 2]),
        ("article.uri = \"urn:a\"", vec![3]),
        ("article.language = en", vec![3]),
        ("article.section = \"\"", vec![]),
        ("article.section = Politics", vec![3]),
        ("article.publish_date = 2020-09", vec![3]),
        ("article.publish_date > 2020-09", vec![]),
        (&format!("report.meeting = \"{meeting}\""), vec![4, 6]),
        (&format!("report.article = \"{article}\""), vec![4, 6]),
        ("kind = CREATED OR meeting.kind = TALKS AND collection = meetings", vec![5, 7]),
    ] {
        assert_eq!(positions(&service, filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_change_matches_a_filter_if_its_resource_matched_before_it() {
    let service = Service::start().await;
    let (article, meeting) = service.article_and_meeting().await;
    let account = readout::pb::Account {
        date: Some(readout::pb::DateSpan {
            start: Some(readout::pb::Date { year: 2020, month: 8, day: 25 }),
            ..Default::default()
        }),
        ..make::talks("Dated")
    };
    service.add_report(&meeting, &article, account).await.unwrap();
    // Change 3 is the meeting without a date, change 5 the meeting with one.
    assert_eq!(positions(&service, "collection = meetings AND meeting.date = 2020").await, [5]);
    assert_eq!(positions(&service, "collection = meetings AND NOT meeting.date = 2020").await, [3, 5]);
}

#[tokio::test]
async fn an_invalid_change_filter_is_refused_with_the_position_of_its_error() {
    let service = Service::start().await;
    for (filter, reason, position) in [
        ("knd = CREATED", ErrorReason::UnknownFilterField, "0"),
        ("kind = CREATED AND meeting.article = \"x\"", ErrorReason::UnknownFilterField, "19"),
        ("kind = TALKS", ErrorReason::InvalidFilter, "7"),
        ("collection = people", ErrorReason::InvalidFilter, "13"),
        ("name = \"meetings/1\"", ErrorReason::InvalidFilter, "7"),
        ("kind > CREATED", ErrorReason::InvalidFilter, "5"),
    ] {
        let status = service.changes.clone().watch_changes(matching(beginning(), filter)).await.expect_err(filter);
        assert_eq!(metadata_of(&status, "position"), position, "{filter}");
        let expected = Refused { fields: vec!["filter".into()], ..Refused::with(Code::InvalidArgument, reason) };
        assert_eq!(Refused::from(status), expected, "{filter}");
    }
}

#[tokio::test]
async fn a_change_filter_matches_the_same_changes_live_and_from_the_table() {
    let service = Service::start().await;
    let filter = "participant.region = AZ AND kind = CREATED";
    let mut live = service.watch(matching(beginning(), filter)).await;
    live.caught_up().await;
    service.add_many(50).await;
    let live: Vec<_> = live.changes(50).await.iter().map(number).collect();
    assert_eq!(live, positions(&service, filter).await);
    assert_eq!(service.watch(all(beginning())).await.caught_up().await.len(), 50);
}
