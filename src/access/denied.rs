//! Why a caller is not let in.

use std::{sync::Arc, time::Duration};

use crate::{model::role::Role, store::StoreError};

/// Why a caller is not let in. What it has sent is never repeated.
#[derive(Debug, Clone)]
pub enum Denied {
    /// It has no credentials.
    Missing,
    /// They do not hold, for this reason.
    Invalid(&'static str),
    /// They have expired.
    Expired,
    /// They were revoked.
    Revoked,
    /// It may not call the method.
    RoleTooLow {
        /// What the method needs.
        required: Role,
        /// What it has.
        role: Option<Role>,
    },
    /// It may not speak for others.
    ActorNotAllowed(Role),
    /// It must wait so long.
    TooOften(Duration),
    /// There are no keys to verify it with yet.
    NoKeys,
    /// The database cannot say who it is.
    Store(Arc<StoreError>),
}

impl Denied {
    /// What operators count it under.
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
