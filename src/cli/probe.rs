//! The protocol of a port, asked once before a command uses it. A plaintext call to a TLS port, or the reverse, breaks the
//! connection, and a broken connection looks as if it might pass.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A client's preface with empty settings, and the end of the connection without an error (RFC 9113, 3.4, 6.5, 6.8).
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const GOODBYE: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Frames (RFC 9113, 4.1 and 6): the length of a head, two types, and the flag of an acknowledgement.
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// A server that is silent longer may be about to start, or overloaded.
const PATIENCE: Duration = Duration::from_secs(10);

/// The protocol of the answer to a greeting in plaintext.
#[derive(Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 in plaintext.
    Http2,
    /// TLS, which refuses plaintext.
    Tls,
    /// Something else, which began its answer so.
    Other(String),
    /// The connection ended without an answer.
    Silent,
}

/// Asks what the other end of a new connection speaks.
pub async fn protocol(mut stream: TcpStream) -> io::Result<Protocol> {
    let asked = async {
        stream.write_all(GREETING).await?;
        let mut answer = Vec::new();
        while of_answer(&answer).is_none() {
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        Ok(answer)
    };
    let answer = match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => answer,
        // The end came before the answer was read, or instead of one.
        Ok(Err(error)) if is_end(&error) => return Ok(Protocol::Silent),
        Ok(Err(error)) => return Err(error),
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it accepts connections and does not answer")),
    };
    let protocol = of_answer(&answer).unwrap_or_else(|| of_part(&answer));
    if protocol == Protocol::Http2 {
        // The server need not notice that nothing else comes.
        let _ = stream.write_all(GOODBYE).await;
        let _ = stream.shutdown().await;
    }
    Ok(protocol)
}

/// The protocol of an answer; `None` while more of it is needed.
fn of_answer(answer: &[u8]) -> Option<Protocol> {
    if answer.len() < FRAME_HEAD {
        return None;
    }
    if of_part(answer) != Protocol::Http2 {
        return Some(of_part(answer));
    }
    // A port that speaks TLS says so in the GOAWAY that follows its settings; another one acknowledges ours.
    let mut rest = answer;
    while let Some((head, after)) = rest.split_first_chunk::<FRAME_HEAD>() {
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

/// The protocol by the first bytes of an answer.
fn of_part(answer: &[u8]) -> Protocol {
    match answer {
        [] => Protocol::Silent,
        // An alert, of TLS 1.0 to 1.3 (RFC 8446, 5.1).
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
    fn protocol_is_known_by_its_answer() {
        let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
        let with = |frames: &[u8]| of_answer(&[settings, frames].concat());
        assert_eq!(of_answer(settings), None);
        assert_eq!(with(b"\0\0\0\x04\x01\0\0\0\0"), Some(Protocol::Http2));
        assert_eq!(with(b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01\0\0\0\x04\x01\0\0\0\0"), Some(Protocol::Http2));
        assert_eq!(with(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0"), Some(Protocol::Http2));
        let needs_tls = b"\0\0\x0c\x07\0\0\0\0\0\0\0\0\0\0\0\0\0 TLS";
        assert_eq!(with(needs_tls), Some(Protocol::Tls));
        assert_eq!(with(&needs_tls[..12]), None);
        assert_eq!(of_answer(&[0x15, 3, 3, 0, 2, 2, 70, 0, 0]), Some(Protocol::Tls));
        assert_eq!(of_answer(b"HTTP/1.1 400"), Some(Protocol::Other("HTTP/1.1 400".into())));
        assert_eq!(of_answer(b"SSH-2.0-OpenSSH_9"), Some(Protocol::Other("SSH-2.0-OpenSSH_9".into())));
        assert_eq!((of_answer(b"-ERR"), of_part(b"-ERR")), (None, Protocol::Other("-ERR".into())));
        assert_eq!(of_part(b""), Protocol::Silent);
    }
}
