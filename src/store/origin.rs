//! The origin of a write, as the audit log has it.

use std::{net::IpAddr, sync::Arc};

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
}

impl Origin {
    /// The origin of a command that works on the database.
    pub fn command(method: &'static str) -> Self {
        Self { principal: "".into(), peer: None, method, call_id: "".into(), reason: String::new() }
    }
}
