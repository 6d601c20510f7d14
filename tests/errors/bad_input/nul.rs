//! No string of a request may contain U+0000. That covers unset fields, fields without rules, lists, maps, oneofs,
//! masks, and parts of a message that are not otherwise checked.

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};
use readout::pb::{
    self, IngestStoriesResponse, UpdateParticipantRequest, WatchChangesRequest, ingest_stories_response::Outcome,
    watch_changes_request::Start,
};
use tonic::Status;

use super::{
    base,
    invalid_cases::is_output_only,
    requests,
    world::{Violation, World, violations},
};
use crate::support::{Refused, calls::mask, raw};

const NUL: &str = "must not contain U+0000";
const BAD: &str = "a\0b";

/// One case for each string field of the message: its path, and a copy of the message with U+0000 there.
fn cases(request: &DynamicMessage) -> Vec<(String, DynamicMessage)> {
    let mut cases = Vec::new();
    for field in request.descriptor().fields().filter(|field| !is_output_only(field)) {
        let name = field.name();
        let with = |value: Value| {
            let mut request = request.clone();
            request.set_field(&field, value);
            request
        };
        let value = request.get_field(&field).into_owned();
        match (field.kind(), value) {
            (Kind::Message(entry), Value::Map(pairs)) => {
                assert!(entry.map_entry_value_field().kind() == Kind::String, "{}", field.full_name());
                let pair = |key: &str, value: &str| {
                    let pair = (MapKey::String(key.to_owned()), Value::String(value.to_owned()));
                    with(Value::Map(pairs.clone().into_iter().chain([pair]).collect()))
                };
                cases.push((format!("{name}[{BAD:?}]"), pair(BAD, "x")));
                cases.push((format!("{name}[\"x\"]"), pair("x", BAD)));
            }
            (Kind::String, Value::List(items)) => {
                let path = format!("{name}[{}]", items.len());
                cases.push((path, with(Value::List([items, vec![Value::String(BAD.to_owned())]].concat()))));
            }
            (Kind::String, _) => cases.push((name.to_owned(), with(Value::String(BAD.to_owned())))),
            (Kind::Message(ty), Value::List(mut items)) if holds_strings(&ty) => {
                let last = items.pop().unwrap_or_else(|| Value::Message(DynamicMessage::new(ty)));
                for (path, inner) in self::cases(last.as_message().expect("a message")) {
                    let path = format!("{name}[{}].{path}", items.len());
                    cases.push((path, with(Value::List([&items[..], &[Value::Message(inner)]].concat()))));
                }
            }
            (Kind::Message(ty), Value::Message(message)) if holds_strings(&ty) => {
                let inner = self::cases(&message).into_iter();
                cases.extend(inner.map(|(path, inner)| (format!("{name}.{path}"), with(Value::Message(inner)))));
            }
            _ => {}
        }
    }
    cases
}

fn holds_strings(ty: &MessageDescriptor) -> bool {
    ty.package_name() == "readout.v1" || ty.full_name() == "google.protobuf.FieldMask"
}

fn reports_nul_once(path: &str, violations: &[Violation]) -> bool {
    let is_nul = |(field, says): &Violation| {
        let is_mask = path.contains("update_mask.paths");
        field == path && (says.starts_with(NUL) || is_mask && says.starts_with("must not contain a control character"))
    };
    violations.iter().filter(|violation| is_nul(violation)).count() == 1
}

#[tokio::test]
async fn nul_is_refused_in_every_string_of_every_request() {
    let mut world = World::new().await;
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (method, request) in requests::all(&mut world).await {
        for (path, request) in cases(&request) {
            let violations = world.call(method, request.encode_to_vec()).await;
            count += 1;
            if !reports_nul_once(&path, &violations) {
                wrong.push(format!("{method}: {path}: {:?}", violations.iter().take(5).collect::<Vec<_>>()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 300, "{count}");
}

#[tokio::test]
async fn nul_is_refused_in_every_string_of_a_stream_request() {
    let world = World::new().await;
    let ty = pb::pool().get_message_by_name("readout.v1.IngestStoriesRequest").unwrap();
    let base = DynamicMessage::decode(ty, base::ingest(&world).encode_to_vec().as_slice()).unwrap();
    let cases = self::cases(&base);
    let messages = cases.iter().map(|(_, request)| request.encode_to_vec()).collect();
    let mut answers = raw::stream(&world.channel, "readout.v1.IngestService/IngestStories", messages).await.unwrap();
    for (path, _) in &cases {
        let answer = IngestStoriesResponse::decode(answers.message().await.unwrap().unwrap().as_slice()).unwrap();
        let Some(Outcome::Status(status)) = answer.outcome else { panic!("{path}: accepted") };
        let status = Status::with_details(status.code.into(), &status.message, status.encode_to_vec().into());
        assert!(reports_nul_once(path, &violations(&status)), "{path}: {status}");
    }
    for (start, path) in [(Start::Cursor(BAD.into()), "cursor"), (Start::After(BAD.into()), "after")] {
        let request = WatchChangesRequest { start: Some(start), ..Default::default() };
        let refused = world.service.changes.clone().watch_changes(request).await.unwrap_err();
        assert!(reports_nul_once(path, &violations(&refused)), "{path}: {refused}");
    }
}

/// Unmasked fields are otherwise not checked.
#[tokio::test]
async fn nul_is_refused_in_fields_outside_the_update_mask() {
    let world = World::new().await;
    let mut sent = base::participant(&world).unwrap();
    sent.name = world.participants[0].clone();
    sent.offices[0].title = BAD.into();
    let request = |paths: &[&str]| UpdateParticipantRequest {
        participant: Some(sent.clone()),
        update_mask: mask(paths),
        ..Default::default()
    };
    let refused = world.service.participants.clone().update_participant(request(&["note"])).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["participant.offices[0].title"]));
}

#[tokio::test]
async fn control_characters_are_refused_in_update_mask_paths() {
    let world = World::new().await;
    let mut sent = base::participant(&world).unwrap();
    sent.name = world.participants[0].clone();
    for path in ["labels.a\0", "labels.`a\n`", "no\u{7}te", "\u{85}", "note\u{1b}[31m"] {
        let request = UpdateParticipantRequest {
            participant: Some(sent.clone()),
            update_mask: mask(&["note", path]),
            ..Default::default()
        };
        let refused = world.service.participants.clone().update_participant(request).await.unwrap_err();
        let message = refused.message();
        assert!(!message.contains(char::is_control), "{message:?}");
        assert_eq!(Refused::from(refused), Refused::invalid(["update_mask.paths[1]"]), "{path:?}");
    }
}
