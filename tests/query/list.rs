//! Lists and streams: pages, page tokens and views.

use std::collections::BTreeSet;

use readout::pb::{
    Account, Article, CreateArticleRequest, CreateParticipantRequest, ErrorReason, ListArticlesRequest,
    ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest, Meeting, Participant, Statement, View,
};

use crate::support::{Refused, Service, make};

/// A service with 23 articles, participants and meetings: each article reports its own meeting.
async fn filled() -> Service {
    let mut service = Service::start().await;
    for number in 0..23 {
        let person = make::person(&format!("Person {number}"), "AZ");
        let mut story = make::story(&format!("urn:{number}"), &[person]);
        let account = story.reports[0].account.as_mut().unwrap();
        account.statements.push(statement("s", "Trust matters."));
        service.ingest.ingest_story(make::ingest(story)).await.unwrap();
    }
    service
}

fn statement(id: &str, text: &str) -> Statement {
    Statement { id: id.into(), text: text.into(), ..Default::default() }
}

/// All pages of a list, concatenated; each but the last has `size` records.
macro_rules! all_pages {
    ($client:expr, $list:ident, $request:ident { $($field:ident: $value:expr)? }, $records:ident, $size:expr) => {{
        let mut request = $request { page_size: $size, $($field: $value,)? ..Default::default() };
        let mut all = Vec::new();
        loop {
            let page = $client.$list(request.clone()).await.unwrap().into_inner();
            all.extend(page.$records.iter().map(|record| record.name.clone()));
            if page.next_page_token.is_empty() {
                break all;
            }
            assert_eq!(page.$records.len(), $size as usize);
            request.page_token = page.next_page_token;
        }
    }};
}

