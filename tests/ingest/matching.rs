//! `IngestService`: matching of participants. Decides which stored participants a story means.

use readout::pb::{
    CreateParticipantRequest, ErrorReason, ExternalId, IngestStoryRequest, IngestStoryResponse, Participant,
    ParticipantMatching, ParticipantName, ingest_story_response::Outcome, participant::Kind,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{ingest, person, story},
    metadata_of,
};

fn with_ids(ids: &[(&str, &str)], participant: Participant) -> Participant {
    let id = |(scheme, value): &(&str, &str)| ExternalId { scheme: (*scheme).into(), value: (*value).into() };
    Participant { external_ids: ids.iter().map(id).collect(), ..participant }
}

fn with_names(names: &[&str], participant: Participant) -> Participant {
    let name = |text: &&str| ParticipantName { text: (*text).into(), ..Default::default() };
    Participant { names: names.iter().map(name).collect(), ..participant }
}

fn of_kind(kind: Kind, participant: Participant) -> Participant {
    Participant { kind: kind.into(), ..participant }
}

async fn create(service: &Service, participant: Participant) -> String {
    let request = CreateParticipantRequest { participant: Some(participant), ..Default::default() };
    service.participants.clone().create_participant(request).await.unwrap().into_inner().name
}

/// Ingests a story of these participants with this kind of matching.
async fn ingest_with(
    service: &Service,
    uri: &str,
    matching: ParticipantMatching,
    participants: &[Participant],
) -> Result<IngestStoryResponse, tonic::Status> {
    let request = IngestStoryRequest { participant_matching: matching.into(), ..ingest(story(uri, participants)) };
    Ok(service.ingest.clone().ingest_story(request).await?.into_inner())
}

fn outcomes(answer: &IngestStoryResponse) -> Vec<(Outcome, &str)> {
    answer.participants.iter().map(|participant| (participant.outcome(), participant.name.as_str())).collect()
}

#[tokio::test]
async fn participants_are_always_created_without_matching_except_by_a_repeated_story() {
    let service = Service::start().await;
    let people = [person("Kerim Veliyev", "AZ"), person("Kerim Veliyev", "AZ")];
    let first = ingest_with(&service, "urn:a", ParticipantMatching::None, &people).await.unwrap();
    let second = ingest_with(&service, "urn:b", ParticipantMatching::None, &people).await.unwrap();
    for answer in [&first, &second] {
        assert!(answer.participants.iter().all(|participant| participant.outcome() == Outcome::Created));
    }
    let before = service.contents().await;
    assert_eq!(before.participants.len(), 4);

    for uri in ["urn:a", "urn:b"] {
        let again = ingest_with(&service, uri, ParticipantMatching::None, &people).await.unwrap();
        let names = |answer: &IngestStoryResponse| -> Vec<String> {
            answer.participants.iter().map(|participant| participant.name.clone()).collect()
        };
        assert_eq!(names(&again), names(if uri == "urn:a" { &first } else { &second }));
        assert!(again.participants.iter().all(|participant| participant.outcome() == Outcome::Matched));
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn participant_is_matched_by_name_alias_or_external_id() {
    let service = Service::start().await;
    let stored = with_ids(&[("wikidata", "Q1")], with_names(&["Karim Valiyev"], person("Kərim Vəliyev", "AZ")));
    let name = create(&service, stored).await;
    let before = service.contents().await.participants;
    for (number, sent) in [
        person("Kərim Vəliyev", "AZ"),
        person("Kərim Vəliyev", ""),
        person("KƏRIM\u{3000} VƏLIYEV ", "AZ"),
        person("Karim Valiyev", "AZ"),
        person("ｋａｒｉｍ ＶＡＬＩＹＥＶ", "AZ"),
        with_names(&["Somebody", "karim  valiyev"], person("K. V.", "")),
        with_ids(&[("wikidata", "Q1")], person("Another Name", "")),
        with_ids(&[("isni", "7")], person("Karim Valiyev", "")),
        with_ids(&[("wikidata", "Q2"), ("wikidata", "Q1")], person("Karim Valiyev", "")),
    ]
    .into_iter()
    .enumerate()
    {
        for matching in [ParticipantMatching::Exact, ParticipantMatching::Unspecified] {
            let uri = format!("urn:{number}:{matching:?}");
            let answer = ingest_with(&service, &uri, matching, std::slice::from_ref(&sent)).await.unwrap();
            assert_eq!(outcomes(&answer), [(Outcome::Matched, name.as_str())], "{sent:?}");
            assert!(answer.warnings.is_empty());
        }
    }
    // A match does not change the stored participant.
    assert_eq!(service.contents().await.participants, before);
}

#[tokio::test]
async fn participant_of_another_kind_region_or_external_id_is_not_matched() {
    let service = Service::start().await;
    let georgia = with_ids(&[("wikidata", "Q230")], of_kind(Kind::State, person("Georgia", "GE")));
    create(&service, georgia).await;
    for (number, sent) in [
        of_kind(Kind::Organization, person("Georgia", "GE")),
        of_kind(Kind::State, person("Georgia", "US")),
        with_ids(&[("wikidata", "Q1428")], of_kind(Kind::State, person("Georgia", "GE"))),
        of_kind(Kind::State, person("Georgian", "GE")),
    ]
    .into_iter()
    .enumerate()
    {
        let answer =
            ingest_with(&service, &format!("urn:{number}"), ParticipantMatching::Exact, &[sent]).await.unwrap();
        assert_eq!(answer.participants[0].outcome(), Outcome::Created, "{number}");
    }
    assert_eq!(service.contents().await.participants.len(), 5);
}

#[tokio::test]
async fn external_id_of_a_participant_that_does_not_match_is_refused() {
    let service = Service::start().await;
    let name = create(&service, with_ids(&[("wikidata", "Q1")], person("Kerim Veliyev", "AZ"))).await;
    let before = service.contents().await;
    let other = with_ids(&[("wikidata", "Q1")], person("Ruslan Tsalikov", "RU"));
    let same = with_ids(&[("wikidata", "Q1")], person("Kerim Veliyev", "AZ"));
    for (matching, sent) in [(ParticipantMatching::Exact, other), (ParticipantMatching::None, same)] {
        let refused = ingest_with(&service, "urn:a", matching, &[sent]).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "name"), name);
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateExternalId));
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn oldest_of_several_candidates_is_matched_with_a_warning() {
    let service = Service::start().await;
    // The oldest is not the first by name.
    let id = |id: Uuid| CreateParticipantRequest { participant_id: id.to_string(), ..Default::default() };
    let mut names = Vec::new();
    for request in [id(Uuid::max()), id(Uuid::now_v7()), id(Uuid::nil())] {
        let request = CreateParticipantRequest { participant: Some(person("Wang Yi", "CN")), ..request };
        let created = service.participants.clone().create_participant(request).await.unwrap().into_inner();
        names.push(created.name);
    }
    create(&service, person("Wang Yi", "SG")).await;
    let answer = ingest_with(&service, "urn:a", ParticipantMatching::Exact, &[person("wang yi", "CN")]).await.unwrap();
    assert_eq!(outcomes(&answer), [(Outcome::Matched, names[0].as_str())]);
    assert_eq!(answer.warnings.len(), 1);
    for part in [&names[1], &names[2], "p0"] {
        assert!(answer.warnings[0].contains(part), "{part} in {:?}", answer.warnings);
    }
    // An external id decides between participants of the same name.
    let identified = create(&service, with_ids(&[("isni", "1")], person("Wang Yi", "CN"))).await;
    let sent = with_ids(&[("isni", "1")], person("Wang Yi", "CN"));
    let answer = ingest_with(&service, "urn:b", ParticipantMatching::Exact, &[sent]).await.unwrap();
    assert_eq!((outcomes(&answer), answer.warnings.len()), (vec![(Outcome::Matched, identified.as_str())], 0));
}

