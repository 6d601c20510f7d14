//! The events of refusals, tokens and reads.

use readout::{
    config::{self, Audit, AuditedCalls},
    model::role::Role,
    pb::{
        DeleteParticipantRequest, GetParticipantRequest, ListAuditEventsRequest,
        audit_service_client::AuditServiceClient,
    },
};
use tonic::Code;

use super::{events, events_when};
use crate::{
    access,
    support::{Service, make},
};

#[tokio::test]
async fn refusals_of_one_caller_with_one_outcome_are_one_event_whose_count_grows() {
    let service = access::start(access::api_tokens()).await;
    let admin = access::token(&service.database, "auditor", Role::Admin).await.reveal();
    let reader = access::token(&service.database, "desk", Role::Reader).await.reveal();
    for _ in 0..3 {
        access::read(&service, None).await.unwrap_err();
        access::read(&service, Some("not a token")).await.unwrap_err();
        let request = access::with(&reader, DeleteParticipantRequest::default());
        service.participants.clone().delete_participant(request).await.unwrap_err();
    }
    let mut client = AuditServiceClient::new(service.channel().await);
    let refused = client.list_audit_events(access::with(&reader, ListAuditEventsRequest::default())).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);

    let filter = "NOT outcome = OK";
    let counts = [
        ("127.0.0.1", "CREDENTIALS_INVALID", 3),
        ("127.0.0.1", "CREDENTIALS_MISSING", 3),
        // The list and the deletions are refused to the same caller, by two methods.
        ("token/desk", "ROLE_TOO_LOW", 1),
        ("token/desk", "ROLE_TOO_LOW", 3),
    ];
    let found =
        events_when(&service, Some(&admin), filter, |events| events.iter().map(|event| event.count).sum::<i64>() == 10);
    let mut found: Vec<_> =
        found.await.into_iter().map(|event| (event.principal, event.outcome, event.count, event.peer)).collect();
    found.sort();
    let expected = counts
        .map(|(principal, outcome, count)| (principal.to_owned(), outcome.to_owned(), count, "127.0.0.1".to_owned()));
    assert_eq!(found, expected);
    access::read(&service, None).await.unwrap_err();
    events_when(&service, Some(&admin), "outcome = CREDENTIALS_MISSING", |events| {
        events.len() == 1 && events[0].count == 4
    })
    .await;
}

#[tokio::test]
async fn tokens_have_an_event_when_made_first_used_and_revoked() {
    let service = access::start(access::api_tokens()).await;
    let admin = access::token(&service.database, "auditor", Role::Admin).await.reveal();
    let token = access::token(&service.database, "desk", Role::Reader).await;
    for _ in 0..2 {
        access::read(&service, Some(&token.reveal())).await.unwrap();
    }
    // Another instance does not record the use again.
    let other = access::start_on(service.database.clone(), access::api_tokens()).await;
    access::read(&other, Some(&token.reveal())).await.unwrap();
    other.stop().await;
    access::revoke(&service.database, &token).await;
    let events = events_when(&service, Some(&admin), "name = \"token/desk\"", |events| events.len() == 3).await;
    let methods: Vec<_> = events.iter().map(|event| event.method.as_str()).collect();
    assert_eq!(methods, ["readout/CreateToken", "readout/UseToken", "readout/RevokeToken"]);
    assert!(events[0].principal.starts_with("database/") && events[1].principal == "token/desk", "{events:?}");
    assert!(events.iter().all(|event| event.names == ["token/desk".to_owned(), format!("tokens/{}", token.id)]));
}

#[tokio::test]
async fn reads_are_events_only_on_request_with_the_names_that_they_ask_for() {
    let service = Service::start().await;
    let made = service.create_participant(make::person("Kerim Veliyev", "AZ")).await;
    let get = |name: &str| GetParticipantRequest { name: name.into(), ..Default::default() };
    service.participants.clone().get_participant(get(&made.name)).await.unwrap();
    let database = service.database.clone();
    service.stop().await;

    let audit = Audit { audit: AuditedCalls::Reads, ..Audit::default() };
    let service = Service::start_as(database, config::Service { audit, ..Default::default() }).await;
    service.participants.clone().get_participant(get(&made.name)).await.unwrap();
    let missing = format!("participants/{}", uuid::Uuid::nil());
    service.participants.clone().get_participant(get(&missing)).await.unwrap_err();
    service.participants.clone().get_participant(get("a,b\n")).await.unwrap_err();
    let events = events_when(&service, None, "method = GetParticipant", |events| events.len() == 3).await;
    assert_eq!((events[0].names.as_slice(), events[0].outcome.as_str()), ([made.name].as_slice(), "OK"));
    assert_eq!((events[1].names.as_slice(), events[1].outcome.as_str()), ([missing].as_slice(), "RESOURCE_NOT_FOUND"));
    assert_eq!((events[2].names.len(), events[2].outcome.as_str()), (1, "INVALID_FIELD"));
    assert!(events[2].names[0].contains("\\n"), "{events:?}");
}

#[tokio::test]
async fn nothing_is_audited_if_the_setting_says_so() {
    let audit = Audit { audit: AuditedCalls::None, ..Audit::default() };
    let service =
        Service::start_as(crate::support::cluster::database().await, config::Service { audit, ..Default::default() })
            .await;
    service.create_participant(make::person("Kerim Veliyev", "AZ")).await;
    assert!(events(&service, None, "").await.is_empty());
}
