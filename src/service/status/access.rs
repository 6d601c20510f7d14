//! The status of a caller that is not admitted.

use tonic::{Code, Status, metadata::MetadataValue};

use super::{
    details::{info, retry_later, status, with_details},
    store,
};
use crate::{
    access::Denied,
    model::{role::Role, text::quoted::quoted},
    pb::ErrorReason,
    service::error::ScopeSubject,
};

/// Converts a denial to its status.
pub(super) fn denied(denied: Denied) -> Status {
    match denied {
        Denied::Missing => unauthenticated(
            ErrorReason::CredentialsMissing,
            "credentials are required: a bearer token in the metadata `authorization`, or a client certificate",
        ),
        Denied::Invalid(problem) => {
            unauthenticated(ErrorReason::CredentialsInvalid, &format!("the credentials are not valid: {problem}"))
        }
        Denied::Expired => unauthenticated(ErrorReason::CredentialsExpired, "the token has expired"),
        Denied::Revoked => unauthenticated(ErrorReason::CredentialsRevoked, "the token was revoked"),
        Denied::RoleTooLow { required, role } => {
            let (required, role) = (required.as_contract(), role.map_or("NONE", Role::as_contract));
            let message = format!("the method needs the role {required}, and the caller has {role}");
            let metadata = [("required", required.to_owned()), ("role", role.to_owned())];
            status(Code::PermissionDenied, ErrorReason::RoleTooLow, message, metadata)
        }
        Denied::ActorNotAllowed(role) => {
            let (required, role) = (Role::Admin.as_contract(), role.as_contract());
            let message = format!("only {required} may speak for others: leave out the metadata `readout-actor`");
            let metadata = [("required", required.to_owned()), ("role", role.to_owned())];
            status(Code::PermissionDenied, ErrorReason::ActorNotAllowed, message, metadata)
        }
        Denied::TooOften(wait) => {
            let mut details = info(ErrorReason::RateLimited, []);
            details.set_retry_info(Some(wait));
            let message = "the caller exceeds its rate limit";
            with_details(Code::ResourceExhausted, ErrorReason::RateLimited, message, details)
        }
        Denied::NoKeys => {
            retry_later(ErrorReason::KeysUnavailable, "the keys that JWTs are verified with have not been fetched yet")
        }
        Denied::Store(error) => store::failed(&error),
    }
}

/// The status of a caller whose role does not allow to show a hidden text.
pub(super) fn text_hidden(name: String, role: Role) -> Status {
    let (required, role) = (Role::Curator.as_contract(), role.as_contract());
    let message = format!(
        "{name} hides its text (WITHHELD): only {required} may give it other text rights, and the caller has {role}"
    );
    let metadata = [("name", name), ("required", required.to_owned()), ("role", role.to_owned())];
    status(Code::PermissionDenied, ErrorReason::TextHidden, message, metadata)
}

/// The status of a write that is out of the caller's scope.
pub(super) fn out_of_scope(scope: String, subject: ScopeSubject) -> Status {
    let required = quoted(&scope);
    let (key, value, message) = match subject {
        ScopeSubject::Article(name) => {
            ("name", name.clone(), format!("{name} is not in the caller's scope {required}"))
        }
        ScopeSubject::NewArticle(uri) => {
            let message = format!("the article {} is not in the caller's scope {required}", quoted(&uri));
            ("uri", uri, message)
        }
        ScopeSubject::Method(name) => {
            let message = format!("the caller writes only articles in the scope {required}, and this write has none");
            ("method", name, message)
        }
    };
    status(Code::PermissionDenied, ErrorReason::OutOfScope, message, [("scope", scope), (key, value)])
}

/// An UNAUTHENTICATED status with `www-authenticate`, which HTTP requires to name the accepted scheme (RFC 9110,
/// 11.6.1).
fn unauthenticated(reason: ErrorReason, message: &str) -> Status {
    let mut status = status(Code::Unauthenticated, reason, message, []);
    status.metadata_mut().insert("www-authenticate", MetadataValue::from_static("Bearer"));
    status
}
