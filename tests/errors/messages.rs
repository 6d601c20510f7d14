//! The message of a status on the wire: it has the reason and the first field paths, quotes the refused value, and is
//! percent-encoded as the gRPC protocol requires.

use prost::{Message, bytes::BufMut};
use readout::pb::{
    Account, AggregateMeetingsRequest, Article, CreateArticleRequest, CreateMeetingRequest, Evidence, FindPathRequest,
    GetArticleRequest, GetMeetingRequest, IngestStoriesRequest, ListChangesRequest, ListFilterFieldsRequest,
    ListMeetingsRequest, Meeting, Participation, StoryReport, list_changes_request::Start,
};
use tonic::{
    Status,
    codegen::http::{HeaderMap, HeaderValue},
};
use tonic_types::StatusExt;

use crate::support::{Service, make, raw, reason_of};

/// Messages with their gRPC length prefixes, as in the body of a request.
fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for message in messages {
        body.put_u8(0);
        body.put_u32(u32::try_from(message.len()).expect("short"));
        body.extend_from_slice(message);
    }
    body
}

async fn post(service: &Service, method: &str, request: &impl Message) -> HeaderMap {
    let method = format!("readout.v1.{method}");
    raw::post(service.channel().await, &method, &[], framed(&[request.encode_to_vec()])).await
}

/// The size of headers as HTTP/2 counts them (RFC 9113, 6.5.2).
fn bytes(headers: &HeaderMap) -> usize {
    let pseudo = ":status".len() + "200".len() + 32;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum::<usize>() + pseudo
}

#[track_caller]
fn message(headers: &HeaderMap) -> String {
    let message: &HeaderValue = &headers["grpc-message"];
    let message = message.to_str().expect("visible ASCII").to_owned();
    // The details repeat the same message.
    let status = Status::from_header_map(headers).expect("a status");
    let details = tonic_types::pb::Status::decode(status.details()).expect("a message");
    assert_eq!(details.message, status.message());
    message
}

#[tokio::test]
async fn status_message_is_encoded_no_more_than_necessary() {
    let service = Service::start().await;
    let get = |name: &str| GetArticleRequest { name: name.into(), ..Default::default() };
    let pattern = "INVALID_FIELD: name: must match ^articles/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$, not";
    for (name, shown) in [
        ("a ?<>`{}#'~b", "a ?<>`{}#'~b"),
        ("100%", "100%25"),
        ("%3F", "%253F"),
        ("Əli", "%C6%8Fli"),
        ("🕊", "%F0%9F%95%8A"),
        ("a\n\u{7f}\"", "a\\n\\u{7f}\\\""),
    ] {
        let headers = post(&service, "ArticleService/GetArticle", &get(name)).await;
        assert_eq!(message(&headers), format!("{pattern} \"{shown}\""), "{name}");
    }
    service.stop().await;
}

/// The status of a stream is in its trailers.
#[tokio::test]
async fn status_message_in_trailers_is_encoded_like_in_headers() {
    let service = Service::start().await;
    let story = make::story("urn:a", &[make::person("Kerim Veliyev", "AZ")]);
    let story = IngestStoriesRequest { story: Some(story), ..Default::default() };
    let body = framed(&[story.encode_to_vec(), vec![0xff; 7]]);
    let headers = raw::post(service.channel().await, "readout.v1.IngestService/IngestStories", &[], body).await;
    let message = message(&headers);
    assert!(message.starts_with("MALFORMED_MESSAGE: not a valid message: "), "{message}");
    service.stop().await;
}

