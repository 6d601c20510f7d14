//! Unit tests of reading request bodies.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use flate2::{Compression as Level, write::GzEncoder};
use prost::Message;
use tonic::{Code, codegen::http::HeaderMap};

use super::*;
use crate::{
    fairness::FairQueue,
    pb::{GetMeetingRequest, IngestStoriesRequest, Story, StoryReport},
};

const GET: &str = "/readout.v1.MeetingService/GetMeeting";
const INGEST: &str = "/readout.v1.IngestService/IngestStories";

/// A body of frames that are all ready.
struct Frames(VecDeque<Result<Frame<Bytes>, Status>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop_front())
    }
}

type SentFrames = Vec<Result<Frame<Bytes>, Status>>;

fn data(pieces: &[&[u8]]) -> SentFrames {
    pieces.iter().map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect()
}

fn request(path: &str, encoding: Option<&str>, frames: SentFrames) -> http::Request<Body> {
    let mut request = http::Request::post(path);
    if let Some(encoding) = encoding {
        request = request.header(ENCODING, encoding);
    }
    request.body(Body::new(Frames(frames.into()))).expect("a request")
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn get(length: usize) -> Vec<u8> {
    GetMeetingRequest { name: "x".repeat(length), ..Default::default() }.encode_to_vec()
}

fn story(reports: usize) -> Vec<u8> {
    let story = Story { reports: vec![StoryReport::default(); reports], ..Default::default() };
    IngestStoriesRequest { story: Some(story), ..Default::default() }.encode_to_vec()
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::best());
    encoder.write_all(message).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// The time that a request has to arrive, and that a caller waits for its share.
const WAIT: Duration = Duration::from_millis(200);

fn arrivals(bytes: usize) -> Arrivals {
    Arrivals { bytes: FairQueue::new("request", bytes, WAIT), timeout: WAIT }
}

fn method(request: &http::Request<Body>) -> &'static Method {
    Method::of(request.uri().path()).expect("a method")
}

fn get_method() -> &'static Method {
    Method::of(GET).expect("a method")
}

async fn arrive(request: http::Request<Body>) -> Result<http::Request<Body>, Status> {
    let method = method(&request);
    read_whole(request, method, &arrivals(64 << 20), &Caller::Service).await.map(|(request, _)| request)
}

fn each(request: http::Request<Body>) -> http::Request<Body> {
    let method = method(&request);
    check_each(request, method, &arrivals(64 << 20), &Caller::Service)
}

/// Reads a body to its end: its bytes, the sizes of its frames, its trailers and its error.
async fn read(request: http::Request<Body>) -> (Vec<u8>, Vec<usize>, Option<HeaderMap>, Option<Code>) {
    let mut body = request.into_body();
    let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
    while let Some(frame) = poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => {
                sizes.push(piece.len());
                bytes.extend_from_slice(&piece);
            }
            Ok(Err(trailers)) => return (bytes, sizes, trailers.into_trailers().ok(), None),
            Err(status) => return (bytes, sizes, None, Some(status.code())),
        }
    }
    (bytes, sizes, None, None)
}

#[tokio::test]
async fn message_in_one_frame_stays_one_frame() {
    let sent = framed(0, &get(100));
    let (bytes, sizes, ..) = read(arrive(request(GET, None, data(&[&sent]))).await.unwrap()).await;
    assert_eq!((bytes, sizes), (sent.clone(), vec![sent.len()]));
}

#[tokio::test]
async fn message_in_many_frames_is_joined_into_chunks() {
    let sent = framed(0, &get(60_000));
    let pieces: Vec<_> = sent.chunks(7).collect();
    let mut frames = data(&pieces);
    frames.push(Ok(Frame::trailers(HeaderMap::new())));
    let (bytes, sizes, trailers, _) = read(arrive(request(GET, None, frames)).await.unwrap()).await;
    assert_eq!(bytes, sent);
    assert!(sizes.len() == 5 && trailers.is_some(), "{sizes:?}");
    // Large frames are not joined.
    let pieces: Vec<_> = sent.chunks(20_000).collect();
    let (bytes, sizes, ..) = read(arrive(request(GET, None, data(&pieces))).await.unwrap()).await;
    assert_eq!((bytes, sizes), (sent, vec![5, 19_995, 20_000, 20_000, 9]));
}