#[tokio::test]
async fn list_pages_of_any_size_make_the_whole_list_in_name_order() {
    let mut service = filled().await;
    for size in [1, 2, 7, 23, 50] {
        let articles = all_pages!(service.articles, list_articles, ListArticlesRequest {}, articles, size);
        let participants =
            all_pages!(service.participants, list_participants, ListParticipantsRequest {}, participants, size);
        let meetings = all_pages!(service.meetings, list_meetings, ListMeetingsRequest {}, meetings, size);
        for names in [articles, participants, meetings] {
            assert_eq!(names.len(), 23);
            assert_eq!(names, names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn list_reports_pages_the_reports_of_a_meeting() {
    let mut service = Service::start().await;
    let mut story = make::story("urn:0", &[make::person("Kerim Veliyev", "AZ")]);
    let first = service.ingest.ingest_story(make::ingest(story.clone())).await.unwrap().into_inner();
    for number in 1..9 {
        story.article.as_mut().unwrap().uri = format!("urn:{number}");
        story.reports[0].meeting.clone_from(&first.meetings[0].meeting);
        service.ingest.ingest_story(make::ingest(story.clone())).await.unwrap();
    }
    for size in [1, 2, 7, 9, 50] {
        let meeting = first.meetings[0].meeting.clone();
        let names = all_pages!(service.meetings, list_reports, ListReportsRequest { meeting: meeting }, reports, size);
        assert_eq!(names.len(), 9);
    }
}

#[tokio::test]
async fn stream_meetings_resumes_after_any_chunk() {
    let mut service = filled().await;
    let request = ListMeetingsRequest { page_size: 5, filter: "kind = TALKS".into(), ..Default::default() };
    let mut whole = Vec::new();
    let mut tokens = Vec::new();
    let mut chunks = service.meetings.stream_meetings(request.clone()).await.unwrap().into_inner();
    while let Some(chunk) = chunks.message().await.unwrap() {
        assert!(chunk.meetings.len() <= 5);
        whole.extend(chunk.meetings);
        tokens.push((whole.len(), chunk.next_page_token));
    }
    assert_eq!((whole.len(), tokens.len()), (23, 5));
    assert_eq!(tokens.pop().unwrap().1, "");
    for (read, page_token) in tokens {
        let resumed = ListMeetingsRequest { page_token, ..request.clone() };
        let mut chunks = service.meetings.stream_meetings(resumed).await.unwrap().into_inner();
        let mut rest = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            rest.extend(chunk.meetings);
        }
        assert_eq!(rest, whole[read..]);
    }
}

#[tokio::test]
async fn page_token_is_refused_by_another_request() {
    let mut service = filled().await;
    let request = ListMeetingsRequest { page_size: 5, ..Default::default() };
    let page_token = service.meetings.list_meetings(request).await.unwrap().into_inner().next_page_token;
    let invalid = || Refused::fields(ErrorReason::InvalidPageToken, ["page_token"]);

    let other =
        ListMeetingsRequest { filter: "kind = TALKS".into(), page_token: page_token.clone(), ..Default::default() };
    assert_eq!(Refused::from(service.meetings.list_meetings(other).await.unwrap_err()), invalid());
    let other = ListMeetingsRequest { view: View::Full.into(), page_token: page_token.clone(), ..Default::default() };
    assert_eq!(Refused::from(service.meetings.stream_meetings(other).await.unwrap_err()), invalid());
    let elsewhere = ListParticipantsRequest { page_token: page_token.clone(), ..Default::default() };
    assert_eq!(Refused::from(service.participants.list_participants(elsewhere).await.unwrap_err()), invalid());
    let (start, end) = page_token.split_at(31);
    let flipped = if end.starts_with('0') { '1' } else { '0' };
    for forged in [format!("{start}{flipped}{}", &end[1..]), "x".into(), page_token.repeat(2)] {
        let forged = ListMeetingsRequest { page_token: forged, ..Default::default() };
        assert_eq!(Refused::from(service.meetings.list_meetings(forged).await.unwrap_err()), invalid());
    }
    // The page size is not part of the request that a token is bound to.
    let resized = ListMeetingsRequest { page_size: 100, page_token, ..Default::default() };
    assert_eq!(service.meetings.list_meetings(resized).await.unwrap().into_inner().meetings.len(), 18);
}

#[tokio::test]
async fn list_page_has_50_records_by_default_and_1000_at_most() {
    let service = Service::start().await;
    let create = |number| {
        let mut participants = service.participants.clone();
        let participant = make::person(&format!("Person {number}"), "");
        let request = CreateParticipantRequest { participant: Some(participant), ..Default::default() };
        async move { participants.create_participant(request).await.unwrap() }
    };
    futures_util::future::join_all((0..1_001).map(create)).await;
    for (requested, returned) in [(0, 50), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
        let request = ListParticipantsRequest { page_size: requested, ..Default::default() };
        let page = service.participants.clone().list_participants(request).await.unwrap().into_inner();
        assert_eq!(page.participants.len(), returned);
        assert!(!page.next_page_token.is_empty());
    }
    let request = ListParticipantsRequest { page_size: -1, ..Default::default() };
    let refused = service.participants.clone().list_participants(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["page_size"]));
}

const PAGE_BYTES: usize = 2 * 1024 * 1024;

#[tokio::test]
async fn list_page_ends_at_two_mebibytes() {
    let mut service = Service::start().await;
    // Each text has three quarters of a mebibyte: two fit into a page.
    for number in 0..5 {
        let article = Article { uri: format!("urn:{number}"), text: "x".repeat(768 * 1024), ..Default::default() };
        let request = CreateArticleRequest { article: Some(article), ..Default::default() };
        service.articles.create_article(request).await.unwrap();
    }
    let mut request = ListArticlesRequest { view: View::Full.into(), ..Default::default() };
    let mut sizes = Vec::new();
    loop {
        let page = service.articles.list_articles(request.clone()).await.unwrap().into_inner();
        assert!(prost::Message::encoded_len(&page) <= PAGE_BYTES + 1024);
        assert!(page.articles.iter().all(|article| article.text.len() == 768 * 1024));
        sizes.push(page.articles.len());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(sizes, [2, 2, 1]);
    let basic = service.articles.list_articles(ListArticlesRequest::default()).await.unwrap().into_inner();
    assert_eq!(basic.articles.len(), 5);
    assert!(basic.articles.iter().all(|article| article.text.is_empty() && article.text_length == 768 * 1024));
}

#[tokio::test]
async fn list_page_has_at_least_one_record_however_large() {
    let mut service = Service::start().await;
    let create = |note: usize| {
        // 64 labels of 1 KiB and a note of 16 kB: 40 such participants exceed a page.
        let labels = (0..64).map(|key| (format!("key {key}"), "🕊".repeat(256))).collect();
        let participant = Participant { labels, note: "🕊".repeat(note), ..make::person("Somebody", "") };
        CreateParticipantRequest { participant: Some(participant), ..Default::default() }
    };
    for _ in 0..40 {
        service.participants.create_participant(create(4_000)).await.unwrap();
    }
    let mut request = ListParticipantsRequest { page_size: 1_000, ..Default::default() };
    let mut read = 0;
    loop {
        let page = service.participants.list_participants(request.clone()).await.unwrap().into_inner();
        assert!(prost::Message::encoded_len(&page) <= PAGE_BYTES + 1024);
        read += page.participants.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(read, 40);

    // Meetings whose statements exceed a page come one per page.
    for number in 0..2 {
        let statements = (0..300).map(|id| statement(&id.to_string(), &"x".repeat(8_000))).collect();
        let mut story = make::story(&format!("urn:{number}"), &[make::person("Kerim Veliyev", "AZ")]);
        let account = story.reports[0].account.take().unwrap();
        story.reports[0].account = Some(Account { statements, ..account });
        service.ingest.ingest_story(make::ingest(story)).await.unwrap();
    }
    let full = ListMeetingsRequest { view: View::Full.into(), ..Default::default() };
    let page = service.meetings.list_meetings(full).await.unwrap().into_inner();
    assert_eq!(page.meetings.len(), 1);
    assert_eq!(page.meetings[0].account.as_ref().unwrap().statements.len(), 300);
    assert!(!page.next_page_token.is_empty());
}

#[tokio::test]
async fn list_omits_the_fields_of_the_full_view_by_default() {
    let mut service = filled().await;
    let statements =
        |meeting: &Meeting| meeting.account.as_ref().map(|account| account.statements.len()).unwrap_or_default();
    let basic = service.meetings.list_meetings(ListMeetingsRequest::default()).await.unwrap().into_inner();
    assert!(basic.meetings.iter().all(|meeting| statements(meeting) == 0));
    let full = ListMeetingsRequest { view: View::Full.into(), ..Default::default() };
    let full = service.meetings.list_meetings(full).await.unwrap().into_inner();
    assert!(full.meetings.iter().all(|meeting| statements(meeting) == 1));
}
