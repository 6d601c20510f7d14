//! CompareParticipants, MatchParticipants and ListDuplicates.

use readout::pb::{
    CompareParticipantsRequest, CompareParticipantsResponse, Level, ListDuplicatesRequest, ListDuplicatesResponse,
    MatchParticipantsRequest, MatchParticipantsResponse, Participant, judgement::Verdict,
};

use crate::support::{Service, data_dir::eventually, make::settled_person};

impl Service {
    async fn compare(&self, a: Participant, b: Participant) -> CompareParticipantsResponse {
        let request = CompareParticipantsRequest { participant_a: Some(a), participant_b: Some(b) };
        self.participants.clone().compare_participants(request).await.unwrap().into_inner()
    }

    async fn matches(&self, participant: Participant) -> MatchParticipantsResponse {
        let request = MatchParticipantsRequest { participant: Some(participant), ..Default::default() };
        self.participants.clone().match_participants(request).await.unwrap().into_inner()
    }

    async fn duplicates(&self, filter: &str) -> ListDuplicatesResponse {
        let request = ListDuplicatesRequest { filter: filter.into(), ..Default::default() };
        self.participants.clone().list_duplicates(request).await.unwrap().into_inner()
    }
}

#[tokio::test]
async fn comparison_is_explained() {
    let service = Service::start().await;
    let same = service.compare(settled_person("Sergei Lavrov", "RU"), settled_person("Sergey Lavrov", "RU")).await;
    assert_eq!((same.level(), same.rule_version), (Level::Confident, 1));
    assert!(same.score > 0.5 && same.score <= 1.0);
    assert!(!same.reasons.is_empty() && same.reasons.iter().all(|reason| !reason.kind.is_empty()));
    let other = service.compare(settled_person("Sergei Lavrov", "RU"), settled_person("Hu Jintao", "CN")).await;
    assert_eq!(other.level(), Level::No);
}

#[tokio::test]
async fn matches_are_ranked_and_name_the_settled_person() {
    let service = Service::start().await;
    let first = service.talks_between("urn:a", &[settled_person("Sergei Lavrov", "RU")]).await;
    service
        .talks_between("urn:b", &[settled_person("Sergei Lavrov", "RU"), settled_person("Sergei Ivanov", "RU")])
        .await;
    let second = service.talks_between("urn:c", &[settled_person("Sergey Lavrov", "RU")]).await;
    let (sergei, sergey) = (&first.participants[0].name, &second.participants[0].name);
    service.await_person(sergey, sergei).await;
    let found = service.matches(settled_person("Sergey V. Lavrov", "RU")).await;
    assert_eq!(found.candidates[0].participant, *sergei);
    assert_eq!(found.candidates.iter().filter(|candidate| candidate.participant == *sergey).count(), 0);
    assert_eq!(service.matches(settled_person("Nobody Whatever", "RU")).await.candidates.len(), 0);
}

#[tokio::test]
async fn judgement_takes_a_pair_off_the_list_of_duplicates() {
    let service = Service::start().await;
    // An unset region: perhaps one man.
    let a = service.create_participant(settled_person("Sergei Lavrov", "RU")).await.name;
    let b = service.create_participant(settled_person("Sergey Lavrov", "")).await.name;
    eventually("the pair is listed", async || service.duplicates("").await.duplicates.len() == 1).await;
    let pair = service.duplicates("region = RU").await.duplicates.remove(0);
    assert_eq!(pair.level(), Level::Possible);
    let mut names = [pair.participant.unwrap().name, pair.other.unwrap().name];
    names.sort();
    let mut expected = [a.clone(), b.clone()];
    expected.sort();
    assert_eq!(names, expected);
    assert!(!pair.reasons.is_empty());
    assert_eq!(service.duplicates("region = CN").await.duplicates.len(), 0);
    service.judge(&a, &b, Verdict::Different).await.unwrap();
    eventually("the pair is gone", async || service.duplicates("").await.duplicates.is_empty()).await;
}
