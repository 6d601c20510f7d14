//! The audit log of calls that write nothing: refusals, first uses of tokens, and reads on request. The events of writes
//! are in the transactions of the writes (`store::change`).
//!
//! Calls only put their events into memory, which is bounded. One task of the instance stores them. What does not fit
//! is dropped and counted, and the log has an event with the number.

mod refusals;
mod writer;

use std::{
    fmt::Display,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

use self::refusals::Refusals;
use crate::{fairness::Caller, model::text::quoted::quoted, store::origin::NewEvent};

pub use self::writer::run;

/// Maximum number of reads that wait to be stored.
const MAX_READS: usize = 20_000;
/// Reads after which the task stores them at once.
const READS_BATCH: usize = 1_000;
/// Maximum number of first uses of tokens that wait to be stored. One that is dropped is recorded at a later use.
const MAX_TOKEN_USES: usize = 1_000;
/// Maximum length of a name in an event, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// The calls that are audited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditLevel {
    /// None. Tokens that are made, revoked and first used are audited always.
    None,
    /// Writes, and calls that are refused for their credentials.
    #[default]
    Writes,
    /// Reads too.
    Reads,
}

/// A call, as the audit log has it.
#[derive(Debug)]
pub struct AuditedCall<'a> {
    /// The principal. `None` if the credentials do not hold.
    pub principal: Option<&'a str>,
    /// The address of the caller.
    pub address: IpAddr,
    /// The full name of the method.
    pub method: &'a str,
    /// The id of the call.
    pub request_id: &'a str,
}

impl AuditedCall<'_> {
    /// The principal, or the network if the credentials do not hold.
    fn caller(&self) -> String {
        self.principal.map_or_else(|| Caller::at(self.address).to_string(), str::to_owned)
    }

    /// The event of this call.
    fn event(&self, outcome: &str, names: String) -> NewEvent {
        NewEvent {
            principal: self.caller(),
            peer: self.address.to_canonical().to_string(),
            method: self.method.to_owned(),
            names,
            outcome: outcome.to_owned(),
            request_id: self.request_id.to_owned(),
            count: 1,
        }
    }
}

/// The first use of a token.
#[derive(Debug)]
struct TokenUse {
    token: Uuid,
    event: NewEvent,
}

/// The events that wait to be stored.
#[derive(Debug, Default)]
struct Waiting {
    refusals: Refusals,
    token_uses: Vec<TokenUse>,
    reads: Vec<NewEvent>,
    dropped_reads: i64,
    dropped_refusals: i64,
}

impl Waiting {
    /// The number of reads or refusals that were dropped.
    fn dropped(&mut self, kind: &str) -> &mut i64 {
        if kind == "read" { &mut self.dropped_reads } else { &mut self.dropped_refusals }
    }
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

/// Puts events into the audit log of this instance. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct AuditLog {
    level: AuditLevel,
    shared: Arc<Shared>,
}

impl AuditLog {
    /// An empty log.
    pub fn new(level: AuditLevel) -> Self {
        Self { level, shared: Arc::default() }
    }

    /// The calls that are audited.
    pub fn level(&self) -> AuditLevel {
        self.level
    }

    /// Records a call that was refused for its credentials. `outcome` is the reason of the error. `name` is the record
    /// that the error names, or empty.
    pub fn refused(&self, call: &AuditedCall<'_>, outcome: &str, name: &str) {
        if self.level >= AuditLevel::Writes {
            let mut waiting = self.waiting();
            if !waiting.refusals.add(call, outcome, &printable(name)) {
                waiting.dropped_refusals += 1;
            }
        }
    }

    /// Records a read. The names are those of its request, joined by commas.
    pub fn read(&self, call: &AuditedCall<'_>, outcome: &str, names: String) {
        if self.level < AuditLevel::Reads {
            return;
        }
        let event = call.event(outcome, names);
        let mut waiting = self.waiting();
        match waiting.reads.len() {
            MAX_READS.. => waiting.dropped_reads += 1,
            count => {
                waiting.reads.push(event);
                if count == READS_BATCH {
                    self.shared.wake.notify_one();
                }
            }
        }
    }

    /// Records the first use of a token. Returns false if it was dropped: the next use is then the first.
    pub fn token_used(&self, call: &AuditedCall<'_>, token: Uuid) -> bool {
        let names = format!("{},tokens/{token}", call.principal.unwrap_or_default());
        let event = NewEvent { method: "readout/UseToken".to_owned(), ..call.event("OK", names) };
        let mut waiting = self.waiting();
        let has_room = waiting.token_uses.len() < MAX_TOKEN_USES;
        if has_room {
            waiting.token_uses.push(TokenUse { token, event });
        }
        has_room
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text from a caller, of limited length and without control characters and commas.
pub fn printable(text: impl Display) -> String {
    let text = text.to_string();
    let is_plain = |character: char| !character.is_control() && character != ',';
    match text.len() <= MAX_NAME_BYTES && text.chars().all(is_plain) {
        true => text,
        false => quoted(&text).to_string().replace(',', "\u{201a}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_bounded_and_count_the_events_that_they_drop() {
        let log = AuditLog::new(AuditLevel::Reads);
        let call =
            AuditedCall { principal: Some("token/a"), address: [10, 0, 0, 1].into(), method: "a/A", request_id: "" };
        for _ in 0..MAX_READS + 5 {
            log.read(&call, "OK", String::new());
        }
        let mut tokens = (0..=MAX_TOKEN_USES).map(|_| log.token_used(&call, Uuid::now_v7()));
        assert!(tokens.by_ref().take(MAX_TOKEN_USES).all(|is_recorded| is_recorded));
        assert_eq!(tokens.next(), Some(false));
        for number in 0..refusals::MAX_KINDS + 7 {
            log.refused(&call, &format!("REASON_{number}"), "");
        }
        let waiting = log.waiting();
        assert_eq!((waiting.reads.len(), waiting.dropped_reads), (MAX_READS, 5));
        assert_eq!((waiting.token_uses.len(), waiting.dropped_refusals), (MAX_TOKEN_USES, 7));
    }

    #[test]
    fn level_decides_which_calls_are_recorded() {
        let call = AuditedCall { principal: None, address: [10, 0, 0, 1].into(), method: "a/A", request_id: "" };
        for (level, reads, refusals) in
            [(AuditLevel::None, 0, 0), (AuditLevel::Writes, 0, 1), (AuditLevel::Reads, 1, 1)]
        {
            let log = AuditLog::new(level);
            log.read(&call, "OK", String::new());
            log.refused(&call, "CREDENTIALS_MISSING", "");
            assert!(log.token_used(&call, Uuid::now_v7()));
            let waiting = log.waiting();
            assert_eq!((waiting.reads.len(), waiting.refusals.unstored().new.len()), (reads, refusals), "{level:?}");
            assert_eq!(waiting.token_uses.len(), 1);
        }
    }

    #[test]
    fn printable_bounds_and_escapes_texts_of_callers() {
        assert_eq!(printable("articles/1"), "articles/1");
        let escaped = printable("a,b\n");
        assert!(!escaped.contains([',', '\n']), "{escaped}");
        assert!(printable("é".repeat(10_000)).len() < 1_000);
    }
}
