//! A message for each method of the contract, from one table.

use std::collections::HashMap;

use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use readout::{model::role::Role, pb, service::method::Method};

use super::attack::Records;

/// The methods with a message each, in ProtoJSON. `ARTICLE`, `PARTICIPANT`, `OTHER` and `MEETING` stand for names of
/// records, `NUMBER` for a number that no other call has. The methods of curators are missing: the hostile caller is a
/// writer.
const SAMPLES: &[(&str, &str)] = &[
    ("CreateArticle", r#"{"article": {"uri": "urn:hostile:NUMBER", "text": "Talks NUMBER were held in Baku."}}"#),
    ("GetArticle", r#"{"name": "ARTICLE"}"#),
    ("BatchGetArticles", r#"{"names": ["ARTICLE"]}"#),
    ("ListArticles", r#"{"page_size": 100}"#),
    ("StreamArticles", r#"{"view": "FULL"}"#),
    ("UpdateArticle", r#"{"article": {"name": "ARTICLE", "labels": {"desk": "NUMBER"}}, "update_mask": "labels"}"#),
    ("ListArticleRevisions", r#"{"name": "ARTICLE"}"#),
    ("WatchChanges", r#"{"origin": "BEGINNING", "include_resource": true}"#),
    ("ListChanges", r#"{"origin": "BEGINNING", "page_size": 100}"#),
    ("ListFilterFields", r#"{"collection": "meetings"}"#),
    (
        "IngestStory",
        r#"{"story": {"article": {"uri": "urn:hostile:NUMBER", "text": "Talks NUMBER were held in Baku."}}}"#,
    ),
    (
        "IngestStories",
        r#"{"story": {"article": {"uri": "urn:hostile:NUMBER", "text": "Talks NUMBER were held in Baku."}}}"#,
    ),
    ("CreateMeeting", r#"{"source_article": "ARTICLE", "meeting": {"account": {"kind": "TALKS", "title": "NUMBER"}}}"#),
    ("GetMeeting", r#"{"name": "MEETING"}"#),
    ("BatchGetMeetings", r#"{"names": ["MEETING"]}"#),
    ("ListMeetings", r#"{"page_size": 100}"#),
    ("StreamMeetings", r#"{"view": "FULL"}"#),
    ("ListMeetingRevisions", r#"{"name": "MEETING"}"#),
    (
        "AddReport",
        r#"{"meeting": "MEETING", "report": {"article": "ARTICLE", "account": {"kind": "TALKS", "title": "NUMBER"}}}"#,
    ),
    ("GetReport", r#"{"name": "reports/0198c0de-0000-7000-8000-000000000000"}"#),
    ("ListReports", r#"{"meeting": "MEETING"}"#),
    ("ListStatements", r#"{"page_size": 100}"#),
    (
        "MatchMeetings",
        r#"{"account": {"date": {"start": {"year": 2020, "month": 9, "day": 4}},
            "participations": [{"id": "a", "participant": "PARTICIPANT", "presence": "PRESENT"},
                               {"id": "b", "participant": "OTHER", "presence": "PRESENT"}]}}"#,
    ),
    ("ListDuplicateMeetings", r#"{"page_size": 100}"#),
    ("AggregateStatements", r#"{"group_by": ["speaker", "month"]}"#),
    ("AggregateMeetings", r#"{"group_by": ["participant"], "count_participants": true}"#),
    ("CreateParticipant", r#"{"participant": {"kind": "PERSON", "display_name": "Hostile NUMBER"}}"#),
    ("GetParticipant", r#"{"name": "PARTICIPANT"}"#),
    ("BatchGetParticipants", r#"{"names": ["PARTICIPANT"]}"#),
    ("ListParticipants", r#"{"page_size": 100}"#),
    ("StreamParticipants", r#"{"page_size": 1000}"#),
    (
        "UpdateParticipant",
        r#"{"participant": {"name": "PARTICIPANT", "labels": {"desk": "NUMBER"}}, "update_mask": "labels"}"#,
    ),
    ("ListParticipantRevisions", r#"{"name": "PARTICIPANT"}"#),
    (
        "CompareParticipants",
        r#"{"participant_a": {"kind": "PERSON", "display_name": "Hostile One"},
            "participant_b": {"kind": "PERSON", "display_name": "Hostile Two"}}"#,
    ),
    ("MatchParticipants", r#"{"participant": {"kind": "PERSON", "display_name": "Hostile NUMBER"}}"#),
    ("ListDuplicates", r#"{"page_size": 100}"#),
    ("ListJudgements", r#"{"page_size": 100}"#),
    ("ListCounterparts", r#"{"participant": "PARTICIPANT"}"#),
    ("FindPath", r#"{"source": "PARTICIPANT", "target": "OTHER", "max_depth": 6}"#),
];

/// A class of methods, by the resources of the service that they use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Read,
    Query,
    Write,
    Stream,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Read, Self::Query, Self::Write, Self::Stream];

    fn of(method: &MethodDescriptor) -> Self {
        let begins = |words: &[&str]| words.iter().any(|word| method.name().starts_with(word));
        if method.is_server_streaming() {
            Self::Stream
        } else if method.input().get_field_by_name("validate_only").is_some() {
            Self::Write
        } else if begins(&["List", "Find", "Aggregate"]) {
            Self::Query
        } else {
            Self::Read
        }
    }

    /// The paths of the methods of this class that a writer may call.
    pub fn paths(self) -> Vec<String> {
        methods()
            .filter(|method| Self::of(method) == self)
            .map(|method| path(&method))
            .filter(|path| is_callable(path))
            .collect()
    }
}

/// The paths of all methods of the contract.
pub fn all_paths() -> Vec<String> {
    methods().map(|method| path(&method)).collect()
}

/// True if a writer may call the method.
fn is_callable(path: &str) -> bool {
    Method::of(path).and_then(|method| method.role).is_some_and(|role| role <= Role::Writer)
}

fn methods() -> impl Iterator<Item = MethodDescriptor> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    services.flat_map(|service| service.methods().collect::<Vec<_>>())
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A message of a method, encoded.
///
/// # Panics
/// If the table has no valid message for the method.
pub fn sample(path: &str, records: &Records, number: u64) -> Vec<u8> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let json = SAMPLES.iter().find(|(method, _)| *method == name).unwrap_or_else(|| panic!("no message for {path}")).1;
    encode(path, json, records, number)
}

/// A message of a method in ProtoJSON, with the placeholders of the table, encoded.
///
/// # Panics
/// If it is not a message of the method.
pub fn encode(path: &str, json: &str, records: &Records, number: u64) -> Vec<u8> {
    let method = methods().find(|method| self::path(method) == path).unwrap_or_else(|| panic!("no method {path}"));
    let nth = |names: &[String], at: u64| names.get(at as usize % names.len().max(1)).cloned().unwrap_or_default();
    let values = HashMap::from([
        ("ARTICLE", nth(&records.articles, number)),
        ("PARTICIPANT", nth(&records.participants, number)),
        ("OTHER", nth(&records.participants, number + 1)),
        ("MEETING", nth(&records.meetings, number)),
        ("NUMBER", number.to_string()),
    ]);
    let json = values.iter().fold(json.to_owned(), |json, (placeholder, value)| json.replace(placeholder, value));
    let mut reader = serde_json::Deserializer::from_str(&json);
    let message = DynamicMessage::deserialize(method.input(), &mut reader);
    message.unwrap_or_else(|error| panic!("{path}: {error}: {json}")).encode_to_vec()
}

#[test]
fn every_method_has_a_sample_and_a_class() {
    let callable: Vec<String> = all_paths().into_iter().filter(|path| is_callable(path)).collect();
    for path in &callable {
        sample(path, &Records::default(), 1);
    }
    for (name, _) in SAMPLES {
        assert!(callable.iter().any(|path| path.ends_with(&format!("/{name}"))), "{name} is no method of a writer");
    }
    let in_classes = Class::ALL.map(|class| class.paths().len());
    assert_eq!(in_classes.iter().sum::<usize>(), callable.len());
    assert!(in_classes.iter().all(|count| *count >= 5), "{in_classes:?}");
}
