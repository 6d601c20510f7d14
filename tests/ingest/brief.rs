//! Stories with few fields: the service makes the keys, the ids and the participants that they leave out.

use readout::{
    cli::json,
    pb::{
        Account, AggregateMeetingsRequest, CreateMeetingRequest, ErrorReason, GetMeetingRequest, GetParticipantRequest,
        IngestStoryResponse, ListMeetingsRequest, Meeting, Participation, Story, UpdateMeetingRequest,
        account::{Kind, Status},
        ingest_story_response::Outcome,
        participant,
    },
};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{
    Refused, Service,
    calls::mask,
    make::{article, ingest, named, streamed, talks},
    program::run,
    story_stream::{ingest_all, outcome},
};

/// A story of five fields: the uri and the text, and who, when and what.
fn five_fields(uri: &str) -> Value {
    json!({
        "article": {"uri": uri, "text": "Kerim Veliyev met Ruslan Tsalikov in Baku on September 3."},
        "reports": [{"account": {
            "title": "Talks in Baku",
            "date": {"start": {"year": 2020, "month": 9, "day": 3}},
            "participations": [{"nameAsWritten": "Kerim Veliyev"}, {"nameAsWritten": "Ruslan Tsalikov"}],
        }}],
    })
}

fn parse(story: &Value) -> Story {
    json::parse("readout.v1.Story", &story.to_string()).unwrap()
}

async fn send(service: &Service, story: &Value) -> IngestStoryResponse {
    service.ingest.clone().ingest_story(ingest(parse(story))).await.unwrap().into_inner()
}

async fn refused(service: &Service, story: &Value) -> Refused {
    service.ingest.clone().ingest_story(ingest(parse(story))).await.unwrap_err().into()
}

