//! A service with one method, for baselines: the cost of tonic alone, and of a simpler implementation of the method.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use prost::Message;
use readout::service::codec::Codec;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    client::Grpc as Client,
    codegen::{Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server, server::TcpIncoming},
};

use super::{
    load::{CONNECTIONS, Call, call},
    service::connect,
};

/// The future answer of a handler.
type Answer<A> = BoxFuture<'static, Result<A, Status>>;

struct Method<Q, A>(Arc<dyn Fn(Q) -> Answer<A> + Send + Sync>);

impl<Q, A> Clone for Method<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q, A> NamedService for Method<Q, A> {
    const NAME: &'static str = "bench.Baseline";
}

impl<Q, A> UnaryService<Q> for Method<Q, A>
where
    A: Send + 'static,
{
    type Response = A;
    type Future = BoxFuture<'static, Result<Response<A>, Status>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = (self.0)(request.into_inner());
        Box::pin(async { answer.await.map(Response::new) })
    }
}

impl<Q, A> Service<http::Request<Body>> for Method<Q, A>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move { Ok(Grpc::new(Codec::<A, Q>::default()).unary(method, request).await) })
    }
}

/// Serves the method until the process ends.
async fn serve<Q, A, F>(handle: impl Fn(Q) -> F + Send + Sync + 'static) -> SocketAddr
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let method = Method::<Q, A>(Arc::new(move |request| Box::pin(handle(request))));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(async { Server::builder().add_service(method).serve_with_incoming(incoming).await });
    address
}

/// Serves the method. Returns a call of it with the requests that `request` makes.
pub async fn baseline<Q, A, F>(
    handle: impl Fn(Q) -> F + Send + Sync + 'static,
    request: impl Fn(u64) -> Q + Send + Sync + 'static,
) -> Call
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    let channels = channels(serve::<Q, A, F>(handle).await).await;
    call(move |number| {
        let mut client = Client::new(channels.of(number));
        let request = Request::new(request(number));
        async move {
            client.ready().await.expect("connected");
            let path = http::uri::PathAndQuery::from_static("/bench.Baseline/Call");
            client.unary(request, path, Codec::<Q, A>::default()).await.expect("answered");
        }
    })
}

/// A call that is answered with its own request message.
pub async fn echo<M: Message + Default + Clone + 'static>(message: impl Fn(u64) -> M + Send + Sync + 'static) -> Call {
    baseline(|message: M| async { Ok(message) }, message).await
}

/// Connections, used in turn.
#[derive(Clone)]
pub struct Channels(Arc<Vec<Channel>>);

impl Channels {
    pub fn of_all(channels: Vec<Channel>) -> Self {
        Self(Arc::new(channels))
    }

    pub fn of(&self, number: u64) -> Channel {
        self.0[number as usize % self.0.len()].clone()
    }
}

/// Opens connections to a service.
pub async fn channels(address: SocketAddr) -> Channels {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(connect(address).await);
    }
    Channels(Arc::new(channels))
}
