//! `readout serve`, the real program: start, refusals and shutdown.

use std::{fs, net::TcpListener};

use readout::pb::{
    Article, CreateArticleRequest, IngestStoriesRequest, ListArticlesRequest, View,
    article_service_client::ArticleServiceClient, ingest_service_client::IngestServiceClient,
};
use tonic::{
    Code,
    body::Body,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    data_dir::{DataDir, eventually, kill, within_timeout},
    program::{Program, messages, run},
    raw,
    service::connect,
};

fn create(article: Article) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article), ..Default::default() }
}

#[tokio::test]
async fn service_creates_its_database_and_reopens_it() {
    let dir = DataDir::new();
    let nested = dir.path().join("parent/data/dir");
    // The database may run as another user and must be able to pass through the parent directory.
    fs::create_dir(dir.path().join("parent")).unwrap();
    let args = ["--data-dir", nested.to_str().unwrap()];
    let serve = async || Program::start(&dir, &args);

    let service = serve().await;
    let mut articles = ArticleServiceClient::new(service.channel().await);
    let article = Article { uri: "urn:kept".into(), text: "Words.".into(), ..Default::default() };
    let created = articles.create_article(create(article)).await.unwrap().into_inner();
    service.stop().await;

    let service = serve().await;
    let mut articles = ArticleServiceClient::new(service.channel().await);
    let request = ListArticlesRequest { view: View::Full.into(), ..Default::default() };
    let listed = articles.list_articles(request).await.unwrap().into_inner();
    assert_eq!(listed.articles, [created]);
    service.stop().await;
}

#[tokio::test]
async fn stop_signals_end_the_service_and_its_database() {
    let dir = DataDir::with_database().await;
    for signal in ["TERM", "INT"] {
        let service = Program::serve(&dir).await;
        assert!(!dir.servers().is_empty());
        service.signal(signal);
        let (code, log) = service.ended().await;
        assert_eq!(code, Some(0), "{log:#?}");
        assert_eq!(dir.servers(), [0; 0], "{signal}");
        assert!(messages(&log).ends_with("\nstopped"), "{log:#?}");
        assert!(log.iter().all(|line| line["level"] == "INFO"), "{log:#?}");
    }
}

#[tokio::test]
async fn service_can_be_stopped_while_it_starts() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &[]);
    // The lock is the first thing that the service takes; from then on it handles the signal.
    eventually("the service holds its lock", async || dir.path().join("lock").exists()).await;
    service.stop().await;
    assert_eq!(dir.servers(), [0; 0]);
}

#[tokio::test]
async fn idle_stream_is_ended_and_does_not_delay_the_shutdown() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--drain-timeout", "600"]);
    let mut ingest = IngestServiceClient::new(service.channel().await);
    let idle = futures_util::stream::pending::<IngestStoriesRequest>();
    let mut answers = ingest.ingest_stories(idle).await.unwrap().into_inner();

    service.signal("TERM");
    let status = within_timeout("an answer", answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let (code, log) = service.ended().await;
    assert_eq!(code, Some(0), "{log:#?}");
    assert!(log.iter().all(|line| line["level"] == "INFO"), "{log:#?}");
    assert_eq!(dir.servers(), [0; 0]);
}

/// A stream of 16 MiB to a client whose receive window is 64 KiB and that does not read.
async fn stuck_stream(service: &Program) -> Body {
    let address = service.address().await;
    let mut articles = ArticleServiceClient::new(connect(address).await);
    for number in 0..16 {
        let text = "x".repeat(1024 * 1024);
        let article = Article { uri: format!("urn:{number}"), text, ..Default::default() };
        articles.create_article(create(article)).await.unwrap();
    }
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let narrow: Channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    let request = ListArticlesRequest { view: View::Full.into(), ..Default::default() };
    raw::begin(narrow, "readout.v1.ArticleService/StreamArticles", &request).await
}

#[tokio::test]
async fn client_that_does_not_read_is_cut_off_after_the_drain_timeout() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--drain-timeout", "0.5"]);
    let mut stuck = stuck_stream(&service).await;

    service.signal("TERM");
    let (code, log) = service.ended().await;
    assert_eq!(code, Some(0), "{log:#?}");
    let warnings: Vec<_> = log.iter().filter(|line| line["level"] != "INFO").cloned().collect();
    assert_eq!(messages(&warnings), "calls were still open and were cancelled", "{log:#?}");
    assert_eq!(dir.servers(), [0; 0]);
    while let Some(Ok(frame)) = within_timeout("the end of the stream", raw::frame(&mut stuck)).await {
        assert!(frame.is_data(), "a cut stream must not look complete");
    }
}

#[tokio::test]
async fn second_signal_ends_the_service_at_once_and_the_next_service_takes_over() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--drain-timeout", "600"]);
    let _stuck = stuck_stream(&service).await;

    service.signal("TERM");
    service.logged("stopping; a second signal ends the process at once").await;
    service.signal("TERM");
    let (code, log) = service.ended().await;
    assert_eq!(code, Some(128 + 15), "{log:#?}");

    let service = Program::serve(&dir).await;
    let mut articles = ArticleServiceClient::new(service.channel().await);
    let request = ListArticlesRequest::default();
    assert_eq!(articles.list_articles(request).await.unwrap().into_inner().articles.len(), 16);
    service.stop().await;
}

