//! The presences and regions that no report states: the settled account completes them, the report stays as it was told.

use std::time::Duration;

use readout::{
    cli::json,
    pb::{
        GetMeetingRequest, GetReportRequest, IngestStoryResponse, ListCounterpartsRequest, ListMeetingsRequest,
        Meeting, Participant, Participation, Story, UpdateParticipantRequest, participation::Presence,
    },
};
use serde_json::{Value, json};

use crate::support::{Service, calls::mask, make::ingest};

async fn send(service: &Service, story: &Value) -> IngestStoryResponse {
    let story: Story = json::parse("readout.v1.Story", &story.to_string()).unwrap();
    service.ingest.clone().ingest_story(ingest(story)).await.unwrap().into_inner()
}

async fn meeting(service: &Service, name: &str) -> Meeting {
    let request = GetMeetingRequest { name: name.into(), ..Default::default() };
    service.meetings.clone().get_meeting(request).await.unwrap().into_inner()
}

async fn settled(service: &Service, account: Value) -> Vec<Participation> {
    let uri = format!("urn:{}", blake3::hash(account.to_string().as_bytes()));
    let answer = send(service, &json!({"article": {"uri": uri}, "reports": [{"account": account}]})).await;
    meeting(service, &answer.meetings[0].meeting).await.account.unwrap().participations
}

async fn presences(service: &Service, account: Value) -> Vec<Presence> {
    settled(service, account).await.iter().map(Participation::presence).collect()
}

async fn count(service: &Service, filter: &str) -> usize {
    let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
    service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings.len()
}

#[tokio::test]
async fn presence_that_nobody_states_follows_from_the_account() {
    use Presence::*;
    let service = Service::start().await;
    let people = |ids: &[&str]| -> Vec<Value> { ids.iter().map(|id| json!({"id": id, "nameAsWritten": id})).collect() };
    let told = |kind: &str, ids: &[&str], more: Value| {
        let mut account = json!({"kind": kind, "participations": people(ids)});
        account.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        account
    };
    let says = |speakers: &[&str], addressees: &[&str], kind: &str| {
        json!({"statements": [
            {"speakers": speakers, "addressees": addressees, "text": "Welcome.", "speakerKind": kind}]})
    };
    let individual = "INDIVIDUAL";
    for (account, expected) in [
        (told("TALKS", &["a", "b"], json!({})), vec![Present, Present]),
        (told("TALKS", &["a", "b"], json!({"status": "PLANNED"})), vec![Present, Present]),
        (told("TALKS", &["a", "b"], json!({"status": "CANCELLED"})), vec![Present, Present]),
        (told("PHONE_CALL", &["a", "b"], json!({})), vec![Remote, Remote]),
        (told("VIDEO_CALL", &["a", "b"], json!({})), vec![Remote, Remote]),
        (told("STATEMENT_ONLY", &["a", "b"], says(&["a"], &["b"], individual)), vec![Unspecified, Unspecified]),
        // One who is only addressed is not there, unless it is the other side.
        (told("TALKS", &["a", "b", "c"], says(&["a"], &["c"], individual)), vec![Present, Present, Referenced]),
        (told("TALKS", &["a", "c"], says(&["a"], &["c"], individual)), vec![Present, Present]),
        (told("PHONE_CALL", &["a", "c"], says(&["a"], &["c"], individual)), vec![Remote, Remote]),
        (told("PRESS_CONFERENCE", &["a", "c"], says(&["a"], &["c"], individual)), vec![Present, Referenced]),
        (
            told(
                "PRESS_CONFERENCE",
                &["a", "c"],
                json!({"initiator": "c", "statements": [
                {"speakers": ["a"], "addressees": ["c"], "text": "Welcome."}]}),
            ),
            vec![Present, Present],
        ),
        // An institution that only speaks, and one that only announces.
        (told("TALKS", &["a", "b", "i"], says(&["i"], &[], "INSTITUTION")), vec![Present, Present, Referenced]),
        (told("TALKS", &["a", "b", "s"], says(&["s"], &[], individual)), vec![Present, Present, Present]),
        (
            told("TALKS", &["a", "b", "i"], json!({"announcement": {"participation": "i"}})),
            vec![Present, Present, Referenced],
        ),
    ] {
        assert_eq!(presences(&service, account.clone()).await, expected, "{account}");
    }
    let stated = json!({"kind": "TALKS", "participations": [
        {"id": "a", "nameAsWritten": "a", "presence": "ABSENT"},
        {"id": "b", "nameAsWritten": "b", "onBehalfOf": "c"},
        {"id": "c", "nameAsWritten": "c"},
    ]});
    assert_eq!(presences(&service, stated).await, [Absent, Present, Represented]);
}

