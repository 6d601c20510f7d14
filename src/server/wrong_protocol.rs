//! The last response to a client that speaks another protocol than this port, or sends nothing. The client gets time
//! to read it before the connection closes.

use std::{io, time::Duration};

use chrono::Utc;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::protocol_detection::PrefaceStream;
use crate::service::http::PORT_SPEAKS;

/// Maximum number of bytes of a request head that are read before the response.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// A client that still sends after the response is read from for at most this long, and for at most `DRAIN_PAUSE`
/// without a byte: nginx uses the same values. Otherwise the connection would be reset and the response lost
/// (RFC 9112, 9.6).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const DRAIN_PAUSE: Duration = Duration::from_secs(5);

/// The hint for a client that sends plaintext to a TLS port.
pub const NEEDS_TLS: &str = "This port speaks TLS: connect with it (grpcurl without -plaintext, https://).\n";

/// The hint for a client that sends HTTP/2 over TLS without having negotiated it.
pub const NEEDS_ALPN: &str = "Over TLS, HTTP/2 has to be agreed on: offer \"h2\" in the handshake (ALPN).\n";

/// Reads the head of an HTTP/1.1 request: up to its empty line, or to the first line that shows another protocol.
pub async fn read_head<T: AsyncRead + Unpin>(preface: &mut PrefaceStream<T>) -> io::Result<()> {
    while preface.peeked().len() < MAX_HEAD_BYTES && !ends_head(preface.peeked()) {
        preface.read_more().await?;
    }
    Ok(())
}

fn ends_head(bytes: &[u8]) -> bool {
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let Some(first) = lines.next().filter(|line| line.ends_with(b"\n")) else {
        // HTTP methods begin with an upper-case letter. Any other byte is another protocol.
        return bytes.first().is_some_and(|byte| !byte.is_ascii_uppercase());
    };
    let is_request = first.windows(6).any(|word| word == b" HTTP/");
    !is_request || lines.any(|line| matches!(line, b"\n" | b"\r\n"))
}

/// True if the first line is that of a request in HTTP/1.0 or 1.1, or the begin of one that is too long to be read here.
pub fn is_http1(head: &[u8]) -> bool {
    let is_cut = !head.contains(&b'\n');
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    method.is_some_and(|method| !method.is_empty())
        && target.is_some_and(|target| !target.is_empty())
        && (is_cut && version.is_none() || matches!(version, Some(b"HTTP/1.0" | b"HTTP/1.1")) && words.next().is_none())
}

/// Answers an HTTP/1.1 request with the protocol that this port speaks.
pub async fn respond<T>(preface: &mut PrefaceStream<T>, note: &str) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let is_head = preface.peeked().starts_with(b"HEAD ");
    let text = format!("{note}{PORT_SPEAKS}");
    let body = if is_head { "" } else { &text };
    let response = format!(
        "HTTP/1.1 426 Upgrade Required\r\n\
         Date: {}\r\n\
         Upgrade: HTTP/2.0\r\n\
         Connection: close, upgrade\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{body}",
        Utc::now().format("%a, %d %b %Y %H:%M:%S GMT"),
        text.len(),
    );
    write_and_drain(preface, response.as_bytes(), DRAIN_TIMEOUT, DRAIN_PAUSE).await
}

/// Sends GOAWAY to an HTTP/2 client, also before its preface: the server's may come first (RFC 9113, 3.4). Then reads
/// what the client still sends, for at most `patience`.
pub async fn send_goaway<T>(stream: &mut T, reason: &str, patience: Duration) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    let frame = |kind, payload: &[u8]| {
        // The payload is short: its length fits into 24 bits.
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 0], payload].concat()
    };
    // Last stream 0 and NO_ERROR: every call may be retried on another connection.
    let frames = [frame(SETTINGS, &[]), frame(GOAWAY, &[&[0; 8], reason.as_bytes()].concat())].concat();
    write_and_drain(stream, &frames, patience, patience).await
}

/// Writes the last bytes of a connection, then drains it so that the client has time to read them.
pub async fn write_and_drain<T>(stream: &mut T, last: &[u8], total: Duration, pause: Duration) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let write = async {
        stream.write_all(last).await?;
        stream.flush().await?;
        drain(stream, pause).await
    };
    timeout(total, write).await?
}

/// Shuts down the write side, and reads until the client closes or pauses for too long.
async fn drain<T>(stream: &mut T, pause: Duration) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    stream.shutdown().await?;
    let mut rest = vec![0; 8 * 1024];
    while timeout(pause, stream.read(&mut rest)).await?? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_ends_at_an_empty_line_or_at_another_protocol() {
        for (bytes, ends) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], true),
            (b"GET / HTTP/1.0\n\n", true),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", false),
            (b"POST /a", false),
            (b"GET /\r\n", true),
            (b"SSH-2.0-client\r\n", true),
            (b"*1\r\n", true),
            (&[0x80, 46], true),
            (b"", false),
        ] {
            assert_eq!(ends_head(bytes), ends, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