#[tokio::test]
async fn participant_given_by_name_is_used_as_it_is() {
    let service = Service::start().await;
    let name = create(&service, person("Kerim Veliyev", "AZ")).await;
    let before = service.contents().await.participants;
    // The other fields of a given participant are ignored.
    let given = Participant { name: name.clone(), region_code: "ZZ".into(), ..Default::default() };
    for matching in [ParticipantMatching::Exact, ParticipantMatching::None] {
        let uri = format!("urn:{matching:?}");
        let answer = ingest_with(&service, &uri, matching, std::slice::from_ref(&given)).await.unwrap();
        assert_eq!(outcomes(&answer), [(Outcome::Given, name.as_str())]);
        let meeting = service.meeting(&answer.meetings[0].meeting).await;
        assert_eq!(meeting.account.unwrap().participations[0].participant, name);
    }
    assert_eq!(service.contents().await.participants, before);

    let unknown = format!("participants/{}", Uuid::now_v7());
    let given = Participant { name: unknown.clone(), ..Default::default() };
    let refused = ingest_with(&service, "urn:x", ParticipantMatching::Exact, &[given]).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), unknown);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    let given = Participant { name: "articles/1".into(), ..Default::default() };
    let refused = ingest_with(&service, "urn:x", ParticipantMatching::Exact, &[given]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["story.participants[0].participant.name"]));
}

#[tokio::test]
async fn participant_under_two_keys_of_a_story_is_created_once() {
    let service = Service::start().await;
    let people = [person("Kerim Veliyev", "AZ"), person("KERIM VELIYEV", ""), person("Kerim Veliyev", "RU")];
    let answer = ingest_with(&service, "urn:a", ParticipantMatching::Exact, &people).await.unwrap();
    let outcomes: Vec<_> = answer.participants.iter().map(|participant| participant.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Created, Outcome::Matched, Outcome::Created]);
    assert_eq!(answer.participants[1].name, answer.participants[0].name);
    assert_eq!(service.contents().await.participants.len(), 2);
}

#[tokio::test]
async fn participant_with_an_unknown_parent_is_refused() {
    let service = Service::start().await;
    let parent = create(&service, of_kind(Kind::State, person("Azerbaijan", "AZ"))).await;
    let unknown = format!("participants/{}", Uuid::now_v7());
    let ministry =
        |parent: &str| Participant { parent: parent.into(), ..of_kind(Kind::Organization, person("Ministry", "AZ")) };
    let refused = ingest_with(&service, "urn:a", ParticipantMatching::Exact, &[ministry(&unknown)]).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), unknown);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    let answer = ingest_with(&service, "urn:a", ParticipantMatching::Exact, &[ministry(&parent)]).await.unwrap();
    assert_eq!(answer.participants[0].outcome(), Outcome::Created);
}
