//! The transport contract that holds for every method: reflection, health, limits and malformed requests.

use prost::Message;
use readout::pb::{
    Account, Article, CreateArticleRequest, ErrorReason, IngestStoriesRequest, IngestStoriesResponse,
    IngestStoryRequest, ListArticlesRequest, Participant, ParticipantName, Participation, Story, StoryParticipant,
    StoryReport, ingest_stories_response::Outcome,
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt;

use crate::support::{Refused, Service, make, raw};

const SERVICES: [&str; 7] = [
    "readout.v1.ArticleService",
    "readout.v1.AuditService",
    "readout.v1.ChangeService",
    "readout.v1.FilterService",
    "readout.v1.IngestService",
    "readout.v1.MeetingService",
    "readout.v1.ParticipantService",
];
const OTHERS: [&str; 3] =
    ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

fn all_services() -> Vec<String> {
    OTHERS.iter().chain(&SERVICES).map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn reflection_lists_all_services_in_version_1() {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest::ListServices, server_reflection_response::MessageResponse,
    };
    let service = Service::start().await;
    let request = ServerReflectionRequest { message_request: Some(ListServices(String::new())), ..Default::default() };
    let mut client = ServerReflectionClient::new(service.channel().await);
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, all_services());
}

#[tokio::test]
async fn reflection_lists_all_services_in_version_1alpha() {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest::ListServices, server_reflection_response::MessageResponse,
    };
    let service = Service::start().await;
    let request = ServerReflectionRequest { message_request: Some(ListServices(String::new())), ..Default::default() };
    let mut client = ServerReflectionClient::new(service.channel().await);
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, all_services());
}

#[tokio::test]
async fn every_service_is_healthy() {
    let service = Service::start().await;
    let mut health = HealthClient::new(service.channel().await);
    for name in SERVICES.into_iter().chain([""]) {
        let answer = health.check(HealthCheckRequest { service: name.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
    }
}

#[tokio::test]
async fn unknown_method_is_unimplemented() {
    let service = Service::start().await;
    let channel = service.channel().await;
    for method in ["readout.v1.MeetingService/MeetPeople", "readout.v2.MeetingService/GetMeeting"] {
        let refused = raw::unary(&channel, method, Vec::new()).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(Code::Unimplemented, ErrorReason::UnknownMethod), "{method}");
    }
}

#[tokio::test]
async fn request_above_eight_mebibytes_is_refused() {
    const LIMIT: usize = 8 * 1024 * 1024;
    let service = Service::start().await;
    let channel = service.channel().await;
    let of_size = |size: usize| {
        // 20 bytes leave room for the field's tag and length; the second step fills the rest.
        let mut request = CreateArticleRequest { article_id: "x".repeat(size - 20), ..Default::default() };
        request.article_id.push_str(&"x".repeat(size - request.encoded_len()));
        assert_eq!(request.encoded_len(), size);
        request.encode_to_vec()
    };
    let method = "readout.v1.ArticleService/CreateArticle";
    let refused = raw::unary(&channel, method, of_size(LIMIT)).await.unwrap_err();
    assert_eq!(Refused::from(refused).reason, ErrorReason::InvalidField);
    let refused = raw::unary(&channel, method, of_size(LIMIT + 1)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge));
}

