//! Merges, their undoing, and judgements.

use readout::pb::{
    ErrorReason, ListJudgementsRequest, MergeParticipantsRequest, Participant, change::Kind, judgement::Verdict,
    participant::Kind as ParticipantKind,
};
use tonic::Code;

use crate::support::{
    Refused, Service,
    make::{settled_person, wikidata},
    metadata_of,
};

async fn create(service: &Service, name: &str, region: &str) -> String {
    service.create_participant(settled_person(name, region)).await.name
}

#[tokio::test]
async fn merge_and_unmerge_leave_everything_as_before() {
    let service = Service::start().await;
    let a = service
        .talks_between("urn:a", &[settled_person("Yong Il Kim", "KP"), settled_person("Wen Jiabao", "CN")])
        .await;
    let b =
        service.talks_between("urn:b", &[settled_person("Ri Man-gap", ""), settled_person("Hu Jintao", "CN")]).await;
    let (survivor, source) = (&a.participants[0].name, &b.participants[0].name);
    let meeting = &b.meetings[0].meeting;
    let before = service.meeting(meeting).await;

    let merged = service.merge_participants(survivor, &[source]).await.unwrap();
    assert_eq!(merged.name, *survivor);
    let alias = service.participant(source).await;
    assert_eq!((&alias.merged_into, &alias.merge.as_ref().unwrap().into), (survivor, survivor));
    assert_eq!(alias.merge.unwrap().reason, "one man");
    service.await_meeting_of(meeting, survivor).await;
    assert_eq!(service.meetings_where(&format!("participant = \"{source}\"")).await.len(), 2);

    let alone = service.unmerge_participant(source).await.unwrap();
    assert_eq!((alone.merged_into.as_str(), alone.merge), ("", None));
    service.await_meeting_of(meeting, source).await;
    let after = service.meeting(meeting).await;
    assert_eq!((after.account, after.disputes), (before.account, before.disputes));
    assert_eq!(service.meetings_where(&format!("participant = \"{survivor}\"")).await, [a.meetings[0].meeting.clone()]);
    let kinds: Vec<Kind> = service
        .all_changes()
        .await
        .iter()
        .filter(|change| change.name == *source)
        .map(|change| change.kind())
        .collect();
    assert_eq!(kinds, [Kind::Created, Kind::Merged, Kind::Split]);
}

#[tokio::test]
async fn merge_of_participants_that_cannot_be_one_is_refused() {
    let service = Service::start().await;
    let (a, b) = (create(&service, "Ann Lee", "GB").await, create(&service, "Bob Ray", "US").await);
    let state = Participant { kind: ParticipantKind::State.into(), ..settled_person("Azerbaijan", "AZ") };
    let state = service.create_participant(state).await.name;
    let gone = create(&service, "Cat Day", "US").await;
    service.delete_participant(&gone).await.unwrap();
    let unknown = "participants/00000000-0000-0000-0000-000000000001";
    let refused = |status: tonic::Status| (Refused::from(status.clone()), metadata_of(&status, "name"));
    for (name, source, code, reason) in [
        (&a, state.as_str(), Code::FailedPrecondition, ErrorReason::DifferentKinds),
        (&a, &gone, Code::FailedPrecondition, ErrorReason::ResourceDeleted),
        (&a, unknown, Code::NotFound, ErrorReason::ResourceNotFound),
        (&gone, &b, Code::FailedPrecondition, ErrorReason::ResourceDeleted),
    ] {
        let status = service.merge_participants(name, &[source]).await.unwrap_err();
        assert_eq!(refused(status).0, Refused::with(code, reason), "{source}");
    }
    for sources in [vec![a.as_str()], vec![&b, &b]] {
        let status = service.merge_participants(&a, &sources).await.unwrap_err();
        let at = format!("sources[{}]", sources.len() - 1);
        assert_eq!(Refused::from(status), Refused::invalid([at.as_str()]));
    }
    service.merge_participants(&a, &[&b]).await.unwrap();
    let cycle = service.merge_participants(&b, &[&a]).await.unwrap_err();
    assert_eq!(Refused::from(cycle), Refused::with(Code::FailedPrecondition, ErrorReason::MergeCycle));
    let again = service.merge_participants(&a, &[&b]).await.unwrap_err();
    assert_eq!(metadata_of(&again, "survivor"), a);
    assert_eq!(Refused::from(again), Refused::with(Code::FailedPrecondition, ErrorReason::MergedAway));
    let never = service.unmerge_participant(&a).await.unwrap_err();
    assert_eq!(Refused::from(never), Refused::with(Code::FailedPrecondition, ErrorReason::NotMerged));
}