#[tokio::test]
async fn further_messages_of_a_unary_call_are_skipped() {
    let (first, second) = (framed(0, &get(10)), framed(0, &[0xff; 70_000]));
    let all = [first.clone(), second.clone(), second].concat();
    for size in [3, 4_000, 1 << 20] {
        let pieces: Vec<_> = all.chunks(size).collect();
        let (bytes, _, _, code) = read(arrive(request(GET, None, data(&pieces))).await.unwrap()).await;
        assert_eq!((&bytes, code), (&first, None));
    }
}

#[tokio::test]
async fn compressed_message_is_passed_on_uncompressed() {
    let message = get(50_000);
    let zstd = zstd::encode_all(message.as_slice(), 3).unwrap();
    for (encoding, packed) in [("gzip", gzip(&message)), ("zstd", zstd)] {
        let sent = framed(1, &packed);
        let read_request = arrive(request(GET, Some(encoding), data(&[&sent]))).await.unwrap();
        assert!(!read_request.headers().contains_key(ENCODING));
        let (bytes, sizes, ..) = read(read_request).await;
        assert_eq!(bytes, framed(0, &message));
        assert!(sizes.iter().all(|size| *size <= 16 * 1024), "{sizes:?}");
        // A client may leave a message uncompressed.
        let sent = framed(0, &message);
        let (bytes, ..) = read(arrive(request(GET, Some(encoding), data(&[&sent]))).await.unwrap()).await;
        assert_eq!(bytes, sent);
    }
}

#[tokio::test]
async fn body_that_is_no_message_is_refused() {
    let message = get(10);
    let [whole, packed] = [framed(0, &message), framed(1, &gzip(&message))];
    let too_large = framed(0, &[])[..1].iter().copied().chain(8_388_609_u32.to_be_bytes()).collect::<Vec<u8>>();
    for (encoding, sent, code) in [
        (None, whole[..3].to_vec(), Code::InvalidArgument),
        (None, whole[..whole.len() - 1].to_vec(), Code::InvalidArgument),
        (None, packed.clone(), Code::InvalidArgument),
        (None, framed(2, &message), Code::InvalidArgument),
        (Some("zstd"), packed.clone(), Code::InvalidArgument),
        (Some("gzip"), packed[..packed.len() - 1].to_vec(), Code::InvalidArgument),
        (Some("gzip"), framed(1, b""), Code::InvalidArgument),
        (None, too_large, Code::ResourceExhausted),
        (Some("gzip"), framed(1, &gzip(&vec![0; (8 << 20) + 1])), Code::ResourceExhausted),
        (None, [whole.clone(), vec![7; 5]].concat(), Code::InvalidArgument),
    ] {
        for frames in [data(&[&sent]), data(&sent.chunks(2).take(100_000).collect::<Vec<_>>())] {
            let refused = arrive(request(GET, encoding, frames)).await.err();
            assert_eq!(refused.map(|status| status.code()), Some(code), "{encoding:?} {} bytes", sent.len());
        }
    }
}

#[tokio::test]
async fn request_of_unknown_compression_is_left_to_the_services() {
    let sent = [1, 2, 3];
    let (bytes, ..) = read(arrive(request(GET, Some("snappy"), data(&[&sent]))).await.unwrap()).await;
    assert_eq!(bytes, sent);
}

#[tokio::test]
async fn message_with_too_many_items_is_refused_in_any_frames_and_compression() {
    let message = story(2_001);
    for size in [1, 50, 1 << 20] {
        for (encoding, sent) in [(None, framed(0, &message)), (Some("gzip"), framed(1, &gzip(&message)))] {
            let frames = data(&sent.chunks(size).collect::<Vec<_>>());
            let status = arrive(request(INGEST, encoding, frames)).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains("story.reports: must have at most 1000 items"), "{}", status.message());
        }
    }
}

