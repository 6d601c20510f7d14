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
        // As much as tells them apart, and a few words to show.
        while answer.len() < 9 {
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
    let protocol = of_answer(&answer);
    if protocol == Protocol::Http2 {
        // The server need not notice that nothing else comes.
        let _ = stream.write_all(GOODBYE).await;
        let _ = stream.shutdown().await;
    }
    Ok(protocol)
}

fn of_answer(answer: &[u8]) -> Protocol {
    match answer {
        [] => Protocol::Silent,
        // An alert, of TLS 1.0 to 1.3 (RFC 8446, 5.1).
        [0x15, 0x03, ..] => Protocol::Tls,
        // SETTINGS, or GOAWAY at once.
        [_, _, _, 0x04 | 0x07, _, ..] => Protocol::Http2,
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
    fn a_protocol_is_known_by_its_first_bytes() {
        assert_eq!(of_answer(b"\0\0\x12\x04\0\0\0\0\0"), Protocol::Http2);
        assert_eq!(of_answer(&[0x15, 3, 3, 0, 2, 2, 70]), Protocol::Tls);
        assert_eq!(of_answer(b""), Protocol::Silent);
        assert_eq!(of_answer(b"HTTP/1.1 400"), Protocol::Other("HTTP/1.1 400".into()));
        assert_eq!(of_answer(b"SSH-2.0-OpenSSH_9"), Protocol::Other("SSH-2.0-OpenSSH_9".into()));
        assert_eq!(of_answer(b"-ERR"), Protocol::Other("-ERR".into()));
    }
}
