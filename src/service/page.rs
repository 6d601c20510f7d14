//! Page tokens: opaque, bound to their request, and checked.

use futures_util::{Stream, stream};
use prost::Message;
use tonic::Status;
use uuid::Uuid;

use super::{Api, status::Refusal};
use crate::{
    model::resource::Collection,
    pb::{ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest},
};

const DEFAULT_SIZE: i32 = 50;
const LARGEST_SIZE: i32 = 1_000;

/// Keys the check sums of tokens; all instances on one database have the same.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey(pub [u8; 32]);

/// A request for pages.
pub trait Paged: Message + Clone {
    /// What is listed.
    const COLLECTION: Collection;
    /// `page_size` and `page_token`.
    fn paging(&mut self) -> (&mut i32, &mut String);
}

macro_rules! paged {
    ($request:ty, $collection:ident) => {
        impl Paged for $request {
            const COLLECTION: Collection = Collection::$collection;

            fn paging(&mut self) -> (&mut i32, &mut String) {
                (&mut self.page_size, &mut self.page_token)
            }
        }
    };
}

paged!(ListArticlesRequest, Articles);
paged!(ListParticipantsRequest, Participants);
paged!(ListMeetingsRequest, Meetings);
paged!(ListReportsRequest, Reports);

/// Where a list is.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The page begins after this id.
    pub after: Uuid,
    /// How many records it may have.
    pub size: usize,
    key: TokenKey,
    request_hash: [u8; 16],
}

impl Cursor {
    /// Reads where a checked request wants to begin.
    pub fn of<R: Paged>(request: &R, key: TokenKey) -> Result<Self, Refusal> {
        let mut question = request.clone();
        let (size, token) = question.paging();
        let (size, token) = (std::mem::take(size), std::mem::take(token));
        let mut hasher = blake3::Hasher::new();
        hasher.update(R::COLLECTION.as_str().as_bytes()).update(&question.encode_to_vec());
        let mut request_hash = [0; 16];
        hasher.finalize_xof().fill(&mut request_hash);

        let size = if size == 0 { DEFAULT_SIZE } else { size.min(LARGEST_SIZE) };
        let mut cursor = Self { after: Uuid::nil(), size: usize::try_from(size).unwrap_or(1), key, request_hash };
        if !token.is_empty() {
            cursor.after = cursor.read(&token).ok_or(Refusal::PageToken)?;
        }
        Ok(cursor)
    }

    /// The token of a page that begins after `after`: the id, then a keyed hash of it and of the request.
    pub fn token(&self, after: Uuid) -> String {
        format!("{}{}", after.simple(), blake3::Hash::from_bytes(self.check_sum(after)).to_hex())
    }

    fn read(&self, token: &str) -> Option<Uuid> {
        let (id, check_sum) = token.split_at_checked(32)?;
        let id = Uuid::try_parse(id).ok()?;
        let check_sum = blake3::Hash::from_hex(check_sum).ok()?;
        // Compared in constant time.
        (check_sum == blake3::Hash::from_bytes(self.check_sum(id))).then_some(id)
    }

    fn check_sum(&self, after: Uuid) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(&self.request_hash).update(after.as_bytes());
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

    #[test]
    fn a_token_is_bound_to_its_request_and_its_service() {
        let request = ListMeetingsRequest { filter: "kind = TALKS".into(), page_size: 10, ..Default::default() };
        let id = Uuid::now_v7();
        let token = Cursor::of(&request, KEY).unwrap().token(id);

        let next = ListMeetingsRequest { page_token: token.clone(), page_size: 3, ..request.clone() };
        assert_eq!(Cursor::of(&next, KEY).unwrap().after, id);
        assert_eq!(Cursor::of(&next, KEY).unwrap().size, 3);

        let other = ListMeetingsRequest { filter: "kind = VISIT".into(), ..next.clone() };
        assert!(Cursor::of(&other, KEY).is_err());
        assert!(Cursor::of(&next, TokenKey([8; 32])).is_err());
        let elsewhere = ListArticlesRequest { page_token: token.clone(), ..Default::default() };
        assert!(Cursor::of(&elsewhere, KEY).is_err());
        for forged in ["x", &token[1..], &token.replace(&token[..1], "g"), &"é".repeat(32)] {
            let forged = ListMeetingsRequest { page_token: forged.into(), ..next.clone() };
            assert!(Cursor::of(&forged, KEY).is_err());
        }
    }
}
