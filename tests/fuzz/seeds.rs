//! Valid inputs, made from the sample stories: the corpus has only those that cannot be made.

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use prost_types::FieldMask;
use readout::pb::{self, *};

use super::targets::REQUESTS;
use crate::{
    canonical::random,
    faults::rng::Chance,
    support::{calls::mask, stories},
};

/// Further inputs of a target, beside the files of its corpus.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "requests" => requests(),
        "masks" => updates(),
        "resources" => resources(),
        "evidence" => samples().iter().map(Message::encode_to_vec).collect(),
        "settle" => vec![settled(1), settled(3), settled(6)],
        "spans" => samples().iter().flat_map(accounts).map(|account| account.encode_to_vec()).collect(),
        "json" => vec![stories::azernews_line().into_bytes()],
        "extractions" => extractions(),
        "import" => vec![fs_read("azernews.story.json")],
        "names" | "search" => samples().iter().flat_map(texts).map(String::into_bytes).collect(),
        "filter" => filters().into_iter().map(String::into_bytes).collect(),
        _ => Vec::new(),
    }
}

fn fs_read(name: &str) -> Vec<u8> {
    std::fs::read(stories::path(name)).expect("the file exists")
}

/// The samples of extractors, each behind the name of its format.
fn extractions() -> Vec<Vec<u8>> {
    let files = [
        ("langextract", "langextract.jsonl"),
        ("instructor", "instructor.json"),
        ("citations", "citations.json"),
        ("web-annotations", "web-annotations.jsonld"),
    ];
    files.map(|(format, file)| named(format, &fs_read(&format!("extractions/{file}")))).into()
}

/// The article that the project started from, and random stories with every field.
pub fn samples() -> Vec<Story> {
    let mut chance = Chance::of(0, "samples");
    let random = (0..6).map(|number| random::story(&format!("urn:{number}"), &mut chance));
    [stories::story(&stories::azernews_line())].into_iter().chain(random).collect()
}

fn accounts(story: &Story) -> Vec<Account> {
    story.reports.iter().filter_map(|report| report.account.clone()).collect()
}

fn texts(story: &Story) -> Vec<String> {
    let article = story.article.clone().unwrap_or_default();
    let names = story.participants.iter().filter_map(|participant| participant.participant.clone());
    let names = names.map(|participant| participant.display_name);
    names.chain([format!("{}\n{}", article.title, article.text)]).collect()
}

/// The examples of all filters.
fn filters() -> Vec<String> {
    use readout::model::query::filter::filter_schema;
    let schemas = ["articles", "participants", "meetings", "statements", "changes"];
    let schemas = schemas.map(|name| filter_schema(name).expect("a collection"));
    schemas.iter().flat_map(|schema| schema.fields.iter().map(|field| field.example.to_owned())).collect()
}

/// Reports of one meeting, by several articles; `every` is the distance between those whose account is also a ruling.
fn settled(every: usize) -> Vec<u8> {
    let mut reports: Vec<Report> = samples()[1..]
        .iter()
        .flat_map(accounts)
        .map(|mut account| {
            // A stored report refers to participants by name. The random stories have one set of people.
            for (number, participation) in account.participations.iter_mut().enumerate() {
                participation.participant = format!("participants/0198f2d1-7c0e-7000-8000-00000000000{}", number % 4);
            }
            account.links.clear();
            account.delegations.truncate(4);
            let article = "articles/0198f2d1-7c0e-7000-8000-0123456789ab".to_owned();
            Report { article, account: Some(account), ..Default::default() }
        })
        .collect();
    for (number, report) in reports.iter_mut().enumerate().filter(|(number, _)| number % every == every - 1) {
        let fields = ["account.kind", "account.date", "account.place.locality", "account.topics"];
        let mask = mask(&fields[number % 4..]);
        report.ruling = (every > 1).then(|| Ruling { mask, ..Default::default() });
    }
    ListReportsResponse { reports, ..Default::default() }.encode_to_vec()
}

