//! Authentication and authorisation of every call: by its credentials, and by the role that the contract declares for
//! its method. A stream ends when the credentials that admitted it cease to be valid.

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

use super::{
    call_audit::CallAudit,
    terminate_body::{cut_when, fail_request_when},
};
use crate::{
    access::{Admitted, Authenticator, Credentials, Denied, Refusal},
    audit::AuditLog,
    model::role::Role,
    service::{error::ServiceError, method::Method, peer::Peer, write::scope},
};

/// Admits authorised callers to a service.
#[derive(Debug, Clone)]
pub struct Access<S> {
    inner: S,
    authenticator: Arc<Authenticator>,
    audit: AuditLog,
}

impl<S> Access<S> {
    pub fn new(inner: S, authenticator: Arc<Authenticator>, audit: AuditLog) -> Self {
        Self { inner, authenticator, audit }
    }
}

/// The role that a path requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequiredRole {
    /// None: health checks come without credentials.
    Open,
    /// At least this role.
    AtLeast(Role),
    /// The path has no method, or one without a role. Only callers with the role reader learn that.
    UnknownMethod,
}

impl RequiredRole {
    fn of(path: &str) -> Self {
        if path.starts_with("/grpc.health.v1.Health/") {
            return Self::Open;
        }
        if path.starts_with("/grpc.reflection.v1.") || path.starts_with("/grpc.reflection.v1alpha.") {
            return Self::AtLeast(Role::Reader);
        }
        Method::of(path).and_then(|method| method.role).map_or(Self::UnknownMethod, Self::AtLeast)
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
        let required_role = RequiredRole::of(path);
        let is_unary = Method::of(path).is_some_and(|method| !method.is_streaming);
        let required = match required_role {
            RequiredRole::Open => return Box::pin(self.inner.call(request)),
            RequiredRole::AtLeast(role) => role,
            RequiredRole::UnknownMethod => Role::Reader,
        };
        // `poll_ready` has made this instance ready, not its clone.
        let clone = self.inner.clone();
        let (mut inner, authenticator) = (mem::replace(&mut self.inner, clone), self.authenticator.clone());
        let audit = CallAudit::new(self.audit.clone(), &request);
        let (mut head, body) = request.into_parts();
        Box::pin(async move {
            let mut audit = audit;
            let admitted = match admit(&authenticator, &head, required).await {
                Ok(admitted) if required_role != RequiredRole::UnknownMethod => admitted,
                Ok(_) => return Ok(Status::from(ServiceError::UnknownMethod(head.uri.path().to_owned())).into_http()),
                Err(Refusal { denied, principal }) => {
                    let status = Status::from(ServiceError::from(denied));
                    audit.principal = principal;
                    audit.refused(&status);
                    return Ok(status.into_http());
                }
            };
            audit.admitted(&admitted, &mut head.extensions);
            if let Err(error) = scope::require_open(&admitted.principal, head.uri.path()) {
                let status = Status::from(error);
                audit.refused(&status);
                return Ok(status.into_http());
            }
            head.extensions.insert(admitted.principal.clone());
            let request = http::Request::from_parts(head, body);
            // A unary call is always answered: a client would repeat a write that seems to be rejected.
            if is_unary || !admitted.may_end() {
                let response = inner.call(request).await?;
                audit.answered(response.headers());
                return Ok(response);
            }
            let request = fail_request_when(request, credentials_ended(admitted.clone()));
            let response = inner.call(request).await?;
            audit.answered(response.headers());
            let ended = async move {
                let status = credentials_ended(admitted).await;
                audit.refused(&status);
                status
            };
            Ok(cut_when(response, ended))
        })
    }
}

/// Waits until the credentials of an admitted caller cease to be valid, and returns the status that ends its streams.
async fn credentials_ended(admitted: Admitted) -> Status {
    ServiceError::from(admitted.ended().await).into()
}

/// Authenticates and authorises a request, and counts rejections.
async fn admit(
    authenticator: &Authenticator,
    head: &http::request::Parts,
    required: Role,
) -> Result<Admitted, Refusal> {
    let admitted = match credentials(head) {
        Ok(credentials) => authenticator.admit(credentials, required).await,
        Err(denied) => Err(denied.into()),
    };
    match &admitted {
        Ok(_) => {}
        Err(Refusal { denied: Denied::TooOften(_), .. }) => {
            metrics::counter!("readout_rate_limited_total").increment(1)
        }
        Err(Refusal { denied, .. }) => {
            metrics::counter!("readout_refused_credentials_total", "reason" => denied.metric()).increment(1);
        }
    }
    admitted
}

/// The credentials of a request.
fn credentials(head: &http::request::Parts) -> Result<Credentials<'_>, Denied> {
    // The server adds the peer to every request; without one no caller is admitted.
    let peer = head.extensions.get::<Peer>().ok_or(Denied::Missing)?;
    Ok(Credentials {
        bearer: bearer(&head.headers)?,
        certificate: peer.certificate.as_deref().map(|certificate| certificate.as_ref()),
        address: peer.address.ip(),
    })
}

/// The bearer token of a request (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (all.next(), all.next());
    let Some(first) = first else { return Ok(None) };
    let parts = first.to_str().ok().filter(|_| second.is_none()).and_then(|text| text.split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim_start())),
        _ => Err(Denied::Invalid("the metadata `authorization` must be one `Bearer`, and a token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_open_and_unknown_paths_are_closed() {
        assert_eq!(RequiredRole::of("/grpc.health.v1.Health/Watch"), RequiredRole::Open);
        assert_eq!(
            RequiredRole::of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            RequiredRole::AtLeast(Role::Reader)
        );
        assert_eq!(RequiredRole::of("/readout.v1.MeetingService/GetMeeting"), RequiredRole::AtLeast(Role::Reader));
        assert_eq!(RequiredRole::of("/readout.v1.MeetingService/MergeMeetings"), RequiredRole::AtLeast(Role::Curator));
        for unknown in
            ["", "/", "/readout.v1.MeetingService/", "/readout.v1.meetingservice/GetMeeting", "/grpc.health.v2/"]
        {
            assert_eq!(RequiredRole::of(unknown), RequiredRole::UnknownMethod, "{unknown}");
        }
    }

    #[test]
    fn malformed_authorization_is_rejected_and_not_taken_as_anonymous() {
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
