//! The fault of one message that an import cannot accept: its kind, its subject and its description.

use tonic::Status;

use crate::cli::{
    json::{Mismatch, shortened},
    retry,
};

/// Maximum length of a description, in characters.
const MAX_TEXT: usize = 320;
/// Maximum length of the uri or name before the description, in characters.
const MAX_SUBJECT: usize = 100;
/// Maximum length of a shown value, in characters.
const MAX_VALUE: usize = 60;

/// A fault of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name under which faults of this kind are counted.
    pub kind: String,
    /// The uri of the article, or the name of the record; empty if unknown.
    pub subject: String,
    /// The description, with the path of the value and advice.
    pub text: String,
}

impl Fault {
    /// Creates a fault without a subject.
    pub fn new(kind: &str, text: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), subject: String::new(), text: text.into() }
    }

    /// Sets the subject.
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// The fault of a message that does not match the contract.
    pub fn from_mismatch(mismatch: &Mismatch) -> Self {
        Self::new(mismatch.kind, mismatch.to_string())
    }

    /// The fault that a service reports. `sent` returns the value of a field of the request, by its path.
    pub fn from_status(status: &Status, sent: impl Fn(&str) -> Option<String>) -> Self {
        use tonic_types::StatusExt;
        let reason = retry::reason(status);
        let violations = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
        let Some(first) = violations.first() else { return Self::new(&reason, retry::describe(status)) };
        let kind = format!("{reason}: {}", without_indices(&first.field));
        let faults: Vec<String> = violations
            .iter()
            .map(|violation| {
                let fault = format!("{} {}", violation.field, violation.description).trim().to_owned();
                match sent(&violation.field).map(|value| shortened(&value, MAX_VALUE)) {
                    Some(value) if !shows(&violation.description, &value) => format!("{fault}, not {value}"),
                    _ => fault,
                }
            })
            .collect();
        Self::new(&kind, format!("{reason}: {}", faults.join("; ")))
    }

    /// Returns the subject and the description as one line.
    pub fn line(&self) -> String {
        let text = shortened(&self.text, MAX_TEXT);
        match self.subject.as_str() {
            "" => text,
            subject => format!("{}: {text}", shortened(subject, MAX_SUBJECT)),
        }
    }
}

/// Returns `true` if a description already shows a value, as JSON or as plain text.
fn shows(description: &str, value: &str) -> bool {
    description.contains(value) || (value.len() > 2 && description.contains(value.trim_matches('"')))
}

/// Removes list indices and map keys from a path: `story.reports[].account.kind`.
pub fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut depth = 0_u32;
    for letter in path.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => continue,
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// The bytes that are searched for a uri, which is usually near the beginning of an article.
const URI_SEARCH_LIMIT: usize = 64 << 10;

/// Finds the first `uri` in a text, which may be malformed JSON.
pub fn uri_in(text: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"uri\"";
    let text = &text[..text.len().min(URI_SEARCH_LIMIT)];
    let after = text.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let value = text[after..].trim_ascii_start().strip_prefix(b":")?;
    serde_json::Deserializer::from_slice(value).into_iter::<String>().next()?.ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn status(field: &str, description: &str) -> Status {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "readout.v1", HashMap::new());
        details.add_bad_request_violation(field, description);
        Status::with_error_details(Code::InvalidArgument, "INVALID_FIELD: so it is", details)
    }

    #[test]
    fn fault_shows_the_value_once() {
        let sent = |_: &str| Some("\"Azerbaijan\"".to_owned());
        let path = "story.participants[3].participant.region_code";
        for (description, line) in [
            ("must be a code", "must be a code, not \"Azerbaijan\""),
            ("must be a code, not \"Azerbaijan\"", "must be a code, not \"Azerbaijan\""),
            ("must be a code and Azerbaijan is none", "must be a code and Azerbaijan is none"),
        ] {
            let fault = Fault::from_status(&status(path, description), sent);
            assert_eq!(fault.line(), format!("INVALID_FIELD: {path} {line}"));
            assert_eq!(fault.kind, "INVALID_FIELD: story.participants[].participant.region_code");
        }
        let fault = Fault::from_status(&status("story.article", "is required"), |_| None);
        assert_eq!(fault.about("urn:x").line(), "urn:x: INVALID_FIELD: story.article is required");
    }

    #[test]
    fn kind_has_neither_indices_nor_keys() {
        assert_eq!(without_indices("a[2].labels[\"x[1]\"].b"), "a[].labels[[]].b");
        assert_eq!(without_indices("a]b"), "a]b");
    }

    #[test]
    fn line_is_cut_between_characters() {
        let fault = Fault::new("long", "é".repeat(1_000)).about("я".repeat(1_000));
        assert_eq!(fault.line().chars().count(), MAX_SUBJECT + 1 + 2 + MAX_TEXT + 1);
    }
}
