//! Races between conflicting calls, also through two instances on one database: exactly one call wins.

use readout::pb::{CreateParticipantRequest, ErrorReason, Participant, ingest_story_response::Outcome};
use tonic::{Code, Response, Status};

use crate::support::{
    Refused, Service,
    calls::of_participant,
    make::{article, ingest, labels, person, story, talks, talks_of},
    reason_of, refused,
};

#[tokio::test]
async fn concurrent_deletions_have_one_winner() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let calls = (0..16).map(|call| [&service, &other][call % 2].delete_participant(&veliyev.name));
    let answers = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for status in lost {
        refused(status.unwrap_err(), Code::NotFound, ErrorReason::AlreadyDeleted, &veliyev.name);
    }
}

/// Checks that exactly one of the two calls succeeds and the other one is refused because of it.
#[track_caller]
fn assert_one_wins<T, U>(deletion: Result<T, Status>, naming: Result<U, Status>) {
    match (deletion, naming) {
        (Ok(_), Err(status)) => assert_eq!(reason_of(&status), ErrorReason::ResourceDeleted, "{status:?}"),
        (Err(status), Ok(_)) => assert_eq!(reason_of(&status), ErrorReason::StillNamed, "{status:?}"),
        (deletion, naming) => panic!("deleted: {:?}, named: {:?}", deletion.err(), naming.err()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_deletion_and_reference_never_both_succeed() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let source = service.create_article(article("urn:source")).await;
    for round in 0..24 {
        let title = format!("talks {round}");
        let mut people = Vec::new();
        for of in ["report", "story", "part", "here"] {
            people.push(service.create_participant(person(&format!("{of} {round}"), "AZ")).await);
        }
        let meeting = service.create_meeting(&source, talks(&title)).await.unwrap();
        let first = service.create_article(article(&format!("urn:{round}"))).await;
        let given = Participant { name: people[1].name.clone(), ..Default::default() };
        let naming_story = ingest(story(&format!("urn:story:{round}"), &[given]));
        let mut stories = other.ingest.clone();
        let part = Participant { parent: people[2].name.clone(), ..person(&format!("part of {round}"), "AZ") };
        let part = CreateParticipantRequest { participant: Some(part), ..Default::default() };
        let mut participants = other.participants.clone();

        let deletions = async {
            tokio::join!(
                service.delete_participant(&people[0].name),
                service.delete_participant(&people[1].name),
                service.delete_participant(&people[2].name),
                service.delete_participant(&people[3].name),
                service.delete_article(&first.name),
            )
        };
        let namings = async {
            tokio::join!(
                other.add_report(&meeting.name, &source.name, talks_of(&title, &people[0])),
                stories.ingest_story(naming_story),
                participants.create_participant(part),
                // This call goes through the deleting instance and may share its transaction.
                service.create_meeting(&source, talks_of(&title, &people[3])),
                other.create_meeting(&first, talks(&title)),
            )
        };
        let (deletions, namings) = tokio::join!(deletions, namings);
        assert_one_wins(deletions.0, namings.0);
        assert_one_wins(deletions.1, namings.1);
        assert_one_wins(deletions.2, namings.2);
        assert_one_wins(deletions.3, namings.3);
        assert_one_wins(deletions.4, namings.4);
    }
}

#[tokio::test]
async fn concurrent_parent_updates_never_create_a_cycle() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..12 {
        let mut names = Vec::new();
        for part in ["a", "b", "c"] {
            names.push(service.create_participant(person(&format!("{part} {round}"), "")).await.name);
        }
        let part = |at: usize, of: usize| Participant {
            name: names[at].clone(),
            parent: names[of].clone(),
            ..Default::default()
        };
        // Two calls go through one instance, the third through another.
        let calls = [(&service, 0, 1), (&other, 1, 2), (&service, 2, 0)];
        let calls = calls.map(|(service, at, of)| service.update_participant(part(at, of), &["parent"]));
        let answers = futures_util::future::join_all(calls).await;
        let lost: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(lost.len(), 1, "{lost:?}");
        for status in lost {
            assert_eq!(Refused::from(status), Refused::invalid(["participant.parent"]));
        }
    }
}

#[tokio::test]
async fn concurrent_updates_are_all_applied_and_with_one_etag_have_one_winner() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let first = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let call = |number: usize, etag: &str| {
        let label = format!("l{number}");
        let labels = labels(&[(&label, "set")]);
        let sent = Participant { name: first.name.clone(), etag: etag.into(), labels, ..Default::default() };
        let service = [&service, &other][number % 2];
        async move { service.update_participant(sent, &[&format!("labels.{label}")]).await }
    };
    let answers = futures_util::future::join_all((0..16).map(|number| call(number, &first.etag))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for status in lost {
        assert_eq!(reason_of(&status.unwrap_err()), ErrorReason::EtagMismatch);
    }
    let answers = futures_util::future::join_all((16..48).map(|number| call(number, ""))).await;
    let last = answers.into_iter().map(Result::unwrap).max_by_key(|participant| participant.revision).unwrap();
    assert_eq!((last.revision, last.labels.len()), (34, 33));
}

#[tokio::test]
async fn ingest_story_that_matches_nobody_precedes_a_concurrent_renaming() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..16 {
        let name = format!("Kerim Veliyev {round}");
        let participant = service.create_participant(person(&format!("K. V. {round}"), "AZ")).await;
        let sent = Participant { name: participant.name.clone(), display_name: name.clone(), ..Default::default() };
        let mut participants = service.participants.clone();
        let mut stories = other.ingest.clone();
        let (renamed, ingested) = tokio::join!(
            participants.update_participant(of_participant(sent, &["display_name"])),
            stories.ingest_story(ingest(story(&format!("urn:{round}"), &[person(&name, "AZ")]))),
        );
        let (renamed, ingested) = (renamed.unwrap(), ingested.unwrap());
        let found = ingested.get_ref().participants[0].clone();
        match found.outcome() {
            Outcome::Matched => assert_eq!(found.name, participant.name),
            _ => assert!(position(&ingested) < position(&renamed), "no participant had the name"),
        }
    }
}

/// The number in the feed position of a write.
fn position<T>(response: &Response<T>) -> u64 {
    let position = response.metadata().get("readout-position").expect("a position").to_str().expect("text");
    position.rsplit('.').next().expect("a number").parse().expect("a number")
}
