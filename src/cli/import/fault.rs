//! The fault of a message that an import cannot take.

use tonic::Status;

use crate::cli::{
    json::{Misfit, shortened},
    retry,
};

/// The longest description, in characters.
const LONGEST: usize = 320;
/// The longest uri or name in front of it.
const LONGEST_SUBJECT: usize = 100;
/// The longest value that is shown.
const LONGEST_VALUE: usize = 60;

/// A fault of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The words under which faults of this kind are counted.
    pub kind: String,
    /// The uri of the article, or the name of the record; empty where it is not known.
    pub subject: String,
    /// The fault, its place, and advice.
    pub text: String,
}

impl Fault {
    /// One that is the same in every message that has it.
    pub fn new(kind: &str, text: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), subject: String::new(), text: text.into() }
    }

    /// The same, of a message about this.
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// A message that does not fit the contract.
    pub fn of_misfit(misfit: &Misfit) -> Self {
        Self::new(misfit.kind, misfit.to_string())
    }

    /// The fault that a service answered; `sent` prints the value of a field of the request.
    pub fn of_status(status: &Status, sent: impl Fn(&str) -> Option<String>) -> Self {
        use tonic_types::StatusExt;
        let reason = retry::reason(status);
        let violations = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
        let Some(first) = violations.first() else { return Self::new(&reason, retry::describe(status)) };
        let kind = format!("{reason}: {}", without_indices(&first.field));
        let faults: Vec<String> = violations
            .iter()
            .map(|violation| {
                let fault = format!("{} {}", violation.field, violation.description).trim().to_owned();
                match sent(&violation.field).map(|value| shortened(&value, LONGEST_VALUE)) {
                    Some(value) if !says(&violation.description, &value) => format!("{fault}, not {value}"),
                    _ => fault,
                }
            })
            .collect();
        Self::new(&kind, format!("{reason}: {}", faults.join("; ")))
    }

    /// The description for people, with its subject in front.
    pub fn line(&self) -> String {
        let text = shortened(&self.text, LONGEST);
        match self.subject.as_str() {
            "" => text,
            subject => format!("{}: {text}", shortened(subject, LONGEST_SUBJECT)),
        }
    }
}

/// Returns `true` if a description already shows a value, in JSON or as it is.
fn says(description: &str, value: &str) -> bool {
    description.contains(value) || (value.len() > 2 && description.contains(value.trim_matches('"')))
}

/// A path without the places in its lists and the keys of its maps: `story.reports[].account.kind`.
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

/// An article begins with its uri, more or less.
const URI_WITHIN: usize = 64 << 10;

/// The first `uri` in a text that may be no JSON.
pub fn uri_in(text: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"uri\"";
    let text = &text[..text.len().min(URI_WITHIN)];
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
    fn a_refusal_shows_the_value_once() {
        let sent = |_: &str| Some("\"Azerbaijan\"".to_owned());
        let path = "story.participants[3].participant.region_code";
        for (description, line) in [
            ("must be a code", "must be a code, not \"Azerbaijan\""),
            ("must be a code, not \"Azerbaijan\"", "must be a code, not \"Azerbaijan\""),
            ("must be a code and Azerbaijan is none", "must be a code and Azerbaijan is none"),
        ] {
            let fault = Fault::of_status(&status(path, description), sent);
            assert_eq!(fault.line(), format!("INVALID_FIELD: {path} {line}"));
            assert_eq!(fault.kind, "INVALID_FIELD: story.participants[].participant.region_code");
        }
        let fault = Fault::of_status(&status("story.article", "is required"), |_| None);
        assert_eq!(fault.about("urn:x").line(), "urn:x: INVALID_FIELD: story.article is required");
    }

    #[test]
    fn kinds_have_neither_indices_nor_keys() {
        assert_eq!(without_indices("a[2].labels[\"x[1]\"].b"), "a[].labels[[]].b");
        assert_eq!(without_indices("a]b"), "a]b");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let fault = Fault::new("long", "é".repeat(1_000)).about("я".repeat(1_000));
        assert_eq!(fault.line().chars().count(), LONGEST_SUBJECT + 1 + 2 + LONGEST + 1);
    }
}