#[tokio::test]
async fn contradicting_ids_can_be_merged_only_after_a_judgement() {
    let service = Service::start().await;
    let with_id = |name: &str, id: &str| Participant { external_ids: wikidata(id), ..settled_person(name, "US") };
    let a = service.create_participant(with_id("Ann Lee", "Q1")).await.name;
    let b = service.create_participant(with_id("Anne Lee", "Q2")).await.name;
    let refused = service.merge_participants(&a, &[&b]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::ContradictingIds));
    service.judge(&a, &b, Verdict::Same).await.unwrap();
    let merged = service.merge_participants(&a, &[&b]).await.unwrap();
    assert_eq!(merged.name, a);
    assert_eq!(service.participant(&b).await.merged_into, a);
}

#[tokio::test]
async fn judgement_overrides_the_rule_in_both_directions() {
    let service = Service::start().await;
    let (a, b) = (create(&service, "Sergei Lavrov", "RU").await, create(&service, "Sergey Lavrov", "RU").await);
    let (first, second) = if a < b { (&a, &b) } else { (&b, &a) };
    let judged = service.judge(&a, &b, Verdict::Different).await.unwrap();
    let judgement = judged.judgement.unwrap();
    assert_eq!((&judgement.participant, &judgement.other, judgement.verdict()), (first, second, Verdict::Different));
    for name in [&a, &b] {
        let participant = service.participant(name).await;
        assert_eq!((participant.merged_into.as_str(), participant.judgements.len()), ("", 1));
    }
    let refused = service.merge_participants(&a, &[&b]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::JudgedDifferent));

    let same = service.judge(&b, &a, Verdict::Same).await.unwrap();
    assert_eq!(same.participants.iter().filter(|participant| !participant.merged_into.is_empty()).count(), 1);
    let listed = service.participants.clone().list_judgements(ListJudgementsRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().judgements.len(), 1);

    let withdrawn = service.judge(&a, &b, Verdict::Withdrawn).await.unwrap();
    assert_eq!(withdrawn.judgement.unwrap().verdict(), Verdict::Withdrawn);
    let none = service.participants.clone().list_judgements(ListJudgementsRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().judgements.len(), 0);
    let refused = service.judge(&a, &b, Verdict::Withdrawn).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::NotJudged));
    let refused = service.judge(&a, &a, Verdict::Same).await.unwrap_err();
    let refused = Refused::from(refused);
    assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::SameParticipant));
    assert_eq!(refused.fields, ["other"]);
}

#[tokio::test]
async fn judgement_against_a_merge_by_hand_is_refused() {
    let service = Service::start().await;
    let (a, b) = (create(&service, "Ann Lee", "GB").await, create(&service, "Bob Ray", "US").await);
    service.merge_participants(&a, &[&b]).await.unwrap();
    let refused = service.judge(&a, &b, Verdict::Different).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::MergedByHand));
    service.unmerge_participant(&b).await.unwrap();
    service.judge(&a, &b, Verdict::Different).await.unwrap();
    let refused = service.merge_participants(&a, &[&b]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::JudgedDifferent));
}

#[tokio::test]
async fn different_holds_between_the_persons_and_is_not_bypassed_by_a_third() {
    let service = Service::start().await;
    let (a, b, c) = (
        create(&service, "Ann Lee", "GB").await,
        create(&service, "Bob Ray", "US").await,
        create(&service, "Cat Day", "US").await,
    );
    service.judge(&a, &b, Verdict::Different).await.unwrap();
    service.merge_participants(&a, &[&c]).await.unwrap();
    let refused = service.merge_participants(&b, &[&c]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::MergedAway));
    let refused = service.merge_participants(&b, &[&a]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::JudgedDifferent));
}

#[tokio::test]
async fn validated_merge_writes_nothing() {
    let service = Service::start().await;
    let (a, b) = (create(&service, "Ann Lee", "GB").await, create(&service, "Bob Ray", "US").await);
    let request = MergeParticipantsRequest {
        name: a.clone(),
        sources: vec![b.clone()],
        reason: "x".into(),
        validate_only: true,
        ..Default::default()
    };
    service.participants.clone().merge_participants(request.clone()).await.unwrap();
    assert_eq!(service.participant(&b).await.merge, None);
    let request = MergeParticipantsRequest { validate_only: false, request_id: "r".into(), ..request };
    let first = service.participants.clone().merge_participants(request.clone()).await.unwrap().into_inner();
    let again = service.participants.clone().merge_participants(request).await.unwrap().into_inner();
    assert_eq!(first, again);
}
