//! Page tokens: opaque, bound to their request, and checked.

use futures_util::{Stream, stream};
use prost::Message;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use uuid::Uuid;

use super::stream_lifetime::Ended;
use crate::{
    pb::{
        ListArticleRevisionsRequest, ListArticlesRequest, ListCounterpartsRequest, ListMeetingRevisionsRequest,
        ListMeetingsRequest, ListParticipantRevisionsRequest, ListParticipantsRequest, ListReportsRequest,
        ListStatementsRequest,
    },
    service::{Api, error::ServiceError},
    store::{
        change::Position,
        query::{QueryClass, list::Keyset},
        statement::StatementPosition,
    },
};

const DEFAULT_SIZE: usize = 50;
const LARGEST_SIZE: usize = 1_000;

/// Keys the check sums of tokens; all instances on one database have the same.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey(pub [u8; 32]);

/// Where in a list something stands: a page begins after the last of the page before.
pub trait Key: Copy {
    /// As bytes, which stand in tokens.
    fn bytes(self) -> Vec<u8>;
    /// What has these bytes.
    fn of_bytes(bytes: &[u8]) -> Option<Self>;
}

/// In the order of names, by their ids.
impl Key for Uuid {
    fn bytes(self) -> Vec<u8> {
        self.into_bytes().into()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

/// Of statements.
impl Key for StatementPosition {
    fn bytes(self) -> Vec<u8> {
        [self.value.to_be_bytes().as_slice(), self.report.as_bytes(), &self.number.to_be_bytes()].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (value, rest) = bytes.split_first_chunk()?;
        let (report, number) = rest.split_first_chunk()?;
        Some(Self {
            value: i64::from_be_bytes(*value),
            report: Uuid::from_bytes(*report),
            number: i32::from_be_bytes(number.try_into().ok()?),
        })
    }
}

/// In the order of a field.
impl Key for Keyset {
    fn bytes(self) -> Vec<u8> {
        [self.value.to_be_bytes().as_slice(), self.id.as_bytes()].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (value, id) = bytes.split_first_chunk()?;
        Some(Self { value: i64::from_be_bytes(*value), id: Uuid::from_slice(id).ok()? })
    }
}

/// A revision of a record; the newest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionNumber(pub i64);

impl Key for RevisionNumber {
    fn bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().into()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }
}

/// How many records are answered where so many are asked for.
pub fn size(asked: i32) -> usize {
    size_or(DEFAULT_SIZE, asked)
}

fn size_or(default: usize, asked: i32) -> usize {
    match asked {
        0 => default,
        size => usize::try_from(size).map_or(1, |size| size.min(LARGEST_SIZE)),
    }
}

/// A request for pages.
pub trait Paged: Message + Clone {
    /// What is listed: no two lists have the same word.
    const LIST: &'static str;
    /// What tells where a page begins.
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
paged!(ListParticipantsRequest, "participants", Keyset);
paged!(ListMeetingsRequest, "meetings", Keyset);
paged!(ListReportsRequest, "reports", Uuid);
paged!(ListStatementsRequest, "statements", StatementPosition);
paged!(ListCounterpartsRequest, "counterparts", Keyset);
paged!(ListArticleRevisionsRequest, "revisions of an article", RevisionNumber);
paged!(ListParticipantRevisionsRequest, "revisions of a participant", RevisionNumber);
paged!(ListMeetingRevisionsRequest, "revisions of a meeting", RevisionNumber);

/// Where a list is.
#[derive(Debug, Clone)]
pub struct Cursor<K = Keyset> {
    /// The page begins after this one; the first page with the first one.
    pub after: Option<K>,
    /// How many records it may have.
    pub size: usize,
    /// The same in a chunk of a stream.
    chunk: usize,
    /// What is asked for with it.
    pub about: QueryClass,
    /// The position before the first page.
    pub as_of: Position,
    key: TokenKey,
    request_hash: [u8; 16],
}

impl<K: Key> Cursor<K> {
    /// Reads where a checked request wants to begin. A first page is as of `head`.
    pub fn of<R: Paged<Key = K>>(request: &R, key: TokenKey, head: Position) -> Result<Self, ServiceError> {
        let mut question = request.clone();
        let (size, token) = question.paging();
        let (size, token) = (std::mem::take(size), std::mem::take(token));
        let mut hasher = blake3::Hasher::new();
        hasher.update(R::LIST.as_bytes()).update(&question.encode_to_vec());
        let mut request_hash = [0; 16];
        hasher.finalize_xof().fill(&mut request_hash);

        let (size, chunk) = (size_or(DEFAULT_SIZE, size), size_or(LARGEST_SIZE, size));
        let mut cursor = Self { after: None, size, chunk, about: QueryClass::Page, as_of: head, key, request_hash };
        if !token.is_empty() {
            cursor.read(&token).ok_or(ServiceError::PageToken)?;
        }
        Ok(cursor)
    }

