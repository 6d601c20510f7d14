//! Detects the protocol of a port before a command uses it. A plaintext call to a TLS port, or the reverse, only breaks
//! the connection, which would look like a transient failure.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A client's preface with empty settings, and a GOAWAY without an error (RFC 9113, 3.4, 6.5, 6.8).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const GOAWAY_FRAME: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Frames (RFC 9113, 4.1 and 6): the length of a header in bytes, two types, and the ACK flag.
const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// Maximum wait for an answer. A server that stays silent may be starting, or overloaded.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol of a port, by its answer to an HTTP/2 preface in plaintext.
#[derive(Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 in plaintext.
    Http2,
    /// TLS, which refuses plaintext.
    Tls,
    /// Another protocol, with the beginning of its answer.
    Other(String),
    /// The connection ended without an answer.
    Silent,
}

/// Detects the protocol of the peer of a new connection.
///
/// # Errors
/// If the peer does not answer in time, or the connection fails.
pub async fn protocol(mut stream: TcpStream) -> io::Result<Protocol> {
    let exchange = async {
        stream.write_all(PREFACE).await?;
        let mut answer = Vec::new();
        while by_answer(&answer).is_none() {
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        Ok(answer)
    };
    let answer = match timeout(ANSWER_TIMEOUT, exchange).await {
        Ok(Ok(answer)) => answer,
        // The connection ended before an answer was complete.
        Ok(Err(error)) if is_end(&error) => return Ok(Protocol::Silent),
        Ok(Err(error)) => return Err(error),
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it accepts connections and does not answer")),
    };
    let protocol = by_answer(&answer).unwrap_or_else(|| by_first_bytes(&answer));
    if protocol == Protocol::Http2 {
        // Ends the connection cleanly, so that the server logs no error. Failures do not matter.
        let _ = stream.write_all(GOAWAY_FRAME).await;
        let _ = stream.shutdown().await;
    }
    Ok(protocol)
}

/// Returns the protocol of an answer; `None` if more bytes are needed.
fn by_answer(answer: &[u8]) -> Option<Protocol> {
    if answer.len() < FRAME_HEADER {
        return None;
    }
    if by_first_bytes(answer) != Protocol::Http2 {
        return Some(by_first_bytes(answer));
    }
    // After its settings, a TLS port sends a GOAWAY that mentions TLS; a plaintext port acknowledges the client's
    // settings.
    let mut rest = answer;
    while let Some((head, after)) = rest.split_first_chunk::<FRAME_HEADER>() {
        let [high, middle, low, kind, flags, ..] = *head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match (kind, after.get(..length)) {
            (SETTINGS, _) if flags & ACK != 0 => return Some(Protocol::Http2),
            (GOAWAY, Some(text)) => {
                let needs_tls = text.windows(3).any(|word| word == b"TLS");
                return Some(if needs_tls { Protocol::Tls } else { Protocol::Http2 });
            }
            (_, Some(_)) => rest = &after[length..],
            (_, None) => return None,
        }
    }
    None
}

/// Returns the protocol by the first bytes of an answer.
fn by_first_bytes(answer: &[u8]) -> Protocol {
    match answer {
        [] => Protocol::Silent,
        // A TLS alert, of TLS 1.0 to 1.3 (RFC 8446, 5.1).
        [0x15, 0x03, ..] => Protocol::Tls,
        [_, _, _, SETTINGS | GOAWAY, _, ..] => Protocol::Http2,
        _ => Protocol::Other(String::from_utf8_lossy(&answer[..answer.len().min(24)]).into_owned()),
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_identifies_the_protocol() {
        let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
        let with = |frames: &[u8]| by_answer(&[settings, frames].concat());
        assert_eq!(by_answer(settings), None);
        assert_eq!(with(b"\0\0\0\x04\x01\0\0\0\0"), Some(Protocol::Http2));
        assert_eq!(with(b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01\0\0\0\x04\x01\0\0\0\0"), Some(Protocol::Http2));
        assert_eq!(with(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0"), Some(Protocol::Http2));
        let needs_tls = b"\0\0\x0c\x07\0\0\0\0\0\0\0\0\0\0\0\0\0 TLS";
        assert_eq!(with(needs_tls), Some(Protocol::Tls));
        assert_eq!(with(&needs_tls[..12]), None);
        assert_eq!(by_answer(&[0x15, 3, 3, 0, 2, 2, 70, 0, 0]), Some(Protocol::Tls));
        assert_eq!(by_answer(b"HTTP/1.1 400"), Some(Protocol::Other("HTTP/1.1 400".into())));
        assert_eq!(by_answer(b"SSH-2.0-OpenSSH_9"), Some(Protocol::Other("SSH-2.0-OpenSSH_9".into())));
        assert_eq!((by_answer(b"-ERR"), by_first_bytes(b"-ERR")), (None, Protocol::Other("-ERR".into())));
        assert_eq!(by_first_bytes(b""), Protocol::Silent);
    }
}
