//! Those who say too much: their connection ends, and everybody else goes on.

use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;

use super::{call, serve};
use crate::support::{
    Service,
    frames::{
        CONTINUATION, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, PING, RST_STREAM, SETTINGS, Wire, frame, headers,
        literal,
    },
};

const LIST: &str = "/readout.v1.ArticleService/ListArticles";

/// Writes this again and again until the connection ends, while others call; the code that it ended with.
async fn flood(service: &Service, begin: &[u8], mut next: impl FnMut() -> Vec<u8>) -> Option<u32> {
    let Wire { mut reader, mut writer } = Wire::greeted(service.address).await;
    let others = service.channel().await;
    let write = async {
        let mut bytes = begin.to_vec();
        while writer.write_all(&bytes).await.is_ok() {
            call(others.clone()).await.expect("others are served");
            bytes = next();
        }
    };
    let (code, ()) = tokio::join!(reader.end(), write);
    call(others).await.expect("others are served");
    code
}

/// CVE-2023-44487.
#[tokio::test]
async fn calls_that_are_reset_at_once_end_their_connection() {
    let service = serve(Default::default()).await;
    let mut stream = 1;
    let resets = || {
        let mut batch = Vec::new();
        for _ in 0..100 {
            batch.extend(frame(HEADERS, END_HEADERS, stream, &headers(LIST, &[])));
            batch.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            stream += 2;
        }
        batch
    };
    assert_eq!(flood(&service, &[], resets).await, Some(ENHANCE_YOUR_CALM));
    service.stop().await;
}

/// CVE-2024-27316 and its kin.
#[tokio::test]
async fn headers_without_end_end_their_connection() {
    let service = serve(Default::default()).await;
    let begin = frame(HEADERS, 0, 1, &headers(LIST, &[]));
    // A header of one letter each, and frames of nothing.
    for payload in [&[0, 1, b'a', 1, b'a'].repeat(1_000)[..], b""] {
        let code = flood(&service, &begin, || frame(CONTINUATION, 0, 1, payload)).await;
        assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{} bytes", payload.len());
    }
    service.stop().await;
}

/// A header that is kept in the table and told again and again: a byte on the wire, 4 KiB here.
#[tokio::test]
async fn headers_that_unfold_end_their_connection() {
    let service = serve(Default::default()).await;
    let mut block = headers(LIST, &[]);
    block.push(0x40);
    literal(&mut block, "a");
    literal(&mut block, &"x".repeat(3_900));
    block.extend([0xbe].repeat(10_000));
    let mut wire = Wire::greeted(service.address).await;
    wire.write(&frame(HEADERS, END_HEADERS | 1, 1, &block)).await.expect("it listens");
    assert_eq!(wire.end().await, Some(ENHANCE_YOUR_CALM));
    service.add_person("Kerim Veliyev").await;
    service.stop().await;
}

/// Each asks for an answer, and none is read.
#[tokio::test]
async fn pings_and_settings_without_end_harm_nobody() {
    let service = serve(Default::default()).await;
    let others = service.channel().await;
    for (kind, payload) in [(PING, &[7; 8][..]), (SETTINGS, &[])] {
        let mut wire = Wire::greeted(service.address).await;
        let batch = frame(kind, 0, 0, payload).repeat(1_000);
        for _ in 0..100 {
            // It no longer takes any, once its answers are not read, or it has had enough.
            if !matches!(wire.write(&batch).now_or_never(), Some(Ok(()))) {
                break;
            }
            call(others.clone()).await.expect("others are served");
        }
        call(others.clone()).await.expect("others are served");
    }
    service.stop().await;
}
