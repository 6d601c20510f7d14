//! Error details, decoded by a client that knows only the descriptors that reflection serves.

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use prost_types::FileDescriptorProto;
use readout::pb::{
    Article, DeleteParticipantRequest, GetArticleRequest, IngestStoriesRequest, IngestStoryRequest,
    ListMeetingsRequest, Story,
};
use serde_json::{Value, json};
use tonic::{Status, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_request::MessageRequest::{self, FileByFilename, FileContainingSymbol},
    server_reflection_response::MessageResponse,
};

use crate::support::{Service, make, raw};

/// Messages of both versions are the same on the wire.
const VERSIONS: [&str; 2] = ["v1", "v1alpha"];

/// The types that travel in `google.protobuf.Any`, and their carriers.
const DETAILS: [&str; 12] = [
    "google.rpc.Status",
    "google.rpc.ErrorInfo",
    "google.rpc.RetryInfo",
    "google.rpc.DebugInfo",
    "google.rpc.QuotaFailure",
    "google.rpc.PreconditionFailure",
    "google.rpc.PreconditionFailure.Violation",
    "google.rpc.BadRequest",
    "google.rpc.BadRequest.FieldViolation",
    "google.rpc.ResourceInfo",
    "google.rpc.Help",
    "google.rpc.LocalizedMessage",
];

/// A client of reflection.
struct Reflection {
    channel: Channel,
    version: &'static str,
    files: BTreeMap<String, FileDescriptorProto>,
}

impl Reflection {
    async fn of(service: &Service, version: &'static str) -> Self {
        Self { channel: service.channel().await, version, files: BTreeMap::new() }
    }

