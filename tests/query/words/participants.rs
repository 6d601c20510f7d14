//! ListParticipants with a query: any word of any name, now and as of a time.

use std::time::SystemTime;

use readout::pb::{
    ListParticipantsRequest, ListParticipantsResponse, MergeParticipantsRequest, Participant, ParticipantName,
    snippet::Source,
};

use super::highlighted;
use crate::support::{Refused, Service, make};

fn request(query: &str) -> ListParticipantsRequest {
    ListParticipantsRequest { query: query.into(), ..Default::default() }
}

impl Service {
    async fn find_participants(&self, request: ListParticipantsRequest) -> ListParticipantsResponse {
        let query = request.query.clone();
        let page = self.participants.clone().list_participants(request).await;
        let page = page.unwrap_or_else(|status| panic!("{query}: {status}")).into_inner();
        assert_eq!(page.snippets.len(), if query.is_empty() { 0 } else { page.participants.len() });
        page
    }

    /// The display names of the participants that a query finds, sorted.
    async fn display_names(&self, request: ListParticipantsRequest) -> Vec<String> {
        let found = self.find_participants(request).await.participants;
        let mut names: Vec<String> = found.into_iter().map(|participant| participant.display_name).collect();
        names.sort_unstable();
        names
    }
}

fn person(name: &str, region: &str, others: &[&str]) -> Participant {
    let name_of = |text: &&str| ParticipantName { text: (*text).into(), ..Default::default() };
    Participant { names: others.iter().map(name_of).collect(), ..make::person(name, region) }
}

async fn world() -> (Service, Vec<Participant>) {
    let service = Service::start().await;
    let mut persons = Vec::new();
    for participant in [
        person("Sergey Lavrov", "RU", &["Сергей Лавров", "Lavrov, Sergei Viktorovich"]),
        person("İlham Əliyev", "AZ", &["ILHAM ALIYEV"]),
        person("Найдёнов", "RU", &[]),
        person("苏林", "VN", &["Tô Lâm"]),
        person("أحمد علی", "IR", &[]),
        person("Qasımlı", "AZ", &[]),
    ] {
        persons.push(service.create_participant(participant).await);
    }
    (service, persons)
}

#[tokio::test]
async fn participants_are_found_by_any_word_of_any_name() {
    let (service, _) = world().await;
    for (query, expected) in [
        ("lavrov", &["Sergey Lavrov"][..]),
        ("LAVROV sergey", &["Sergey Lavrov"]),
        ("лавров", &["Sergey Lavrov"]),
        ("lavrov viktor*", &["Sergey Lavrov"]),
        ("лавр*", &["Sergey Lavrov"]),
        ("\"sergey lavrov\"", &["Sergey Lavrov"]),
        // No phrase extends over two names.
        ("\"lavrov сергей\"", &[]),
        ("avrov", &[]),
        ("İLHAM ƏLİYEV", &["İlham Əliyev"]),
        ("ilham eliyev", &["İlham Əliyev"]),
        ("ALIYEV", &["İlham Əliyev"]),
        ("eli*", &["İlham Əliyev"]),
        ("QASIMLI", &["Qasımlı"]),
        ("qasimli", &["Qasımlı"]),
        ("найденов", &["Найдёнов"]),
        ("НАЙДЁНОВ", &["Найдёнов"]),
        ("苏", &["苏林"]),
        ("林", &["苏林"]),
        ("苏林", &["苏林"]),
        ("to lam", &["苏林"]),
        ("احمد علي", &["أحمد علی"]),
        ("sergey or ilham", &["Sergey Lavrov", "İlham Əliyev"]),
        ("sergey -ilham", &["Sergey Lavrov"]),
        ("?", &[]),
    ] {
        assert_eq!(service.display_names(request(query)).await, expected, "{query}");
    }
    let filtered = ListParticipantsRequest { filter: "region = \"RU\"".into(), ..request("-lavrov") };
    assert_eq!(service.display_names(filtered).await, ["Найдёнов"]);
    let refused = service.participants.clone().list_participants(request("*")).await.unwrap_err();
    assert_eq!(Refused::from(refused).fields, ["query"]);
}

