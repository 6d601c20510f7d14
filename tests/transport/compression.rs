//! Compressed messages, and messages that are not compressed as their header says.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use prost::Message;
use readout::pb::{
    CreateArticleRequest, ErrorReason, GetArticleRequest, ListArticlesRequest,
    article_service_client::ArticleServiceClient,
};
use tonic::{Code, Status, codec::CompressionEncoding, codegen::http::HeaderMap, transport::Channel};

use super::serve;
use crate::support::{Refused, data_dir::DataDir, make, program::Program, raw, reason_of};

const CREATE: &str = "readout.v1.ArticleService/CreateArticle";
const STORIES: &str = "readout.v1.IngestService/IngestStories";
const LIMIT: usize = 8 << 20;

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// A frame of `blocks` blocks of 128 KiB of zeros, four bytes each, with a window of 128 MiB (RFC 8878, 3.1.1).
fn zstd_zeros(blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3];
    for block in 1..=blocks {
        let header = (128 << 10) << 3 | 1 << 1 | u32::from(block == blocks);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Frames a message with the compressed flag.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[1][..], &length, message].concat()
}

/// Posts a compressed message and returns its error.
async fn refusal(channel: Channel, method: &str, encoding: &str, message: &[u8]) -> Refused {
    let headers = raw::post(channel, method, &[("grpc-encoding", encoding)], framed(message)).await;
    Status::from_header_map(&headers).expect("a status").into()
}

#[tokio::test]
async fn decompression_bomb_is_refused_with_little_memory() {
    let dir = DataDir::with_database().await;
    let program = Program::serve(&dir).await;
    let channel = program.channel().await;
    let too_large = || Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge);
    let gzipped = gzip(&vec![0; 256 << 20]);
    let bombs = [("gzip", gzipped.clone()), ("zstd", zstd_zeros(8 << 10))];
    let before = program.memory_kib("VmHWM");
    for (encoding, bomb) in &bombs {
        assert!(bomb.len() < 300 << 10, "{} bytes", bomb.len());
        for method in [CREATE, STORIES] {
            for _ in 0..4 {
                assert_eq!(refusal(channel.clone(), method, encoding, bomb).await, too_large(), "{encoding} {method}");
            }
        }
    }
    let more = (program.memory_kib("VmHWM") - before) >> 10;
    println!("{more} MiB for messages that decompress to 256 and 1,024 MiB");
    assert!(more < 64, "{more} MiB");
    program.stop().await;
}

#[tokio::test]
async fn message_that_decompresses_to_the_limit_is_read() {
    let service = serve(Default::default()).await;
    // Zeros are not a valid message: past the limit check, the message is refused as malformed.
    let malformed = || Refused::with(Code::InvalidArgument, ErrorReason::MalformedMessage);
    let too_large = || Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge);
    for (encoding, fits, over) in
        [("gzip", gzip(&vec![0; LIMIT]), gzip(&vec![0; LIMIT + 1])), ("zstd", zstd_zeros(64), zstd_zeros(65))]
    {
        assert_eq!(refusal(service.channel().await, CREATE, encoding, &fits).await, malformed(), "{encoding}");
        assert_eq!(refusal(service.channel().await, CREATE, encoding, &over).await, too_large(), "{encoding}");
    }
    service.stop().await;
}

#[tokio::test]
async fn message_not_in_its_declared_compression_is_malformed() {
    let service = serve(Default::default()).await;
    let whole = gzip(b"");
    for method in [CREATE, STORIES] {
        for (encoding, message) in [
            ("gzip", &b"not compressed"[..]),
            ("zstd", b"not compressed"),
            ("gzip", &whole[..whole.len() - 2]),
            ("zstd", &zstd_zeros(1)[..8]),
            ("zstd", &whole),
        ] {
            let refused = refusal(service.channel().await, method, encoding, message).await;
            let malformed = Refused::with(Code::InvalidArgument, ErrorReason::MalformedMessage);
            assert_eq!(refused, malformed, "{method} {encoding} {message:?}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn unknown_compression_is_refused_with_the_supported_ones() {
    let service = serve(Default::default()).await;
    let headers = [("grpc-encoding", "snappy")];
    let answer = raw::post(service.channel().await, CREATE, &headers, framed(b"x")).await;
    let status: Refused = Status::from_header_map(&answer).expect("a status").into();
    assert_eq!(status, Refused::with(Code::Unimplemented, ErrorReason::UnsupportedCompression));
    assert_eq!(answer["grpc-accept-encoding"], "gzip,zstd,identity");
    service.stop().await;
}

#[tokio::test]
async fn pages_are_compressed_for_clients_that_accept_it_and_single_records_are_not() {
    let service = serve(Default::default()).await;
    let (article, _) = service.article_and_meeting().await;
    let channel = service.channel().await;
    let encoding = async |method: &str, message: Vec<u8>, accept: &str| {
        let method = format!("readout.v1.ArticleService/{method}");
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[0][..], &length, &message].concat();
        let headers: HeaderMap = raw::post(channel.clone(), &method, &[("grpc-accept-encoding", accept)], body).await;
        assert_eq!(headers["grpc-status"], "0");
        headers.get("grpc-encoding").map(|value| value.to_str().unwrap().to_owned())
    };
    let list = ListArticlesRequest::default().encode_to_vec();
    let get = GetArticleRequest { name: article, ..Default::default() }.encode_to_vec();
    for (accept, sent) in
        [("identity, deflate, gzip", Some("gzip")), ("zstd", Some("zstd")), ("identity", None), ("br", None)]
    {
        assert_eq!(encoding("ListArticles", list.clone(), accept).await.as_deref(), sent, "{accept}");
        assert_eq!(encoding("StreamArticles", list.clone(), accept).await.as_deref(), sent, "{accept}");
        assert_eq!(encoding("GetArticle", get.clone(), accept).await, None, "{accept}");
    }
    service.stop().await;
}

#[tokio::test]
async fn service_reads_and_writes_compressed_messages() {
    let service = serve(Default::default()).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut articles =
            ArticleServiceClient::new(service.channel().await).send_compressed(encoding).accept_compressed(encoding);
        let article = make::article(&format!("urn:{encoding}"));
        let request = CreateArticleRequest { article: Some(article.clone()), ..Default::default() };
        let created = articles.create_article(request.clone()).await.unwrap().into_inner();
        assert_eq!(created.uri, article.uri);
        let page = articles.list_articles(ListArticlesRequest::default()).await.unwrap().into_inner();
        assert!(page.articles.iter().any(|listed| listed.name == created.name));
        let again = articles.create_article(request).await.unwrap_err();
        assert_eq!(reason_of(&again), ErrorReason::DuplicateArticle);
    }
    service.stop().await;
}
