//! Every method that writes: each of its writes leaves one event, and no later call changes it.

use std::collections::BTreeSet;

use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use readout::{
    model::role::Role,
    pb::{self, AuditEvent},
    service::method::Method,
};
use tonic::{client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};

use super::events;
use crate::{
    access,
    support::{Service, make::TEXT, raw::Bytes},
};

/// A request of each method that writes, in ProtoJSON. Words in capitals stand for records of earlier answers.
const REQUESTS: [(&str, &str, &str); 26] = [
    ("CreateArticle", "ARTICLE", r#"{"article": {"uri": "urn:a", "text": "TEXT"}}"#),
    ("CreateArticle", "SECOND", r#"{"article": {"uri": "urn:b"}}"#),
    ("UpdateArticle", "", r#"{"article": {"name": "ARTICLE", "title": "Talks"}, "update_mask": "title"}"#),
    ("CreateParticipant", "NAMESAKE", r#"{"participant": {"kind": "PERSON", "display_name": "Ri Man-gap"}}"#),
    ("CreateParticipant", "PERSON", r#"{"participant": {"kind": "PERSON", "display_name": "Kerim Veliyev"}}"#),
    ("UpdateParticipant", "", r#"{"participant": {"name": "PERSON", "note": "Minister"}, "update_mask": "note"}"#),
    ("MergeParticipants", "", r#"{"name": "PERSON", "sources": ["NAMESAKE"], "reason": "WHY"}"#),
    ("UnmergeParticipant", "", r#"{"name": "NAMESAKE", "reason": "WHY"}"#),
    (
        "JudgeParticipants",
        "",
        r#"{"participant": "PERSON", "other": "NAMESAKE", "verdict": "DIFFERENT", "reason": "WHY"}"#,
    ),
    ("DeleteParticipant", "", r#"{"name": "PERSON"}"#),
    ("UndeleteParticipant", "", r#"{"name": "PERSON"}"#),
    (
        "CreateMeeting",
        "MEETING",
        r#"{"source_article": "ARTICLE", "meeting": {"account": {"kind": "TALKS", "title": "first"}}}"#,
    ),
    (
        "CreateMeeting",
        "OTHER",
        r#"{"source_article": "SECOND", "meeting": {"account": {"kind": "TALKS", "title": "second"}}}"#,
    ),
    (
        "AddReport",
        "REPORT",
        r#"{"meeting": "MEETING", "report": {"article": "SECOND", "account": {"kind": "TALKS", "title": "more",
            "participations": [{"id": "host", "name_as_written": "Somebody"}]}}}"#,
    ),
    (
        "BindParticipation",
        "",
        r#"{"report": "REPORT", "participation": "host", "participant": "PERSON", "reason": "WHY"}"#,
    ),
    (
        "UpdateMeeting",
        "",
        r#"{"meeting": {"name": "MEETING", "account": {"title": "ruled"}}, "update_mask": "account.title", "reason": "WHY"}"#,
    ),
    ("MergeMeetings", "", r#"{"name": "MEETING", "sources": ["OTHER"], "reason": "WHY"}"#),
    ("SplitMeeting", "", r#"{"name": "MEETING", "reports": ["REPORT"], "reason": "WHY"}"#),
    ("RetractReport", "", r#"{"name": "REPORT", "reason": "WHY"}"#),
    ("DeleteMeeting", "", r#"{"name": "MEETING"}"#),
    ("UndeleteMeeting", "", r#"{"name": "MEETING"}"#),
    ("EraseArticleText", "", r#"{"name": "ARTICLE", "reason": "WHY"}"#),
    ("DeleteArticle", "", r#"{"name": "ARTICLE", "force": true}"#),
    ("UndeleteArticle", "", r#"{"name": "ARTICLE"}"#),
    ("IngestStory", "", r#"{"story": {"article": {"uri": "urn:story"}}}"#),
    ("IngestStories", "", r#"{"story": {"article": {"uri": "urn:stream"}}}"#),
];
const REASON: &str = "by order of a court";

fn methods() -> impl Iterator<Item = MethodDescriptor> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    services.flat_map(|service| service.methods().collect::<Vec<_>>())
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Calls a method with a message in ProtoJSON and these additional fields. Returns the answer.
async fn call(
    channel: &Channel,
    method: &MethodDescriptor,
    (token, json): (&str, &str),
    fields: &[(&str, Value)],
) -> DynamicMessage {
    let mut json = serde_json::Deserializer::from_str(json);
    let mut message = DynamicMessage::deserialize(method.input(), &mut json).expect("a message of the method");
    for (name, value) in fields {
        message.set_field_by_name(name, value.clone());
    }
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("the service listens");
    let request = access::with(token, tokio_stream::iter([message.encode_to_vec()]));
    let path = PathAndQuery::try_from(path(method)).expect("a path");
    let mut answers = client.streaming(request, path, Bytes).await.expect("an answer").into_inner();
    let answer = answers.message().await.unwrap_or_else(|status| panic!("{}: {status:?}", method.name()));
    let answer =
        DynamicMessage::decode(method.output(), &*answer.expect("an answer")).expect("the answer of the method");
    // A refused story of a stream is an answer too.
    assert!(!method.is_client_streaming() || answer.has_field_by_name("result"), "{answer:?}");
    answer
}

async fn writes(service: &Service, token: &str) -> Vec<AuditEvent> {
    events(service, Some(token), "principal = \"token/auditor\" AND NOT method = UseToken").await
}

#[tokio::test]
async fn each_write_of_every_method_leaves_one_event_that_no_call_changes() {
    let service = access::start(access::api_tokens()).await;
    let token = access::token(&service.database, "auditor", Role::Admin).await.reveal();
    let channel = service.channel().await;
    let mut records: Vec<(&str, String)> = vec![("TEXT", TEXT.to_owned()), ("WHY", REASON.to_owned())];
    let mut known = writes(&service, &token).await;
    let mut called = BTreeSet::new();
    for (number, (name, made, json)) in REQUESTS.into_iter().enumerate() {
        let method = methods().find(|method| method.name() == name).expect("a method");
        let json = records.iter().fold(json.to_owned(), |json, (word, value)| json.replace(word, value));
        let sent = (token.as_str(), json.as_str());
        let id = ("request_id", Value::String(format!("r-{number}")));
        // A message that is only validated leaves no event.
        call(&channel, &method, sent, &[("validate_only", Value::Bool(true))]).await;
        let answer = call(&channel, &method, sent, std::slice::from_ref(&id)).await;
        let events = writes(&service, &token).await;
        assert_eq!(events.len(), known.len() + 1, "{name}: {events:#?}");
        // A repeated request gets its stored answer, and leaves no event.
        assert_eq!(call(&channel, &method, sent, &[id]).await, answer);
        assert_eq!(writes(&service, &token).await, events, "{name}");

        assert_eq!(events[..known.len()], known, "{name}");
        let event = events.last().expect("the new event");
        let method_name = path(&method).split_off(1);
        assert_eq!((&event.method, event.request_id.as_str()), (&method_name, format!("r-{number}").as_str()));
        assert_eq!((event.outcome.as_str(), event.count, event.peer.as_str()), ("OK", 1, "127.0.0.1"), "{name}");
        assert_eq!(event.reason, if json.contains(REASON) { REASON } else { "" }, "{name}");
        let answered = answer.get_field_by_name("name").and_then(|name| Some(name.as_str()?.to_owned()));
        assert!(!event.names.is_empty(), "{name}: {event:?}");
        if let Some(answered) = answered {
            assert!(event.names.contains(&answered), "{name}: {event:?}");
            if !made.is_empty() {
                records.push((made, answered));
            }
        }
        known = events;
        called.insert(method_name);
    }
    let writing = methods().map(|method| path(&method)).filter(|path| Method::of(path).is_some_and(Method::is_write));
    assert_eq!(writing.map(|mut path| path.split_off(1)).collect::<BTreeSet<_>>(), called);
}
