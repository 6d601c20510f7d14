//! Names that are hardly names, and decisions that make no sense.

use readout::pb::{
    CompareParticipantsRequest, ErrorReason, JudgeParticipantsRequest, Level, MatchParticipantsRequest,
    MergeParticipantsRequest, Participant, ParticipantName, UnmergeParticipantRequest, judgement::Verdict,
    participant::Kind,
};
use tonic::Code;

use crate::support::{
    Refused, Service,
    make::{person, settled_person, wikidata},
};

/// Names of one letter, of many words, of digits, of signs, in several scripts, of titles alone.
fn odd_names() -> Vec<String> {
    let words = |word: &str, count: usize| vec![word; count].join(" ");
    let mut names: Vec<String> = [
        "A",
        "Ж",
        "王",
        "ㄱ",
        "x y",
        "7",
        "12345",
        "3 4 5",
        "John 2",
        "John II",
        "R2-D2",
        "...",
        "-",
        "'",
        "?!",
        "・",
        "🙂",
        "🙂 🙃",
        "👩‍👩‍👧‍👦 Smith",
        "\u{202e}nohJ",
        "Sergei Лавров",
        "王 Yi",
        "محمد Khan",
        "Ким Kim 김 金",
        "Dr.",
        "Sir",
        "Prof. Dr. h.c.",
        "Mr President",
        "H.E.",
        "von der",
        "bin",
        "al-",
        "Jr.",
        "III",
        "a'b'c'd'e",
        "I İ ı i",
        "ﬁ ﬂ",
        "Ｊｏｈｎ",
        "é\u{301}\u{301}\u{301}",
        "ёё",
        "ß SS",
        "\u{1d54f}",
        "\u{10ffff}",
    ]
    .map(str::to_owned)
    .into();
    // A display name has at most 256 characters.
    names.extend([words("a", 128), words("Ab", 85), words("Mohammed", 28), "x".repeat(256), "Щ".repeat(256)]);
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_are_compared_matched_and_settled() {
    let service = Service::start().await;
    let names = odd_names();
    for (at, name) in names.iter().enumerate() {
        for region in ["", "RU", "CN"] {
            for other in [name, &names[(at + 1) % names.len()], &"Sergei Lavrov".to_owned()] {
                let request = CompareParticipantsRequest {
                    participant_a: Some(settled_person(name, region)),
                    participant_b: Some(settled_person(other, region)),
                };
                let compared = service.participants.clone().compare_participants(request).await;
                let compared = compared.unwrap_or_else(|status| panic!("{name:?}, {other:?}: {status}")).into_inner();
                assert!((0.0..=1.0).contains(&compared.score), "{name:?}, {other:?}: {compared:?}");
                assert!(other != name || compared.level() != Level::No, "{name:?} [{region}]: {compared:?}");
            }
        }
        let people = [settled_person(name, "RU"), settled_person(name, "")];
        let answer = service.talks_between(&format!("urn:{at}"), &people).await;
        let request = MatchParticipantsRequest { participant: Some(people[0].clone()), ..Default::default() };
        let found = service.participants.clone().match_participants(request).await.unwrap().into_inner();
        let is_found = found.candidates.iter().any(|candidate| candidate.participant == answer.participants[0].name);
        assert!(is_found, "{name:?}: {found:?}");
    }
    service.await_rest().await;
    // Each name is a participant of its own in each region.
    let participants = service.all_participants().await;
    for name in &names {
        let count = participants.iter().filter(|participant| participant.display_name == *name).count();
        assert_eq!(count, 2, "{name:?}");
    }
}

#[tokio::test]
async fn names_that_break_a_rule_are_refused() {
    let service = Service::start().await;
    let many = vec!["a"; 300].join(" ");
    for name in ["", " \t", "\u{200b}", &many] {
        let participant = Some(settled_person(name, "RU"));
        let request = MatchParticipantsRequest { participant: participant.clone(), ..Default::default() };
        let refused = service.participants.clone().match_participants(request).await.expect_err(name);
        assert_eq!(Refused::from(refused), Refused::invalid(["participant.display_name"]), "{name:?}");
        let request =
            CompareParticipantsRequest { participant_a: Some(settled_person("A", "RU")), participant_b: participant };
        let refused = service.participants.clone().compare_participants(request).await.expect_err(name);
        assert_eq!(Refused::from(refused), Refused::invalid(["participant_b.display_name"]), "{name:?}");
    }
    // 300 words in several names.
    let names = (0..100).map(|number| ParticipantName { text: format!("Name {number} Word"), ..Default::default() });
    let participant = Some(Participant { names: names.collect(), ..settled_person("Name", "RU") });
    let request = MatchParticipantsRequest { participant: participant.clone(), ..Default::default() };
    service.participants.clone().match_participants(request).await.unwrap();
    let request = CompareParticipantsRequest { participant_a: participant.clone(), participant_b: participant };
    service.participants.clone().compare_participants(request).await.unwrap();
}

#[tokio::test]
async fn merges_in_a_circle_of_three_are_refused() {
    let service = Service::start().await;
    let mut names = Vec::new();
    for name in ["Ann Lee", "Bob Ray", "Cat Day"] {
        names.push(service.create_participant(person(name, "GB")).await.name);
    }
    let [a, b, c] = &names[..] else { unreachable!() };
    service.merge_participants(b, &[a]).await.unwrap();
    service.merge_participants(c, &[b]).await.unwrap();
    let refused = service.merge_participants(a, &[c]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::MergeCycle));
    // A judgement on the ends of the chain would contradict both merges.
    let refused = service.judge(a, c, Verdict::Different).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::MergedByHand));
    for name in [a, b] {
        assert_eq!(service.participant(name).await.merged_into, *c);
    }
    service.unmerge_participant(b).await.unwrap();
    assert_eq!(service.participant(a).await.merged_into, *b);
    service.merge_participants(a, &[c]).await.unwrap();
    assert_eq!(service.participant(a).await.merged_into, *b);
    assert_eq!(service.participant(c).await.merged_into, *b);
}

