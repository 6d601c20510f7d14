//! Floods: the connection of the sender ends, and other clients are served.

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

/// Writes bytes from `next` until the connection ends, while other clients call. Returns the code of the GOAWAY.
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

/// Rapid reset: CVE-2023-44487.
#[tokio::test]
async fn rapid_resets_end_their_connection() {
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

/// CONTINUATION flood: CVE-2024-27316 and related ones.
#[tokio::test]
async fn endless_header_block_ends_its_connection() {
    let service = serve(Default::default()).await;
    let begin = frame(HEADERS, 0, 1, &headers(LIST, &[]));
    // Headers of one letter each, and empty frames.
    for payload in [&[0, 1, b'a', 1, b'a'].repeat(1_000)[..], b""] {
        let code = flood(&service, &begin, || frame(CONTINUATION, 0, 1, payload)).await;
        assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{} bytes", payload.len());
    }
    service.stop().await;
}

/// A header of 4 KiB is stored in the dynamic table, then repeated by one byte each.
#[tokio::test]
async fn hpack_bomb_ends_its_connection() {
    let service = serve(Default::default()).await;
    let mut block = headers(LIST, &[]);
    block.push(0x40);
    literal(&mut block, "a");
    literal(&mut block, &"x".repeat(3_900));
    block.extend([0xbe].repeat(10_000));
    let mut wire = Wire::greeted(service.address).await;
    wire.write(&frame(HEADERS, END_HEADERS | 1, 1, &block)).await.expect("the service listens");
    assert_eq!(wire.end().await, Some(ENHANCE_YOUR_CALM));
    service.add_person("Kerim Veliyev").await;
    service.stop().await;
}

/// Each frame requires a response, and the client reads none.
#[tokio::test]
async fn ping_and_settings_floods_do_not_block_other_connections() {
    let service = serve(Default::default()).await;
    let others = service.channel().await;
    for (kind, payload) in [(PING, &[7; 8][..]), (SETTINGS, &[])] {
        let mut wire = Wire::greeted(service.address).await;
        let batch = frame(kind, 0, 0, payload).repeat(1_000);
        for _ in 0..100 {
            // The service stops reading when its responses are not read, or closes the connection.
            if !matches!(wire.write(&batch).now_or_never(), Some(Ok(()))) {
                break;
            }
            call(others.clone()).await.expect("others are served");
        }
        call(others.clone()).await.expect("others are served");
    }
    service.stop().await;
}