#[tokio::test]
async fn health_status_follows_the_database() {
    let dir = DataDir::with_database().await;
    let service = Program::serve(&dir).await;
    let mut health = HealthClient::new(service.channel().await);
    let request = |service: &str| HealthCheckRequest { service: service.into() };
    let mut whole = health.watch(request("")).await.unwrap().into_inner();
    let mut single = health.watch(request("readout.v1.MeetingService")).await.unwrap().into_inner();
    let mut next = async || {
        let (whole, single) = tokio::join!(whole.message(), single.message());
        let (whole, single) = (whole.unwrap().unwrap().status(), single.unwrap().unwrap().status());
        assert_eq!(whole, single);
        whole
    };
    assert_eq!(within_timeout("the first status", next()).await, ServingStatus::Serving);

    // The database cannot restart while its directory is moved away.
    let (original, away) = (dir.path().join("postgres"), dir.path().join("away"));
    let postmaster = dir.postmaster();
    fs::rename(&original, &away).unwrap();
    kill(postmaster);
    assert_eq!(within_timeout("the loss shows", next()).await, ServingStatus::NotServing);
    fs::rename(&away, &original).unwrap();
    assert_eq!(within_timeout("the return shows", next()).await, ServingStatus::Serving);
    let mut articles = ArticleServiceClient::new(service.channel().await);
    articles.list_articles(ListArticlesRequest::default()).await.unwrap();

    service.signal("TERM");
    assert_eq!(within_timeout("the end shows", next()).await, ServingStatus::NotServing);
    let (code, log) = service.ended().await;
    assert_eq!(code, Some(0), "{log:#?}");
    assert!(!messages(&log).contains("were cancelled"), "a health watch delays the shutdown: {log:#?}");
}

#[tokio::test]
async fn second_service_on_the_same_data_directory_is_refused() {
    let dir = DataDir::with_database().await;
    let first = Program::serve(&dir).await;
    let (code, log) = Program::start(&dir, &[]).ended().await;
    assert_eq!(code, Some(1), "{log:#?}");
    let expected = format!(
        "data directory {} is in use by another readout (pid {}), and one service uses it at a time: stop that one, \
         give several services one DATABASE_URL, or keep other records in another --data-dir",
        dir.as_str(),
        first.pid()
    );
    assert_eq!(messages(&log), expected);

    let mut articles = ArticleServiceClient::new(first.channel().await);
    articles.list_articles(ListArticlesRequest::default()).await.unwrap();
    first.stop().await;
}

#[tokio::test]
async fn port_in_use_is_an_error_before_the_database_is_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = address.rsplit(':').next().unwrap();
    for (flag, written) in [
        ("--listen", address.clone()),
        ("--listen", format!(":{port}")),
        ("--listen", format!("localhost:{port}")),
        ("--operations-listen", address.clone()),
    ] {
        let dir = DataDir::new();
        let (code, log) = Program::start(&dir, &[flag, &written]).ended().await;
        assert_eq!(code, Some(1), "{log:#?}");
        let expected =
            format!("cannot listen on {address}: another program does already; stop it, or choose another port");
        assert!(messages(&log).contains(&expected), "{log:#?}");
        assert!(messages(&log).contains(flag), "{log:#?}");
        assert!(!dir.path().join("postgres").exists(), "{log:#?}");
    }
}

#[tokio::test]
async fn service_refuses_connections_until_it_serves() {
    let dir = DataDir::new();
    let address = {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap()
    };
    let service = Program::start(&dir, &["--listen", &address.to_string()]);
    service.logged("creating a database").await;
    assert!(std::net::TcpStream::connect(address).is_err());
    assert_eq!(service.address().await, address);
    std::net::TcpStream::connect(address).unwrap();
    service.stop().await;
}

#[tokio::test]
async fn two_listeners_on_one_address_are_refused() {
    let refused = run(["serve", "--listen", ":50051", "--operations-listen", "127.0.0.1:50051"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("each needs a port of its own"), "{refused:?}");
}

#[tokio::test]
async fn service_start_logs_its_long_steps() {
    let dir = DataDir::new();
    let service = Program::serve(&dir).await;
    service.logged("creating a database").await;
    let migrating = service.logged("migrating the database schema").await;
    assert_eq!(migrating["from"], 0);
    service.stop().await;
}

#[tokio::test]
async fn unreachable_database_is_reported_without_the_password() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for command in ["serve", "migrate"] {
        let url = format!("postgres://readout:s3cret@{unused}/readout");
        let refused = run([command, "--database-url", &url]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("the database cannot be reached: "), "{refused:?}");
        assert!(!refused.stderr.contains("s3cret"), "{refused:?}");

        let refused = run([command, "--database-url", "postgres://readout:s3cret@[/"]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("DATABASE_URL is not a valid PostgreSQL url"), "{refused:?}");
        assert!(!refused.stderr.contains("s3cret"), "{refused:?}");
    }
}

#[tokio::test]
async fn invalid_arguments_are_reported_and_nothing_is_started() {
    let dir = DataDir::new();
    for (args, message) in [
        (vec!["serve", "--lisen", "127.0.0.1:0"], "'--lisen'"),
        (vec!["serve", "--listen", "localhost"], "'localhost' for '--listen <ADDR>'"),
        (vec!["serve", "--drain-timeout", "soon"], "must be a number of seconds such as 10 or 0.5"),
        (vec!["serve", "--drain-timeout", "-1"], "'-1'"),
        (vec!["serve", "--log-format", "xml"], "'xml' for '--log-format <LOG_FORMAT>'"),
        (vec!["serve", "--log", "readout=loud"], "--log \"readout=loud\" is not a filter: "),
        (vec!["surf"], "'surf'"),
        (vec![], "Usage: readout"),
    ] {
        let data_dir = if args.first() == Some(&"serve") { vec!["--data-dir", dir.as_str()] } else { vec![] };
        let refused = run(args.iter().chain(&data_dir)).await;
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(message), "{args:?}: {refused:?}");
        assert_eq!(refused.stdout, "");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
