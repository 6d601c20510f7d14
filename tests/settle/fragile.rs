//! Fragile fields: settled values that rest on one independent source.

use std::collections::BTreeSet;

use readout::pb::{
    Account, BatchGetMeetingsRequest, CreateMeetingRequest, ErrorReason, GetMeetingRequest, ListMeetingsRequest,
    Meeting, View,
};

use crate::support::{
    Refused, Service,
    follow::{beginning, matching},
    make::{article, day, person, present, talks},
};

fn visit(august: i32) -> Account {
    Account { date: day(2020, 8, august), ..talks("Talks") }
}

async fn fragile(service: &Service, meeting: &Meeting) -> Vec<String> {
    service.meeting(&meeting.name).await.fragile_fields
}

async fn listed(service: &Service, filter: &str) -> BTreeSet<String> {
    let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
    let list = service.meetings.clone().list_meetings(request).await.expect("a list").into_inner();
    list.meetings.into_iter().map(|meeting| meeting.name).collect()
}

const ALL: [&str; 3] = ["account.date", "account.kind", "account.status"];
const NONE: [&str; 0] = [];

#[tokio::test]
async fn field_is_fragile_until_two_articles_agree_and_after_one_is_retracted() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:1")).await;
    let second = service.create_article(article("urn:2")).await;
    let meeting = service.create_meeting(&first, visit(24)).await.unwrap();
    assert_eq!(meeting.fragile_fields, ALL, "one source");
    let agreeing = service.add_report(&meeting.name, &second.name, visit(24)).await.unwrap();
    assert_eq!(fragile(&service, &meeting).await, NONE);
    service.retract_report(&agreeing.name).await.unwrap();
    assert_eq!(fragile(&service, &meeting).await, ALL);
    // The articles agree, except that the date of the first wins by its URI.
    service.add_report(&meeting.name, &second.name, visit(25)).await.unwrap();
    assert_eq!(fragile(&service, &meeting).await, ["account.date"]);
}

#[tokio::test]
async fn copies_are_one_source_for_fragile_fields() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:1")).await;
    let mut copy = article("urn:2");
    copy.syndicated_from = first.name.clone();
    let copy = service.create_article(copy).await;
    let meeting = service.create_meeting(&first, visit(24)).await.unwrap();
    service.add_report(&meeting.name, &copy.name, visit(24)).await.unwrap();
    let settled = service.meeting(&meeting.name).await;
    assert_eq!((settled.report_count, settled.independent_source_count), (2, 1));
    assert_eq!(settled.fragile_fields, ALL);
}

#[tokio::test]
async fn ruled_field_of_two_sources_is_not_fragile_until_the_ruling_is_withdrawn() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:1")).await;
    let second = service.create_article(article("urn:2")).await;
    let meeting = service.create_meeting(&first, visit(24)).await.unwrap();
    let other = service.add_report(&meeting.name, &second.name, visit(25)).await.unwrap();
    assert_eq!(fragile(&service, &meeting).await, ["account.date"]);
    let ruled = service.rule(&meeting.name, visit(25), &["account.date"]).await.unwrap();
    assert_eq!(ruled.fragile_fields, NONE);
    // Without its only source, a meeting has no account, whatever is ruled.
    service.retract_report(&other.name).await.unwrap();
    assert_eq!(fragile(&service, &meeting).await, ALL);
    service.add_report(&meeting.name, &second.name, visit(26)).await.unwrap();
    assert_eq!(fragile(&service, &meeting).await, NONE);
    let rulings = service.reports_of(&meeting.name).await;
    let ruling = rulings.into_iter().find(|report| report.article.is_empty()).unwrap();
    service.retract_report(&ruling.name).await.unwrap();
    assert_eq!(fragile(&service, &meeting).await, ["account.date"]);
}

#[tokio::test]
async fn fragile_filter_finds_meetings_in_lists_and_watches() {
    let service = Service::start().await;
    let person = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let first = service.create_article(article("urn:1")).await;
    let second = service.create_article(article("urn:2")).await;
    let single = service.create_meeting(&first, visit(24)).await.unwrap().name;
    let agreed = service.create_meeting(&first, talks("Agreed")).await.unwrap().name;
    let attended = Account { participations: vec![present("p", &person.name)], ..talks("Agreed") };
    service.add_report(&agreed, &second.name, attended).await.unwrap();
    let path = format!("account.participations[{}]", person.name.strip_prefix("participants/").unwrap());
    // The region is that of the participant, whom one source reports.
    let paths = [format!("{path}.presence"), format!("{path}.region_code")];
    assert_eq!(service.meeting(&agreed).await.fragile_fields, paths);
    for (filter, expected) in [
        ("fragile = \"date\"", vec![&single]),
        ("fragile:date", vec![&single]),
        ("fragile = participations", vec![&agreed]),
        ("fragile = kind OR fragile = participations", vec![&single, &agreed]),
        ("NOT fragile = kind", vec![&agreed]),
        ("fragile = \"place.region_code\"", vec![]),
    ] {
        let expected: BTreeSet<String> = expected.into_iter().cloned().collect();
        assert_eq!(listed(&service, filter).await, expected, "{filter}");
    }
    let changes = service.watch(matching(beginning(), "meeting.fragile = participations")).await.caught_up().await;
    assert_eq!(changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), [agreed.as_str()]);
    let request = ListMeetingsRequest { filter: "fragile = title".into(), ..Default::default() };
    let refused = service.meetings.clone().list_meetings(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidFilter, ["filter"]));
}

#[tokio::test]
async fn fragile_fields_are_in_the_full_view_only_and_ignored_in_requests() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:1")).await;
    let sent = Meeting { account: Some(visit(24)), fragile_fields: vec!["account.title".into()], ..Default::default() };
    let request =
        CreateMeetingRequest { meeting: Some(sent), source_article: first.name.clone(), ..Default::default() };
    let meeting = service.meetings.clone().create_meeting(request).await.unwrap().into_inner();
    assert_eq!(meeting.fragile_fields, ALL);
    for (view, expected) in [(View::Full, &ALL[..]), (View::Basic, &NONE[..])] {
        let get = GetMeetingRequest { name: meeting.name.clone(), view: view.into(), ..Default::default() };
        assert_eq!(service.meetings.clone().get_meeting(get).await.unwrap().into_inner().fragile_fields, expected);
        let get =
            BatchGetMeetingsRequest { names: vec![meeting.name.clone()], view: view.into(), ..Default::default() };
        let batch = service.meetings.clone().batch_get_meetings(get).await.unwrap().into_inner();
        assert_eq!(batch.meetings[0].fragile_fields, expected);
    }
}