async fn meeting(service: &Service, name: &str) -> Meeting {
    let request = GetMeetingRequest { name: name.into(), ..Default::default() };
    service.meetings.clone().get_meeting(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn story_of_five_fields_is_stored_and_matched_however_it_is_sent() {
    let service = Service::start().await;
    let story = five_fields("urn:five");
    let first = send(&service, &story).await;
    assert_eq!(first.meetings[0].key, "report-1");
    assert_eq!(first.meetings[0].outcome(), Outcome::Created);
    assert!(first.participants.is_empty());
    let before = service.contents().await;
    let stored = before.reports[0].account.clone().unwrap();
    let ids: Vec<_> = stored.participations.iter().map(|participation| participation.id.as_str()).collect();
    assert_eq!(ids, ["Kerim Veliyev", "Ruslan Tsalikov"]);

    let again = send(&service, &story).await;
    assert_eq!(again.meetings[0].outcome(), Outcome::Matched);
    // Behind another story of a stream.
    let stories = [five_fields("urn:other"), story.clone()].map(|story| streamed(parse(&story)));
    let answers = ingest_all(&service.ingest, stories).await;
    let matched = outcome(answers.into_iter().nth(1).unwrap()).unwrap();
    assert_eq!(matched.meetings[0].outcome(), Outcome::Matched);
    assert_eq!(matched.meetings[0].report, first.meetings[0].report);
    // With the made key and ids.
    let mut explicit = story.clone();
    explicit["reports"][0]["key"] = "report-1".into();
    for (at, id) in ids.iter().enumerate() {
        explicit["reports"][0]["account"]["participations"][at]["id"] = (*id).into();
    }
    assert_eq!(send(&service, &explicit).await.meetings[0].outcome(), Outcome::Matched);
    // By the command.
    let dir = tempdir().unwrap();
    let file = dir.path().join("story.json");
    std::fs::write(&file, serde_json::to_string_pretty(&story).unwrap()).unwrap();
    let ran = run(["import", "--server", &service.address.to_string(), file.to_str().unwrap()]).await;
    assert_eq!(
        ran.stderr,
        "1 stories: 1 articles, 1 meetings, 1 reports, 0 participants; 0 created, 3 matched, 0 failed, 0 differ\n"
    );
    let after = service.contents().await;
    assert_eq!((after.reports.len(), after.participants.len()), (before.reports.len() + 1, 0));
}

#[tokio::test]
async fn name_with_a_kind_becomes_a_participant() {
    let service = Service::start().await;
    let mut story = five_fields("urn:kinds");
    for participation in story["reports"][0]["account"]["participations"].as_array_mut().unwrap() {
        participation["participantKind"] = "PERSON".into();
    }
    let first = send(&service, &story).await;
    let keys: Vec<_> = first.participants.iter().map(|participant| participant.key.as_str()).collect();
    assert_eq!(keys, ["Kerim Veliyev", "Ruslan Tsalikov"]);
    let request = GetParticipantRequest { name: first.participants[0].name.clone(), ..Default::default() };
    let stored = service.participants.clone().get_participant(request).await.unwrap().into_inner();
    assert_eq!((stored.kind(), stored.display_name.as_str()), (participant::Kind::Person, "Kerim Veliyev"));
    let report = service.contents().await.reports.remove(0).account.unwrap();
    assert_eq!(report.participations[0].participant, stored.name);
    assert_eq!(report.participations[0].participant_kind, 0, "it is not stored");

    let again = send(&service, &story).await;
    assert!(again.participants.iter().all(|participant| participant.outcome() == Outcome::Matched));
    assert_eq!(again.meetings[0].outcome(), Outcome::Matched);
    // The participant of another article with this name.
    story["article"]["uri"] = "urn:kinds-2".into();
    let other = send(&service, &story).await;
    assert_eq!(other.participants[0].name, first.participants[0].name);
    // The same story with the participants that the names stand for.
    let person = |name: &str| json!({"key": name, "participant": {"kind": "PERSON", "displayName": name}});
    story["participants"] = json!([person("Kerim Veliyev"), person("Ruslan Tsalikov")]);
    for participation in story["reports"][0]["account"]["participations"].as_array_mut().unwrap() {
        participation["participant"] = format!("#{}", participation["nameAsWritten"].as_str().unwrap()).into();
        participation.as_object_mut().unwrap().remove("participantKind");
    }
    assert_eq!(send(&service, &story).await.meetings[0].outcome(), Outcome::Matched);
}

#[tokio::test]
async fn story_tells_statements_and_links_by_made_ids() {
    let service = Service::start().await;
    let mut story = five_fields("urn:ids");
    let account = &mut story["reports"][0]["account"];
    account["initiator"] = "Kerim Veliyev".into();
    account["statements"] = json!([{"speakers": ["Ruslan Tsalikov"], "text": "It went well."}]);
    account["links"] = json!([{"kind": "PART_OF", "meeting": "#report-2"}]);
    let visit = json!({"account": {"title": "A visit", "kind": "VISIT"}});
    story["reports"].as_array_mut().unwrap().push(visit);
    let answer = send(&service, &story).await;
    let report = service.contents().await.reports.into_iter().find(|report| report.name == answer.meetings[0].report);
    let account = report.unwrap().account.unwrap();
    assert_eq!(account.statements[0].id, "statement-1");
    assert_eq!(account.links[0].meeting, answer.meetings[1].meeting);
}

#[tokio::test]
async fn given_keys_and_ids_win_over_made_ones() {
    let service = Service::start().await;
    let mut story = five_fields("urn:given");
    story["reports"].as_array_mut().unwrap().push(json!({"key": "report-1", "account": {"title": "A visit"}}));
    story["reports"][0]["account"]["participations"][1]["id"] = "Kerim Veliyev".into();
    let answer = send(&service, &story).await;
    let keys: Vec<_> = answer.meetings.iter().map(|meeting| meeting.key.as_str()).collect();
    assert_eq!(keys, ["report-1-2", "report-1"]);
    let reports = service.contents().await.reports;
    let first = reports.iter().find(|report| report.name == answer.meetings[0].report).unwrap();
    let ids: Vec<_> = first.account.as_ref().unwrap().participations.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["Kerim Veliyev-2", "Kerim Veliyev"]);
}

#[tokio::test]
async fn story_without_meetings_or_participations_is_stored() {
    let service = Service::start().await;
    let text_only = json!({"article": {"uri": "urn:text", "text": "Nothing happened."}});
    assert!(send(&service, &text_only).await.meetings.is_empty());
    let alone =
        json!({"article": {"uri": "urn:alone", "text": "Talks."}, "reports": [{"account": {"title": "Talks"}}]});
    let answer = send(&service, &alone).await;
    assert_eq!(meeting(&service, &answer.meetings[0].meeting).await.account.unwrap().participations, []);
}

#[tokio::test]
async fn errors_of_a_brief_story_name_fields_that_were_sent() {
    let service = Service::start().await;
    let participation = |participation: Value| {
        let mut story = five_fields("urn:bad");
        story["reports"][0]["account"]["participations"] = json!([participation]);
        story
    };
    let path = "story.reports[0].account.participations[0]";
    for (story, field) in [
        (json!({"article": {"uri": "urn:bad"}, "reports": [{}]}), "story.reports[0].account".to_owned()),
        (participation(json!({})), path.to_owned()),
        (participation(json!({"nameAsWritten": "a\u{0}"})), format!("{path}.name_as_written")),
        (participation(json!({"nameAsWritten": "a".repeat(257)})), format!("{path}.name_as_written")),
        (
            participation(
                json!({"participant": format!("participants/{}", uuid::Uuid::nil()), "participantKind": "GROUP"}),
            ),
            format!("{path}.participant_kind"),
        ),
        (
            participation(json!({"nameAsWritten": "Ali", "participantKind": "PERSON", "regionCode": "az"})),
            format!("{path}.region_code"),
        ),
    ] {
        assert_eq!(refused(&service, &story).await, Refused::invalid([field.as_str()]), "{story}");
    }
}

#[tokio::test]
async fn only_a_story_resolves_names() {
    let mut service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let mut account = talks("Talks");
    account.participations.push(Participation { id: String::new(), ..named("", "Kerim Veliyev") });
    account.participations[0].set_participant_kind(participant::Kind::Person);
    let error = service.create_meeting(&source, account.clone()).await.unwrap_err();
    let field = "meeting.account.participations[0].participant_kind";
    assert_eq!(Refused::from(error), Refused::invalid([field]));

    // The other writes of accounts make ids, too.
    account.participations[0].participant_kind = 0;
    let created = service.create_meeting(&source, account.clone()).await.unwrap();
    let mut second = account.clone();
    second.title = "Other words".into();
    service.add_report(&created.name, &source.name, second).await.unwrap();
    assert!(
        service
            .contents()
            .await
            .reports
            .iter()
            .all(|report| { report.account.as_ref().unwrap().participations[0].id == "Kerim Veliyev" })
    );
    let request = UpdateMeetingRequest {
        meeting: Some(Meeting { name: created.name.clone(), account: Some(account), ..Default::default() }),
        update_mask: mask(&["account.participations"]),
        reason: "seen".into(),
        ..Default::default()
    };
    let ruled = service.meetings.update_meeting(request).await.unwrap().into_inner();
    assert_eq!(ruled.account.unwrap().participations[0].name_as_written, "Kerim Veliyev");
    let empty = CreateMeetingRequest { source_article: source.name, ..Default::default() };
    let error = service.meetings.create_meeting(empty).await.unwrap_err();
    assert_eq!(Refused::from(error).reason, ErrorReason::InvalidField);
}

#[tokio::test]
async fn kind_and_status_that_nobody_tells_stay_unset_until_another_report_tells_them() {
    let mut service = Service::start().await;
    let answer = send(&service, &five_fields("urn:silent")).await;
    let name = &answer.meetings[0].meeting;
    let silent = meeting(&service, name).await.account.unwrap();
    assert_eq!((silent.kind(), silent.status()), (Kind::Unspecified, Status::Unspecified));
    let count = async |service: &Service, filter: &str| {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings.len()
    };
    assert_eq!(count(&service, "kind = TALKS").await, 0);
    assert_eq!(count(&service, "NOT kind = TALKS").await, 1);
    assert_eq!(count(&service, "status != HELD").await, 1);
    let request = AggregateMeetingsRequest { group_by: vec!["kind".into()], ..Default::default() };
    let groups = service.meetings.aggregate_meetings(request).await.unwrap().into_inner().groups;
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].keys["kind"].as_str(), groups[0].meeting_count), ("", 1));

    let mut telling = five_fields("urn:telling");
    telling["reports"][0]["meeting"] = name.as_str().into();
    telling["reports"][0]["account"]["kind"] = "TALKS".into();
    telling["reports"][0]["account"]["status"] = "HELD".into();
    send(&service, &telling).await;
    let told = meeting(&service, name).await;
    let account = told.account.unwrap();
    assert_eq!((account.kind(), account.status()), (Kind::Talks, Status::Held));
    assert!(told.disputes.is_empty(), "a report that is silent disputes nothing: {:?}", told.disputes);
    assert_eq!(count(&service, "kind = TALKS").await, 1);
    let all = service.meetings.list_meetings(ListMeetingsRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.meetings.len(), 1);
    assert_ne!(account, Account::default());
}

