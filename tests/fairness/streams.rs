//! Attacks with streams.

use std::{fmt, sync::Arc};

use super::{
    attack::{Attack, Records},
    connection::{Call, endless, open_after, open_in_message, whole},
    samples::{Class, encode, sample},
};

const INGEST: &str = "/readout.v1.IngestService/IngestStories";
const STREAM_MEETINGS: &str = "/readout.v1.MeetingService/StreamMeetings";
const WATCH: &str = "/readout.v1.ChangeService/WatchChanges";
/// Streams on a connection: as many as it may have by default, less some.
const STREAMS_OF_A_CONNECTION: usize = 250;
/// Stories that an unread stream sends.
const UNREAD_STORIES: u64 = 2;

/// A streaming method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamKind {
    /// A method of the contract, by its path.
    Contract(String),
    Reflection(&'static str),
    HealthWatch,
}

impl StreamKind {
    /// All streaming methods that the service has.
    pub fn all() -> Vec<Self> {
        let reflection = ["v1", "v1alpha"].map(Self::Reflection);
        Class::Stream.paths().into_iter().map(Self::Contract).chain(reflection).chain([Self::HealthWatch]).collect()
    }

    fn path(&self) -> String {
        match self {
            Self::Contract(path) => path.clone(),
            Self::Reflection(version) => format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"),
            Self::HealthWatch => "/grpc.health.v1.Health/Watch".to_owned(),
        }
    }

    /// A call that opens the stream, and keeps its own side open if it can.
    fn open(&self, records: &Records, number: u64) -> Call {
        let path = self.path();
        match self {
            Self::Contract(_) if path == INGEST => Call::new(&path, open_after(two_stories(records, number))),
            Self::Contract(_) => Call::new(&path, whole(&sample(&path, records, number))),
            Self::Reflection(_) => Call::new(&path, open_after([])),
            Self::HealthWatch => Call::new(&path, whole(&[])),
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        // Both versions of reflection have one name.
        let skipped =
            if matches!(self, Self::Reflection(_)) { "/grpc.".len() } else { path.rfind('/').map_or(0, |at| at + 1) };
        formatter.write_str(&path[skipped..])
    }
}

fn two_stories(records: &Records, number: u64) -> Vec<Vec<u8>> {
    (0..UNREAD_STORIES).map(|at| sample(INGEST, records, UNREAD_STORIES * number + at)).collect()
}

/// Streams whose messages nobody reads. The health service needs no credentials.
pub fn open_unread(attack: &Attack, kind: StreamKind, streams: usize) {
    let target = Arc::clone(&attack.target);
    attack.keep(streams, streams.div_ceil(STREAMS_OF_A_CONNECTION), move |number| {
        let call = kind.open(&target.records, number).unread();
        if kind == StreamKind::HealthWatch { call } else { call.with_token(&target.token) }
    });
}

/// Watchers of every change, which read them.
pub fn watchers(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let message = encode(WATCH, r#"{"origin": "NOW"}"#, &target.records, 0);
    attack.keep(4_000, 16, move |_| Call::new(WATCH, whole(&message)).with_token(&target.token));
}

/// Streams of stories that stop in the middle of a message, and read no answers.
pub fn half_closed_ingest(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    attack.keep(500, 2, move |number| {
        let stories = [sample(INGEST, &target.records, number)];
        Call::new(INGEST, open_in_message(stories)).with_token(&target.token).unread()
    });
}

/// Whole exports, again and again.
pub fn exports(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let message = encode(STREAM_MEETINGS, r#"{"view": "FULL", "page_size": 1000}"#, &target.records, 0);
    attack.keep(64, 2, move |_| Call::new(STREAM_MEETINGS, whole(&message)).with_token(&target.token));
}

/// Streams of stories without an end.
pub fn stories(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    attack.keep(16, 2, move |number| {
        let token = target.token.clone();
        let target = Arc::clone(&target);
        let stories = (0..u64::MAX).map(move |at| sample(INGEST, &target.records, (number << 32) + at));
        Call::new(INGEST, endless(stories)).with_token(&token)
    });
}
