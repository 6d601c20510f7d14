//! Pagination by keyset (AIP-158): page tokens, page sizes, and results streamed in chunks.
//!
//! A page token holds the key of the last record of its page and the position of the first page. It is opaque to
//! clients, bound to the request's other fields, and authenticated by a keyed hash.

use std::{sync::LazyLock, time::Duration};

use chrono::DateTime;
use futures_util::{Stream, stream};
use prost::Message;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use uuid::Uuid;

use super::stream_lifetime::Ended;
use crate::{
    fairness::{Call, FairQueue, Permit},
    pb::{
        ListArticleRevisionsRequest, ListArticlesRequest, ListAuditEventsRequest, ListCounterpartsRequest,
        ListDuplicateMeetingsRequest, ListDuplicatesRequest, ListJudgementsRequest, ListMeetingRevisionsRequest,
        ListMeetingsRequest, ListParticipantRevisionsRequest, ListParticipantsRequest, ListReportsRequest,
        ListStatementsRequest,
    },
    service::{Api, error::ServiceError},
    store::{
        audit_event::EventKey,
        change::Position,
        participant::review::DuplicateKey,
        query::{QueryClass, list::Keyset},
        statement::StatementPosition,
    },
};

/// Records in a page if the request sets no size, and at most.
const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 1_000;

/// The secret key of token hashes; all instances on one database share it.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey(pub [u8; 32]);