/// The first rule of a JSON schema that a value breaks, with its path. Knows the words that `proto/docs.py` writes.
fn misfit(schema: &Value, value: &Value, at: &str) -> Option<String> {
    for (word, rule) in schema.as_object().unwrap() {
        let fits = match word.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                other => panic!("a type {other}"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minLength" => value.as_str().unwrap().chars().count() as u64 >= rule.as_u64().unwrap(),
            "maxLength" => value.as_str().unwrap().chars().count() as u64 <= rule.as_u64().unwrap(),
            "maxItems" => value.as_array().unwrap().len() as u64 <= rule.as_u64().unwrap(),
            "required" => rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "additionalProperties" => {
                value.as_object().unwrap().keys().all(|key| schema["properties"].get(key).is_some())
            }
            "properties" => {
                let parts = rule.as_object().unwrap().iter();
                let mut parts = parts.filter_map(|(key, rule)| misfit(rule, value.get(key)?, &format!("{at}.{key}")));
                match parts.next() {
                    Some(misfit) => return Some(misfit),
                    None => true,
                }
            }
            "items" => {
                let items = value.as_array().unwrap().iter().enumerate();
                let mut items = items.filter_map(|(index, item)| misfit(rule, item, &format!("{at}[{index}]")));
                match items.next() {
                    Some(misfit) => return Some(misfit),
                    None => true,
                }
            }
            other => panic!("a rule {other}"),
        };
        if !fits {
            return Some(format!("{at} {word}"));
        }
    }
    None
}

