//! Aliases by the rule: which participants are settled as one, and all that speaks of the settled person.

use readout::pb::{
    FindPathRequest, IngestStoryRequest, ListCounterpartsRequest, ListParticipantRevisionsRequest,
    ListStatementsRequest, ParticipantMatching, change::Kind,
};

use super::settled;
use crate::support::{
    Service,
    make::{ingest, settled_person, story},
};

#[tokio::test]
async fn spellings_of_one_person_are_settled_as_one() {
    let service = Service::start().await;
    let first =
        service.talks_between("urn:a", &[settled_person("Sergei Lavrov", "RU"), settled_person("Wang Yi", "CN")]).await;
    let (sergei, wang) = (&first.participants[0].name, &first.participants[1].name);
    service.talks_between("urn:b", &[settled_person("Sergei Lavrov", "RU")]).await;
    let second = service
        .talks_between("urn:c", &[settled_person("Sergey Lavrov", "RU"), settled_person("Ban Ki-moon", "KR")])
        .await;
    let (sergey, ban) = (&second.participants[0].name, &second.participants[1].name);
    service.await_person(sergey, sergei).await;
    let meeting = &second.meetings[0].meeting;
    service.await_meeting_of(meeting, sergei).await;

    // Lists have the settled person only; the alias still answers.
    assert!(!service.persons(false).await.contains(sergey));
    assert!(service.persons(true).await.contains(sergey));
    assert_eq!(service.participants_where("name = \"sergey lavrov\"").await, ["Sergei Lavrov"]);
    for name in [sergei, sergey] {
        assert_eq!(service.meetings_where(&format!("participant = \"{name}\"")).await.len(), 3, "{name}");
        let filter = format!("participant((participant = \"{name}\"))");
        assert_eq!(service.meetings_where(&filter).await.len(), 3, "{name}");
        let request = ListCounterpartsRequest { participant: name.clone(), ..Default::default() };
        let met = service.participants.clone().list_counterparts(request).await.unwrap().into_inner();
        let mut met: Vec<&String> = met.counterparts.iter().map(|met| &met.participant).collect();
        met.sort();
        let mut expected = vec![wang, ban];
        expected.sort();
        assert_eq!(met, expected);
    }
    let request = FindPathRequest { source: wang.clone(), target: ban.clone(), ..Default::default() };
    let path = service.participants.clone().find_path(request).await.unwrap().into_inner();
    assert_eq!(path.participants, [wang.clone(), sergei.clone(), ban.clone()]);

    // The report is not edited, and the revision says why.
    let report = service.report(&second.meetings[0].report).await;
    assert_eq!(report.account.unwrap().participations[0].participant, *sergey);
    let request = ListParticipantRevisionsRequest { name: sergey.clone(), ..Default::default() };
    let revisions = service.participants.clone().list_participant_revisions(request).await.unwrap().into_inner();
    let newest = &revisions.revisions[0];
    assert_eq!((newest.kind(), newest.actor.as_str()), (Kind::Settled, "readout"));
    assert!(newest.reason.contains("rule 1"), "{}", newest.reason);
}

#[tokio::test]
async fn statements_of_an_alias_are_found_by_the_settled_person() {
    let service = Service::start().await;
    let mut told = story("urn:b", &[settled_person("Sergey Lavrov", "RU")]);
    let account = told.reports[0].account.as_mut().unwrap();
    account.statements.push(readout::pb::Statement {
        id: "s".into(),
        text: "Mutual trust.".into(),
        speakers: vec!["p0".into()],
        ..Default::default()
    });
    let sergei =
        service.talks_between("urn:a", &[settled_person("Sergei Lavrov", "RU")]).await.participants.remove(0).name;
    service.talks_between("urn:c", &[settled_person("Sergei Lavrov", "RU")]).await;
    let sergey = service.ingest.clone().ingest_story(settled(told)).await.unwrap().into_inner();
    let sergey = &sergey.participants[0].name;
    service.await_person(sergey, &sergei).await;
    for name in [&sergei, sergey] {
        let request = ListStatementsRequest { filter: format!("speaker = \"{name}\""), ..Default::default() };
        let page = service.meetings.clone().list_statements(request).await.unwrap().into_inner();
        assert_eq!(page.results.len(), 1, "{name}");
        let statement = page.results[0].statement.as_ref().unwrap();
        let id = sergei.strip_prefix("participants/").unwrap();
        assert!(statement.speakers == [id] || statement.speakers.is_empty(), "{:?}", statement.speakers);
    }
}

#[tokio::test]
async fn stories_with_exact_matching_make_no_aliases() {
    let service = Service::start().await;
    let exact = |uri: &str, name: &str| IngestStoryRequest {
        participant_matching: ParticipantMatching::Exact.into(),
        ..ingest(story(uri, &[settled_person(name, "RU")]))
    };
    let ingest = async |request| service.ingest.clone().ingest_story(request).await.unwrap().into_inner();
    ingest(exact("urn:a", "Sergei Lavrov")).await;
    let sergey = ingest(exact("urn:b", "Sergey Lavrov")).await.participants.remove(0).name;
    // A pair that is settled afterwards shows that the job has read the stories before it.
    let li = service
        .talks_between("urn:c", &[settled_person("Muhammad Tahir Khan", "PK")])
        .await
        .participants
        .remove(0)
        .name;
    service.talks_between("urn:d", &[settled_person("Muhammad Tahir Khan", "PK")]).await;
    let other = service
        .talks_between("urn:e", &[settled_person("Mohammed Tahir Khan", "PK")])
        .await
        .participants
        .remove(0)
        .name;
    service.await_person(&other, &li).await;
    assert_eq!(service.participant(&sergey).await.merged_into, "");
    assert_eq!(service.persons(false).await.len(), 3);

    // A story with SETTLED matching opens them to the rule.
    let sergei =
        service.talks_between("urn:f", &[settled_person("Sergei Lavrov", "RU")]).await.participants.remove(0).name;
    service.talks_between("urn:g", &[settled_person("Sergey Lavrov", "RU")]).await;
    service.talks_between("urn:h", &[settled_person("Sergei Lavrov", "RU")]).await;
    service.await_person(&sergey, &sergei).await;
}

#[tokio::test]
async fn alias_is_taken_back_when_it_no_longer_follows() {
    let service = Service::start().await;
    let first = service.talks_between("urn:a", &[settled_person("Sergei Lavrov", "RU")]).await;
    service.talks_between("urn:b", &[settled_person("Sergei Lavrov", "RU")]).await;
    let second = service.talks_between("urn:c", &[settled_person("Sergey Lavrov", "RU")]).await;
    let (sergei, sergey) = (&first.participants[0].name, &second.participants[0].name);
    service.await_person(sergey, sergei).await;
    service.await_meeting_of(&second.meetings[0].meeting, sergei).await;

    let mut renamed = service.participant(sergey).await;
    renamed.display_name = "Sergey Ivanov".into();
    renamed.etag.clear();
    service.update_participant(renamed, &["display_name"]).await.unwrap();
    service.await_person(sergey, "").await;
    service.await_meeting_of(&second.meetings[0].meeting, sergey).await;
}
