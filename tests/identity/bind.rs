//! Bindings: which participant one participation of a report means.

use readout::pb::{BindParticipationRequest, ErrorReason, ListStatementsRequest, Report, Statement, change::Kind};
use tonic::{Code, Status};

use crate::support::{
    Refused, Service,
    make::{named, settled_person, story},
};

impl Service {
    async fn bind(&self, report: &str, participation: &str, participant: &str) -> Result<Report, Status> {
        let request = BindParticipationRequest {
            report: report.into(),
            participation: participation.into(),
            participant: participant.into(),
            reason: "the Secretary".into(),
            ..Default::default()
        };
        Ok(self.meetings.clone().bind_participation(request).await?.into_inner())
    }
}

#[tokio::test]
async fn binding_moves_one_participation_and_its_statements_and_can_be_withdrawn() {
    let service = Service::start().await;
    let mut told = story("urn:a", &[settled_person("Yong Il Kim", "KP")]);
    let account = told.reports[0].account.as_mut().unwrap();
    account.participations.push(named("x", "Somebody"));
    account.statements.push(Statement {
        id: "s".into(),
        text: "Mutual trust.".into(),
        speakers: vec!["p0".into()],
        ..Default::default()
    });
    let answer = service.ingest.clone().ingest_story(super::settled(told)).await.unwrap().into_inner();
    let (premier, report, meeting) =
        (&answer.participants[0].name, &answer.meetings[0].report, &answer.meetings[0].meeting);
    let secretary = service.create_participant(settled_person("Ri Man-gap", "KP")).await.name;
    let before = service.meeting(meeting).await.account.unwrap();

    let bound = service.bind(report, "p0", &secretary).await.unwrap();
    assert_eq!(bound.bindings.len(), 1);
    // The account stays as it was sent.
    assert_eq!(bound.account.as_ref().unwrap().participations[0].participant, *premier);
    let account = service.meeting(meeting).await.account.unwrap();
    assert_eq!(account.participations[0].participant, secretary);
    for (name, count) in [(&secretary, 1), (premier, 0)] {
        assert_eq!(service.meetings_where(&format!("participant = \"{name}\"")).await.len(), count, "{name}");
        let request = ListStatementsRequest { filter: format!("speaker = \"{name}\""), ..Default::default() };
        let page = service.meetings.clone().list_statements(request).await.unwrap().into_inner();
        assert_eq!(page.results.len(), count, "{name}");
    }
    // Twice is once.
    let again = service.bind(report, "p0", &secretary).await.unwrap();
    assert_eq!(again.revision, bound.revision);
    // Neither can be deleted while the report refers to it.
    for name in [&secretary, premier] {
        let refused = service.delete_participant(name).await.unwrap_err();
        assert_eq!(Refused::from(refused).reason, ErrorReason::StillNamed, "{name}");
    }
    service.bind(report, "x", premier).await.unwrap();
    assert_eq!(service.meetings_where(&format!("participant = \"{premier}\"")).await.len(), 1);
    service.bind(report, "x", "").await.unwrap();

    let free = service.bind(report, "p0", "").await.unwrap();
    assert!(free.bindings.is_empty());
    assert_eq!(service.meeting(meeting).await.account.unwrap(), before);
    let request = ListStatementsRequest { filter: format!("speaker = \"{premier}\""), ..Default::default() };
    let page = service.meetings.clone().list_statements(request).await.unwrap().into_inner();
    assert_eq!(page.results.len(), 1);
    service.delete_participant(&secretary).await.unwrap();
    let kinds: Vec<Kind> = service
        .all_changes()
        .await
        .iter()
        .filter(|change| change.name == *report)
        .map(|change| change.kind())
        .collect();
    assert_eq!(kinds, [Kind::Created, Kind::Bound, Kind::Bound, Kind::Bound, Kind::Bound]);
}

#[tokio::test]
async fn binding_that_cannot_be_made_is_refused() {
    let service = Service::start().await;
    let answer = service.talks_between("urn:a", &[settled_person("Yong Il Kim", "KP")]).await;
    let report = &answer.meetings[0].report;
    let gone = service.create_participant(settled_person("Cat Day", "US")).await.name;
    let live = service.create_participant(settled_person("Dan Fox", "US")).await.name;
    service.delete_participant(&gone).await.unwrap();
    let unknown = "00000000-0000-0000-0000-000000000001";
    let cases = [
        (report.as_str(), "p0", format!("participants/{unknown}"), Code::NotFound, ErrorReason::ResourceNotFound),
        (report, "p0", gone, Code::FailedPrecondition, ErrorReason::ResourceDeleted),
        (report, "p0", String::new(), Code::FailedPrecondition, ErrorReason::NotBound),
        (
            "reports/00000000-0000-0000-0000-000000000001",
            "p0",
            live.clone(),
            Code::NotFound,
            ErrorReason::ResourceNotFound,
        ),
    ];
    for (report, participation, participant, code, reason) in cases {
        let refused = service.bind(report, participation, &participant).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(code, reason), "{participant}");
    }
    let refused = service.bind(report, "nobody", &live).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["participation"]));
    service.retract_report(report).await.unwrap();
    let refused = service.bind(report, "p0", &live).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::FailedPrecondition, ErrorReason::AlreadyRetracted));
}

#[tokio::test]
async fn binding_to_an_alias_means_its_person_and_follows_it() {
    let service = Service::start().await;
    let answer = service.talks_between("urn:a", &[settled_person("Yong Il Kim", "KP")]).await;
    let (report, meeting) = (&answer.meetings[0].report, &answer.meetings[0].meeting);
    let alias = service.create_participant(settled_person("Cat Day", "US")).await.name;
    let person = service.create_participant(settled_person("Dan Fox", "US")).await.name;
    service.merge_participants(&person, &[&alias]).await.unwrap();
    let bound = service.bind(report, "p0", &alias).await.unwrap();
    assert_eq!(bound.bindings[0].participant, alias);
    let account = service.meeting(meeting).await.account.unwrap();
    assert_eq!(account.participations[0].participant, person);
    service.unmerge_participant(&alias).await.unwrap();
    service.await_meeting_of(meeting, &alias).await;
    // A participation can be bound once more, to another participant.
    let bound = service.bind(report, "p0", &person).await.unwrap();
    assert_eq!(bound.bindings.len(), 1);
    service.await_meeting_of(meeting, &person).await;
    let refused = service.bind(report, "p0", "participants/1").await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["participant"]));
}
