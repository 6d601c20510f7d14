//! CompareParticipants, MatchParticipants and ListDuplicates.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use readout::pb::{
    CompareParticipantsRequest, CompareParticipantsResponse, Level, ListDuplicatesRequest, ListDuplicatesResponse,
    MatchParticipantsRequest, MatchParticipantsResponse, Participant, judgement::Verdict,
};

use crate::support::{
    Service,
    data_dir::eventually,
    make::{person, settled_person},
    stories,
};

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

/// Runs the labelled pairs: all the right names are stored, as participants that the rule leaves alone.
#[tokio::test]
async fn matches_contain_the_right_person_of_the_labelled_pairs() {
    let service = Service::start().await;
    let text = std::fs::read_to_string(stories::path("names/pairs-dev.tsv")).unwrap();
    let pairs: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let mut stored: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for pair in &pairs {
        let name = service.create_participant(person(pair[3], pair[4])).await.name;
        stored.entry((pair[3], pair[4])).or_insert(name);
    }
    let last = pairs.last().unwrap();
    eventually("the last name is found", async || {
        let found = service.matches(person(last[3], last[4])).await;
        found.candidates.iter().any(|candidate| candidate.display_name == last[3])
    })
    .await;
    let same: Vec<&Vec<&str>> = pairs.iter().filter(|pair| pair[0] == "same").collect();
    let found = stream::iter(&same).map(async |pair| {
        let found = service.matches(person(pair[1], pair[2])).await;
        assert!(found.candidates.len() <= 10);
        found.candidates.iter().any(|candidate| candidate.display_name == pair[3])
    });
    let found = found.buffer_unordered(8).filter(|found| std::future::ready(*found)).count().await;
    println!("{found} of {} are among the first ten", same.len());
    assert!(found * 100 >= same.len() * 95, "{found} of {}", same.len());
}
