//! The bound on the messages that the service sends, and what follows from it for the records in them.

/// Default of the maximum bytes of a message that the service sends. gRPC clients accept 4 MiB (4,194,304 bytes) unless
/// they are configured otherwise.
pub const DEFAULT_MESSAGE_BYTES: usize = 4_000_000;

/// Maximum of the bound that can be configured.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes that a page, a stream message or a change has besides its record: names, tokens, cursors, the actor.
const WRAPPING_BYTES: usize = 8_000;

/// Bytes by which a stored record can grow without a check: the fields that the service sets (name, etag, times), and
/// the marks of stale evidence, 2 bytes on each of 5,000 quotes.
const GROWTH_BYTES: usize = 24_000;

/// A size above its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversize {
    /// The record; empty if it does not exist yet, or for several records together.
    pub name: String,
    /// The size in bytes.
    pub bytes: usize,
    /// The limit in bytes.
    pub max_bytes: usize,
}

/// The maximum bytes of a message that the service sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageBound(usize);

impl MessageBound {
    /// A bound of this many bytes.
    pub const fn of(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Maximum bytes of a message.
    pub const fn message(self) -> usize {
        self.0
    }

    /// Maximum bytes of a record inside a message of several fields. A larger one is named without its large fields.
    pub const fn wrapped(self) -> usize {
        self.0.saturating_sub(WRAPPING_BYTES)
    }

    /// Maximum bytes of a report that is stored, and of the settled part of a meeting.
    pub const fn stored(self) -> usize {
        self.wrapped().saturating_sub(GROWTH_BYTES)
    }
}

impl Default for MessageBound {
    fn default() -> Self {
        Self(DEFAULT_MESSAGE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_leave_room_for_what_surrounds_a_record() {
        let bound = MessageBound::default();
        assert_eq!((bound.message(), bound.wrapped(), bound.stored()), (4_000_000, 3_992_000, 3_968_000));
    }
}