    async fn ask(&self, request: MessageRequest) -> Result<Vec<FileDescriptorProto>, Status> {
        let method = format!("grpc.reflection.{}.ServerReflection/ServerReflectionInfo", self.version);
        let request = ServerReflectionRequest { message_request: Some(request), ..Default::default() };
        let mut answers = raw::stream(&self.channel, &method, vec![request.encode_to_vec()]).await?;
        let answer = answers.message().await?.expect("an answer");
        match ServerReflectionResponse::decode(answer.as_slice()).expect("a message").message_response {
            Some(MessageResponse::FileDescriptorResponse(files)) => {
                let files = files.file_descriptor_proto.iter();
                Ok(files.map(|file| FileDescriptorProto::decode(file.as_slice()).expect("a file")).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    /// The message of this name, with the files that its own file imports.
    async fn message(&mut self, name: &str) -> MessageDescriptor {
        let mut files = self.ask(FileContainingSymbol(name.to_owned())).await.expect("the file is served");
        while let Some(file) = files.pop() {
            for import in &file.dependency {
                if !self.files.contains_key(import) {
                    files.extend(self.ask(FileByFilename(import.clone())).await.expect("the file is served"));
                }
            }
            self.files.insert(file.name().to_owned(), file);
        }
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_protos(self.files.values().cloned()).expect("files that fit together");
        pool.get_message_by_name(name).expect("the message is in the file")
    }

    /// A message in ProtoJSON, with the contents of `Any` decoded.
    async fn json(&mut self, name: &str, bytes: &[u8]) -> Value {
        for detail in DETAILS {
            self.message(detail).await;
        }
        let descriptor = self.message(name).await;
        let message = DynamicMessage::decode(descriptor, bytes).expect("a message of this type");
        serde_json::to_value(&message).expect("all types are known")
    }

    async fn status(&mut self, status: &Status) -> Value {
        self.json("google.rpc.Status", status.details()).await
    }
}

#[tokio::test]
async fn error_detail_types_are_served_by_symbol_and_by_file() {
    let service = Service::start().await;
    for version in VERSIONS {
        let mut reflection = Reflection::of(&service, version).await;
        let carriers =
            ["google.protobuf.Any", "google.protobuf.Value", "google.protobuf.Duration", "google.rpc.RequestInfo"];
        for name in DETAILS.into_iter().chain(carriers) {
            assert_eq!(reflection.message(name).await.full_name(), name);
        }
        for file in ["google/rpc/error_details.proto", "google/rpc/status.proto", "google/protobuf/any.proto"] {
            let served = reflection.ask(FileByFilename(file.to_owned())).await.expect("the file is served");
            assert_eq!(served.iter().map(FileDescriptorProto::name).collect::<Vec<_>>(), [file], "{version}");
        }
        let missing = reflection.ask(FileContainingSymbol("google.rpc.Nothing".to_owned())).await;
        assert_eq!(missing.unwrap_err().code(), tonic::Code::NotFound);
    }
}

/// The detail of this type in a status in ProtoJSON.
fn detail<'a>(status: &'a Value, name: &str) -> &'a Value {
    let url = format!("type.googleapis.com/google.rpc.{name}");
    let details = status["details"].as_array().unwrap_or_else(|| panic!("{status}"));
    details.iter().find(|detail| detail["@type"] == url.as_str()).unwrap_or_else(|| panic!("no {name} in {status}"))
}

#[tokio::test]
async fn error_details_of_every_kind_are_decoded_by_reflection() {
    let service = Service::start().await;
    let invalid = IngestStoryRequest { story: Some(Story::default()), ..Default::default() };
    let invalid = service.ingest.clone().ingest_story(invalid).await.unwrap_err();
    let missing = service
        .articles
        .clone()
        .get_article(GetArticleRequest {
            name: "articles/01890000-0000-7000-8000-000000000000".into(),
            ..Default::default()
        })
        .await
        .unwrap_err();
    let list = ListMeetingsRequest { filter: "knd = TALKS".into(), ..Default::default() };
    let filter = service.meetings.clone().list_meetings(list).await.unwrap_err();
    for version in VERSIONS {
        let mut reflection = Reflection::of(&service, version).await;
        let status = reflection.status(&invalid).await;
        let domain = "readout.v1";
        assert_eq!(detail(&status, "ErrorInfo")["reason"], "INVALID_FIELD");
        assert_eq!(detail(&status, "ErrorInfo")["domain"], domain);
        let violation = &detail(&status, "BadRequest")["fieldViolations"][0];
        assert_eq!(violation, &json!({"field": "story.article", "description": "is required"}));
        let status = reflection.status(&missing).await;
        assert_eq!(detail(&status, "ErrorInfo")["reason"], "RESOURCE_NOT_FOUND");
        let status = reflection.status(&filter).await;
        let metadata = json!({"position": "0", "field": "knd", "nearest": "kind"});
        assert_eq!(detail(&status, "ErrorInfo")["metadata"], metadata);
    }
    // A participant that a report names cannot be deleted.
    let name = service.create_participant(make::person("Sergey Shoigu", "RU")).await.name;
    let article = service.create_article(make::article("urn:named")).await;
    let participations = vec![make::present("shoigu", &name)];
    let account = readout::pb::Account { participations, ..make::talks("Talks") };
    service.create_meeting(&article, account).await.unwrap();
    let delete = DeleteParticipantRequest { name, ..Default::default() };
    let named = service.participants.clone().delete_participant(delete).await.unwrap_err();
    let status = Reflection::of(&service, "v1").await.status(&named).await;
    assert_eq!(detail(&status, "PreconditionFailure")["violations"][0]["type"], "STILL_NAMED");
    service.stop().await;
}

/// Each response of this stream may carry a status, which a client that uses reflection must be able to decode.
#[tokio::test]
async fn refused_story_of_a_stream_is_decoded_by_reflection_and_the_stream_continues() {
    let service = Service::start().await;
    let mut reflection = Reflection::of(&service, "v1").await;
    let story =
        |uri: &str| Story { article: Some(Article { uri: uri.into(), ..Default::default() }), ..Default::default() };
    let stories = [story("urn:first"), Story::default(), story(""), story("urn:last")];
    let requests =
        stories.map(|story| IngestStoriesRequest { story: Some(story), ..Default::default() }.encode_to_vec());
    let method = "readout.v1.IngestService/IngestStories";
    let mut answers = raw::stream(&service.channel().await, method, requests.into()).await.unwrap();
    let mut shown = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        shown.push(reflection.json("readout.v1.IngestStoriesResponse", &answer).await);
    }
    assert_eq!(shown.len(), 4, "{shown:#?}");
    for (index, field) in [(1, "story.article"), (2, "story.article.uri")] {
        let status = &shown[index]["status"];
        assert_eq!(status["message"], format!("INVALID_FIELD: {field}: is required"));
        assert_eq!(detail(status, "BadRequest")["fieldViolations"][0]["field"], field);
    }
    assert!(shown[0]["result"].is_object() && shown[3]["result"].is_object(), "{shown:#?}");
    service.stop().await;
}
