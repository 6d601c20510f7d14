//! `ParticipantService`: creating and reading participants.

use readout::pb::{
    BatchGetParticipantsRequest, CreateParticipantRequest, Date, ErrorReason, ExternalId, GetParticipantRequest,
    OfficeTerm, Participant, ParticipantName, participant::Kind,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{Refused, Service, make::person, metadata_of, reason_of};

fn create(participant: Participant) -> CreateParticipantRequest {
    CreateParticipantRequest { participant: Some(participant), ..Default::default() }
}

fn get(name: &str) -> GetParticipantRequest {
    GetParticipantRequest { name: name.into(), ..Default::default() }
}

fn external_id(scheme: &str, value: &str) -> ExternalId {
    ExternalId { scheme: scheme.into(), value: value.into() }
}

fn veliyev() -> Participant {
    let year = |year| Some(Date { year, ..Default::default() });
    let mut alias = ParticipantName { text: "Karim Valiyev".into(), language_code: "az".into(), ..Default::default() };
    alias.set_kind(readout::pb::participant_name::Kind::Transliteration);
    Participant {
        names: vec![alias],
        offices: vec![OfficeTerm {
            title: "Deputy Defence Minister".into(),
            organization: "Ministry of Defence".into(),
            region_code: "AZ".into(),
            seniority: 3,
            start: year(2015),
            end: year(2020),
        }],
        external_ids: vec![external_id("wikidata", "Q1"), external_id("viaf", "1")],
        labels: [("desk".to_owned(), "caucasus".to_owned())].into(),
        note: "Also spelt Veliev.".into(),
        ..person("Kerim Veliyev", "AZ")
    }
}

#[tokio::test]
async fn get_participant_returns_what_create_participant_returned() {
    let mut service = Service::start().await;
    let created = service.participants.create_participant(create(veliyev())).await.unwrap();
    assert!(created.metadata().contains_key("readout-position"));
    let created = created.into_inner();
    assert!(created.name.starts_with("participants/"));
    assert_eq!(created.revision, 1);
    assert!(!created.etag.is_empty());
    assert!(created.create_time.is_some());
    assert_eq!(created.update_time, created.create_time);
    let sent = Participant {
        name: created.name.clone(),
        etag: created.etag.clone(),
        revision: 1,
        create_time: created.create_time,
        update_time: created.update_time,
        ..veliyev()
    };
    assert_eq!(created, sent);
    let read = service.participants.get_participant(get(&created.name)).await.unwrap().into_inner();
    assert_eq!(read, created);
}

#[tokio::test]
async fn create_participant_allows_equal_names() {
    let mut service = Service::start().await;
    let first = service.participants.create_participant(create(person("Wang Yi", "CN"))).await.unwrap().into_inner();
    let second = service.participants.create_participant(create(person("Wang Yi", "CN"))).await.unwrap().into_inner();
    assert_ne!(first.name, second.name);
    assert_eq!(service.contents().await.participants.len(), 2);
}

#[tokio::test]
async fn create_participant_refuses_an_external_id_that_is_taken() {
    let mut service = Service::start().await;
    let first = service.participants.create_participant(create(veliyev())).await.unwrap().into_inner();
    let ids = vec![external_id("wikidata", "Q2"), external_id("viaf", "1")];
    let other = Participant { external_ids: ids, ..person("Somebody Else", "") };
    let refused = service.participants.create_participant(create(other)).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), first.name);
    assert_eq!((metadata_of(&refused, "scheme"), metadata_of(&refused, "value")), ("viaf".into(), "1".into()));
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateExternalId));

    // The same value in another scheme is another id, and the refused call claimed none of its ids.
    let ids = vec![external_id("isni", "1"), external_id("wikidata", "Q2")];
    let other = Participant { external_ids: ids, ..person("Somebody Else", "") };
    service.participants.create_participant(create(other)).await.unwrap();
}

#[tokio::test]
async fn concurrent_create_participant_calls_with_one_external_id_have_one_winner() {
    let service = Service::start().await;
    let calls = (0..32).map(|number| {
        let mut participants = service.participants.clone();
        let name = format!("Participant {number}");
        let sent = Participant { external_ids: vec![external_id("wikidata", "Q1")], ..person(&name, "") };
        async move { participants.create_participant(create(sent)).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 31));
    let name = won.into_iter().next().unwrap().unwrap().into_inner().name;
    for refused in lost {
        let refused = refused.unwrap_err();
        assert_eq!(reason_of(&refused), ErrorReason::DuplicateExternalId);
        assert_eq!(metadata_of(&refused, "name"), name);
    }
    assert_eq!(service.contents().await.participants.len(), 1);
}

#[tokio::test]
async fn create_participant_refuses_a_parent_that_does_not_exist() {
    let mut service = Service::start().await;
    let unknown = format!("participants/{}", Uuid::now_v7());
    let mut ministry = Participant { parent: unknown.clone(), ..person("Ministry of Defence", "AZ") };
    ministry.set_kind(Kind::Organization);
    let refused = service.participants.create_participant(create(ministry.clone())).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), unknown);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));

    let mut state = person("Azerbaijan", "AZ");
    state.set_kind(Kind::State);
    let state = service.participants.create_participant(create(state)).await.unwrap().into_inner();
    ministry.parent.clone_from(&state.name);
    let created = service.participants.create_participant(create(ministry)).await.unwrap().into_inner();
    assert_eq!(created.parent, state.name);
}

