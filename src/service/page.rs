//! Page tokens: opaque, bound to their request, and checked.

use futures_util::{Stream, stream};
use prost::Message;
use tonic::Status;
use uuid::Uuid;

use super::{Api, refusal::Refusal};
use crate::{
    pb::{
        ListArticleRevisionsRequest, ListArticlesRequest, ListMeetingRevisionsRequest, ListMeetingsRequest,
        ListParticipantRevisionsRequest, ListParticipantsRequest, ListReportsRequest,
    },
    store::change::Position,
};

const DEFAULT_SIZE: i32 = 50;
const LARGEST_SIZE: i32 = 1_000;

/// Keys the check sums of tokens; all instances on one database have the same.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey(pub [u8; 32]);

/// What a list is in the order of: a page begins after the last of the page before.
pub trait Key: Copy {
    /// From here the first page begins.
    const START: Self;
    /// As a number, which stands in tokens.
    fn number(self) -> u128;
    /// What has this number.
    fn of_number(number: u128) -> Option<Self>;
}

/// Names, by their ids.
impl Key for Uuid {
    const START: Self = Self::nil();

    fn number(self) -> u128 {
        self.as_u128()
    }

    fn of_number(number: u128) -> Option<Self> {
        Some(Self::from_u128(number))
    }
}

/// A revision of a record; the newest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionNumber(pub i64);

impl Key for RevisionNumber {
    const START: Self = Self(i64::MAX);

    fn number(self) -> u128 {
        u128::from(self.0.unsigned_abs())
    }

    fn of_number(number: u128) -> Option<Self> {
        i64::try_from(number).ok().map(Self)
    }
}

/// A request for pages.
pub trait Paged: Message + Clone {
    /// What is listed: no two lists have the same word.
    const LIST: &'static str;
    /// What it is in the order of.
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

paged!(ListArticlesRequest, "articles", Uuid);
paged!(ListParticipantsRequest, "participants", Uuid);
paged!(ListMeetingsRequest, "meetings", Uuid);
paged!(ListReportsRequest, "reports", Uuid);
paged!(ListArticleRevisionsRequest, "revisions of an article", RevisionNumber);
paged!(ListParticipantRevisionsRequest, "revisions of a participant", RevisionNumber);
paged!(ListMeetingRevisionsRequest, "revisions of a meeting", RevisionNumber);

/// Where a list is.
#[derive(Debug, Clone)]
pub struct Cursor<K = Uuid> {
    /// The page begins after this one.
    pub after: K,
    /// How many records it may have.
    pub size: usize,
    /// The position before the first page.
    pub as_of: Position,
    key: TokenKey,
    request_hash: [u8; 16],
}

impl<K: Key> Cursor<K> {
    /// Reads where a checked request wants to begin. A first page is as of `head`.
    pub fn of<R: Paged<Key = K>>(request: &R, key: TokenKey, head: Position) -> Result<Self, Refusal> {
        let mut question = request.clone();
        let (size, token) = question.paging();
        let (size, token) = (std::mem::take(size), std::mem::take(token));
        let mut hasher = blake3::Hasher::new();
        hasher.update(R::LIST.as_bytes()).update(&question.encode_to_vec());
        let mut request_hash = [0; 16];
        hasher.finalize_xof().fill(&mut request_hash);

        let size = if size == 0 { DEFAULT_SIZE } else { size.min(LARGEST_SIZE) };
        let size = usize::try_from(size).unwrap_or(1);
        let mut cursor = Self { after: K::START, size, as_of: head, key, request_hash };
        if !token.is_empty() {
            cursor.read(&token).ok_or(Refusal::PageToken)?;
        }
        Ok(cursor)
    }

    /// The token of a page that begins after `after`: its number, then a keyed hash of all that binds it, then the
    /// position.
    pub fn token(&self, after: K) -> String {
        let check_sum = blake3::Hash::from_bytes(self.check_sum(after.number(), &self.as_of));
        format!("{:032x}{}{}", after.number(), check_sum.to_hex(), self.as_of)
    }