#[tokio::test]
async fn participants_have_snippets_of_the_name_that_matches() {
    let (service, _) = world().await;
    for (query, source, index, text, shown) in [
        ("lavrov", Source::DisplayName, 0, "Sergey Lavrov", &["Lavrov"][..]),
        ("лавр*", Source::OtherName, 0, "Сергей Лавров", &["Лавров"]),
        ("viktorovich", Source::OtherName, 1, "Lavrov, Sergei Viktorovich", &["Viktorovich"]),
        ("林", Source::DisplayName, 0, "苏林", &["林"]),
        ("lam", Source::OtherName, 0, "Tô Lâm", &["Lâm"]),
    ] {
        let found = service.find_participants(request(query)).await;
        let snippet = &found.snippets[0];
        assert_eq!((snippet.source(), snippet.index, &*snippet.text), (source, index, text), "{query}");
        assert_eq!(highlighted(snippet, text), shown, "{query}");
    }
}

#[tokio::test]
async fn persons_are_found_by_the_names_of_their_aliases() {
    let (service, persons) = world().await;
    let alias = service.create_participant(person("Lawrow", "RU", &[])).await;
    let read_time = Some(SystemTime::now().into());
    assert_eq!(service.display_names(request("lawrow")).await, ["Lawrow"]);
    let merge = MergeParticipantsRequest {
        name: persons[0].name.clone(),
        sources: vec![alias.name.clone()],
        reason: "one person".into(),
        ..Default::default()
    };
    service.participants.clone().merge_participants(merge).await.unwrap();
    let merged_time = Some(SystemTime::now().into());
    let found = service.find_participants(request("lawrow")).await;
    assert_eq!(found.participants.len(), 1);
    assert_eq!((&*found.participants[0].display_name, found.snippets[0].highlights.len()), ("Sergey Lavrov", 0));
    let all = ListParticipantsRequest { show_deleted: true, ..request("lawrow") };
    assert_eq!(service.display_names(all).await, ["Lawrow", "Sergey Lavrov"]);

    // A later change of the alias, or of the person, does not change the answer of a time.
    let renamed = Participant { name: alias.name.clone(), display_name: "Lavroff".into(), ..Default::default() };
    service.update_participant(renamed, &["display_name"]).await.unwrap();
    for (query, time, expected) in [
        ("lawrow", read_time, &["Lawrow"][..]),
        ("lawrow", merged_time, &["Sergey Lavrov"]),
        ("lavroff", merged_time, &[]),
        ("lavroff", None, &["Sergey Lavrov"]),
        ("lawrow", None, &[]),
        ("sergey", read_time, &["Sergey Lavrov"]),
        ("sergey", merged_time, &["Sergey Lavrov"]),
    ] {
        let request = ListParticipantsRequest { read_time: time, ..request(query) };
        assert_eq!(service.display_names(request).await, expected, "{query}");
    }
}

#[tokio::test]
async fn participants_follow_updates_and_deletion() {
    let (service, persons) = world().await;
    let renamed = Participant { name: persons[2].name.clone(), display_name: "Naydyonov".into(), ..Default::default() };
    service.update_participant(renamed, &["display_name"]).await.unwrap();
    assert_eq!(service.display_names(request("naydyonov")).await, ["Naydyonov"]);
    assert!(service.display_names(request("найдёнов")).await.is_empty());
    service.delete_participant(&persons[2].name).await.unwrap();
    assert!(service.display_names(request("naydyonov")).await.is_empty());
    let deleted = ListParticipantsRequest { show_deleted: true, ..request("naydyonov") };
    assert_eq!(service.display_names(deleted).await, ["Naydyonov"]);
}
