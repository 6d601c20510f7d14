//! Stops and the visit type: settled from the reports, found by filters, ruled on.

use std::collections::BTreeMap;

use readout::pb::{
    Account, AggregateMeetingsRequest, CreateMeetingRequest, ErrorReason, Evidence, Meeting, Place, Stop,
    account::{Kind, VisitType},
};
use tonic::Response;

use crate::support::{
    Refused, Service,
    make::{TEXT, article, day, talks},
};

fn at(region: &str, locality: &str) -> Place {
    Place { region_code: region.into(), locality: locality.into(), ..Default::default() }
}

fn stop(region: &str, locality: &str, date: i32) -> Stop {
    Stop { place: Some(at(region, locality)), date: day(1969, 2, date).filter(|_| date > 0) }
}

/// A trip with a stop in each of two towns, told by two articles.
async fn trip(service: &Service) -> Meeting {
    let stops = vec![stop("GB", "London", 24), stop("DE", "", 0)];
    let account =
        Account { stops, place: Some(at("BE", "Brussels")), visit_type: VisitType::Working.into(), ..talks("Trip") };
    let account = Account { kind: Kind::Visit.into(), ..account };
    let (first, second) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let meeting = service.create_meeting(&first, account.clone()).await.unwrap();
    let stops = vec![stop("GB", "LONDON", 0), stop("BE", "Brussels", 23)];
    let account = Account { stops, visit_type: VisitType::State.into(), ..account };
    service.add_report(&meeting.name, &second.name, account).await.unwrap();
    service.meeting(&meeting.name).await
}

#[tokio::test]
async fn stops_of_all_reports_are_found_by_the_filters_on_the_place() {
    let service = Service::start().await;
    let meeting = trip(&service).await;
    let settled = meeting.account.clone().unwrap();
    assert_eq!(settled.stops, [stop("BE", "Brussels", 23), stop("GB", "London", 24), stop("DE", "", 0)]);
    let source = service.create_article(article("urn:3")).await;
    let other = Account { place: Some(at("FR", "Paris")), ..talks("Elsewhere") };
    let other = service.create_meeting(&source, other).await.unwrap();
    for filter in [
        "place.region = BE",
        "place.region = GB",
        "place.region : DE",
        "place.locality = london",
        "place.locality = Brussels AND place.region = DE",
        "NOT place.region = FR",
        "place.locality != Paris",
        "visit_type = WORKING",
        "fragile = \"visit_type\"",
    ] {
        assert_eq!(service.meetings_found(filter, false).await, [meeting.name.as_str()], "{filter}");
    }
    assert_eq!(service.meetings_found("place.region != GB", false).await, [other.name]);

    // A ruling replaces the stops as a whole.
    let ruled = service.rule(&meeting.name, Account::default(), &["account.stops"]).await.unwrap();
    assert!(ruled.account.unwrap().stops.is_empty());
    assert_eq!(service.meetings_found("place.region = GB", false).await, [""; 0]);
}

#[tokio::test]
async fn visit_type_is_settled_disputed_ruled_and_counted() {
    let service = Service::start().await;
    let meeting = trip(&service).await;
    let dispute = meeting.disputes.iter().find(|dispute| dispute.field == "visit_type").unwrap();
    assert_eq!((dispute.values.len(), dispute.chosen), (2, 0));
    assert_eq!(meeting.account.unwrap().visit_type(), VisitType::Working);
    let ruled = Account { visit_type: VisitType::Official.into(), ..Default::default() };
    let ruled = service.rule(&meeting.name, ruled, &["account.visit_type"]).await.unwrap();
    assert_eq!(ruled.account.as_ref().unwrap().visit_type(), VisitType::Official);
    let dispute = ruled.disputes.iter().find(|dispute| dispute.field == "visit_type").unwrap();
    assert_eq!((dispute.values.len(), dispute.chosen), (3, 2));
    assert_eq!(service.meetings_found("visit_type = OFFICIAL", false).await, [meeting.name]);
    let source = service.create_article(article("urn:4")).await;
    service.create_meeting(&source, talks("Talks")).await.unwrap();
    let request = AggregateMeetingsRequest { group_by: vec!["visit_type".into()], ..Default::default() };
    let groups = service.meetings.clone().aggregate_meetings(request).await.unwrap().into_inner().groups;
    let counts: BTreeMap<&str, i32> =
        groups.iter().map(|group| (group.keys["visit_type"].as_str(), group.meeting_count)).collect();
    assert_eq!(counts, BTreeMap::from([("", 1), ("OFFICIAL", 1)]));
}

#[tokio::test]
async fn evidence_for_a_stop_counts_for_the_coverage() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let account = Account { stops: vec![stop("AZ", "Baku", 24)], ..talks("Talks") };
    let cite = |field: &str| Evidence { field: field.into(), quote: "in Baku".into(), ..Default::default() };
    let create = async |field: &str| {
        let request = CreateMeetingRequest {
            meeting: Some(Meeting { account: Some(account.clone()), ..Default::default() }),
            source_article: source.name.clone(),
            evidence: vec![cite(field)],
            validate_only: true,
            ..Default::default()
        };
        service.meetings.clone().create_meeting(request).await.map(Response::into_inner)
    };
    assert!(TEXT.contains("in Baku"));
    // Of kind, status, title, and the place and date of the stop.
    assert_eq!(create("stops[0].place.locality").await.unwrap().evidence_coverage, 0.2);
    assert_eq!(create("stops[0]").await.unwrap().evidence_coverage, 0.4);
    let status = create("stops[1].place").await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::fields(ErrorReason::InvalidField, ["evidence[0].field"]));
}