#[tokio::test]
async fn create_participant_refuses_an_id_that_is_taken_or_malformed() {
    let mut service = Service::start().await;
    let id = Uuid::now_v7();
    let request = CreateParticipantRequest { participant_id: id.to_string(), ..create(person("A", "")) };
    let created = service.participants.create_participant(request.clone()).await.unwrap().into_inner();
    assert_eq!(created.name, format!("participants/{id}"));
    let refused = service.participants.create_participant(request.clone()).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), created.name);
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateId));
    let request = CreateParticipantRequest { participant_id: "seven".into(), ..request };
    let refused = service.participants.create_participant(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["participant_id"]));
}

#[tokio::test]
async fn concurrent_create_participant_duplicates_have_one_result() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    // Many rounds, because the calls must overlap between reading and writing.
    for round in 0..10 {
        let ids = vec![external_id("isni", &round.to_string())];
        let sent = Participant { external_ids: ids, ..veliyev() };
        let request = CreateParticipantRequest { request_id: format!("r-{round}"), ..create(sent) };
        let calls = (0..32).map(|number| {
            let mut participants = if number % 2 == 0 { &service } else { &other }.participants.clone();
            let request = request.clone();
            async move { participants.create_participant(request).await.unwrap().into_inner() }
        });
        let answers = futures_util::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
    assert_eq!(service.count("select count(*) from change").await, 10);

    let another = CreateParticipantRequest { request_id: "r-1".into(), ..create(person("A", "")) };
    let refused = other.participants.clone().create_participant(another).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "request_id"), "r-1");
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));
}

#[tokio::test]
async fn create_participant_writes_nothing_when_validate_only() {
    let mut service = Service::start().await;
    let request = CreateParticipantRequest { validate_only: true, request_id: "r-1".into(), ..create(veliyev()) };
    let checked = service.participants.create_participant(request).await.unwrap();
    assert!(!checked.metadata().contains_key("readout-position"));
    assert_eq!(checked.into_inner(), veliyev());
    assert_eq!(service.contents().await.changes, 0);

    let written = CreateParticipantRequest { request_id: "r-1".into(), ..create(veliyev()) };
    service.participants.create_participant(written).await.unwrap();
    let request = CreateParticipantRequest { validate_only: true, ..create(veliyev()) };
    let refused = service.participants.create_participant(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), ErrorReason::DuplicateExternalId);
}

#[tokio::test]
async fn create_participant_reports_all_violations_at_once() {
    let mut service = Service::start().await;
    let year = |year| Some(Date { year, ..Default::default() });
    let term = OfficeTerm { start: year(2020), end: year(2019), seniority: 7, ..Default::default() };
    let wrong = Participant {
        region_code: "ZZ".into(),
        names: vec![ParticipantName::default()],
        offices: vec![term],
        parent: "participants/me".into(),
        external_ids: vec![external_id("Wikidata", "")],
        ..Default::default()
    };
    let refused = service.participants.create_participant(create(wrong)).await.unwrap_err();
    let mut refused = Refused::from(refused);
    refused.fields.sort();
    let expected = [
        "participant.display_name",
        "participant.external_ids[0].scheme",
        "participant.external_ids[0].value",
        "participant.kind",
        "participant.names[0].text",
        "participant.offices[0].end",
        "participant.offices[0].seniority",
        "participant.parent",
        "participant.region_code",
    ];
    assert_eq!(refused, Refused::invalid(expected));
    let refused = service.participants.create_participant(CreateParticipantRequest::default()).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["participant"]));
}

#[tokio::test]
async fn batch_get_participants_keeps_the_requested_order_and_fails_if_one_is_missing() {
    let mut service = Service::start().await;
    let mut names = Vec::new();
    for name in ["A", "B", "C"] {
        let created = service.participants.create_participant(create(person(name, ""))).await.unwrap();
        names.insert(0, created.into_inner().name);
    }
    let request = BatchGetParticipantsRequest { names: names.clone(), ..Default::default() };
    let batch = service.participants.batch_get_participants(request).await.unwrap().into_inner();
    let read: Vec<_> =
        batch.participants.iter().map(|participant| (&participant.name, participant.display_name.as_str())).collect();
    assert_eq!(read, [(&names[0], "C"), (&names[1], "B"), (&names[2], "A")]);

    let missing = format!("participants/{}", Uuid::nil());
    let request = BatchGetParticipantsRequest { names: vec![names[0].clone(), missing.clone()], ..Default::default() };
    let refused = service.participants.batch_get_participants(request).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), missing);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    let none = BatchGetParticipantsRequest::default();
    let refused = service.participants.batch_get_participants(none).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["names"]));
}

#[tokio::test]
async fn get_participant_refuses_an_unknown_or_malformed_name() {
    let mut service = Service::start().await;
    let missing = format!("participants/{}", Uuid::now_v7());
    let refused = service.participants.get_participant(get(&missing)).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), missing);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    let refused = service.participants.get_participant(get("meetings/1")).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["name"]));
}
