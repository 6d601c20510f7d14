//! Reads and writes the messages of the contract as ProtoJSON, by their descriptors. Output is canonical.

mod mismatch;

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow, bail};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};

pub use self::mismatch::{Mismatch, shortened, shown, shown_name};
use super::escape;
use crate::pb;

/// Maximum number of characters of a problem that a library describes.
const MAX_PROBLEM: usize = 300;

/// Parses a message of the contract by its full name ("readout.v1.Story").
///
/// # Errors
/// If the text has unknown fields or enum values, values of another type, a leap second, or anything after the message.
pub fn parse<M: Message + Default>(full_name: &str, text: &str) -> Result<M, Mismatch> {
    let of = descriptor(full_name).map_err(|error| general_mismatch(error.to_string()))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(of.clone(), &mut json, &options)
        .and_then(|message| json.end().map(|()| message));
    let find = || mismatch::find(&serde_json::from_str(text).ok()?, &of);
    match message {
        // prost-reflect would read a leap second as the second before it.
        Ok(_)
            if text.contains(":60")
                && let Some(mismatch) = find() =>
        {
            Err(mismatch)
        }
        Ok(message) => message.transcode_to().map_err(|error| general_mismatch(error.to_string())),
        Err(error) => Err(find().unwrap_or_else(|| general_mismatch(in_column(&error)))),
    }
}

/// The libraries quote the text in full, and a message may have megabytes.
fn general_mismatch(problem: String) -> Mismatch {
    let problem = shortened(&problem, MAX_PROBLEM);
    Mismatch { path: String::new(), problem, kind: "a message that does not fit the contract" }
}

/// Writes a message as one line without a line end, escaped for terminals. Equal messages have equal bytes: fields are
/// in the order of their numbers, map entries in the order of their keys.
///
/// # Errors
/// If the contract has no message of that name, or the message has a value that ProtoJSON cannot represent.
pub fn print<M: Message>(full_name: &str, message: &M) -> Result<String> {
    let bytes = message.encode_to_vec();
    let mut out = String::with_capacity(2 * bytes.len());
    print_message(&DynamicMessage::decode(descriptor(full_name)?, bytes.as_slice())?, &mut out)?;
    Ok(escape::json(out))
}

fn descriptor(full_name: &str) -> Result<MessageDescriptor> {
    pb::pool().get_message_by_name(full_name).ok_or_else(|| anyhow!("the contract has no message {full_name}"))
}

/// The text of an error, with "column 12" instead of "at line 1 column 12" if the message is one line.
fn in_column(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if error.line() == 1 => format!("{}, column {}", &text[..end], error.column()),
        _ => text,
    }
}

/// Returns the value of a field as JSON, by its path in proto names: `story.reports[0].account.kind`. `None` if there
/// is no such field, or it is not set.
pub fn at_path<M: Message>(full_name: &str, message: &M, path: &str) -> Option<String> {
    let bytes = message.encode_to_vec();
    let message = DynamicMessage::decode(descriptor(full_name).ok()?, bytes.as_slice()).ok()?;
    let (mut value, mut kind) = (Value::Message(message), Kind::Bool);
    let mut rest = path;
    while !rest.is_empty() {
        value = match (rest.strip_prefix('['), value) {
            (Some(index), value) => {
                let (index, after) = index.split_once(']')?;
                rest = after;
                match value {
                    Value::List(values) => values.get(index.parse::<usize>().ok()?)?.clone(),
                    Value::Map(values) => {
                        let Kind::Message(entry) = &kind else { return None };
                        let value_kind = entry.map_entry_value_field().kind();
                        kind = value_kind;
                        values.get(&MapKey::String(serde_json::from_str(index).ok()?))?.clone()
                    }
                    _ => return None,
                }
            }
            (None, Value::Message(message)) => {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                let end = name.find(['.', '[']).unwrap_or(name.len());
                rest = &name[end..];
                let field = message.descriptor().get_field_by_name(&name[..end])?;
                kind = field.kind();
                if !message.has_field(&field) {
                    return None;
                }
                message.get_field(&field).into_owned()
            }
            _ => return None,
        };
    }
    let mut out = String::new();
    print_value(&value, &kind, &mut out).ok()?;
    Some(out)
}

// prost-reflect is not used for this: it writes maps in hash order.
fn print_message(message: &DynamicMessage, out: &mut String) -> Result<()> {
    if message.descriptor().package_name() == "google.protobuf" {
        out.push_str(&serde_json::to_string(message)?);
        return Ok(());
    }
    out.push('{');
    print_items(message.fields(), out, |(field, value), out| {
        out.push_str(&serde_json::to_string(field.json_name())?);
        out.push(':');
        print_value(value, &field.kind(), out)
    })?;
    out.push('}');
    Ok(())
}

fn print_value(value: &Value, kind: &Kind, out: &mut String) -> Result<()> {
    match value {
        Value::Message(message) => print_message(message, out)?,
        Value::List(values) => {
            out.push('[');
            print_items(values, out, |value, out| print_value(value, kind, out))?;
            out.push(']');
        }
        Value::Map(values) => print_map(values, kind, out)?,
        Value::EnumNumber(number) => {
            let named = match kind {
                Kind::Enum(ty) => ty.get_value(*number),
                _ => None,
            };
            match named {
                Some(value) => out.push_str(&serde_json::to_string(value.name())?),
                None => out.push_str(&number.to_string()),
            }
        }
        Value::String(text) => out.push_str(&serde_json::to_string(text)?),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::I32(number) => out.push_str(&number.to_string()),
        Value::I64(number) => out.push_str(&format!("\"{number}\"")),
        Value::F32(number) if number.is_finite() => out.push_str(&serde_json::to_string(number)?),
        Value::F64(number) if number.is_finite() => out.push_str(&serde_json::to_string(number)?),
        value => bail!("the contract has no values like {value:?}"),
    }
    Ok(())
}

fn print_map(values: &HashMap<MapKey, Value>, entry: &Kind, out: &mut String) -> Result<()> {
    let Kind::Message(entry) = entry else { bail!("a map is a list of entries, not {entry:?}") };
    let kind = entry.map_entry_value_field().kind();
    let sorted: BTreeMap<_, _> = values
        .iter()
        .map(|(key, value)| Some((key.as_str()?, value)))
        .collect::<Option<_>>()
        .context("the contract has strings as keys")?;
    out.push('{');
    print_items(sorted, out, |(key, value), out| {
        out.push_str(&serde_json::to_string(key)?);
        out.push(':');
        print_value(value, &kind, out)
    })?;
    out.push('}');
    Ok(())
}

fn print_items<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    mut print: impl FnMut(T, &mut String) -> Result<()>,
) -> Result<()> {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        print(item, out)?;
    }
    Ok(())
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
        assert!(error.starts_with("unrecognized field name 'aaa"), "{error}");
        assert_eq!(error.chars().count(), MAX_PROBLEM + 1);
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
