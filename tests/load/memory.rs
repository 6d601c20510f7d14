//! Memory use of the service: bounded by the work in progress, not by the amount of stored data.

use std::fs;

use futures_util::{future::join_all, stream};
use readout::pb::{
    Article, ListArticlesRequest, ListArticlesResponse, ListMeetingsRequest, Story, View,
    article_service_client::ArticleServiceClient, ingest_service_client::IngestServiceClient,
    ingest_stories_response::Outcome, meeting_service_client::MeetingServiceClient,
};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use crate::support::{
    data_dir::{DataDir, within_timeout},
    program::{Program, run},
    stories,
};

/// Maximum resident set of the service.
const MAX_RESIDENT_MIB: u64 = 150;
/// Articles of 1 MiB, read by several clients at once: far more than the limit if the service held them in memory.
const LARGE_ARTICLES: usize = 40;
const SLOW_CLIENTS: usize = 6;

/// The peak resident set of the service without its database, in MiB.
fn high_water_mark(service: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).expect("the service runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux reports VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

fn check(service: &Program, after: &str) {
    let mib = high_water_mark(service);
    println!("resident at most: {mib} MiB after {after}");
    assert!(mib < MAX_RESIDENT_MIB, "{mib} MiB after {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_bounded_during_large_imports_and_slow_streams() {
    let dir = DataDir::with_database().await;
    let service = Program::serve(&dir).await;
    let address = service.address().await;
    check(&service, "the start");

    let file = stories::path("stories.ndjson.gz");
    let address_text = address.to_string();
    let import = ["import", "--server", &address_text, "--concurrency", "8", "--output", "json"];
    let imported = run(import.iter().copied().chain(file.to_str())).await;
    let totals = r#"{"stories":4439,"articles":4439,"meetings":4439,"reports":4439,"#;
    assert!(imported.code == Some(0) && imported.stdout.starts_with(totals), "{imported:?}");
    check(&service, "an import of 4,439 stories over 8 streams");

    import_large_articles(&service.channel().await).await;
    check(&service, &format!("an import of {LARGE_ARTICLES} articles of 1 MiB"));

    let streams = join_all((0..SLOW_CLIENTS).map(|_| slow_stream(&address_text))).await;
    let read = read_in_turn(streams).await;
    assert_eq!(read, SLOW_CLIENTS * (4_439 + LARGE_ARTICLES));
    check(&service, &format!("streams of all articles to {SLOW_CLIENTS} slow clients"));

    let mut meetings = MeetingServiceClient::new(service.channel().await).max_decoding_message_size(9 << 20);
    let request = ListMeetingsRequest { view: View::Full.into(), page_size: 1_000, ..Default::default() };
    let mut pages = meetings.stream_meetings(request).await.unwrap().into_inner();
    let mut read = 0;
    while let Some(page) = within_timeout("a page", pages.message()).await.unwrap() {
        read += page.meetings.len();
    }
    assert_eq!(read, 4_439);
    check(&service, "a stream of all meetings");
    service.stop().await;
}

async fn import_large_articles(channel: &Channel) {
    let story = |number: usize| {
        let text = format!("{number:08} ").repeat((1 << 20) / 9);
        let article = Article { uri: format!("urn:large:{number}"), text, ..Default::default() };
        stories::request(&Story { article: Some(article), ..Default::default() })
    };
    let stories = stream::iter((0..LARGE_ARTICLES).map(story));
    let mut ingest = IngestServiceClient::new(channel.clone());
    let mut answers = ingest.ingest_stories(stories).await.unwrap().into_inner();
    for _ in 0..LARGE_ARTICLES {
        let answer = within_timeout("an answer", answers.message()).await.unwrap().unwrap();
        assert!(matches!(answer.outcome, Some(Outcome::Result(_))), "{answer:?}");
    }
}

/// Streams all articles with their texts to a client whose receive window is 64 KiB.
async fn slow_stream(address: &str) -> Streaming<ListArticlesResponse> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    let mut articles = ArticleServiceClient::new(channel).max_decoding_message_size(9 << 20);
    let request = ListArticlesRequest { view: View::Full.into(), page_size: 1_000, ..Default::default() };
    articles.stream_articles(request).await.unwrap().into_inner()
}

/// Reads one page of each stream in turn, so that each waits for the others. Returns the number of articles.
async fn read_in_turn(mut streams: Vec<Streaming<ListArticlesResponse>>) -> usize {
    let mut read = 0;
    while !streams.is_empty() {
        let mut open = Vec::new();
        for mut stream in streams {
            if let Some(page) = within_timeout("a page", stream.message()).await.unwrap() {
                read += page.articles.len();
                open.push(stream);
            }
        }
        streams = open;
    }
    read
}