/// The sort key of a record in a list: a page begins after the key of the previous page's last record.
pub trait Key: Copy {
    /// The encoding in page tokens.
    fn to_bytes(self) -> Vec<u8>;
    /// Decodes a key.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// Lists in the order of names, which is that of ids.
impl Key for Uuid {
    fn to_bytes(self) -> Vec<u8> {
        self.into_bytes().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

/// Lists of statements.
impl Key for StatementPosition {
    fn to_bytes(self) -> Vec<u8> {
        [self.value.to_be_bytes().as_slice(), self.report.as_bytes(), &self.number.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (value, rest) = bytes.split_first_chunk()?;
        let (report, number) = rest.split_first_chunk()?;
        Some(Self {
            value: i64::from_be_bytes(*value),
            report: Uuid::from_bytes(*report),
            number: i32::from_be_bytes(number.try_into().ok()?),
        })
    }
}

/// Lists of pairs of records: the ids of both.
impl Key for (Uuid, Uuid) {
    fn to_bytes(self) -> Vec<u8> {
        [self.0.into_bytes(), self.1.into_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_first_chunk::<16>()?;
        Some((Uuid::from_bytes(*first), Uuid::from_slice(second).ok()?))
    }
}

/// Lists in the order of a field.
impl Key for Keyset {
    fn to_bytes(self) -> Vec<u8> {
        [self.values.map(i64::to_be_bytes).concat().as_slice(), self.id.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (values, id) = bytes.split_last_chunk::<16>()?;
        let (numbers, rest) = values.as_chunks::<8>();
        let numbers = <[[u8; 8]; _]>::try_from(numbers).ok().filter(|_| rest.is_empty())?;
        Some(Self { values: numbers.map(i64::from_be_bytes), id: Uuid::from_bytes(*id) })
    }
}

/// Lists of audit events.
impl Key for EventKey {
    fn to_bytes(self) -> Vec<u8> {
        [self.time.timestamp_micros().to_be_bytes(), self.id.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, id) = bytes.split_first_chunk()?;
        let time = DateTime::from_timestamp_micros(i64::from_be_bytes(*time))?;
        Some(Self { time, id: i64::from_be_bytes(id.try_into().ok()?) })
    }
}

/// Lists of pairs of participants to review.
impl Key for DuplicateKey {
    fn to_bytes(self) -> Vec<u8> {
        let Self { level, score, participant, other } = self;
        [&level.to_be_bytes()[..], &score.to_be_bytes(), participant.as_bytes(), other.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (level, rest) = bytes.split_first_chunk()?;
        let (score, rest) = rest.split_first_chunk()?;
        let (participant, other) = <(Uuid, Uuid)>::from_bytes(rest)?;
        Some(Self { level: i16::from_be_bytes(*level), score: f32::from_be_bytes(*score), participant, other })
    }
}

/// Lists of revisions, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionNumber(pub i64);

impl Key for RevisionNumber {
    fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }
}

/// The size of a page for a requested size.
pub fn size(requested: i32) -> usize {
    size_or(DEFAULT_SIZE, requested)
}

fn size_or(default: usize, requested: i32) -> usize {
    match requested {
        0 => default,
        size => usize::try_from(size).map_or(1, |size| size.min(MAX_SIZE)),
    }
}

/// A list request with pages.
pub trait Paged: Message + Clone {
    /// The name of the list. It is part of the token's hash, so it must be unique.
    const LIST: &'static str;
    /// The sort key of the list.
    type Key: Key;
    /// `page_size` and `page_token`.
    fn paging(&mut self) -> (&mut i32, &mut String);
}

macro_rules! paged {
    ($request:ty, $list:literal, $key:ty) => {
        impl Paged for $request {
            const LIST: &'static str = $list;
            type Key = $key;

            fn paging(&mut self) -> (&mut i32, &mut String) {
                (&mut self.page_size, &mut self.page_token)
            }
        }
    };
}

paged!(ListArticlesRequest, "articles", Keyset);
paged!(ListParticipantsRequest, "participants of settled persons", Keyset);
paged!(ListMeetingsRequest, "meetings of settled persons", Keyset);
paged!(ListAuditEventsRequest, "audit events", EventKey);
paged!(ListDuplicateMeetingsRequest, "duplicate meetings", (Uuid, Uuid));
paged!(ListReportsRequest, "reports", Uuid);
paged!(ListStatementsRequest, "statements of settled persons", StatementPosition);
paged!(ListCounterpartsRequest, "counterparts of settled persons", Keyset);
paged!(ListArticleRevisionsRequest, "revisions of an article", RevisionNumber);
paged!(ListDuplicatesRequest, "duplicates", DuplicateKey);
paged!(ListJudgementsRequest, "judgements", (Uuid, Uuid));
paged!(ListParticipantRevisionsRequest, "revisions of a participant", RevisionNumber);
paged!(ListMeetingRevisionsRequest, "revisions of a meeting", RevisionNumber);

/// The start of a page in a list.
#[derive(Debug, Clone)]
pub struct Cursor<K = Keyset> {
    /// The page begins after this key; `None` for the first page.
    pub after: Option<K>,
    /// Maximum number of records in the page.
    pub size: usize,
    /// Maximum number of records in a chunk of a stream.
    chunk: usize,
    /// The class of the query.
    pub class: QueryClass,
    /// The newest position when the first page was read.
    pub as_of: Position,
    key: TokenKey,
    request_hash: [u8; 16],
}

impl<K: Key> Cursor<K> {
    /// Reads the start of the page from a checked request. A first page is as of `head`.
    ///
    /// # Errors
    /// `PageToken` for a token that is malformed, forged or of another request.
    pub fn of<R: Paged<Key = K>>(request: &R, key: TokenKey, head: Position) -> Result<Self, ServiceError> {
        let mut query = request.clone();
        let (size, token) = query.paging();
        let (size, token) = (std::mem::take(size), std::mem::take(token));
        let mut hasher = blake3::Hasher::new();
        hasher.update(R::LIST.as_bytes()).update(&query.encode_to_vec());
        let mut request_hash = [0; 16];
        hasher.finalize_xof().fill(&mut request_hash);

        let (size, chunk) = (size_or(DEFAULT_SIZE, size), size_or(MAX_SIZE, size));
        let mut cursor = Self { after: None, size, chunk, class: QueryClass::Page, as_of: head, key, request_hash };
        if !token.is_empty() {
            cursor.read(&token).ok_or(ServiceError::PageToken)?;
        }
        Ok(cursor)
    }

    /// The same start, for a stream. Its chunks have the largest size unless the request sets one.
    pub fn in_chunks(self) -> Self {
        Self { size: self.chunk, class: QueryClass::Chunk, ..self }
    }

    /// The token of the page that begins after `after`: the keyed hash, then the key, then the position.
    pub fn token(&self, after: K) -> String {
        let bytes = after.to_bytes();
        let check_sum = blake3::Hash::from_bytes(self.check_sum(&bytes, &self.as_of));
        let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}{key}-{}", check_sum.to_hex(), self.as_of)
    }

    fn read(&mut self, token: &str) -> Option<()> {
        let (check_sum, rest) = token.split_at_checked(64)?;
        let (key, as_of) = rest.split_once('-')?;
        let digits = key.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let (key, as_of) = (digits.map(byte).collect::<Option<Vec<u8>>>()?, Position::parse(as_of)?);
        let check_sum = blake3::Hash::from_hex(check_sum).ok()?;
        // Compared in constant time.
        if check_sum != blake3::Hash::from_bytes(self.check_sum(&key, &as_of)) {
            return None;
        }
        (self.after, self.as_of) = (Some(K::from_bytes(&key)?), as_of);
        Some(())
    }

    fn check_sum(&self, after: &[u8], as_of: &Position) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(&self.request_hash).update(&[after.len() as u8]).update(after);
        hasher.update(&as_of.number.to_be_bytes()).update(as_of.epoch.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Streams a whole result in chunks. `page` reads a chunk, and returns it with the keyset after which the next one
/// begins.
///
/// The next chunk is read while the previous one is sent, unless many streams hold such a chunk already. A slow client
/// holds no connection and no snapshot, only a chunk.
pub fn chunks<T, P, F>(
    api: &Api,
    cursor: Cursor,
    page: P,
) -> impl Stream<Item = Result<T, Status>> + Send + use<T, P, F>
where
    P: Fn(Cursor) -> F + Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<(T, Option<Keyset>), ServiceError>> + Send + 'static,
{
    let lifetime = api.stream_limits.begin();
    let first = Some(Chunk::ahead(&page, cursor));
    stream::try_unfold((first, page, lifetime), |(chunk, page, lifetime)| async move {
        let Some(Chunk { cursor, ahead }) = chunk else { return Ok(None) };
        let (task, _permit) = match ahead {
            Some(Ahead { task, permit }) => (task, Some(permit)),
            None => (read_chunk(&page, &cursor), None),
        };
        let read = tokio::select! {
            biased;
            reason = lifetime.ended() => {
                let resume = cursor.after.map(|after| ("page_token", cursor.token(after)));
                return Err(ServiceError::Ended(Ended { reason, resume }).into());
            }
            read = task => read,
        };
        // A join error means that the task panicked, which was logged: nothing aborts it while it is awaited.
        let (chunk, next) = read.map_err(|_| ServiceError::Defect)??;
        let next = next.map(|after| Chunk::ahead(&page, Cursor { after: Some(after), ..cursor }));
        Ok(Some((chunk, (next, page, lifetime))))
    })
}

/// A chunk that is to be sent.
struct Chunk<T> {
    cursor: Cursor,
    /// `None` if the chunk is read only when the client asks for it.
    ahead: Option<Ahead<T>>,
}

/// A chunk that is read before the client asks for it.
struct Ahead<T> {
    task: ChunkTask<T>,
    permit: Permit,
}

/// A task that reads a chunk. Dropping it aborts the task.
type ChunkTask<T> = AbortOnDropHandle<Result<(T, Option<Keyset>), ServiceError>>;

/// Number of chunks that are held for clients that may not ask for them soon.
const MAX_AHEAD: usize = 8;

static AHEAD: LazyLock<FairQueue> = LazyLock::new(|| FairQueue::new("chunk_ahead", MAX_AHEAD, Duration::MAX));

impl<T: Send + 'static> Chunk<T> {
    /// Begins to read a chunk, if there is room for one more.
    fn ahead<P, F>(page: &P, cursor: Cursor) -> Self
    where
        P: Fn(Cursor) -> F,
        F: Future<Output = Result<(T, Option<Keyset>), ServiceError>> + Send + 'static,
    {
        let permit = AHEAD.try_acquire_quietly(Call::current().caller(), 1);
        let ahead = permit.map(|permit| Ahead { task: read_chunk(page, &cursor), permit });
        Self { cursor, ahead }
    }
}

/// Reads a chunk. The task keeps what the query holds until the records are decoded.
fn read_chunk<T, P, F>(page: &P, cursor: &Cursor) -> ChunkTask<T>
where
    P: Fn(Cursor) -> F,
    T: Send + 'static,
    F: Future<Output = Result<(T, Option<Keyset>), ServiceError>> + Send + 'static,
{
    let call = Call::unary(Call::current().caller().clone(), None);
    AbortOnDropHandle::new(tokio::spawn(call.scope(page(cursor.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TokenKey = TokenKey([7; 32]);

    fn head(number: i64) -> Position {
        Position { epoch: "5c9e71d0".into(), number }
    }

    #[test]
    fn page_token_of_revisions_continues_below_the_last_revision() {
        let request = ListMeetingRevisionsRequest { name: "meetings/a".into(), ..Default::default() };
        let first = Cursor::of(&request, KEY, head(7)).unwrap();
        assert_eq!(first.after, None);
        let next = ListMeetingRevisionsRequest { page_token: first.token(RevisionNumber(12)), ..request.clone() };
        assert_eq!(Cursor::of(&next, KEY, head(9)).unwrap().after, Some(RevisionNumber(12)));
        let other = ListMeetingRevisionsRequest { name: "meetings/b".into(), ..next.clone() };
        assert!(Cursor::of(&other, KEY, head(9)).is_err());
        let elsewhere =
            ListParticipantRevisionsRequest { name: next.name, page_token: next.page_token, ..Default::default() };
        assert!(Cursor::of(&elsewhere, KEY, head(9)).is_err());
    }

    #[test]
    fn page_token_is_bound_to_its_request_and_key() {
        let request = ListMeetingsRequest { filter: "kind = TALKS".into(), page_size: 10, ..Default::default() };
        let keyset = Keyset { values: [i32::MIN.into(), 0, -1], id: Uuid::now_v7() };
        let token = Cursor::of(&request, KEY, head(7)).unwrap().token(keyset);

        let next = ListMeetingsRequest { page_token: token.clone(), page_size: 3, ..request.clone() };
        let cursor = Cursor::of(&next, KEY, head(9)).unwrap();
        assert_eq!((cursor.after, cursor.size, cursor.as_of), (Some(keyset), 3, head(7)));

        let other = ListMeetingsRequest { filter: "kind = VISIT".into(), ..next.clone() };
        assert!(Cursor::of(&other, KEY, head(9)).is_err());
        let reordered = ListMeetingsRequest { order_by: "date".into(), ..next.clone() };
        assert!(Cursor::of(&reordered, KEY, head(9)).is_err());
        assert!(Cursor::of(&next, TokenKey([8; 32]), head(9)).is_err());
        let elsewhere = ListArticlesRequest { page_token: token.clone(), ..Default::default() };
        assert!(Cursor::of(&elsewhere, KEY, head(9)).is_err());
        let later = token.replace(".7", ".8");
        for forged in ["x", &token[1..], &token.replace('-', ""), &"é".repeat(32), &later, &token[..96]] {
            let forged = ListMeetingsRequest { page_token: forged.into(), ..next.clone() };
            assert!(Cursor::of(&forged, KEY, head(9)).is_err());
        }
    }
}