#[test]
fn sample_of_five_fields_fits_the_schema_and_the_contract() {
    let schema: Value = serde_json::from_str(include_str!("../../docs/api/story.schema.json")).unwrap();
    let sample: Value = serde_json::from_str(include_str!("../data/extractions/five-fields.story.json")).unwrap();
    assert_eq!(misfit(&schema, &sample, ""), None);
    parse(&sample);
    let mut full = sample.clone();
    let account = &mut full["reports"][0]["account"];
    (account["kind"], account["status"]) = ("TALKS".into(), "HELD".into());
    account["participations"][0]["participant_kind"] = "PERSON".into();
    full["reports"][0]["evidence"] = json!([{"field": "date", "quote": "on September 3"}]);
    assert_eq!(misfit(&schema, &full, ""), None);
    parse(&full);
    for (pointer, value, broken) in [
        ("/reports/0/account/kind", json!("MEETING"), ".reports[0].account.kind enum"),
        ("/reports/0/account/title", json!("a".repeat(513)), ".reports[0].account.title maxLength"),
        ("/reports/0/account/date/start/year", json!("2020"), ".reports[0].account.date.start.year type"),
        ("/reports/0/account/participations/0", json!({}), ".reports[0].account.participations[0] required"),
        ("/article", json!({"uri": "urn:x", "text": "x", "author": "x"}), ".article additionalProperties"),
    ] {
        let mut wrong = full.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert_eq!(misfit(&schema, &wrong, "").as_deref(), Some(broken));
    }
}
