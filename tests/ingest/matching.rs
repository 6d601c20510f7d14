//! `IngestService`: matching of participants. Decides which stored participants a story means.

use std::collections::BTreeSet;

use readout::pb::{
    CreateParticipantRequest, ErrorReason, ExternalId, IngestStoriesRequest, IngestStoryRequest, IngestStoryResponse,
    Participant, ParticipantMatching, ParticipantName, ingest_story_response::Outcome, participant::Kind,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{ingest, person, story, streamed},
    metadata_of,
    story_stream::{ingest_all, outcome},
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
    let participant = Participant { exact_only: false, ..participant };
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
    for (number, sent) in [
        person("Kərim Vəliyev", "AZ"),
        person("KƏRIM\u{3000} VƏLIYEV ", "AZ"),
        person("Karim Valiyev", "AZ"),
        person("ｋａｒｉｍ ＶＡＬＩＹＥＶ", "AZ"),
        person("Karim-Valiyev", "AZ"),
        person("Ka'rim Váliyev.", "AZ"),
        with_names(&["Somebody", "karim  valiyev"], person("K. V.", "AZ")),
        with_ids(&[("wikidata", "Q1")], person("Another Name", "")),
        with_ids(&[("isni", "7")], person("Karim Valiyev", "AZ")),
        with_ids(&[("wikidata", "Q2"), ("wikidata", "Q1")], person("Karim Valiyev", "")),
    ]
    .into_iter()
    .enumerate()
    {
        for matching in [ParticipantMatching::Exact, ParticipantMatching::Unspecified] {
            let uri = format!("urn:{number}:{matching:?}");
            let answer = ingest_with(&service, &uri, matching, std::slice::from_ref(&sent)).await.unwrap();
            let (outcome, matched) = outcomes(&answer)[0];
            assert_eq!(matched, name, "{sent:?}");
            // The first match teaches the names and ids that the participant does not have.
            let is_known = number < 1 || number == 2 || matching != ParticipantMatching::Exact;
            assert_eq!(outcome, if is_known { Outcome::Matched } else { Outcome::Updated }, "{sent:?}");
            assert!(answer.warnings.is_empty());
        }
    }
    assert_eq!(service.contents().await.participants.len(), 1);
}

#[tokio::test]
async fn matched_participant_learns_names_and_external_ids() {
    let service = Service::start().await;
    let first =
        ingest_with(&service, "urn:a", ParticipantMatching::Exact, &[person("Imran Khan", "PK")]).await.unwrap();
    let name = first.participants[0].name.clone();
    let more = with_ids(&[("wikidata", "Q155164")], with_names(&["عمران خان"], person("Imran Khan", "PK")));
    let second = ingest_with(&service, "urn:b", ParticipantMatching::Exact, &[more]).await.unwrap();
    assert_eq!(outcomes(&second), [(Outcome::Updated, name.as_str())]);
    for (uri, sent) in [
        ("urn:c", person("عمران خان", "PK")),
        ("urn:d", with_ids(&[("wikidata", "Q155164")], person("I. Khan", "PK"))),
        ("urn:e", person("i khan", "PK")),
    ] {
        let answer = ingest_with(&service, uri, ParticipantMatching::Exact, &[sent]).await.unwrap();
        assert_eq!(answer.participants[0].name, name, "{uri}");
    }
    let learned = service.participant(&name).await;
    let texts: BTreeSet<&str> = learned.names.iter().map(|name| name.text.as_str()).collect();
    assert_eq!(texts, BTreeSet::from(["I. Khan", "i khan", "عمران خان"]));
    assert_eq!((learned.external_ids.len(), learned.revision), (1, 4));
    assert!(learned.exact_only);
}

#[tokio::test]
async fn names_of_one_chunk_are_learned_in_one_revision() {
    let service = Service::start().await;
    let spellings = ["Ban Ki-moon", "Ban Ki Moon", "BAN Ki-moon", "Ban Kimoon"];
    let requests: Vec<IngestStoriesRequest> = spellings
        .iter()
        .enumerate()
        .map(|(number, spelling)| streamed(story(&format!("urn:{number}"), &[person(spelling, "KR")])))
        .collect();
    let answers = ingest_all(&service.ingest, requests).await;
    let names: BTreeSet<String> =
        answers.into_iter().map(|answer| outcome(answer).unwrap().participants.remove(0).name).collect();
    assert_eq!(names.len(), 1);
    let learned = service.participant(names.first().unwrap()).await;
    let texts: BTreeSet<&str> =
        learned.names.iter().map(|name| name.text.as_str()).chain([learned.display_name.as_str()]).collect();
    assert_eq!(texts, spellings.into_iter().collect());
}

#[tokio::test]
async fn unset_region_is_a_value_in_every_order() {
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let service = Service::start().await;
        let regions = ["", "JO", "SA"];
        let mut names = BTreeSet::new();
        for (number, index) in order.into_iter().cycle().take(6).enumerate() {
            let sent = [person("Abdullah", regions[index])];
            let answer = ingest_with(&service, &format!("urn:{number}"), ParticipantMatching::Exact, &sent).await;
            names.insert(answer.unwrap().participants[0].name.clone());
        }
        assert_eq!(names.len(), 3);
    }
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
async fn external_id_of_another_participant_is_refused_without_matching() {
    let service = Service::start().await;
    let name = create(&service, with_ids(&[("wikidata", "Q1")], person("Kerim Veliyev", "AZ"))).await;
    let before = service.contents().await;
    let same = with_ids(&[("wikidata", "Q1")], person("Kerim Veliyev", "AZ"));
    let refused = ingest_with(&service, "urn:a", ParticipantMatching::None, &[same]).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), name);
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateExternalId));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn external_id_of_another_participant_is_left_out_with_a_warning() {
    let service = Service::start().await;
    let name = create(&service, with_ids(&[("wikidata", "Q1")], person("Kerim Veliyev", "AZ"))).await;
    let other = create(&service, with_ids(&[("isni", "5")], person("Ruslan Tsalikov", "RU"))).await;
    let state = with_ids(&[("wikidata", "Q1")], of_kind(Kind::State, person("Azerbaijan", "AZ")));
    let both = with_ids(&[("isni", "5"), ("wikidata", "Q1")], person("Ruslan Tsalikov", "RU"));
    for (uri, sent, outcome) in [("urn:a", state, Outcome::Created), ("urn:b", both, Outcome::Matched)] {
        let answer = ingest_with(&service, uri, ParticipantMatching::Exact, &[sent]).await.unwrap();
        assert_eq!(answer.participants[0].outcome(), outcome);
        assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
        for part in [name.as_str(), "wikidata:Q1"] {
            assert!(answer.warnings[0].contains(part), "{part} in {:?}", answer.warnings);
        }
    }
    assert_eq!(service.participant(&other).await.external_ids.len(), 1);
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
    assert_eq!(outcomes(&answer), [(Outcome::Updated, names[0].as_str())]);
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
    let people = [person("Kerim Veliyev", "AZ"), person("KERIM VELIYEV", "AZ"), person("Kerim Veliyev", "RU")];
    let answer = ingest_with(&service, "urn:a", ParticipantMatching::Exact, &people).await.unwrap();
    let outcomes: Vec<_> = answer.participants.iter().map(|participant| participant.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Created, Outcome::Matched, Outcome::Created]);
    assert_eq!(answer.participants[1].name, answer.participants[0].name);
    assert_eq!(service.contents().await.participants.len(), 2);
    let learned = service.participant(&answer.participants[0].name).await;
    assert_eq!((learned.revision, learned.names[0].text.as_str()), (1, "KERIM VELIYEV"));
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