#[tokio::test]
async fn status_message_begins_with_its_reason() {
    let service = Service::start().await;
    let uuid = "01890000-0000-7000-8000-000000000000";
    let article = CreateArticleRequest { article: Some(make::article("urn:a")), ..Default::default() };
    service.articles.clone().create_article(article.clone()).await.unwrap();
    let list = |filter: &str, page_token: &str, order_by: &str| ListMeetingsRequest {
        filter: filter.into(),
        page_token: page_token.into(),
        order_by: order_by.into(),
        ..Default::default()
    };
    let changes = |start| ListChangesRequest { start: Some(start), ..Default::default() };
    let (participant, find) = (format!("participants/{uuid}"), "ParticipantService/FindPath");
    let list_meetings = "MeetingService/ListMeetings";
    let list_changes = "ChangeService/ListChanges";
    let answers = [
        post(&service, "ArticleService/CreateArticle", &article).await,
        post(&service, "ArticleService/GetArticle", &GetArticleRequest::default()).await,
        post(
            &service,
            "MeetingService/GetMeeting",
            &GetMeetingRequest { name: format!("meetings/{uuid}"), ..Default::default() },
        )
        .await,
        post(&service, list_meetings, &list("knd = TALKS", "", "")).await,
        post(&service, list_meetings, &list("kind = TALK", "", "")).await,
        post(&service, list_meetings, &list("", "x", "")).await,
        post(&service, list_meetings, &list("", "", "datum")).await,
        post(
            &service,
            find,
            &FindPathRequest { source: participant.clone(), target: participant, ..Default::default() },
        )
        .await,
        post(&service, list_changes, &changes(Start::Cursor("x".into()))).await,
        post(&service, list_changes, &changes(Start::After("x".into()))).await,
        raw::post(service.channel().await, "readout.v1.MeetingService/GetMeting", &[], framed(&[vec![]])).await,
        raw::post(service.channel().await, "grpc.health.v1.Health/Chek", &[], framed(&[vec![]])).await,
        raw::post(service.channel().await, "readout.v1.MeetingService/GetMeeting", &[], framed(&[vec![0xff]])).await,
    ];
    for headers in answers {
        let status = Status::from_header_map(&headers).expect("a status");
        let reason = reason_of(&status).as_str_name();
        assert!(status.message().starts_with(&format!("{reason}: ")), "{status}");
        // Each violation is in the message exactly once.
        for violation in status.get_details_bad_request().into_iter().flat_map(|bad| bad.field_violations) {
            let sentence = format!("{}: {}", violation.field, violation.description);
            assert_eq!(status.message().matches(&sentence).count(), 1, "{status}");
        }
    }
    let method =
        raw::post(service.channel().await, "readout.v1.MeetingService/GetMeting", &[], framed(&[vec![]])).await;
    let expected = "UNKNOWN_METHOD: there is no method \"/readout.v1.MeetingService/GetMeting\"; did you mean \
                \"/readout.v1.MeetingService/GetMeeting\"?";
    assert_eq!(message(&method), expected);
    service.stop().await;
}

#[tokio::test]
async fn status_with_a_thousand_violations_fits_into_8_kib_of_headers() {
    let service = Service::start().await;
    for letter in ["x", "é", "東", "🕊", "%", "\u{1}"] {
        let id = letter.repeat(200);
        let participation = || Participation { id: id.clone(), delegation: id.clone(), ..Default::default() };
        let participations = (0..400).map(|_| participation()).collect();
        let labels = (0..64).map(|index| (format!("{}{index}", letter.repeat(150)), "v".repeat(300))).collect();
        let account = Account { participations, initiator: id.clone(), ..Default::default() };
        let meeting = Some(Meeting { account: Some(account), labels, ..Default::default() });
        let request = CreateMeetingRequest { meeting, ..Default::default() };
        // A tonic client decodes the whole status.
        let status = service.meetings.clone().create_meeting(request.clone()).await.unwrap_err();
        let violations = status.get_details_bad_request().expect("violations").field_violations;
        let (last, first) = violations.split_last().expect("some");
        let rest: usize =
            last.description.trim_start_matches("and ").trim_end_matches(" more").parse().expect("a number");
        assert!(first.len() > 3 && rest > 900, "{} and {rest}", first.len());
        let more = " more, see the details)";
        assert!(status.message().starts_with("INVALID_FIELD: ") && status.message().ends_with(more), "{status}");
        // On the wire, the headers stay below 8 KiB, which grpcio and grpc-java accept.
        let headers = post(&service, "MeetingService/CreateMeeting", &request).await;
        assert!(bytes(&headers) < 8 * 1024, "{} bytes for {letter:?}", bytes(&headers));
    }
    service.stop().await;
}

