//! The targets of fuzzing: parsers and rules that read what callers send, each as a function of bytes that must not
//! panic. A target also asserts what holds for every input. `cargo fuzz` (`fuzz/`) runs the same functions, so this
//! module uses nothing else of the tests.

mod access;
mod import;
mod masks;
mod queries;
mod records;
mod requests;
mod text;
mod tokens;

pub use self::{masks::UPDATES, requests::REQUESTS};

/// A function that reads untrusted input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name, which is also that of the folder of its corpus.
    pub name: &'static str,
    /// The kind of input that it reads.
    pub input: Input,
    /// Reads an input. Panics if it finds a defect.
    pub run: fn(&[u8]),
}

/// A kind of input, by which inputs are changed at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Text, in UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// An encoded message.
    Message,
    /// The name of a message type, a line feed, and an encoded message of that type.
    NamedMessage,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("aggregation", Input::Text, queries::aggregation),
    target("certificate", Input::Bytes, access::certificate),
    target("credentials", Input::Text, access::credentials),
    target("database_url", Input::Text, text::database_url),
    target("dates", Input::Text, text::dates),
    target("evidence", Input::Message, records::evidence),
    target("extractions", Input::Text, import::extractions),
    target("filter", Input::Text, queries::filter),
    target("import", Input::Bytes, import::import),
    target("json", Input::Text, import::json),
    target("masks", Input::NamedMessage, masks::masks),
    target("metadata", Input::Text, tokens::metadata),
    target("names", Input::Text, text::names),
    target("order", Input::Text, queries::order),
    target("requests", Input::NamedMessage, requests::requests),
    target("resources", Input::NamedMessage, records::resources),
    target("search", Input::Text, queries::search),
    target("settle", Input::Message, records::settling),
    target("spans", Input::Message, text::spans),
    target("tokens", Input::Text, tokens::tokens),
];

const fn target(name: &'static str, input: Input, run: fn(&[u8])) -> Target {
    Target { name, input, run }
}

/// Splits an input into its first line and the rest.
fn named(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&input[..end]).ok()?, &input[end + 1..]))
}

/// Asserts that a text of an error can be shown: it is bounded, and has no control characters.
fn assert_printable(text: &str) {
    assert!(text.len() <= 1_000, "{} bytes: {text:?}", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}
