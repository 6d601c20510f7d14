//! Every call is let in, or is not: by who makes it, and by the least role that the contract declares for its method.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    Status,
    body::Body,
    codegen::http::{self, HeaderMap, header::AUTHORIZATION},
};
use tower::Service;

use super::terminate_body::{broken_with, cut_with};
use crate::{
    access::{Admitted, Authenticator, Credentials, Denied},
    model::role::Role,
    service::{error::ServiceError, method::Method, peer::Peer},
};

/// Lets callers in to a service.
#[derive(Debug, Clone)]
pub struct Access<S> {
    inner: S,
    gate: Arc<Authenticator>,
}

impl<S> Access<S> {
    /// Around this service, for those whom the gate admits.
    pub fn new(inner: S, gate: Arc<Authenticator>) -> Self {
        Self { inner, gate }
    }
}

/// Whom a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequiredRole {
    /// Everybody: whoever looks after the service has no credentials.
    Open,
    /// Those who have the role.
    For(Role),
    /// Nobody: there is no such method, or it has no role. That much is only told to those who may read.
    Nowhere,
}

impl RequiredRole {
    fn of(path: &str) -> Self {
        if path.starts_with("/grpc.health.v1.Health/") {
            return Self::Open;
        }
        if path.starts_with("/grpc.reflection.v1.") || path.starts_with("/grpc.reflection.v1alpha.") {
            return Self::For(Role::Reader);
        }
        Method::of(path).and_then(|method| method.role).map_or(Self::Nowhere, Self::For)
    }
}

impl<S> Service<http::Request<Body>> for Access<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let (door, is_unary) = (RequiredRole::of(path), Method::of(path).is_some_and(|method| !method.is_streaming));
        let required = match door {
            RequiredRole::Open => return Box::pin(self.inner.call(request)),
            RequiredRole::For(role) => role,
            RequiredRole::Nowhere => Role::Reader,
        };
        // The one that is ready is this one, not its clone.
        let clone = self.inner.clone();
        let (mut inner, gate) = (mem::replace(&mut self.inner, clone), self.gate.clone());
        let (mut head, body) = request.into_parts();
        Box::pin(async move {
            let admitted = match admit(&gate, &head, required).await {
                Ok(admitted) if door != RequiredRole::Nowhere => admitted,
                Ok(_) => return Ok(Status::from(ServiceError::UnknownMethod(head.uri.path().to_owned())).into_http()),
                Err(denied) => return Ok(Status::from(ServiceError::from(denied)).into_http()),
            };
            head.extensions.insert(admitted.principal.clone());
            let request = http::Request::from_parts(head, body);
            // What is done by the time that it ends is answered: a write that seems refused would be made again.
            if is_unary || !admitted.may_end() {
                return inner.call(request).await;
            }
            let request = broken_with(request, ended(admitted.clone()));
            Ok(cut_with(inner.call(request).await?, ended(admitted)))
        })
    }
}

/// How a call ends that was let in by what does not hold any more.
async fn ended(admitted: Admitted) -> Status {
    ServiceError::from(admitted.ended().await).into()
}

async fn admit(gate: &Authenticator, head: &http::request::Parts, required: Role) -> Result<Admitted, Denied> {
    let admitted = match presented(head) {
        Ok(presented) => gate.admit(presented, required).await,
        Err(denied) => Err(denied),
    };
    match &admitted {
        Ok(_) => {}
        Err(Denied::TooOften(_)) => metrics::counter!("readout_rate_limited_total").increment(1),
        Err(denied) => {
            metrics::counter!("readout_refused_credentials_total", "reason" => denied.metric()).increment(1);
        }
    }
    admitted
}

fn presented(head: &http::request::Parts) -> Result<Credentials<'_>, Denied> {
    // Where nothing is known of the connection, nobody can be let in by it.
    let peer = head.extensions.get::<Peer>().ok_or(Denied::Missing)?;
    Ok(Credentials {
        bearer: bearer(&head.headers)?,
        certificate: peer.certificate.as_deref().map(|certificate| certificate.as_ref()),
        address: peer.address.ip(),
    })
}

/// The token of a request (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (first, other) = (all.next(), all.next());
    let Some(first) = first else { return Ok(None) };
    let parts = first.to_str().ok().filter(|_| other.is_none()).and_then(|text| text.split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim_start())),
        _ => Err(Denied::Invalid("the metadata `authorization` must be one `Bearer`, and a token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_open_and_whatever_has_no_role_is_closed() {
        assert_eq!(RequiredRole::of("/grpc.health.v1.Health/Watch"), RequiredRole::Open);
        assert_eq!(
            RequiredRole::of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            RequiredRole::For(Role::Reader)
        );
        assert_eq!(RequiredRole::of("/readout.v1.MeetingService/GetMeeting"), RequiredRole::For(Role::Reader));
        assert_eq!(RequiredRole::of("/readout.v1.MeetingService/MergeMeetings"), RequiredRole::For(Role::Curator));
        for nowhere in
            ["", "/", "/readout.v1.MeetingService/", "/readout.v1.meetingservice/GetMeeting", "/grpc.health.v2/"]
        {
            assert_eq!(RequiredRole::of(nowhere), RequiredRole::Nowhere, "{nowhere}");
        }
    }

    #[test]
    fn a_bearer_token_is_one_and_whatever_else_is_sent_is_no_anonymous_caller() {
        let bearer = |sent: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(AUTHORIZATION, value.parse().expect("a value"));
            }
            super::bearer(&headers).map(|token| token.map(str::to_owned)).map_err(|_| ())
        };
        assert_eq!(bearer(&[]), Ok(None));
        assert_eq!(bearer(&["Bearer a.b.c"]), Ok(Some("a.b.c".to_owned())));
        assert_eq!(bearer(&["bearer  a"]), Ok(Some("a".to_owned())));
        for wrong in [&["Bearer"][..], &["Basic YTpi"], &["a.b.c"], &[""], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(wrong), Err(()), "{wrong:?}");
        }
    }
}
