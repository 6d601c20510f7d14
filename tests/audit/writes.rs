//! The events of writes, and the list.

use readout::{
    model::role::Role,
    pb::{
        CreateParticipantRequest, ErrorReason, IngestStoryRequest, ListAuditEventsRequest, Participant,
        audit_service_client::AuditServiceClient,
    },
};
use sqlx::{Connection, PgConnection};
use tonic::{Code, Request};

use super::events;
use crate::{
    access,
    support::{Refused, Service, make},
};

fn create(name: &str) -> CreateParticipantRequest {
    CreateParticipantRequest { participant: Some(make::person(name, "AZ")), ..Default::default() }
}

async fn execute(service: &Service, statement: &'static str) {
    let mut connection = PgConnection::connect_with(&service.database).await.expect("the database");
    sqlx::query(statement).execute(&mut connection).await.expect("a statement");
}

#[tokio::test]
async fn each_write_leaves_one_event_with_its_caller_and_names() {
    let service = access::start(access::api_tokens()).await;
    let writer = access::token(&service.database, "desk", Role::Curator).await.reveal();
    let admin = access::token(&service.database, "auditor", Role::Admin).await.reveal();
    let mut participants = service.participants.clone();
    let request = CreateParticipantRequest { request_id: "r-1".into(), ..create("Kerim Veliyev") };
    let made = participants.create_participant(access::with(&writer, request.clone())).await.unwrap().into_inner();
    // A repeated request is answered from the stored answer, and a validated one writes nothing.
    participants.create_participant(access::with(&writer, request)).await.unwrap();
    let validated = CreateParticipantRequest { validate_only: true, ..create("Ruslan Tsalikov") };
    participants.create_participant(access::with(&writer, validated)).await.unwrap();
    let story = make::story("urn:a", &[make::person("Ruslan Tsalikov", "RU")]);
    let mut request = access::with(&writer, IngestStoryRequest { story: Some(story), ..Default::default() });
    request.metadata_mut().insert("x-request-id", "job-7".parse().unwrap());
    let told = service.ingest.clone().ingest_story(request).await.unwrap().into_inner();

    let events =
        events(&service, Some(&admin), "principal = \"token/desk\" AND outcome = OK AND NOT method = UseToken");
    let events = events.await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0].names, std::slice::from_ref(&made.name));
    assert_eq!(
        (events[0].method.as_str(), events[0].request_id.as_str()),
        ("readout.v1.ParticipantService/CreateParticipant", "r-1")
    );
    assert_eq!((events[0].peer.as_str(), events[0].count, events[0].outcome.as_str()), ("127.0.0.1", 1, "OK"));
    assert_eq!(
        (events[1].method.as_str(), events[1].request_id.as_str()),
        ("readout.v1.IngestService/IngestStory", "job-7")
    );
    assert!(events[1].names.contains(&told.article) && events[1].names.len() == 4, "{events:?}");
    assert!(events[0].id < events[1].id && events[0].time.as_ref().unwrap().seconds > 0);

    for (filter, count) in [
        (format!("name = \"{}\"", made.name), 1),
        ("method = CreateParticipant".into(), 1),
        ("method = \"readout.v1.ParticipantService/CreateParticipant\"".into(), 1),
        ("method = CreateMeeting".into(), 0),
        ("time >= \"2000\" AND time < \"2001\"".into(), 0),
        ("time >= \"2001\" AND principal = \"token/desk\" AND method = IngestStory".into(), 1),
        ("method = CreateToken AND name = \"token/desk\" AND outcome = OK".into(), 1),
    ] {
        assert_eq!(super::events(&service, Some(&admin), &filter).await.len(), count, "{filter}");
    }
}

