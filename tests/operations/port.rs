//! The second port: whether a service lives, and whether it is ready.

use std::fs;

use readout::pb::{CreateArticleRequest, article_service_client::ArticleServiceClient};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;

use super::{Operated, address, http};
use crate::support::{
    data_dir::{DataDir, eventually, kill, patiently},
    make,
    program::{Program, messages},
};

#[tokio::test]
async fn there_is_no_second_port_unless_it_is_asked_for() {
    let dir = DataDir::with_database().await;
    let (code, log) = {
        let service = Program::serve(&dir).await;
        service.signal("TERM");
        service.ended().await
    };
    assert_eq!(code, Some(0));
    assert!(!messages(&log).contains("metrics and readiness"), "{log:#?}");
}

#[tokio::test]
async fn a_service_that_starts_is_alive_and_not_ready() {
    // A database that takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://readout@{}/readout", silent.local_addr().unwrap());
    let dir = DataDir::new();
    let service = Program::start(&dir, &["--operations-listen", "127.0.0.1:0", "--database-url", &url]);
    let operations = address(&service).await;
    let ready = http::get(operations, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the service is starting\n"));
    let live = http::get(operations, "/livez").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    service.signal("TERM");
    let (code, log) = patiently("the end", service.ended()).await;
    assert_eq!(code, Some(0), "{log:#?}");
}

#[tokio::test]
async fn a_service_without_its_database_is_alive_and_not_ready() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--operations-listen", "127.0.0.1:0"]);
    service.address().await;
    let operations = address(&service).await;
    assert_eq!(http::get(operations, "/readyz").await.status, 200);

    // It cannot come back before the test lets it.
    let (there, away) = (dir.path().join("postgres"), dir.path().join("away"));
    let postmaster = dir.postmaster();
    fs::rename(&there, &away).unwrap();
    kill(postmaster);
    eventually("the loss shows", async || {
        let ready = http::get(operations, "/readyz").await;
        (ready.status, ready.body.as_str()) == (503, "the database does not answer\n")
    })
    .await;
    assert_eq!(http::get(operations, "/livez").await.status, 200);
    fs::rename(&away, &there).unwrap();
    eventually("the return shows", async || http::get(operations, "/readyz").await.status == 200).await;
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_drains_is_not_ready_and_answers_what_is_open() {
    let service = Operated::start().await;
    let mut articles = ArticleServiceClient::new(service.program.channel().await);
    // Writes wait at their end.
    let mut database = PgConnection::connect(&service.url).await.unwrap();
    let lock = "select pg_advisory_lock(x'524541444f555401'::bit(64)::bigint)";
    sqlx::query(lock).execute(&mut database).await.unwrap();
    let request = CreateArticleRequest { article: Some(make::article("urn:late")), ..Default::default() };
    let open = tokio::spawn(async move { articles.create_article(request).await });
    eventually("the call is open", async || service.scrape().await.value("readout_requests_in_flight") == Some(1.0))
        .await;

    service.program.signal("TERM");
    eventually("the service drains", async || {
        let ready = service.get("/readyz").await;
        (ready.status, ready.body.as_str()) == (503, "the service is draining\n")
    })
    .await;
    assert_eq!(service.get("/livez").await.status, 200);
    database.close().await.unwrap();
    patiently("an answer", open).await.unwrap().unwrap();
    let (code, log) = service.program.ended().await;
    assert_eq!(code, Some(0), "{log:#?}");
}

#[tokio::test]
async fn a_second_port_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = DataDir::new();
    let (code, log) = Program::start(&dir, &["--operations-listen", &address]).ended().await;
    assert_eq!(code, Some(1), "{log:#?}");
    assert!(messages(&log).contains(&format!("cannot listen on {address}: another program does already")), "{log:#?}");
    assert!(messages(&log).contains("--operations-listen"), "{log:#?}");
    assert_eq!(dir.servers(), [0; 0]);
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_who_asks_nothing_is_let_go() {
    let service = Operated::start().await;
    assert_eq!(service.get("/").await.status, 404);
    let post = "POST /metrics HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(http::send(service.operations, post).await.status, 405);
    // Half a head, and no more: the connection is closed without being asked.
    let silent = http::send(service.operations, "GET /metrics HTTP/1.1\r\nhost:").await;
    assert!(silent.body.is_empty(), "{silent:?}");
    service.program.stop().await;
}