    /// The same in chunks of a stream, which are as large as they can be.
    pub fn in_chunks(self) -> Self {
        Self { size: self.chunk, about: QueryClass::Chunk, ..self }
    }

    /// The token of a page that begins after `after`: a keyed hash of all that binds it, then its key, then the position.
    pub fn token(&self, after: K) -> String {
        let bytes = after.bytes();
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
        (self.after, self.as_of) = (Some(K::of_bytes(&key)?), as_of);
        Some(())
    }

    fn check_sum(&self, after: &[u8], as_of: &Position) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(&self.request_hash).update(&[after.len() as u8]).update(after);
        hasher.update(&as_of.number.to_be_bytes()).update(as_of.epoch.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// A whole result, chunk by chunk. `page` answers a chunk, and after which place the next one begins, if there is one.
/// The next chunk is made while one is sent, and nothing is held while it waits to be: a slow reader keeps no connection
/// and no snapshot.
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
    let life = api.stream_limits.begin();
    let begun = Some(Chunk::begin(&page, cursor));
    stream::try_unfold((begun, page, life), |(begun, page, life)| async move {
        let Some(Chunk { cursor, task }) = begun else { return Ok(None) };
        let made = tokio::select! {
            biased;
            why = life.ended() => {
                let resume = cursor.after.map(|after| ("page_token", cursor.token(after)));
                return Err(ServiceError::Ended(Ended { why, resume }).into());
            }
            made = task => made,
        };
        // It panicked, and that was logged; nobody else ends it.
        let (chunk, next) = made.map_err(|_| ServiceError::Defect)??;
        let next = next.map(|after| Chunk::begin(&page, Cursor { after: Some(after), ..cursor }));
        Ok(Some((chunk, (next, page, life))))
    })
}

/// A chunk that is being made. Without anybody to wait for it that ends.
struct Chunk<T> {
    cursor: Cursor,
    task: AbortOnDropHandle<Result<(T, Option<Keyset>), ServiceError>>,
}

impl<T: Send + 'static> Chunk<T> {
    fn begin<P, F>(page: &P, cursor: Cursor) -> Self
    where
        P: Fn(Cursor) -> F,
        F: Future<Output = Result<(T, Option<Keyset>), ServiceError>> + Send + 'static,
    {
        Self { task: AbortOnDropHandle::new(tokio::spawn(page(cursor.clone()))), cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TokenKey = TokenKey([7; 32]);

    fn head(number: i64) -> Position {
        Position { epoch: "5c9e71d0".into(), number }
    }

    #[test]
    fn a_list_of_revisions_goes_on_below_the_last_one() {
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
    fn a_token_is_bound_to_its_request_and_its_service() {
        let request = ListMeetingsRequest { filter: "kind = TALKS".into(), page_size: 10, ..Default::default() };
        let place = Keyset { value: i32::MIN.into(), id: Uuid::now_v7() };
        let token = Cursor::of(&request, KEY, head(7)).unwrap().token(place);

        let next = ListMeetingsRequest { page_token: token.clone(), page_size: 3, ..request.clone() };
        let cursor = Cursor::of(&next, KEY, head(9)).unwrap();
        assert_eq!((cursor.after, cursor.size, cursor.as_of), (Some(place), 3, head(7)));

        let other = ListMeetingsRequest { filter: "kind = VISIT".into(), ..next.clone() };
        assert!(Cursor::of(&other, KEY, head(9)).is_err());
        let turned = ListMeetingsRequest { order_by: "date".into(), ..next.clone() };
        assert!(Cursor::of(&turned, KEY, head(9)).is_err());
        assert!(Cursor::of(&next, TokenKey([8; 32]), head(9)).is_err());
        let elsewhere = ListArticlesRequest { page_token: token.clone(), ..Default::default() };
        assert!(Cursor::of(&elsewhere, KEY, head(9)).is_err());
        let later = token.replace(".7", ".8");
        for forged in ["x", &token[1..], &token.replace('-', ""), &"é".repeat(32), &later, &token[..96], &token[..64]]
        {
            let forged = ListMeetingsRequest { page_token: forged.into(), ..next.clone() };
            assert!(Cursor::of(&forged, KEY, head(9)).is_err());
        }
    }
}
