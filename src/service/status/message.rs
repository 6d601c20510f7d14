//! The messages of statuses, for clients that show no details: the reason, then the first violations with their paths.
//! Messages are bounded, since a status travels in headers.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::{model::rules::Violations, pb::ErrorReason};

/// Maximum bytes of a message, without the count of further violations.
const MAX_BYTES: usize = 480;
/// Maximum bytes of a message in its header, where each byte of a letter outside ASCII takes three.
const MAX_ENCODED_BYTES: usize = 900;
/// Maximum number of violations in a message; the details have as many as fit.
const MAX_VIOLATIONS: usize = 3;
/// The end of a message that was cut.
const ELLIPSIS: &str = "…";

/// The bytes that are percent-encoded (gRPC over HTTP/2, Percent-Byte-Encoded): all outside of 0x20 to 0x7E, and `%`.
/// `percent_encode` encodes bytes above 0x7F on its own.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// A message that begins with its reason.
pub fn with_reason(reason: ErrorReason, message: &str) -> String {
    shortened(&format!("{}: {message}", reason.as_str_name()))
}

/// The message for broken rules: the first violations, those with the reason of the status ahead of the others, and the
/// number of further ones.
pub fn for_violations(violations: &Violations) -> String {
    let reason = violations.reason();
    let total = violations.iter().count() + violations.omitted();
    let (same_reason, others): (Vec<_>, Vec<_>) = violations.iter().partition(|violation| violation.reason == reason);
    let mut message = reason.as_str_name().to_owned();
    let mut shown = 0;
    for violation in same_reason.into_iter().chain(others).take(MAX_VIOLATIONS) {
        let separator = if shown == 0 { ": " } else { "; " };
        let longer = format!("{message}{separator}{}: {}", violation.field, violation.description);
        if shown > 0 && !fits(&longer) {
            break;
        }
        message = longer;
        shown += 1;
    }
    let message = shortened(&message);
    match total - shown {
        0 => message,
        more => format!("{message} (and {more} more, see the details)"),
    }
}

/// Encodes a message for the header `grpc-message`. Only the bytes that need it are encoded, as some clients show the
/// raw header. White space at either end is encoded, since HTTP drops it (RFC 9113, 8.2.1).
pub fn encode(message: &[u8]) -> Cow<'_, str> {
    let inner = message.trim_ascii_start();
    let leading = message.len() - inner.len();
    let inner = inner.trim_ascii_end();
    let trailing = message.len() - leading - inner.len();
    let encoded = Cow::from(percent_encode(inner, ENCODED));
    if leading + trailing == 0 {
        return encoded;
    }
    const ALL: &AsciiSet = percent_encoding::NON_ALPHANUMERIC;
    let [start, end] =
        [&message[..leading], &message[message.len() - trailing..]].map(|ends| percent_encode(ends, ALL));
    Cow::Owned(format!("{start}{encoded}{end}"))
}

fn fits(message: &str) -> bool {
    message.len() <= MAX_BYTES && encode(message.as_bytes()).len() <= MAX_ENCODED_BYTES
}

fn shortened(message: &str) -> String {
    if fits(message) {
        return message.to_owned();
    }
    let ends = message.char_indices().map(|(at, _)| at).take_while(|&at| at <= MAX_BYTES);
    let end = ends.take_while(|&at| fits(&message[..at])).last().unwrap_or(0);
    format!("{}{ELLIPSIS}", &message[..end])
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    use super::*;
    use crate::model::rules::Path;

    fn violations(count: usize, description: &str) -> Violations {
        let mut violations = Violations::default();
        for index in 0..count {
            violations.add(&Path::ROOT.field("names").index(index), description);
        }
        violations
    }

    #[test]
    fn message_has_the_reason_and_the_first_paths() {
        let message = |count| for_violations(&violations(count, "is required"));
        assert_eq!(message(1), "INVALID_FIELD: names[0]: is required");
        assert_eq!(message(2), "INVALID_FIELD: names[0]: is required; names[1]: is required");
        let first = "INVALID_FIELD: names[0]: is required; names[1]: is required; names[2]: is required";
        assert_eq!(message(3), first);
        assert_eq!(message(5), format!("{first} (and 2 more, see the details)"));
        assert_eq!(message(1_000), format!("{first} (and 997 more, see the details)"));
    }

    #[test]
    fn message_shows_violations_with_its_reason_ahead_of_others() {
        let mut violations = Violations::default();
        violations.add_as(ErrorReason::EvidenceNotFound, &Path::ROOT.field("a"), "stands nowhere");
        violations.add(&Path::ROOT.field("b"), "is required");
        assert_eq!(for_violations(&violations), "INVALID_FIELD: b: is required; a: stands nowhere");
    }

    #[test]
    fn message_stays_within_its_bounds() {
        for letter in ["x", "%", "é", "東", "🕊", "\n", " "] {
            for count in [1, 2, 1_000] {
                let message = for_violations(&violations(count, &letter.repeat(400)));
                assert!(message.len() < MAX_BYTES + 50, "{message}");
                assert!(encode(message.as_bytes()).len() < MAX_ENCODED_BYTES + 60, "{message}");
                assert_eq!(message.contains(" more, see the details)"), count > 1);
            }
        }
    }

    #[test]
    fn message_that_does_not_fit_is_cut_at_a_letter() {
        let message = with_reason(ErrorReason::Defect, &"東".repeat(1_000));
        assert!(message.starts_with("DEFECT: 東東") && message.ends_with("東…"), "{message}");
    }

    proptest! {
        #[test]
        fn encoding_is_reversible_and_encodes_only_what_it_must(message in "[ -~]{0,20}|(?s).{0,20}") {
            let encoded = encode(message.as_bytes());
            prop_assert_eq!(percent_decode(encoded.as_bytes()).decode_utf8().unwrap(), message.as_str());
            prop_assert!(encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(encoded.trim_matches(' '), encoded.as_ref());
            let must = |byte: &u8| !(0x20..0x7f).contains(byte) || *byte == b'%';
            let inner = message.trim_ascii();
            let ends = message.len() - inner.len();
            let expected = message.len() + 2 * (inner.bytes().filter(|byte| must(byte)).count() + ends);
            prop_assert_eq!(encoded.len(), expected);
        }
    }
}
