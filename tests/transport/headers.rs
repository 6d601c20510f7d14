//! Headers above the limit end their call. The other calls of the connection continue.

use std::time::Duration;

use readout::{config::Transport, pb::ErrorReason, pb::change_service_client::ChangeServiceClient};
use tokio::time::sleep;
use tonic::{Code, Status, transport::Channel};

use super::{call, serve};
use crate::support::{
    Refused, Service, cluster,
    data_dir::{DataDir, eventually},
    follow,
    follow::Watch,
    frames::{CONTINUATION, END_HEADERS, Frame, HEADERS, PING, RST_STREAM, SETTINGS, Wire, frame, headers, literal},
    metadata_of,
    program::Program,
    raw,
};

const LIST: &str = "readout.v1.ArticleService/ListArticles";

/// END_STREAM of HEADERS, and ACK of PING.
const END_STREAM: u8 = 1;

/// A call with these headers. `Ok` if it is answered.
async fn call_with(channel: &Channel, more: &[(&'static str, &str)]) -> Result<(), Status> {
    let received = raw::post(channel.clone(), LIST, more, vec![0; 5]).await;
    match Status::from_header_map(&received) {
        Some(status) if status.code() == Code::Ok => Ok(()),
        Some(status) => Err(status),
        // The HTTP/2 library answers with a status of HTTP alone.
        None => Err(Status::unknown("without a status")),
    }
}

/// The size of the headers of `call_with` without further ones, as RFC 9113, 6.5.2, counts it.
fn base(service: &Service) -> usize {
    let path = format!("/{LIST}");
    let authority = service.address.to_string();
    let pseudo = [(":method", "POST"), (":scheme", "http"), (":path", &path), (":authority", &authority)];
    let all = pseudo.into_iter().chain([("content-type", "application/grpc")]);
    all.map(|(name, value)| name.len() + value.len() + 32).sum()
}

#[tokio::test]
async fn headers_are_limited_at_the_edge_and_the_status_names_both_figures() {
    let service = serve(Transport { max_header_bytes: 2_000, ..Default::default() }).await;
    let channel = service.channel().await;
    // tonic adds a user-agent to each call: its size is found with a first call that is too large.
    let probe = call_with(&channel, &[("padding", &"x".repeat(3_000))]).await.unwrap_err();
    let size: usize = metadata_of(&probe, "size_bytes").parse().unwrap();
    assert!(size >= base(&service) + "padding".len() + 32 + 3_000, "{size}");
    let fits = 3_000 - (size - 2_000);
    for (length, is_refused) in [(fits, false), (fits + 1, true), (fits, false)] {
        match call_with(&channel, &[("padding", &"x".repeat(length))]).await {
            Ok(()) => assert!(!is_refused, "{length}"),
            Err(status) => {
                assert!(is_refused, "{length}: {status}");
                assert_eq!(
                    (metadata_of(&status, "size_bytes"), metadata_of(&status, "limit_bytes")),
                    ("2001".into(), "2000".into())
                );
                assert_eq!(Refused::from(status), Refused::with(Code::ResourceExhausted, ErrorReason::HeadersTooLarge));
            }
        }
    }
    service.stop().await;
}

/// The limit of HTTP/2 is a mebibyte above that of a call. All calls share one connection: the watch would end with it.
#[tokio::test(flavor = "multi_thread")]
async fn oversized_headers_end_their_call_and_no_other_call_of_the_connection() {
    let service = serve(Transport::default()).await;
    let channel = service.channel().await;
    let mut watch = Watch::begin(&ChangeServiceClient::new(channel.clone()), follow::all(follow::now())).await.unwrap();
    let too_large = || Refused::with(Code::ResourceExhausted, ErrorReason::HeadersTooLarge);
    let number = |number: usize, value: &str| -> Vec<(&'static str, String)> { vec![("a", value.to_owned()); number] };
    for (name, more) in [
        ("one of 17 kB", number(1, &"x".repeat(17_000))),
        ("one of 34 kB", number(1, &"x".repeat(34_000))),
        ("one of 70 kB", number(1, &"x".repeat(70_000))),
        ("one of 100 kB", number(1, &"x".repeat(100_000))),
        ("one of 500 kB", number(1, &"x".repeat(500_000))),
        ("one of a mebibyte", number(1, &"x".repeat(1 << 20))),
        ("a hundred of 1 kB", number(100, &"x".repeat(1_000))),
        ("a thousand of 1 kB", number(1_000, &"x".repeat(1_000))),
        ("a thousand of 1 byte", number(1_000, "b")),
        ("thirty thousand of 1 byte", number(30_000, "b")),
        ("a long content type", vec![("content-type", "application/grpc".repeat(2_000))]),
        ("a long deadline", vec![("grpc-timeout", "9".repeat(20_000))]),
        ("a long request id", vec![("x-request-id", "a".repeat(50_000))]),
        ("a long token", vec![("authorization", format!("Bearer {}", "a".repeat(100_000)))]),
    ] {
        let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let refused = call_with(&channel, &more).await.expect_err(name);
        assert_eq!(Refused::from(refused), too_large(), "{name}");
        call(channel.clone()).await.expect(name);
    }
    // Above the limit of HTTP/2 too.
    call_with(&channel, &[("a", &"x".repeat(1_200_000))]).await.expect_err("refused");
    call(channel.clone()).await.expect("the connection continues");
    let (person, _) = service.add_person("Kerim Veliyev").await;
    assert_eq!(watch.change().await.name, person.name, "the watch continues");
    drop((watch, channel));
    service.stop().await;
}

/// Connects; the service sends its SETTINGS.
async fn connect(service: &Service) -> Wire {
    let mut wire = Wire::greeted(service.address).await;
    wire.until(|frame| frame.kind == SETTINGS).await.expect("the service listens");
    wire
}

/// True if the connection answers a PING.
async fn is_open(wire: &mut Wire) -> bool {
    let _ = wire.write(&frame(PING, 0, 0, &[7; 8])).await;
    wire.until(|frame| frame.kind == PING).await.is_some()
}

#[tokio::test]
async fn header_blocks_in_many_frames_are_answered() {
    let service = serve(Transport::default()).await;
    let mut wire = connect(&service).await;
    // The library accepts 85 frames that do not end their block.
    for (stream, padding, length) in [(1, 10, 2), (3, 1_000, 25), (5, 100_000, 16_384), (7, 17_000, 250)] {
        let block = headers(&format!("/{LIST}"), &[("padding", &"x".repeat(padding))]);
        let parts: Vec<&[u8]> = block.chunks(length).collect();
        for (index, part) in parts.iter().enumerate() {
            let (kind, flags) = if index == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
            let end = if index + 1 == parts.len() { END_HEADERS } else { 0 };
            wire.write(&frame(kind, flags | end, stream, part)).await.unwrap();
        }
        let answer = wire.until(|frame| frame.kind == HEADERS && frame.stream == stream).await;
        // `:status 200` is in the static table (RFC 7541, A).
        assert_eq!(answer.map(|answer| answer.payload[0]), Some(0x88), "{padding}");
    }
    assert!(is_open(&mut wire).await);
    service.stop().await;
}

/// Of unfinished blocks in several frames the service keeps eight.
#[tokio::test]
async fn unfinished_header_blocks_give_way_to_others() {
    let service = serve(Transport::default()).await;
    let channel = service.channel().await;
    let mut unfinished = Vec::new();
    for _ in 0..9 {
        let mut wire = connect(&service).await;
        wire.write(&frame(HEADERS, 0, 1, &headers(&format!("/{LIST}"), &[]))).await.unwrap();
        unfinished.push(wire);
        // One by one, so that the service sees them in this order.
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(unfinished[0].end().await, None, "the first has given way to the ninth");
    let refused = call_with(&channel, &[("a", &"x".repeat(100_000))]).await.expect_err("too large");
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::HeadersTooLarge));
    assert_eq!(unfinished[1].end().await, None, "the second has given way to the call");
    let last = unfinished.last_mut().unwrap();
    last.write(&frame(CONTINUATION, END_HEADERS, 1, &[])).await.unwrap();
    assert!(is_open(last).await);
    service.stop().await;
}

/// Trailers wait in memory until a handler reads them, and gRPC clients send none.
#[tokio::test]
async fn large_trailers_end_their_connection() {
    let service = serve(Transport::default()).await;
    let begin = frame(HEADERS, END_HEADERS, 1, &headers(&format!("/{LIST}"), &[]));
    for (length, flags, is_accepted) in
        [(200, END_HEADERS, true), (256, END_HEADERS, true), (257, END_HEADERS, false), (10, 0, false)]
    {
        let mut block = vec![0];
        literal(&mut block, "a");
        let value = length - block.len() - if length > 128 { 3 } else { 1 };
        literal(&mut block, &"x".repeat(value));
        block.resize(length, 0x82);
        let mut wire = connect(&service).await;
        wire.write(&[begin.clone(), frame(HEADERS, flags | END_STREAM, 1, &block)].concat()).await.unwrap();
        assert_eq!(is_open(&mut wire).await, is_accepted, "{length} bytes, flags {flags}");
    }
    service.stop().await;
}

/// Each call has 16 KiB of one-byte references to an earlier header, which count half a mebibyte.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_compressed_headers_is_bounded() {
    let dir = DataDir::new();
    let url = sqlx::ConnectOptions::to_url_lossy(&cluster::database().await).to_string();
    let service = Program::serve_beside(&dir, &url, &[]).await;
    let address = service.address().await;
    let before = service.memory_kib("VmHWM");
    let mut block = headers(&format!("/{LIST}"), &[]);
    block.push(0x40);
    literal(&mut block, "a");
    literal(&mut block, "b");
    block.resize(16_384, 0xbe);
    let calls: Vec<u8> = (0..250).flat_map(|call| frame(HEADERS, END_HEADERS, 2 * call + 1, &block)).collect();
    let mut wires = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::greeted(address).await;
        wire.write(&calls).await.unwrap();
        wires.push(wire);
    }
    for wire in &mut wires {
        let is_last = |frame: &Frame| [HEADERS, RST_STREAM].contains(&frame.kind) && frame.stream == 499;
        assert!(wire.until(is_last).await.is_some(), "the connection continues");
    }
    let more = service.memory_kib("VmHWM").saturating_sub(before);
    println!("{more} KiB more");
    assert!(more < 48 * 1024, "{more} KiB");
    eventually("the service answers", async || call(service.channel().await).await.is_ok()).await;
    service.stop().await;
}
