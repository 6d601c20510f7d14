//! A valid request of every method, and its mutations.

use std::{collections::BTreeSet, io::Write};

use flate2::{Compression, write::GzEncoder};
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use readout::pb::{self, IngestStoriesRequest, IngestStoryRequest, WatchChangesRequest};
use tonic::codegen::http::HeaderValue;

use super::send::Request;
use crate::{
    errors::bad_input::{requests, world::World},
    faults::rng::Chance,
    fuzz::mutate,
};

/// A valid request.
pub struct Seed {
    /// The path, such as `ArticleService/GetArticle`.
    pub method: &'static str,
    pub message: Vec<u8>,
    /// True if the call changes records, so that it may be refused the next time.
    pub is_writing: bool,
    /// True for a stream that does not end by itself.
    pub is_endless: bool,
}

/// Metadata at the edges of its parsers.
const METADATA: [(&str, &[&str]); 9] = [
    ("grpc-timeout", &["1n", "0m", "99999999H", "100000000S", "5", "-1S", "1500m", "\u{e9}S"]),
    ("grpc-encoding", &["gzip", "zstd", "identity", "br", "", "gzip, gzip"]),
    ("grpc-accept-encoding", &["gzip", "zstd,gzip", "br", ",,,", "identity;q=0"]),
    ("readout-actor", &["", " ", "alice", "\u{130}", "via anonymous"]),
    ("readout-min-position", &["", "x.1", "5c9e71d0.0", "0.9223372036854775808", "a.b.c"]),
    ("x-request-id", &["", "a b", "0123456789", "\u{fe}"]),
    ("traceparent", &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "ff-0-0-0", "00-"]),
    ("authorization", &["Bearer", "Bearer rdt_0", "Basic YTpi", "bearer eyJhbGciOiJub25lIn0.e30."]),
    ("content-type", &["application/grpc+proto", "application/grpc+json", "application/grpc-web", "text/plain", ""]),
];

/// A valid request of each method: as is, and once more without etag, request id and `validate_only`, so that it writes.
/// Fails if a method of the contract has none.
pub async fn all(world: &mut World) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    let mut story = None;
    for (method, request) in requests::all(world).await {
        let streamed = match method {
            "ArticleService/ListArticles" => Some("ArticleService/StreamArticles"),
            "ParticipantService/ListParticipants" => Some("ParticipantService/StreamParticipants"),
            "MeetingService/ListMeetings" => Some("MeetingService/StreamMeetings"),
            _ => None,
        };
        if method == "IngestService/IngestStory" {
            story = Some(IngestStoryRequest::decode(request.encode_to_vec().as_slice()).expect("a story"));
        }
        for method in [method].into_iter().chain(streamed) {
            let seed = |(is_writing, message)| Seed { method, message, is_writing, is_endless: false };
            seeds.extend(variants(&request).into_iter().map(seed));
        }
    }
    let IngestStoryRequest { story, allow_update, .. } = story.expect("a story");
    let stories = IngestStoriesRequest { story, allow_update, ..Default::default() };
    let stories = Seed {
        method: "IngestService/IngestStories",
        message: stories.encode_to_vec(),
        is_writing: true,
        is_endless: false,
    };
    let watch = WatchChangesRequest {
        start: Some(crate::support::follow::beginning()),
        filter: "kind = CREATED".into(),
        include_resource: true,
    };
    let watch = Seed {
        method: "ChangeService/WatchChanges",
        message: watch.encode_to_vec(),
        is_writing: false,
        is_endless: true,
    };
    seeds.extend([stories, watch]);

    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let methods: BTreeSet<String> = services
        .flat_map(|service| {
            let name = service.name().to_owned();
            service.methods().map(|method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(seeds.iter().map(|seed| seed.method.to_owned()).collect::<BTreeSet<_>>(), methods);
    seeds
}

/// The request as is, and for a write the request that writes, each with a mark whether it does.
fn variants(request: &DynamicMessage) -> Vec<(bool, Vec<u8>)> {
    let mut writing = request.clone();
    let is_write = writing.descriptor().get_field_by_name("validate_only").is_some();
    for field in ["etag", "request_id", "validate_only"] {
        if let Some(field) = writing.descriptor().get_field_by_name(field) {
            writing.clear_field(&field);
        }
    }
    // A story of the records that exist changes them, and may create the rest.
    if let Some(field) = writing.descriptor().get_field_by_name("allow_update") {
        writing.set_field(&field, Value::Bool(true));
    }
    let mut variants = vec![(false, request.encode_to_vec())];
    variants.extend(is_write.then(|| (true, writing.encode_to_vec())));
    variants
}

impl Seed {
    /// The valid request.
    pub fn request(&self, number: usize) -> Request {
        let actor = format!("call-{number}");
        let headers = vec![("readout-actor", HeaderValue::from_str(&actor).expect("ASCII"))];
        Request { method: self.method, headers, body: frame(0, &self.message), actor, is_endless: self.is_endless }
    }

    /// A request in which the message, its frame or its metadata is changed.
    pub fn mutated(&self, number: usize, corpus: &[Vec<u8>], chance: &mut Chance) -> Request {
        let mut request = self.request(number);
        let mut message = fresh(self.message.clone(), chance);
        for _ in 0..chance.below(4) {
            message = mutate::message(message, corpus, chance);
        }
        message.truncate(256 << 10);
        let is_packed = chance.once_in(6);
        if is_packed {
            message = gzip(&message);
            if chance.once_in(4) {
                message = mutate::bytes(message, &[], chance);
            }
            request.headers.push(("grpc-encoding", HeaderValue::from_static("gzip")));
        }
        request.body = frame(is_packed.into(), &message);
        if self.method.ends_with("IngestStories") {
            for _ in 0..chance.below(3) {
                let other = mutate::message(fresh(self.message.clone(), chance), corpus, chance);
                request.body.extend(frame(0, &other));
            }
        }
        if chance.once_in(12) {
            request.body = mutate::bytes(request.body, &[], chance);
        }
        if chance.once_in(4) {
            let (name, values) = METADATA[chance.below(METADATA.len() as u64) as usize];
            let value = values[chance.below(values.len() as u64) as usize].as_bytes().to_vec();
            let value = if chance.once_in(2) { value } else { mutate::bytes(value, &[], chance) };
            // A few control characters cannot be in a header at all.
            if let Ok(value) = HeaderValue::from_bytes(&value[..value.len().min(4 << 10)]) {
                if name == "readout-actor" {
                    request.actor = "another".to_owned();
                }
                if name == "readout-actor" || name == "content-type" {
                    request.headers.retain(|(other, _)| *other != name);
                }
                request.headers.push((name, value));
            }
        }
        request
    }
}

/// Replaces the uri and the id that the valid requests propose, so that a call can create another record.
fn fresh(mut message: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    if chance.once_in(4) {
        return message;
    }
    for (text, at) in [(&b"urn:base"[..], 4), (b"-0123456789ab", 1)] {
        let digits: Vec<u8> = (at..text.len()).map(|_| b"0123456789abcdef"[chance.below(16) as usize]).collect();
        let mut from = 0;
        while let Some(found) = message[from..].windows(text.len()).position(|part| part == text) {
            let start = from + found + at;
            message[start..start + digits.len()].copy_from_slice(&digits);
            from = start;
        }
    }
    message
}

/// A message with its five bytes of head (gRPC over HTTP/2, Length-Prefixed-Message).
fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).expect("a buffer grows");
    encoder.finish().expect("a buffer grows")
}