#[tokio::test]
async fn violations_quote_the_refused_value_and_the_nearest_name() {
    let service = Service::start().await;
    let article = Article {
        uri: "urn:a".into(),
        language_code: "en_GB".into(),
        section: "s".repeat(257),
        dateline: Some(readout::pb::Place { region_code: "az".into(), ..Default::default() }),
        ..Default::default()
    };
    let request = CreateArticleRequest { article: Some(article), article_id: "7".into(), ..Default::default() };
    let status = service.articles.clone().create_article(request).await.unwrap_err();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let violations: Vec<_> =
        violations.iter().map(|violation| (violation.field.as_str(), violation.description.as_str())).collect();
    let long = format!("must have at most 256 characters, not 257: \"{}…\"", "s".repeat(79));
    assert_eq!(
        violations,
        [
            ("article.section", long.as_str()),
            (
                "article.language_code",
                "must be a BCP 47 language tag such as \"en\" or \"az-Latn\", not \"en_GB\"; did you mean \"en-GB\"?"
            ),
            (
                "article.dateline.region_code",
                "must be an ISO 3166 alpha-2 code in upper case, or XK, not \"az\"; did you mean \"AZ\"?"
            ),
            ("article_id", "must be a UUID such as 0198f2d1-7c0e-7000-8000-0123456789ab, not \"7\""),
        ]
    );
    let request = AggregateMeetingsRequest { group_by: vec!["mnth".into()], ..Default::default() };
    let status = service.meetings.clone().aggregate_meetings(request).await.unwrap_err();
    assert!(status.message().ends_with(", not \"mnth\"; did you mean \"month\"?"), "{status}");
    let request = ListFilterFieldsRequest { collection: "meeting".into() };
    let status = service.filters.clone().list_filter_fields(request).await.unwrap_err();
    assert!(status.message().ends_with(", not \"meeting\"; did you mean \"meetings\"?"), "{status}");
    service.stop().await;
}

#[tokio::test]
async fn evidence_violations_quote_the_nearest_words_of_the_text() {
    let service = Service::start().await;
    let quoted = |quote: &str, start: i32, end: i32| Evidence {
        field: "title".into(),
        quote: quote.into(),
        start,
        end,
        ..Default::default()
    };
    let mut story = make::story("urn:a", &[]);
    story.reports = vec![StoryReport {
        key: "talks".into(),
        account: Some(make::talks("Talks")),
        evidence: vec![
            quoted("Veliyev", 5, 12),
            quoted("kérim veliyev", 0, 0),
            quoted("Veliyev", 0, 0),
            quoted("Kerim Veliyev met Sergey Shoigu", 0, 0),
            Evidence { field: "titel".into(), ..quoted("Baku", 0, 0) },
        ],
        ..Default::default()
    }];
    let status = service.ingest.clone().ingest_story(make::ingest(story)).await.unwrap_err();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let violations: Vec<_> =
        violations.iter().map(|violation| (violation.field.as_str(), violation.description.as_str())).collect();
    let parts = ["quote", "quote", "quote", "quote", "field"];
    let descriptions = [
        "is not at 5 to 12 of the text: \"Veliyev\"; it is at 6 to 13",
        "is not in the text: \"kérim veliyev\"; at 0 to 13 the text has \"Kerim Veliyev\": only case and accents differ",
        "is in the text more than once: \"Veliyev\", at 6 to 13 and at 43 to 50; give start and end, or a prefix or suffix",
        "is not in the text: \"Kerim Veliyev met Sergey Shoigu\"; at 0 to 33 the text has \"Kerim Veliyev met Ruslan \
         Tsalikov\": it has \"Ruslan Tsalikov\" in place of \"Sergey Shoigu\"",
        "is not a field of Account: \"titel\"; did you mean \"title\"?",
    ];
    for (index, ((field, description), (part, expected))) in
        violations.iter().zip(parts.iter().zip(descriptions)).enumerate()
    {
        assert_eq!(*field, format!("story.reports[0].evidence[{index}].{part}"));
        assert_eq!(*description, expected);
    }
    assert_eq!(violations.len(), descriptions.len());
    service.stop().await;
}

/// Credentials are never quoted, in no kind of error.
#[tokio::test]
async fn status_message_contains_no_credentials() {
    let service = Service::start().await;
    let method = "readout.v1.ArticleService/ListArticles";
    for credentials in ["Bearer s3cret-t0ken", "Basic s3cret-t0ken", "s3cret-t0ken"] {
        let headers =
            raw::post(service.channel().await, method, &[("authorization", credentials)], framed(&[vec![]])).await;
        let status = format!("{:?}", Status::from_header_map(&headers));
        assert!(!status.contains("s3cret"), "{status}");
    }
    service.stop().await;
}
