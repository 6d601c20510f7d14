//! Commands fail at once, without retries, on an invalid address and on a port that speaks another protocol.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{
    Service,
    program::{Ran, run},
};

/// Much shorter than a command waits for a transient failure, and much longer than it takes to detect a permanent one.
const AT_ONCE: Duration = Duration::from_secs(15);

/// A port that answers every connection with these bytes.
async fn port_that_answers(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut preface = [0; 24];
                let _ = stream.read(&mut preface).await;
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
                // Unread bytes would reset the connection before the answer arrives.
                while stream.read(&mut preface).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    address
}

/// Asserts that each command with these arguments fails at once and prints `message`.
pub async fn each_fails_at_once(args: &[&str], message: &str) {
    for command in [vec!["watch"], vec!["import", "/dev/null"], vec!["export"], vec!["duplicates"]] {
        let start = Instant::now();
        let ran = run(command.iter().chain(args)).await;
        let Ran { code, stdout, stderr } = &ran;
        assert!(*code == Some(2) && stdout.is_empty() && start.elapsed() < AT_ONCE, "{command:?} {args:?}: {ran:?}");
        assert!(stderr.lines().count() == 1 && stderr.contains(message), "{command:?} {args:?}: {ran:?}");
        assert!(stderr.starts_with("readout: "), "{ran:?}");
    }
}

#[tokio::test]
async fn client_commands_fail_at_once_on_an_invalid_address() {
    for (address, message) in [
        ("http://", "has no host"),
        ("ftp://127.0.0.1:1", "must begin with http:// or https://"),
        ("unix:///run/readout", "must begin with http:// or https://"),
        ("http://127.0.0.1:1/path", "\"/path\" cannot be part of it"),
        ("http://127.0.0.1:1?x=y", "cannot be part of it"),
        ("127.0.0.1:1#x", "cannot be part of it"),
        ("http://u:s3cret@127.0.0.1:1", "must not hold a user or password"),
        ("http://127.0.0.1:99999", "must have a port"),
        ("::1:50051", "in brackets"),
        ("http://no-such-host.invalid:1", "no connection to http://no-such-host.invalid:1: "),
    ] {
        each_fails_at_once(&["--server", address], message).await;
    }
    let secret = run(["watch", "--server", "http://u:s3cret@127.0.0.1:1"]).await;
    assert!(!secret.stderr.contains("s3cret"), "{secret:?}");
}

#[tokio::test]
async fn client_commands_fail_at_once_on_an_unreadable_token_or_certificate_file() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("line"), "\u{7f}\n").unwrap();
    let unreachable = "https://127.0.0.1:1";
    for (args, message) in [
        (vec!["--token-file", &path("nosuch")], "nosuch"),
        (vec!["--token-file", &path("empty")], "is empty"),
        (vec!["--token-file", &path("")], "cannot read"),
        (vec!["--token-file", &path("line")], "characters of no token"),
        (vec!["--tls-ca", &path("nosuch")], "nosuch"),
        (vec!["--tls-ca", &path("line")], "holds no certificates"),
        (vec!["--tls-ca", &path("empty")], "holds no certificates"),
        (vec!["--tls-cert", &path("nosuch"), "--tls-key", &path("nosuch")], "nosuch"),
    ] {
        each_fails_at_once(&[&["--server", unreachable], &args[..]].concat(), message).await;
    }
}

#[tokio::test]
async fn client_commands_fail_at_once_on_a_port_that_speaks_another_protocol() {
    for (answer, message) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it does not speak gRPC, but answers \"HTTP/1.1 400"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "but answers \"SSH-2.0"),
        (b"-ERR unknown command\r\n", "but answers \"-ERR"),
        (&[0x15, 3, 3, 0, 2, 2, 70], "it speaks TLS: write https:// instead of http://"),
    ] {
        let address = port_that_answers(answer).await.to_string();
        each_fails_at_once(&["--server", &address], message).await;
    }
    let plain = Service::start().await;
    let address = format!("https://{}", plain.address);
    each_fails_at_once(&["--server", &address], "it does not speak TLS: write http:// instead of https://").await;
    plain.stop().await;
}

#[tokio::test]
async fn an_error_prints_its_cause_once() {
    for command in ["export", "watch"] {
        let ran = run([command, "--server", "http://127.0.0.1:1", "--tls-ca", "/nowhere"]).await;
        assert!(ran.code == Some(2), "{ran:?}");
    }
    let ran = run(["export", "--server", "http://127.0.0.1:1"]).await;
    assert_eq!(ran.stderr.matches("Connection refused").count(), 1, "{ran:?}");
    let ran = run(["migrate", "--database-url", "postgres://127.0.0.1:1/none"]).await;
    assert_eq!(ran.stderr.matches("Connection refused").count(), 1, "{ran:?}");
}
