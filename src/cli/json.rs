//! Reads and writes the messages of the contract as ProtoJSON. Output is canonical.

use anyhow::{Result, anyhow};
use prost::Message;
use prost_reflect::MessageDescriptor;
use serde_json::Value;

use super::escape;
pub use crate::json::{Mismatch, shortened, shown, shown_name};
use crate::{
    json::{Fault, JsonLimits, from_wire, to_wire},
    pb,
};

/// Parses a message of the contract by its full name ("readout.v1.Story").
///
/// # Errors
/// If the text has unknown fields or enum values, values of another type, a leap second, or anything after the message.
pub fn parse<M: Message + Default>(full_name: &str, text: &str) -> Result<M, Mismatch> {
    let general = |problem| Mismatch { path: String::new(), problem, kind: "a message that does not fit the contract" };
    let of = descriptor(full_name).map_err(|error| general(error.to_string()))?;
    let bytes = to_wire(text.as_bytes(), &of, JsonLimits::NONE).map_err(|fault| match fault {
        Fault::Mismatch(mismatch) => mismatch,
        Fault::TooManyItems | Fault::TooLarge => general(fault.to_string()),
    })?;
    M::decode(bytes.as_slice()).map_err(|error| general(error.to_string()))
}

/// Writes a message as one line without a line end, escaped for terminals. Equal messages have equal bytes: fields are
/// in the order of their numbers, map entries in the order of their keys.
///
/// # Errors
/// If the contract has no message of that name, or the message has a value that ProtoJSON cannot represent.
pub fn print<M: Message>(full_name: &str, message: &M) -> Result<String> {
    let bytes = message.encode_to_vec();
    let mut out = Vec::with_capacity(2 * bytes.len());
    from_wire(&bytes, &descriptor(full_name)?, &mut out)?;
    Ok(escape::json(String::from_utf8(out)?))
}

fn descriptor(full_name: &str) -> Result<MessageDescriptor> {
    pb::pool().get_message_by_name(full_name).ok_or_else(|| anyhow!("the contract has no message {full_name}"))
}

/// Returns the value of a field as JSON, by its path in proto names: `story.reports[0].account.kind`. `None` if there
/// is no such field, or it is not set.
pub fn at_path<M: Message>(full_name: &str, message: &M, path: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(&print(full_name, message).ok()?).ok()?;
    let mut rest = path;
    while !rest.is_empty() {
        value = match rest.strip_prefix('[') {
            Some(index) => {
                let (index, after) = closed(index)?;
                rest = after;
                match index.parse::<usize>() {
                    Ok(index) => value.get_mut(index)?.take(),
                    Err(_) => value.get_mut(serde_json::from_str::<String>(index).ok()?)?.take(),
                }
            }
            None => {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                let end = name.find(['.', '[']).unwrap_or(name.len());
                rest = &name[end..];
                value.get_mut(json_name(&name[..end]))?.take()
            }
        };
    }
    Some(value.to_string())
}

/// Splits an index off: a number, or a key in quotes, which may contain brackets.
fn closed(index: &str) -> Option<(&str, &str)> {
    let key_end = if index.starts_with('"') { index.rfind("\"]")? + 1 } else { index.find(']')? };
    Some((&index[..key_end], &index[key_end + 1..]))
}

/// The name of a field in JSON.
fn json_name(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut name, part| {
        let mut letters = part.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORY: &str = "readout.v1.Story";

    #[test]
    fn print_inverts_parse() {
        let line = concat!(
            r#"{"article":{"labels":{"a":"1","b":"2","c":"3","d":"4","e":"5"},"uri":"urn:x \"q\" \u001f é","#,
            r#""publishDate":{"year":2020,"month":9},"publishTime":"2020-09-04T12:00:00.500Z","#,
            r#""dateline":{"location":{"latitude":40.4,"longitude":-0.5}},"textRights":"FULL_TEXT"},"#,
            r#""extractor":{"name":"hand","kind":"HUMAN","confidence":0.9}}"#,
        );
        let story: pb::Story = parse(STORY, line).unwrap();
        assert_eq!(print(STORY, &story).unwrap(), line);
    }

    #[test]
    fn print_writes_64_bit_integers_as_strings() {
        let article = pb::Article { revision: i64::MAX, ..Default::default() };
        let line = print("readout.v1.Article", &article).unwrap();
        assert_eq!(line, r#"{"revision":"9223372036854775807"}"#);
        assert_eq!(parse::<pb::Article>("readout.v1.Article", &line).unwrap(), article);
    }

    #[test]
    fn parse_accepts_proto_names() {
        let line = r#"{"article":{"language_code":"en"}}"#;
        let story: pb::Story = parse(STORY, line).unwrap();
        assert_eq!(story.article.unwrap().language_code, "en");
    }

    #[test]
    fn parse_refuses_trailing_characters_with_their_column() {
        for (line, why) in
            [(r#"{} {}"#, "trailing characters, column 4"), (r#"{"article":"#, "EOF while parsing a value, column 11")]
        {
            let error = parse::<pb::Story>(STORY, line).unwrap_err();
            assert_eq!(error.to_string(), why, "{line}");
        }
    }

    #[test]
    fn parse_shortens_the_names_that_an_error_quotes() {
        let line = format!(r#"{{"{}":1, 2}}"#, "a".repeat(10_000));
        let error = parse::<pb::Story>(STORY, &line).unwrap_err().to_string();
        assert!(error.starts_with("aaa") && error.contains("… is not a field of Story"), "{error}");
        assert!(error.chars().count() < 120, "{error}");
    }

    #[test]
    fn print_escapes_terminal_controls_and_parse_restores_them() {
        let title = "a\u{1b}[31m\u{9b}31m\u{7f}\u{202e}\u{2066}\u{2028}é";
        let story = pb::Story {
            article: Some(pb::Article { title: title.to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let line = print(STORY, &story).unwrap();
        assert_eq!(line, r#"{"article":{"title":"a\u001b[31m\u009b31m\u007f\u202e\u2066\u2028é"}}"#);
        assert_eq!(parse::<pb::Story>(STORY, &line).unwrap(), story);
    }

    #[test]
    fn at_path_returns_the_value_of_a_field() {
        let line = r#"{"article":{"uri":"urn:x","labels":{"a.b]":"1"}},"reports":[{"account":{"kind":"TALKS","topics":["x","y"]}}]}"#;
        let story: pb::Story = parse(STORY, line).unwrap();
        let request = pb::IngestStoriesRequest { story: Some(story), ..Default::default() };
        for (path, value) in [
            ("story.article.uri", Some("\"urn:x\"")),
            ("story.reports[0].account.kind", Some("\"TALKS\"")),
            ("story.reports[0].account.topics[1]", Some("\"y\"")),
            ("story.reports[0].account.topics", Some("[\"x\",\"y\"]")),
            ("story.reports[1].account", None),
            ("story.article.title", None),
            ("story.article.uri.length", None),
            ("story.nothing", None),
            ("story.reports[", None),
        ] {
            assert_eq!(at_path("readout.v1.IngestStoriesRequest", &request, path).as_deref(), value, "{path}");
        }
        let labels = pb::Article { labels: [("a".to_owned(), "1".to_owned())].into(), ..Default::default() };
        assert_eq!(at_path("readout.v1.Article", &labels, "labels[\"a\"]").as_deref(), Some("\"1\""));
    }
}