/// Talks of a person with this region and an organization that only speaks.
fn talks(uri: &str, region: &str) -> Value {
    json!({
        "article": {"uri": uri},
        "participants": [
            {"key": "a", "participant": {"kind": "PERSON", "displayName": "Kerim Veliyev", "regionCode": region}},
            {"key": "b", "participant": {"kind": "PERSON", "displayName": "Ruslan Tsalikov", "regionCode": "RU"}},
            {"key": "m", "participant": {"kind": "ORGANIZATION", "displayName": "Ministry of Defence"}},
        ],
        "reports": [{"key": "t", "account": {
            "kind": "TALKS", "date": {"start": {"year": 2020, "month": 8, "day": 24}},
            "participations": [
                {"id": "a", "participant": "#a"}, {"id": "b", "participant": "#b"}, {"id": "m", "participant": "#m"}],
            "statements": [{"speakers": ["m"], "text": "They met."}],
        }}],
    })
}

#[tokio::test]
async fn region_and_presence_that_nobody_states_are_found_by_questions_and_the_report_stays() {
    let service = Service::start().await;
    let answer = send(&service, &talks("urn:a", "AZ")).await;
    for filter in [
        "region = AZ",
        "between(\"AZ\", \"RU\")",
        "participant((region = \"AZ\" AND presence = PRESENT))",
        "participant((presence = REFERENCED))",
    ] {
        assert_eq!(count(&service, filter).await, 1, "{filter}");
    }
    let request = ListCounterpartsRequest { participant: answer.participants[0].name.clone(), ..Default::default() };
    let met = service.participants.clone().list_counterparts(request).await.unwrap().into_inner().counterparts;
    assert_eq!(met.iter().map(|met| &met.participant).collect::<Vec<_>>(), [&answer.participants[1].name]);
    let request = GetReportRequest { name: answer.meetings[0].report.clone(), ..Default::default() };
    let told = service.meetings.clone().get_report(request).await.unwrap().into_inner().account.unwrap();
    assert!(
        told.participations.iter().all(|part| part.region_code.is_empty() && part.presence() == Presence::Unspecified)
    );
}

#[tokio::test]
async fn stated_region_wins_and_contradicts_no_default() {
    let service = Service::start().await;
    let first = send(&service, &talks("urn:a", "AZ")).await;
    let name = &first.meetings[0].meeting;
    let mut other = talks("urn:b", "AZ");
    other["reports"][0]["meeting"] = name.as_str().into();
    other["reports"][0]["account"]["participations"][0]["regionCode"] = "TR".into();
    send(&service, &other).await;
    let meeting = meeting(&service, name).await;
    assert_eq!(meeting.disputes, []);
    assert_eq!(meeting.account.unwrap().participations[0].region_code, "TR");
}