/// For each request an empty one, and one with every field.
fn requests() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for (name, _) in REQUESTS {
        let ty = pb::pool().get_message_by_name(&format!("readout.v1.{name}")).expect("a request");
        inputs.push(named(name, &[]));
        inputs.push(named(name, &full(&ty, 0).encode_to_vec()));
    }
    for story in samples() {
        let request = IngestStoryRequest { story: Some(story.clone()), ..Default::default() };
        inputs.push(named("IngestStoryRequest", &request.encode_to_vec()));
        let account = accounts(&story).pop();
        let meeting = Some(Meeting { account: account.clone(), ..Default::default() });
        let request = CreateMeetingRequest { meeting, source_article: "articles/x".into(), ..Default::default() };
        inputs.push(named("CreateMeetingRequest", &request.encode_to_vec()));
        let article = story.article;
        inputs.push(named(
            "CreateArticleRequest",
            &CreateArticleRequest { article, ..Default::default() }.encode_to_vec(),
        ));
    }
    inputs
}

fn updates() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for story in samples() {
        let article = story.article.clone();
        for update_mask in [None, mask(&["*"]), mask(&["title", "publisher.display_name", "labels.desk", "dateline"])] {
            let request = UpdateArticleRequest { article: article.clone(), update_mask, ..Default::default() };
            inputs.push(named("UpdateArticleRequest", &request.encode_to_vec()));
        }
        let participant = story.participants.first().and_then(|participant| participant.participant.clone());
        let update_mask = mask(&["displayName", "names", "labels.`a.b`"]);
        let request = UpdateParticipantRequest { participant, update_mask, ..Default::default() };
        inputs.push(named("UpdateParticipantRequest", &request.encode_to_vec()));
        let meeting = Some(Meeting { account: accounts(&story).pop(), ..Default::default() });
        let update_mask: Option<FieldMask> = mask(&["account.title", "account.place.locality", "review"]);
        let request = UpdateMeetingRequest { meeting, update_mask, ..Default::default() };
        inputs.push(named("UpdateMeetingRequest", &request.encode_to_vec()));
    }
    inputs
}

fn resources() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for story in samples() {
        let account = accounts(&story).pop();
        let participant = story.participants.into_iter().next().and_then(|participant| participant.participant);
        inputs.extend([
            named("articles", &story.article.unwrap_or_default().encode_to_vec()),
            named("participants", &participant.unwrap_or_default().encode_to_vec()),
            named("reports", &Report { account: account.clone(), ..Default::default() }.encode_to_vec()),
            named("meetings", &Meeting { account, ..Default::default() }.encode_to_vec()),
        ]);
    }
    inputs
}

fn named(name: &str, bytes: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"\n", bytes].concat()
}

/// A message in which every field is set, lists and maps with one item.
pub fn full(ty: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(ty.clone());
    // `Value` and `Struct` contain each other.
    for field in ty.fields().filter(|_| depth < 8) {
        let value = match field.kind() {
            Kind::Message(inner) => Value::Message(full(&inner, depth + 1)),
            Kind::String => Value::String("2020-08".into()),
            kind => match kind.default_value() {
                Value::EnumNumber(_) => Value::EnumNumber(1),
                Value::Bool(_) => Value::Bool(true),
                Value::I32(_) => Value::I32(1),
                Value::I64(_) => Value::I64(1),
                other => other,
            },
        };
        if field.is_map() {
            let pairs = [(prost_reflect::MapKey::String("key".into()), Value::String("value".into()))];
            let is_text = matches!(field.kind(), Kind::Message(entry)
                if entry.map_entry_value_field().kind() == Kind::String);
            if is_text {
                message.set_field(&field, Value::Map(pairs.into()));
            }
        } else if field.is_list() {
            message.set_field(&field, Value::List(vec![value]));
        } else {
            message.set_field(&field, value);
        }
    }
    message
}