#[tokio::test]
async fn decisions_on_participants_that_cannot_be_one_are_refused() {
    let service = Service::start().await;
    let create = async |participant: Participant| service.create_participant(participant).await.name;
    let with_id = |name: &str, id: &str| Participant { external_ids: wikidata(id), ..person(name, "US") };
    let (a, b) = (create(person("Ann Lee", "US")).await, create(with_id("Bob Ray", "Q1")).await);
    let c = create(with_id("Cat Day", "Q2")).await;
    let state = create(Participant { kind: Kind::State.into(), ..person("Utopia", "US") }).await;
    let gone = create(person("Dan Fox", "US")).await;
    service.delete_participant(&gone).await.unwrap();
    let unknown = "participants/00000000-0000-0000-0000-000000000001";
    let precondition = |reason| Refused::with(Code::FailedPrecondition, reason);

    // Two sources with different ids in one scheme.
    let refused = service.merge_participants(&a, &[&b, &c]).await.unwrap_err();
    assert_eq!(Refused::from(refused), precondition(ErrorReason::ContradictingIds));
    // The id of a member counts, too.
    service.merge_participants(&a, &[&b]).await.unwrap();
    let refused = service.merge_participants(&a, &[&c]).await.unwrap_err();
    assert_eq!(Refused::from(refused), precondition(ErrorReason::ContradictingIds));
    service.judge(&b, &c, Verdict::Same).await.unwrap();
    assert_eq!(service.participant(&c).await.merged_into, a);

    for (other, code, reason) in [
        (state.as_str(), Code::FailedPrecondition, ErrorReason::DifferentKinds),
        (&gone, Code::FailedPrecondition, ErrorReason::ResourceDeleted),
        (unknown, Code::NotFound, ErrorReason::ResourceNotFound),
    ] {
        let refused = service.judge(&a, other, Verdict::Same).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(code, reason), "{other}");
    }
    for (name, code, reason) in [
        (gone.as_str(), Code::FailedPrecondition, ErrorReason::ResourceDeleted),
        (unknown, Code::NotFound, ErrorReason::ResourceNotFound),
        (&c, Code::FailedPrecondition, ErrorReason::NotMerged),
    ] {
        let refused = service.unmerge_participant(name).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(code, reason), "{name}");
    }
    let refused = service.judge(&a, &b, Verdict::Unspecified).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["verdict"]));
    // The person of an alias cannot be deleted.
    let refused = service.delete_participant(&a).await.unwrap_err();
    assert_eq!(Refused::from(refused).reason, ErrorReason::StillNamed);
}

#[tokio::test]
async fn decisions_without_a_reason_or_with_an_old_etag_are_refused() {
    let service = Service::start().await;
    let (a, b) = (
        service.create_participant(person("Ann Lee", "US")).await.name,
        service.create_participant(person("Bob Ray", "US")).await.name,
    );
    let client = || service.participants.clone();
    let merge = MergeParticipantsRequest { name: a.clone(), sources: vec![b.clone()], ..Default::default() };
    let refused = client().merge_participants(merge.clone()).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["reason"]));
    let merge = MergeParticipantsRequest { reason: "one".into(), ..merge };
    let many = MergeParticipantsRequest { sources: vec![b.clone(); 101], ..merge.clone() };
    let refused = Refused::from(client().merge_participants(many).await.unwrap_err());
    assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::InvalidField));
    let old = MergeParticipantsRequest { etag: "0".into(), ..merge.clone() };
    let refused = client().merge_participants(old).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::Aborted, ErrorReason::EtagMismatch));
    client().merge_participants(merge).await.unwrap();
    let unmerge = UnmergeParticipantRequest { name: b.clone(), ..Default::default() };
    let refused = client().unmerge_participant(unmerge.clone()).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["reason"]));
    let old = UnmergeParticipantRequest { reason: "two".into(), etag: "0".into(), ..unmerge };
    let refused = client().unmerge_participant(old).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::Aborted, ErrorReason::EtagMismatch));
    let judge =
        JudgeParticipantsRequest { participant: a, other: b, verdict: Verdict::Same.into(), ..Default::default() };
    let refused = client().judge_participants(judge).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["reason"]));
}
