//! The bodies of answers as parts of their calls. They are made no faster than their callers read them.
//!
//! The frames that wait to be sent are charged to the caller. A caller whose unsent frames reach its share gets no
//! further frames before some are sent. A single frame may exceed the share, since its size is known only once it is
//! made.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http},
};

use crate::fairness::{Call, Caller, FairQueue, Permit, heavy};

/// Smaller frames are not charged: the transport bounds them for each stream.
const MIN_CHARGED: usize = 4 * 1024;

/// Makes the body of a stream a part of its call: each frame is made in the scope of the call. `place` is held until
/// the body ends.
pub fn within_stream(
    response: http::Response<Body>,
    call: Call,
    unsent: FairQueue,
    place: Permit,
) -> http::Response<Body> {
    let open = |body| Open { body, _place: place };
    response.map(|body| Body::new(StreamBody { open: Some(open(body)), call, unsent, last_frame: 0, waiting: None }))
}

/// Waits until a caller may have more unsent bytes. False if the wait is too long.
pub async fn has_room(unsent: &FairQueue, caller: &Caller) -> bool {
    !unsent.is_half_held() || unsent.acquire(caller, 1).await.is_some()
}

/// Makes the one message of a unary answer, so that its call needs nothing but the bytes after this. `place` is held
/// until they are sent.
pub async fn encoded(
    response: http::Response<Body>,
    unsent: &FairQueue,
    caller: &Caller,
    place: Permit,
) -> http::Response<Body> {
    let (head, mut body) = response.into_parts();
    let first = poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context)).await;
    let first = first.map(|frame| frame.map(|frame| frame.map_data(|data| charged(data, unsent, caller))));
    http::Response::from_parts(head, Body::new(EncodedBody { first, rest: body, _place: place }))
}

/// The body of a stream.
struct StreamBody {
    /// `None` once the body has ended.
    open: Option<Open>,
    call: Call,
    /// The bytes that wait to be sent.
    unsent: FairQueue,
    /// The bytes of the last frame; the next one is likely to be as large.
    last_frame: usize,
    waiting: Option<Pin<Box<dyn Future<Output = Option<Permit>> + Send>>>,
}

/// A body that has not ended.
struct Open {
    body: Body,
    _place: Permit,
}

impl StreamBody {
    /// Waits until the caller may have more unsent bytes, and until it may work if the frame is large. Returns the permit
    /// to work.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Option<Permit>> {
        let is_heavy = self.last_frame >= heavy::MIN_BYTES;
        if self.waiting.is_none() {
            if !is_heavy && !self.unsent.is_half_held() {
                return Poll::Ready(None);
            }
            let (unsent, caller) = (self.unsent.clone(), self.call.caller().clone());
            self.waiting = Some(Box::pin(async move {
                drop(unsent.acquire_patiently(&caller, 1).await);
                match is_heavy {
                    true => Some(heavy::tasks().acquire_patiently(&caller, 1).await),
                    false => None,
                }
            }));
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        let turn = waiting.as_mut().poll(context);
        if turn.is_ready() {
            self.waiting = None;
        }
        turn
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.open.is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(_heavy) = this.poll_turn(context) else { return Poll::Pending };
        let Some(Open { body, .. }) = &mut this.open else { return Poll::Ready(None) };
        let Poll::Ready(frame) = this.call.clone().sync_scope(|| Pin::new(body).poll_frame(context)) else {
            // The next frame is not there yet, and waits for its turn again once it is.
            return Poll::Pending;
        };
        match frame {
            Some(Ok(frame)) => {
                if frame.is_trailers() {
                    this.open = None;
                }
                this.last_frame = frame.data_ref().map_or(0, Bytes::len);
                let (unsent, caller) = (&this.unsent, this.call.caller());
                Poll::Ready(Some(Ok(frame.map_data(|data| charged(data, unsent, caller)))))
            }
            end => {
                this.open = None;
                Poll::Ready(end)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.open.as_ref().map(|open| open.body.size_hint()).unwrap_or_default()
    }
}

/// The body of a unary answer whose message is made.
struct EncodedBody {
    first: Option<Result<Frame<Bytes>, Status>>,
    rest: Body,
    _place: Permit,
}

impl http_body::Body for EncodedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

/// Charges data until the transport has sent it.
fn charged(data: Bytes, unsent: &FairQueue, caller: &Caller) -> Bytes {
    if data.len() < MIN_CHARGED {
        return data;
    }
    let charge = unsent.charge(caller, data.len() as u64);
    Bytes::from_owner(ChargedBytes { data, _charge: charge })
}

struct ChargedBytes {
    data: Bytes,
    _charge: Permit,
}

impl AsRef<[u8]> for ChargedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, future::poll_fn, time::Duration};

    use futures_util::FutureExt;
    use http_body::Body as _;

    use super::*;

    struct Frames(VecDeque<Bytes>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    async fn next(body: &mut Body) -> Option<Bytes> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        frame.expect("a frame").into_data().ok()
    }

    fn body(caller: &str, unsent: &FairQueue, frames: usize) -> Body {
        let frames = (0..frames).map(|_| Bytes::from(vec![7; 8 * 1024])).collect();
        let caller = Caller::Named(caller.into());
        let place = FairQueue::new("places", 1, Duration::from_secs(1)).try_acquire(&caller, 1).expect("a place");
        let response = http::Response::new(Body::new(Frames(frames)));
        within_stream(response, Call::stream(caller), unsent.clone(), place).into_body()
    }

    #[tokio::test]
    async fn caller_with_its_share_of_unsent_bytes_gets_no_further_frames() {
        let unsent = FairQueue::new("unsent", 16 * 1024, Duration::from_secs(1));
        let mut hostile = body("hostile", &unsent, 4);
        let (first, second) = (next(&mut hostile).await.unwrap(), next(&mut hostile).await.unwrap());
        assert_eq!((first.len(), second.len()), (8 * 1024, 8 * 1024));
        assert!(next(&mut hostile).now_or_never().is_none());
        let mut polite = body("polite", &unsent, 1);
        assert!(next(&mut polite).now_or_never().is_some());
        drop(first);
        assert_eq!(next(&mut hostile).await.unwrap(), second);
    }

    #[tokio::test]
    async fn body_ends_after_its_last_frame_and_returns_its_places() {
        let unsent = FairQueue::new("unsent", 1 << 20, Duration::from_secs(1));
        let places = FairQueue::new("places", 1, Duration::from_secs(1));
        let caller = Caller::Named("a".into());
        let place = places.try_acquire(&caller, 1).unwrap();
        let frames = Body::new(Frames([Bytes::from_static(b"small")].into()));
        let response = within_stream(http::Response::new(frames), Call::stream(caller.clone()), unsent, place);
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap(), "small");
        assert!(places.try_acquire(&caller, 1).is_none());
        assert!(next(&mut body).await.is_none());
        assert!(places.try_acquire(&caller, 1).is_some());
        assert!(next(&mut body).await.is_none());
    }
}