#[tokio::test]
async fn request_with_too_many_items_is_refused_with_the_limit() {
    let service = Service::start().await;
    let channel = service.channel().await;
    let method = "readout.v1.IngestService/IngestStory";
    let story = |participants, names, reports| {
        let names = vec![ParticipantName::default(); names];
        let participant = Some(Participant { names, ..Default::default() });
        let participants = vec![StoryParticipant { participant, ..Default::default() }; participants];
        let reports = vec![StoryReport::default(); reports];
        let story = Some(Story { participants, reports, ..Default::default() });
        IngestStoryRequest { story, ..Default::default() }.encode_to_vec()
    };
    // Up to twice the limit of a list, the rules answer with all violations.
    let refused: Refused = raw::unary(&channel, method, story(0, 0, 2_000)).await.unwrap_err().into();
    assert!(refused.reason == ErrorReason::InvalidField && refused.fields.len() > 2, "{refused:?}");
    let refused = raw::unary(&channel, method, story(0, 0, 2_001)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["story.reports"]));

    for (message, key, limit) in
        [(story(1_000, 20, 0), "limit_items", "20000"), ([0xf8, 7, 0].repeat(320_001), "limit_fields", "320000")]
    {
        let refused = raw::unary(&channel, method, message).await.unwrap_err();
        assert_eq!(refused.get_details_error_info().unwrap().metadata[key], limit);
        assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge));
    }
    // Few items for their total, but large ones.
    let account = Some(Account {
        participations: vec![Participation { id: "x".repeat(100), ..Default::default() }; 9],
        ..Default::default()
    });
    let reports = vec![StoryReport { account, ..Default::default() }; 1_950];
    let story = Some(Story { reports, ..Default::default() });
    let message = IngestStoryRequest { story, ..Default::default() }.encode_to_vec();
    let bytes = message.len().to_string();
    let refused = raw::unary(&channel, method, message).await.unwrap_err();
    let metadata = refused.get_details_error_info().unwrap().metadata;
    assert_eq!((&metadata["bytes"], metadata["limit_memory_bytes"].as_str()), (&bytes, "8388608"));
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge));
}

#[tokio::test]
async fn undecodable_request_is_refused_as_malformed() {
    let service = Service::start().await;
    let channel = service.channel().await;
    let mut cut = CreateArticleRequest { article: Some(Article::default()), ..Default::default() }.encode_to_vec();
    cut.push(0x0a);
    for bytes in [vec![0xff; 7], cut, b"\x12\x02\xc3\x28".to_vec()] {
        let refused = raw::unary(&channel, "readout.v1.ArticleService/CreateArticle", bytes).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::MalformedMessage));
    }
}

#[tokio::test]
async fn ingest_stream_answers_the_stories_before_an_undecodable_message() {
    let service = Service::start().await;
    let channel = service.channel().await;
    let story = IngestStoriesRequest {
        story: Some(make::story("urn:a", &[make::person("Kerim Veliyev", "AZ")])),
        ..Default::default()
    };
    let messages = vec![story.encode_to_vec(), vec![0xff; 7]];
    let mut answers = raw::stream(&channel, "readout.v1.IngestService/IngestStories", messages).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    let first = IngestStoriesResponse::decode(first.as_slice()).unwrap();
    assert!(matches!(first.outcome, Some(Outcome::Result(_))), "{first:?}");
    let refused = answers.message().await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::MalformedMessage));
}

#[tokio::test]
async fn truncated_or_unknown_compressed_body_is_refused() {
    let service = Service::start().await;
    let list = "readout.v1.ArticleService/ListArticles";
    let request = ListArticlesRequest { filter: "x".repeat(9), ..Default::default() }.encode_to_vec();
    let frame = |flag: u8, length: u32| {
        let mut frame = vec![flag];
        frame.extend(length.to_be_bytes());
        frame.extend(&request);
        String::from_utf8(frame).unwrap()
    };
    let length = u32::try_from(request.len()).unwrap();
    let status = |headers: &tonic::codegen::http::HeaderMap| tonic::Status::from_header_map(headers).expect("a status");

    let early = raw::post(service.channel().await, list, &[], frame(0, length + 1)).await;
    assert_eq!(Refused::from(status(&early)), Refused::with(Code::InvalidArgument, ErrorReason::MalformedMessage));
    let unknown = raw::post(service.channel().await, list, &[("grpc-encoding", "br")], frame(1, length)).await;
    let unsupported = Refused::with(Code::Unimplemented, ErrorReason::UnsupportedCompression);
    assert_eq!(Refused::from(status(&unknown)), unsupported);
}
