//! Silent connections that the service drops. It sends a GOAWAY if HTTP/2 has begun or may begin, does not reset the
//! connection, and logs it.

use std::time::Duration;

use readout::config::{self, Transport};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{certificates, serve, tls};
use crate::support::{
    Service,
    certificate_authority::Authority,
    cluster,
    data_dir::{DataDir, eventually, within_timeout},
    frames::{GOAWAY, PING, PREFACE, SETTINGS, Wire, frame},
    program::Program,
};

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn client_that_sends_no_preface_gets_settings_and_goaway() {
    let service = serve(Transport { handshake_timeout: SOON, ..Default::default() }).await;
    for sent in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", &PREFACE[..PREFACE.len() - 1]] {
        let mut wire = Wire::silent(service.address).await;
        wire.write(sent).await.unwrap();
        let settings = wire.until(|_| true).await.expect("SETTINGS come first");
        assert_eq!((settings.kind, settings.payload.len()), (SETTINGS, 0));
        let goaway = wire.until(|_| true).await.expect("GOAWAY");
        // The last stream is 0 and the code is NO_ERROR.
        assert_eq!((goaway.kind, &goaway.payload[..8]), (GOAWAY, &[0; 8][..]));
        assert_eq!(String::from_utf8_lossy(&goaway.payload[8..]), "no HTTP/2 preface within 200ms");
        assert_eq!(wire.end().await, None);
    }
    service.stop().await;
}

#[tokio::test]
async fn client_that_sends_its_preface_late_is_not_reset() {
    let service = serve(Transport { handshake_timeout: Duration::from_secs(3), ..Default::default() }).await;
    let mut stream = tokio::net::TcpStream::connect(service.address).await.unwrap();
    let mut answer = [0; 17];
    within_timeout("an answer", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!((answer[3], answer[12]), (SETTINGS, GOAWAY));
    for bytes in [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(PING, 0, 0, &[7; 8])] {
        stream.write_all(bytes).await.expect("the connection is not reset");
    }
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within_timeout("an end", stream.read_to_end(&mut rest)).await.expect("the connection is not reset");
    service.stop().await;
}

#[tokio::test]
async fn client_that_does_not_answer_pings_gets_goaway() {
    let service = serve(Transport { keepalive: SOON, keepalive_timeout: SOON, ..Default::default() }).await;
    let mut wire = Wire::greeted(service.address).await;
    assert!(wire.until(|frame| frame.kind == PING).await.is_some());
    let goaway = wire.until(|frame| frame.kind == GOAWAY).await.expect("a GOAWAY");
    assert_eq!(goaway.payload[4..8], [0; 4]);
    assert_eq!(wire.end().await, None);
    service.stop().await;
}

/// The final GOAWAY cannot be written, and the connection must not wait for that.
#[tokio::test]
async fn client_that_reads_nothing_is_disconnected() {
    let transport = Transport { keepalive: SOON, keepalive_timeout: SOON, max_connections: 2, ..Default::default() };
    let service = serve(transport).await;
    let mut wire = Wire::greeted(service.address).await;
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(10_000);
    // Each ping requires an answer. The client reads none, until the service stops reading too.
    while tokio::time::timeout(SOON, wire.write(&pings)).await.is_ok_and(|written| written.is_ok()) {}
    let is_accepted = async || {
        let mut other = Wire::greeted(service.address).await;
        other.until(|frame| frame.kind == SETTINGS).await.is_some()
    };
    eventually("a connection is accepted", is_accepted).await;
    drop(wire);
    service.stop().await;
}

#[tokio::test]
async fn silent_tls_client_is_closed_without_a_reset() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let transport = Transport {
        tls: certificates(dir.path(), &authority, None),
        handshake_timeout: Duration::from_secs(3),
        ..Default::default()
    };
    let config = config::Service { transport, ..Default::default() };
    let connect = async |address| authority.connect(address, None).await.unwrap();
    let service = Service::start_over(cluster::database().await, config, connect).await;
    // Before the handshake is done nothing can be sent.
    for sent in [&b""[..], &[22, 3, 1, 0, 200, 1, 0, 0]] {
        let mut stream = tokio::net::TcpStream::connect(service.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        within_timeout("an end", stream.read_to_end(&mut answer)).await.expect("the connection is not reset");
        assert!(answer.is_empty());
        stream.write_all(&[0; 200]).await.expect("the connection is not reset");
        stream.write_all(&[0; 200]).await.expect("the connection is not reset");
    }
    // After the handshake the client gets SETTINGS and GOAWAY.
    let mut stream = tls::connect_over(&authority, service.address, &["h2"]).await.unwrap();
    let mut answer = [0; 17];
    within_timeout("an answer", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!((answer[3], answer[12]), (SETTINGS, GOAWAY));
    stream.write_all(PREFACE).await.expect("the connection is not reset");
    service.stop().await;
}

#[tokio::test]
async fn silent_connection_is_logged_with_its_address_and_scans_do_not_fill_the_log() {
    const SCANS: usize = 60;
    let dir = DataDir::with_database().await;
    let program = Program::start(&dir, &["--handshake-timeout", "1"]);
    let address = program.address().await;
    let first = tokio::net::TcpStream::connect(address).await.unwrap();
    let own = first.local_addr().unwrap().to_string();
    let line = program.logged("a connection was dropped for silence").await;
    assert_eq!((&line["address"], &line["level"]), (&own.into(), &"INFO".into()));
    assert_eq!(line["reason"], "no HTTP/2 preface within 1s");
    let mut scans = Vec::new();
    for _ in 0..SCANS {
        scans.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    for mut scan in scans {
        let mut answer = Vec::new();
        within_timeout("an end", scan.read_to_end(&mut answer)).await.unwrap();
    }
    program.signal("TERM");
    let (_, log) = program.ended().await;
    let lines = log.iter().filter(|line| line["message"] == "a connection was dropped for silence").count();
    assert!((2..SCANS / 2).contains(&lines), "{lines}");
}
