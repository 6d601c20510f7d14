//! Lets the web pages of configured origins call the service (CORS): answers the questions of browsers.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use tonic::{
    body::Body,
    codegen::http::{self, HeaderName, HeaderValue, Method},
};
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// The time for which browsers remember an answer.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Headers of responses that pages may read, besides those that they always may. Trailers of unary calls of Connect
/// have a prefix; the contract has none.
const EXPOSED: [&str; 7] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "grpc-encoding",
    "connect-content-encoding",
    "readout-position",
    "x-request-id",
];

/// A service that answers the questions of browsers, if there are origins.
#[derive(Debug, Clone)]
pub enum Cors<S> {
    Off(S),
    On(Box<tower_http::cors::Cors<S>>),
}

impl<S> Cors<S> {
    /// Wraps a service that the pages of these origins may call; `*` is all.
    pub fn new(inner: S, origins: &[String]) -> Self {
        if origins.is_empty() {
            return Self::Off(inner);
        }
        let origins = match origins.iter().any(|origin| origin == "*") {
            true => AllowOrigin::any(),
            false => AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok())),
        };
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::HEAD, Method::POST])
            // Metadata has any names.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED.map(HeaderName::from_static))
            .max_age(MAX_AGE);
        Self::On(Box::new(layer.layer(inner)))
    }
}

impl<S> Service<http::Request<Body>> for Cors<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, tower_http::cors::ResponseFuture<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Self::Off(inner) => inner.poll_ready(context),
            Self::On(inner) => Service::<http::Request<Body>>::poll_ready(inner.as_mut(), context),
        }
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self {
            Self::Off(inner) => Either::Left(inner.call(request)),
            Self::On(inner) => Either::Right(inner.call(request)),
        }
    }
}
