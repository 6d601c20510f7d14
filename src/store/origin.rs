//! The origin of a write, and new events, as the audit log has them.

use std::{net::IpAddr, sync::Arc};

use uuid::Uuid;

use crate::model::resource::Collection;

/// Maximum number of names in an event.
pub const MAX_NAMES: usize = 100;

/// The origin of a write: a call, or a command that works on the database.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The principal. Empty for a command: its event has the role in the database.
    pub principal: Arc<str>,
    /// The address of the caller.
    pub peer: Option<IpAddr>,
    /// The full name of the method.
    pub method: &'static str,
    /// The id of the call, for a request without one.
    pub call_id: Arc<str>,
    /// The reason that the caller gave.
    pub reason: String,
    /// A record that the call concerns, whether the write changes it or not.
    pub related: Option<(Collection, Uuid)>,
}

impl Origin {
    /// The origin of a command that works on the database.
    pub fn command(method: &'static str) -> Self {
        Self { principal: "".into(), peer: None, method, call_id: "".into(), reason: String::new(), related: None }
    }
}

/// An event to be inserted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewEvent {
    /// The caller.
    pub principal: String,
    /// The address of the caller.
    pub peer: String,
    /// The full name of the method.
    pub method: String,
    /// The names, joined by commas, which they do not contain.
    pub names: String,
    /// OK, or the reason of the error.
    pub outcome: String,
    /// The id of the call.
    pub request_id: String,
    /// The number of calls.
    pub count: i64,
}

impl NewEvent {
    /// Prints the event to the log. The reason is left out, because the log has nothing that callers write.
    pub fn print(&self) {
        tracing::info!(
            target: "readout::audit",
            principal = self.principal,
            peer = self.peer,
            method = self.method,
            names = self.names,
            outcome = self.outcome,
            request_id = self.request_id,
            count = self.count,
            "audited"
        );
    }
}
