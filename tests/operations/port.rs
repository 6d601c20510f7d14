//! The operations port: liveness and readiness.

use std::fs;

use readout::pb::{CreateArticleRequest, article_service_client::ArticleServiceClient};
use sqlx::{Connection, PgConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant, sleep},
};

use super::{Operated, address, http_client};
use crate::support::{
    data_dir::{DataDir, eventually, kill, within_timeout},
    make,
    program::{Program, messages},
};

#[tokio::test]
async fn a_service_opens_no_operations_port_by_default() {
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
async fn a_starting_service_is_alive_and_not_ready() {
    // A database that accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://readout@{}/readout", silent.local_addr().unwrap());
    let dir = DataDir::new();
    let service = Program::start(&dir, &["--operations-listen", "127.0.0.1:0", "--database-url", &url]);
    let operations = address(&service).await;
    let ready = http_client::get(operations, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the service is starting\n"));
    let live = http_client::get(operations, "/livez").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    service.signal("TERM");
    let (code, log) = within_timeout("the end", service.ended()).await;
    assert_eq!(code, Some(0), "{log:#?}");
}

#[tokio::test]
async fn a_service_without_its_database_is_alive_and_not_ready() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--operations-listen", "127.0.0.1:0"]);
    service.address().await;
    let operations = address(&service).await;
    assert_eq!(http_client::get(operations, "/readyz").await.status, 200);

    // The database cannot restart until the test puts its directory back.
    let (original, moved) = (dir.path().join("postgres"), dir.path().join("away"));
    let postmaster = dir.postmaster();
    fs::rename(&original, &moved).unwrap();
    kill(postmaster);
    eventually("the service is not ready", async || {
        let ready = http_client::get(operations, "/readyz").await;
        (ready.status, ready.body.as_str()) == (503, "the database does not answer\n")
    })
    .await;
    assert_eq!(http_client::get(operations, "/livez").await.status, 200);
    fs::rename(&moved, &original).unwrap();
    eventually("the service is ready again", async || http_client::get(operations, "/readyz").await.status == 200)
        .await;
    service.stop().await;
}

#[tokio::test]
async fn a_draining_service_is_not_ready_and_answers_open_calls() {
    let service = Operated::start().await;
    let mut articles = ArticleServiceClient::new(service.program.channel().await);
    // Holds the lock of the feed, which every commit waits for.
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
    within_timeout("an answer", open).await.unwrap().unwrap();
    let (code, log) = service.program.ended().await;
    assert_eq!(code, Some(0), "{log:#?}");
}

#[tokio::test]
async fn a_service_does_not_start_on_an_operations_port_in_use() {
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
async fn the_operations_port_refuses_other_requests_and_closes_incomplete_ones() {
    let service = Operated::start().await;
    assert_eq!(service.get("/").await.status, 404);
    let post = "POST /metrics HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(http_client::send(service.operations, post).await.status, 405);
    // An incomplete request head: the service closes the connection after a timeout.
    let silent = http_client::send(service.operations, "GET /metrics HTTP/1.1\r\nhost:").await;
    assert!(silent.body.is_empty(), "{silent:?}");
    service.program.stop().await;
}

/// Opens connections, sends each these bytes, and keeps them open.
async fn open(service: &Operated, number: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..number {
        let mut stream = TcpStream::connect(service.operations).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        open.push(stream);
    }
    open
}

/// Asks for `/livez`, which must be answered long before any of the other connections times out.
async fn lives_at_once(service: &Operated, others: &str) {
    let asked = Instant::now();
    let live = service.get("/livez").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"), "{others}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{others}: {:?}", asked.elapsed());
}

#[tokio::test]
async fn livez_answers_at_once_beside_as_many_connections_as_the_limit() {
    let service = Operated::start().await;
    for number in [64, 200] {
        let idle = open(&service, number, b"").await;
        lives_at_once(&service, "idle").await;
        drop(idle);

        let begun = open(&service, number, b"GET /metrics HTTP/1.1\r\nhost:").await;
        lives_at_once(&service, "half a head").await;
        drop(begun);

        // The responses of all requests together exceed the buffers of the socket, and the client reads none.
        let requests = b"GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n".repeat(100);
        let unread = open(&service, number, &requests).await;
        lives_at_once(&service, "unread responses").await;
        drop(unread);

        let mut half_closed = open(&service, number, b"GET /livez HTTP/1.1\r\n").await;
        for stream in &mut half_closed {
            // The service may have closed the connection already.
            let _ = stream.shutdown().await;
        }
        lives_at_once(&service, "half-closed").await;
    }
    service.program.stop().await;
}

#[tokio::test]
async fn livez_answers_at_once_beside_connections_that_send_slowly() {
    let service = Operated::start().await;
    let mut slow = open(&service, 64, b"GET").await;
    for byte in b" /livez" {
        for stream in &mut slow {
            let _ = stream.write_all(&[*byte]).await;
        }
        lives_at_once(&service, "a byte at a time").await;
        sleep(Duration::from_millis(100)).await;
    }
    service.program.stop().await;
}

#[tokio::test]
async fn connection_beyond_the_limit_closes_the_one_that_is_unused_longest() {
    let service = Operated::start().await;
    let mut idle = open(&service, 64, b"").await;
    // The service knows all 64 connections once it has answered the last of them. The first is used after that.
    let request = b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n";
    for index in [63, 0] {
        idle[index].write_all(request).await.unwrap();
        assert!(within_timeout("an answer", idle[index].read(&mut [0; 1024])).await.unwrap() > 0);
    }
    lives_at_once(&service, "idle").await;
    // The first connection is used, so that the second is unused longest.
    assert_eq!(within_timeout("the end", idle[1].read(&mut [0; 8])).await.unwrap(), 0);
    for index in [0, 2, 63] {
        idle[index].write_all(request).await.unwrap();
        assert!(within_timeout("an answer", idle[index].read(&mut [0; 1024])).await.unwrap() > 0, "{index}");
    }
    service.program.stop().await;
}