    fn read(&mut self, token: &str) -> Option<()> {
        let (number, rest) = token.split_at_checked(32)?;
        let (check_sum, as_of) = rest.split_at_checked(64)?;
        let (number, as_of) = (u128::from_str_radix(number, 16).ok()?, Position::parse(as_of)?);
        let check_sum = blake3::Hash::from_hex(check_sum).ok()?;
        // Compared in constant time.
        if check_sum != blake3::Hash::from_bytes(self.check_sum(number, &as_of)) {
            return None;
        }
        (self.after, self.as_of) = (K::of_number(number)?, as_of);
        Some(())
    }

    fn check_sum(&self, after: u128, as_of: &Position) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(&self.request_hash).update(&after.to_be_bytes());
        hasher.update(&as_of.number.to_be_bytes()).update(as_of.epoch.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// A whole result, chunk by chunk. `page` answers a chunk, and after which id the next one begins, if there is one.
/// Nothing is held between chunks: a slow reader keeps no connection and no snapshot.
pub fn chunks<T, P, F>(
    api: &Api,
    cursor: Cursor,
    page: P,
) -> impl Stream<Item = Result<T, Status>> + Send + use<T, P, F>
where
    P: Fn(Cursor) -> F + Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<(T, Option<Uuid>), Refusal>> + Send + 'static,
{
    let stopping = api.stopping.clone();
    stream::try_unfold((Some(cursor), page, stopping), |(cursor, page, stopping)| async move {
        let Some(cursor) = cursor else { return Ok(None) };
        if stopping.is_cancelled() {
            return Err(Refusal::Stopping.into());
        }
        let (chunk, next) = page(cursor.clone()).await?;
        let next = next.map(|after| Cursor { after, ..cursor });
        Ok(Some((chunk, (next, page, stopping))))
    })
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
        assert_eq!(first.after, RevisionNumber(i64::MAX));
        let next = ListMeetingRevisionsRequest { page_token: first.token(RevisionNumber(12)), ..request.clone() };
        assert_eq!(Cursor::of(&next, KEY, head(9)).unwrap().after, RevisionNumber(12));
        let other = ListMeetingRevisionsRequest { name: "meetings/b".into(), ..next.clone() };
        assert!(Cursor::of(&other, KEY, head(9)).is_err());
        let elsewhere =
            ListParticipantRevisionsRequest { name: next.name, page_token: next.page_token, ..Default::default() };
        assert!(Cursor::of(&elsewhere, KEY, head(9)).is_err());
    }

    #[test]
    fn a_token_is_bound_to_its_request_and_its_service() {
        let request = ListMeetingsRequest { filter: "kind = TALKS".into(), page_size: 10, ..Default::default() };
        let id = Uuid::now_v7();
        let token = Cursor::of(&request, KEY, head(7)).unwrap().token(id);

        let next = ListMeetingsRequest { page_token: token.clone(), page_size: 3, ..request.clone() };
        let cursor = Cursor::of(&next, KEY, head(9)).unwrap();
        assert_eq!((cursor.after, cursor.size, cursor.as_of), (id, 3, head(7)));

        let other = ListMeetingsRequest { filter: "kind = VISIT".into(), ..next.clone() };
        assert!(Cursor::of(&other, KEY, head(9)).is_err());
        assert!(Cursor::of(&next, TokenKey([8; 32]), head(9)).is_err());
        let elsewhere = ListArticlesRequest { page_token: token.clone(), ..Default::default() };
        assert!(Cursor::of(&elsewhere, KEY, head(9)).is_err());
        let later = token.replace(".7", ".8");
        for forged in ["x", &token[1..], &token.replace(&token[..1], "g"), &"é".repeat(32), &later, &token[..96]] {
            let forged = ListMeetingsRequest { page_token: forged.into(), ..next.clone() };
            assert!(Cursor::of(&forged, KEY, head(9)).is_err());
        }
    }
}
