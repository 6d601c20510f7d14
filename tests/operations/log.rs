//! The log: it has the ids of calls, and nothing that callers send.

use std::collections::BTreeSet;

use readout::pb::{
    GetArticleRequest, ListArticlesRequest, ListMeetingsRequest, WatchChangesRequest,
    article_service_client::ArticleServiceClient, ingest_service_client::IngestServiceClient,
    meeting_service_client::MeetingServiceClient, watch_changes_request,
};
use serde_json::Value;
use tonic::{Code, Request, Response};
use uuid::Uuid;

use super::Operated;
use crate::support::{make, raw, stories, story_stream::ingest_all};

#[tokio::test]
async fn a_call_is_logged_with_the_request_id_of_its_caller_or_a_generated_one() {
    let service = Operated::start_with(&["--log", "debug"]).await;
    let mut articles = ArticleServiceClient::new(service.program.channel().await);
    let missing =
        || GetArticleRequest { name: "articles/01890000-0000-7000-8000-000000000000".into(), ..Default::default() };
    let mut request = Request::new(missing());
    request.metadata_mut().insert("x-request-id", "job-7/3".parse().unwrap());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    request.metadata_mut().insert("traceparent", format!("00-{trace}-00f067aa0ba902b7-01").parse().unwrap());
    let refused = articles.get_article(request).await.unwrap_err();
    assert_eq!(refused.metadata().get("x-request-id").unwrap(), "job-7/3");

    let mut meetings = MeetingServiceClient::new(service.program.channel().await);
    let listed: Response<_> = meetings.list_meetings(ListMeetingsRequest::default()).await.unwrap();
    let generated = listed.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert!(Uuid::try_parse(&generated).is_ok(), "{generated}");

    service.program.signal("TERM");
    let (_, log) = service.program.ended().await;
    let answered = |id: &str| -> Vec<&Value> {
        let of_call = |line: &&Value| line["message"] == "answered" && line["span"]["request_id"] == id;
        log.iter().filter(of_call).collect()
    };
    let [line] = answered("job-7/3")[..] else { panic!("{log:#?}") };
    assert_eq!((&line["code"], &line["level"]), (&"NOT_FOUND".into(), &"DEBUG".into()));
    assert_eq!(line["span"]["method"], "GetArticle");
    // Without a collector, the log is the only record of the caller's trace.
    assert_eq!(line["span"]["trace_id"], trace);
    let [line] = answered(&generated)[..] else { panic!("{log:#?}") };
    assert_eq!(line["span"]["service"], "readout.v1.MeetingService");
    assert_eq!(line["span"]["trace_id"], Value::Null);
}

/// Covers stories, filters, refused values and tokens, at the most detailed log level.
#[tokio::test]
async fn the_log_contains_nothing_that_callers_send() {
    let service = Operated::start_with(&["--log", "debug,readout=trace"]).await;
    let channel = service.program.channel().await;
    let lines: Vec<String> = stories::lines().into_iter().take(300).collect();
    let ingest = IngestServiceClient::new(channel.clone());
    let answers =
        ingest_all(&ingest, lines.iter().map(|line| stories::request(&stories::story(line))).collect::<Vec<_>>()).await;
    assert_eq!(answers.len(), lines.len());

    let mut meetings = MeetingServiceClient::new(channel.clone());
    for filter in ["title = \"S3cretTitle\"", "participant(\"S3cretName\")", "S3cretField = 1", "kind = S3cretKind"] {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let mut request = Request::new(request);
        request.metadata_mut().insert("authorization", "Bearer S3cretToken".parse().unwrap());
        request.metadata_mut().insert("cookie", "S3cretCookie".parse().unwrap());
        request.metadata_mut().insert("readout-actor", "S3cretActor".parse().unwrap());
        let _ = meetings.list_meetings(request).await;
    }
    let mut articles = ArticleServiceClient::new(channel.clone());
    let request = ListArticlesRequest { query: "S3cretQuery".into(), ..Default::default() };
    articles.list_articles(request).await.unwrap();
    for uri in ["urn:S3cretUri", "urn:S3cretUri", ""] {
        let article = Some(readout::pb::Article { title: "S3cretTitle".into(), ..make::article(uri) });
        let _ = articles.create_article(readout::pb::CreateArticleRequest { article, ..Default::default() }).await;
    }
    let refused = raw::unary(&channel, "readout.v1.ArticleService/S3cretMethod", b"S3cretBody".to_vec()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let broken = raw::unary(&channel, "readout.v1.ArticleService/GetArticle", b"S3cretBody".to_vec()).await;
    assert_eq!(broken.unwrap_err().code(), Code::InvalidArgument);
    let start = Some(watch_changes_request::Start::Cursor("S3cretCursor".into()));
    let request = WatchChangesRequest { start, filter: "S3cretFilter = 1".into(), ..Default::default() };
    let mut changes = readout::pb::change_service_client::ChangeServiceClient::new(channel);
    let _ = changes.watch_changes(request).await;

    service.program.signal("TERM");
    let (code, log) = service.program.ended().await;
    assert_eq!(code, Some(0));
    let log: Vec<String> = log.iter().map(Value::to_string).collect();
    assert!(log.len() > 10 && log.iter().any(|line| line.contains("\"answered\"")), "{log:#?}");
    let mut words = BTreeSet::from(["S3cret".to_owned(), make::TEXT.to_owned()]);
    lines.iter().for_each(|line| words_in(&serde_json::from_str(line).unwrap(), &mut words));
    assert!(words.len() > 1_000, "{}", words.len());
    for line in &log {
        if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
            panic!("{word:?} is in {line}");
        }
    }
}

/// The texts, names and URIs of a story: strings with a space or a colon, which cannot be words of the service's own.
fn words_in(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() > 5 && text.contains([' ', ':']) => drop(words.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| words_in(value, words)),
        Value::Object(fields) => fields.values().for_each(|value| words_in(value, words)),
        _ => {}
    }
}