async fn update_region(service: &Service, name: &str, region: &str, validate_only: bool) -> Participant {
    let participant = Participant { name: name.into(), region_code: region.into(), ..Default::default() };
    let request = UpdateParticipantRequest {
        participant: Some(participant),
        update_mask: mask(&["region_code"]),
        validate_only,
        ..Default::default()
    };
    service.participants.clone().update_participant(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn meeting_is_settled_again_when_the_region_of_a_participant_changes() {
    let service = Service::start().await;
    let answer = send(&service, &talks("urn:a", "")).await;
    let (person, name) = (&answer.participants[0].name, &answer.meetings[0].meeting);
    let before = meeting(&service, name).await;
    assert_eq!(before.account.as_ref().unwrap().participations[0].region_code, "");

    // The effects say so.
    let preview = update_region(&service, person, "AZ", true).await;
    let uuid = person.strip_prefix("participants/").unwrap();
    let effect = preview.effects.iter().find(|effect| effect.resource == *name).unwrap();
    assert!(effect.field.contains(uuid) || effect.field.starts_with("account.participations"), "{effect:?}");
    assert!(effect.after.contains("AZ"), "{effect:?}");

    update_region(&service, person, "AZ", false).await;
    let after = loop {
        let meeting = meeting(&service, name).await;
        if meeting.revision > before.revision {
            break meeting;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(after.account.unwrap().participations[0].region_code, "AZ");
    assert_eq!(count(&service, "region = AZ").await, 1);
    // The former revision is as it was.
    let request = GetMeetingRequest { name: name.clone(), read_time: before.update_time, ..Default::default() };
    let former = service.meetings.clone().get_meeting(request).await.unwrap().into_inner();
    assert_eq!(former.account.unwrap().participations[0].region_code, "");
}

#[tokio::test]
async fn office_without_a_name_is_one_participation_of_all_reports_that_can_be_bound() {
    let service = Service::start().await;
    let told = |uri: &str, office: Value, meeting: &str| {
        json!({"article": {"uri": uri}, "reports": [{"key": "t", "meeting": meeting, "account": {
            "kind": "TALKS", "participations": [{"office": office}, {"nameAsWritten": "Kerim Veliyev"}]}}]})
    };
    let office = json!({"title": "Foreign Minister", "regionCode": "FR"});
    let first = send(&service, &told("urn:a", office, "")).await;
    let name = &first.meetings[0].meeting;
    send(&service, &told("urn:b", json!({"title": "foreign  minister", "regionCode": "FR"}), name)).await;
    send(&service, &told("urn:c", json!({"title": "Foreign Minister", "regionCode": "DE"}), name)).await;
    let settled = meeting(&service, name).await.account.unwrap().participations;
    let ids: Vec<&str> = settled.iter().map(|part| part.id.as_str()).collect();
    assert_eq!(ids, ["office:foreign minister;;FR", "name:kerim veliyev", "office:foreign minister;;DE"]);
    assert!(settled.iter().all(|part| part.presence() == Presence::Present));

    // The report has the title as the id.
    let report = service.report(&first.meetings[0].report).await;
    assert_eq!(report.account.unwrap().participations[0].id, "Foreign Minister");
    let minister = json!({"article": {"uri": "urn:d"}, "reports": [{"key": "t", "account": {"participations": [
        {"nameAsWritten": "Jean-Yves Le Drian", "participantKind": "PERSON"}]}}]});
    let minister = send(&service, &minister).await.participants.remove(0).name;
    let request = readout::pb::BindParticipationRequest {
        report: first.meetings[0].report.clone(),
        participation: "Foreign Minister".into(),
        participant: minister.clone(),
        reason: "he held the office".into(),
        ..Default::default()
    };
    service.meetings.clone().bind_participation(request).await.unwrap();
    let settled = meeting(&service, name).await.account.unwrap().participations;
    assert!(settled.iter().any(|part| part.participant == minister), "{settled:?}");

    let nobody = json!({"article": {"uri": "urn:e"}, "reports": [{"account": {"participations": [
        {"office": {"regionCode": "FR", "seniority": "MINISTER"}}]}}]});
    let story = json::parse::<Story>("readout.v1.Story", &nobody.to_string().replace("\"MINISTER\"", "2")).unwrap();
    assert!(service.ingest.clone().ingest_story(ingest(story)).await.is_err());
}
