//! The reasons for which a caller is denied.

use std::{sync::Arc, time::Duration};

use crate::{model::role::Role, store::StoreError};

/// The reason why a caller is denied. It never repeats the credentials that were sent.
#[derive(Debug, Clone)]
pub enum Denied {
    /// The caller has no credentials.
    Missing,
    /// The credentials are invalid, for this reason.
    Invalid(&'static str),
    /// The credentials have expired.
    Expired,
    /// The credentials were revoked.
    Revoked,
    /// The caller's role does not allow the method.
    RoleTooLow {
        /// The role that the method requires.
        required: Role,
        /// The caller's role, if it has one.
        role: Option<Role>,
    },
    /// The caller's role does not allow it to name another actor.
    ActorNotAllowed(Role),
    /// The caller exceeds its rate, and must wait this long.
    TooOften(Duration),
    /// The keys to verify the token have not been fetched yet.
    NoKeys,
    /// The database failed, so that the caller cannot be identified.
    Store(Arc<StoreError>),
}

impl Denied {
    /// The label of the reason in the metrics.
    pub const fn metric(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid(_) => "invalid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::RoleTooLow { .. } | Self::ActorNotAllowed(_) => "role",
            Self::TooOften(_) => "rate",
            Self::NoKeys => "no_keys",
            Self::Store(_) => "database",
        }
    }
}