#[tokio::test]
async fn large_message_is_refused_by_its_start() {
    let message = story(1 << 20);
    let sent = framed(0, &message);
    let mut frames = data(&sent[..70_000].chunks(16_384).collect::<Vec<_>>());
    // The rest never arrives.
    frames.push(Err(Status::cancelled("too late")));
    let status = arrive(request(INGEST, None, frames)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    // Neither is it decompressed: the end of the data is missing.
    let packed = gzip(&message);
    let sent = framed(1, &packed[..packed.len() - 8]);
    let status = arrive(request(INGEST, Some("gzip"), data(&[&sent]))).await.unwrap_err();
    assert!(status.message().contains("story.reports"), "{}", status.message());
}

#[tokio::test]
async fn refused_message_ends_a_stream_after_those_before_it() {
    let (good, bad) = (framed(0, &story(2_000)), framed(0, &story(2_001)));
    let sent = [good.clone(), good.clone(), bad, good.clone()].concat();
    for size in [10, 1 << 20] {
        let frames = data(&sent.chunks(size).collect::<Vec<_>>());
        let (bytes, _, _, code) = read(each(request(INGEST, None, frames))).await;
        assert_eq!((bytes, code), ([good.clone(), good.clone()].concat(), Some(Code::InvalidArgument)));
    }
}

#[tokio::test]
async fn error_of_the_connection_is_passed_on() {
    let sent = framed(0, &get(10));
    for first in [&sent[..], &sent[..3]] {
        let mut frames = data(&[first]);
        frames.push(Err(Status::cancelled("the client has gone")));
        let (_, _, _, code) = read(arrive(request(GET, None, frames)).await.unwrap()).await;
        assert_eq!(code, Some(Code::Cancelled));
    }
}

/// A body that sends these frames, and then nothing.
struct Stalled(VecDeque<Frame<Bytes>>);

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.pop_front().map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))))
    }
}

fn stalled(path: &str, sent: &[u8]) -> http::Request<Body> {
    let frames = [Frame::data(Bytes::copy_from_slice(sent))];
    http::Request::post(path).body(Body::new(Stalled(frames.into()))).expect("a request")
}

#[tokio::test]
async fn message_must_arrive_within_a_time_by_its_length() {
    let whole_message = framed(0, &get(128 * 1024));
    for (sent, time) in [
        (&whole_message[..0], WAIT),
        (&whole_message[..3], WAIT),
        (&whole_message[..100], WAIT + Duration::from_secs(2)),
    ] {
        let started = Instant::now();
        let status = arrive(stalled(GET, sent)).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        let took = started.elapsed();
        assert!(took >= time && took < time + Duration::from_secs(1), "{took:?}: {status:?}");
    }
    // A stream may pause between its messages, and not within one.
    let good = framed(0, &story(2));
    let pause = tokio::time::timeout(3 * WAIT, read(each(stalled(INGEST, &good)))).await;
    assert!(pause.is_err());
    let (bytes, _, _, code) = read(each(stalled(INGEST, &[&good[..], &good[..7]].concat()))).await;
    assert_eq!((bytes, code), (good, Some(Code::DeadlineExceeded)));
}

#[tokio::test]
async fn messages_in_flight_share_their_bytes_among_callers() {
    let arrivals = arrivals(150 * 1024);
    let [hostile, polite] = ["hostile", "polite"].map(|name| Caller::Named(name.into()));
    let large = framed(0, &get(60_000));
    let read_large = |caller: &Caller| {
        let (arrivals, caller, request) = (arrivals.clone(), caller.clone(), request(GET, None, data(&[&large])));
        async move { read_whole(request, get_method(), &arrivals, &caller).await }
    };
    let first = read_large(&hostile).await.unwrap();
    assert!(first.1.bytes() >= 120_000, "{}", first.1.bytes());
    // The bytes that the message takes decoded count as well, so that another does not fit.
    assert_eq!(read_large(&hostile).await.unwrap_err().code(), Code::Unavailable);
    let small = framed(0, &get(100));
    let second = read_whole(request(GET, None, data(&[&small])), get_method(), &arrivals, &polite).await.unwrap();
    drop((first, second));
    read_large(&hostile).await.unwrap();
}

#[tokio::test]
async fn unfinished_requests_are_charged_to_their_caller() {
    let arrivals = arrivals(1 << 20);
    let caller = Caller::Named("hostile".into());
    let unfinished = || Box::pin(read_whole(stalled(GET, &[0]), get_method(), &arrivals, &caller));
    let mut open: Vec<_> = (0..64).map(|_| unfinished()).collect();
    for call in &mut open {
        assert!(futures_util::poll!(call).is_pending());
    }
    assert_eq!(unfinished().await.unwrap_err().code(), Code::Unavailable);
    drop(open);
    assert!(futures_util::poll!(unfinished()).is_pending());
}
