//! The body of an answer as a part of its call: it is made in the scope of the call, holds the call's places until it
//! ends, and is made no faster than its caller reads it.
//!
//! The frames that wait to be sent are charged to the caller. A caller whose unsent frames reach its share gets no
//! further frames before some are sent. A single frame may exceed the share, since its size is known only once it is
//! made.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http},
};

use crate::fairness::{Call, FairQueue, Permit};

/// Smaller frames are not charged: the transport bounds them for each stream.
const MIN_CHARGED: usize = 4 * 1024;

/// Makes the body of a response a part of its call. `places` are held until it ends.
pub fn within_call(
    response: http::Response<Body>,
    call: Call,
    unsent: FairQueue,
    places: Vec<Permit>,
) -> http::Response<Body> {
    response.map(|body| Body::new(CallBody { body: Some(body), call, unsent, waiting: None, places }))
}

struct CallBody {
    /// `None` once the body has ended.
    body: Option<Body>,
    call: Call,
    /// The bytes that wait to be sent.
    unsent: FairQueue,
    /// The wait of a caller that has its share of unsent bytes.
    waiting: Option<Pin<Box<dyn Future<Output = Permit> + Send>>>,
    places: Vec<Permit>,
}

impl CallBody {
    /// Waits until the caller may have more unsent bytes.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Permit> {
        if self.waiting.is_none() {
            if let Some(room) = self.unsent.try_acquire_quietly(self.call.caller(), 1) {
                return Poll::Ready(room);
            }
            let (unsent, caller) = (self.unsent.clone(), self.call.caller().clone());
            self.waiting = Some(Box::pin(async move { unsent.acquire_patiently(&caller, 1).await }));
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        let room = waiting.as_mut().poll(context);
        if room.is_ready() {
            self.waiting = None;
        }
        room
    }

    fn end(&mut self) {
        self.body = None;
        self.places.clear();
    }
}

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.body.is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(room) = this.poll_room(context) else { return Poll::Pending };
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = this.call.clone().sync_scope(|| Pin::new(body).poll_frame(context));
        match frame {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                if frame.is_trailers() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame.map_data(|data| charged(data, room)))))
            }
            Poll::Ready(end) => {
                this.end();
                Poll::Ready(end)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

/// Charges data until the transport has sent it.
fn charged(data: Bytes, mut room: Permit) -> Bytes {
    if data.len() < MIN_CHARGED {
        return data;
    }
    room.adjust(data.len() as u64);
    Bytes::from_owner(ChargedBytes { data, _room: room })
}

struct ChargedBytes {
    data: Bytes,
    _room: Permit,
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
    use crate::fairness::Caller;

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
        let call = Call::new(Caller::Named(caller.into()));
        within_call(http::Response::new(Body::new(Frames(frames))), call, unsent.clone(), Vec::new()).into_body()
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
        let response = within_call(http::Response::new(frames), Call::new(caller.clone()), unsent, vec![place]);
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap(), "small");
        assert!(places.try_acquire(&caller, 1).is_none());
        assert!(next(&mut body).await.is_none());
        assert!(places.try_acquire(&caller, 1).is_some());
        assert!(next(&mut body).await.is_none());
    }
}