#[tokio::test]
async fn reasons_of_callers_are_in_their_events() {
    let service = Service::start().await;
    let article = service.create_article(make::article("urn:a")).await;
    let meeting = service.create_meeting(&article, make::talks("talks")).await.unwrap();
    service.rule(&meeting.name, make::talks("other"), &["account.title"]).await.unwrap();
    let report = service.report_names_of(&meeting.name).await.pop_first().unwrap();
    service.retract_report(&report).await.unwrap();
    let of = async |method: &str| events(&service, None, &format!("method = {method}")).await;
    assert_eq!(of("UpdateMeeting").await[0].reason, "the ministry's own calendar");
    let retracted = &of("RetractReport").await[0];
    assert_eq!((retracted.reason.as_str(), retracted.principal.as_str()), ("wrong", "anonymous"));
    assert!(retracted.names.contains(&report) && retracted.names.contains(&meeting.name));
}

#[tokio::test]
async fn write_whose_event_cannot_be_stored_is_not_acknowledged_and_not_written() {
    let service = Service::start().await;
    execute(&service, "alter table audit_event add constraint no_events check (principal = '')").await;
    let refused = service.participants.clone().create_participant(create("Kerim Veliyev")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal, "{refused:?}");
    assert!(service.participants_where("").await.is_empty());
    execute(&service, "alter table audit_event drop constraint no_events").await;
    let made: Participant = service.create_participant(make::person("Kerim Veliyev", "AZ")).await;
    assert_eq!(
        events(&service, None, "").await.iter().map(|event| event.names.clone()).collect::<Vec<_>>(),
        [[made.name]]
    );
}

#[tokio::test]
async fn pages_have_every_event_once_in_both_orders_and_refuse_other_filters() {
    let service = Service::start().await;
    for number in 0..7 {
        service.create_participant(make::person(&format!("Person {number}"), "AZ")).await;
    }
    let mut client = AuditServiceClient::new(service.channel().await);
    let mut in_order = Vec::new();
    for order_by in ["time", "time desc", ""] {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                ListAuditEventsRequest { page_size: 3, page_token, order_by: order_by.into(), ..Default::default() };
            let page = client.list_audit_events(request).await.unwrap().into_inner();
            assert!(page.events.len() <= 3);
            ids.extend(page.events.iter().map(|event| event.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
            let other = ListAuditEventsRequest {
                filter: "outcome = OK".into(),
                page_token: page_token.clone(),
                order_by: order_by.into(),
                ..Default::default()
            };
            let refused = client.list_audit_events(other).await.unwrap_err();
            let refused = Refused::from(refused);
            assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::InvalidPageToken));
        }
        assert_eq!(ids.len(), 7);
        if order_by != "time" {
            ids.reverse();
        }
        in_order.push(ids);
    }
    assert!(in_order[0].is_sorted() && in_order.windows(2).all(|pair| pair[0] == pair[1]), "{in_order:?}");
}

#[tokio::test]
async fn page_examines_a_bounded_number_of_events_and_continues() {
    let service = Service::start().await;
    execute(
        &service,
        "insert into audit_event (time, principal, peer, method, names, reason, outcome, request_id)
         select now() - number * interval '1 minute', 'token/a', '', 'a/A', '{}'::text[], '', 'OK', ''
         from generate_series(1, 100001) as number
         union all
         select now() - interval '1 year', 'token/rare', '', 'a/A', '{}'::text[], '', 'OK', ''",
    )
    .await;
    let mut client = AuditServiceClient::new(service.channel().await);
    let filter = "principal = \"token/rare\"";
    let first = ListAuditEventsRequest { filter: filter.into(), ..Default::default() };
    let page = client.list_audit_events(Request::new(first.clone())).await.unwrap().into_inner();
    assert!(page.events.is_empty() && !page.next_page_token.is_empty());
    let next = ListAuditEventsRequest { page_token: page.next_page_token, ..first };
    let page = client.list_audit_events(next).await.unwrap().into_inner();
    assert_eq!((page.events.len(), page.next_page_token.as_str()), (1, ""));
}
