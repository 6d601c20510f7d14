//! The last word to a client that does not speak as this port does, or says nothing: it is written, and the client has
//! time to read it.

use std::{io, time::Duration};

use chrono::Utc;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::http2_preface::PrefaceStream;
use crate::service::layer::only_grpc::PORT_SPEAKS;

/// Bytes of the head of a request that is waited for before it is answered.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// A client that still sends after its answer is read from for so long in all, and for so long without a byte of it, as
/// nginx has it. If it were not, its connection would be reset, and the answer lost (RFC 9112, 9.6).
const LONGEST: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A port that speaks TLS, to a client that does not.
pub const NEEDS_TLS: &str = "This port speaks TLS: connect with it (grpcurl without -plaintext, https://).\n";

/// A client that speaks HTTP/2 over TLS without having agreed to.
pub const NEEDS_ALPN: &str = "Over TLS, HTTP/2 has to be agreed on: offer \"h2\" in the handshake (ALPN).\n";

/// Reads the head of a request in HTTP/1.1, up to the empty line at its end or the first line that none has.
pub async fn head<T: AsyncRead + Unpin>(opening: &mut PrefaceStream<T>) -> io::Result<()> {
    while opening.said().len() < MOST_HEAD_BYTES && !ends_head(opening.said()) {
        opening.look_further().await?;
    }
    Ok(())
}

fn ends_head(said: &[u8]) -> bool {
    let mut lines = said.split_inclusive(|&byte| byte == b'\n');
    let Some(first) = lines.next().filter(|line| line.ends_with(b"\n")) else {
        // No method begins with such a byte: it is another protocol.
        return said.first().is_some_and(|byte| !byte.is_ascii_uppercase());
    };
    let is_request = first.windows(6).any(|word| word == b" HTTP/");
    !is_request || lines.any(|line| matches!(line, b"\n" | b"\r\n"))
}

/// Answers a request in HTTP/1.1 with what this port speaks instead.
pub async fn answer<T>(opening: &mut PrefaceStream<T>, note: &str) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let is_head = opening.said().starts_with(b"HEAD ");
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
    end_with(opening, response.as_bytes(), LONGEST, LONGEST_PAUSE).await
}

/// Tells a client of HTTP/2 to go away, also one that has not said its preface: ours may come first (RFC 9113, 3.4). Then
/// waits as long for what the client may still say.
pub async fn go_away<T>(stream: &mut T, why: &str, patience: Duration) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    let frame = |kind, payload: &[u8]| {
        // A short text.
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 0], payload].concat()
    };
    // No stream was seen, and NO_ERROR: all may be tried again on another connection.
    let farewell = [frame(SETTINGS, &[]), frame(GOAWAY, &[&[0; 8], why.as_bytes()].concat())].concat();
    end_with(stream, &farewell, patience, patience).await
}

/// Ends a connection with these bytes, which the client has time to read.
pub async fn end_with<T>(stream: &mut T, last: &[u8], longest: Duration, longest_pause: Duration) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let end = async {
        stream.write_all(last).await?;
        stream.flush().await?;
        drain(stream, longest_pause).await
    };
    timeout(longest, end).await?
}

/// Says that nothing more comes, and reads on to the end of what the client sends.
async fn drain<T>(stream: &mut T, longest_pause: Duration) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    stream.shutdown().await?;
    let mut rest = vec![0; 8 * 1024];
    while timeout(longest_pause, stream.read(&mut rest)).await?? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_ends_with_an_empty_line_or_what_is_no_request() {
        for (said, ends) in [
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
            assert_eq!(ends_head(said), ends, "{:?}", String::from_utf8_lossy(said));
        }
    }
}
