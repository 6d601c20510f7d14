//! Canonical ProtoJSON of the contract's messages.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow, bail};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};

use crate::pb;

/// Reads a message of the contract by its full name ("readout.v1.Story"). Refused are fields and enum values that it
/// does not have, and anything after it; the error tells the column (in bytes, from 1).
pub fn parse<M: Message + Default>(full_name: &str, line: &str) -> Result<M> {
    let mut json = serde_json::Deserializer::from_str(line);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(descriptor(full_name)?, &mut json, &options)
        .and_then(|message| json.end().map(|()| message))
        .map_err(|error| in_column(&error))?
        .transcode_to()
        .with_context(|| format!("not a {full_name}"))
}

/// Writes a message as one line without its end. Equal messages have equal bytes: fields come in the order of their
/// numbers, maps in that of their keys.
pub fn print<M: Message>(full_name: &str, message: &M) -> Result<String> {
    let bytes = message.encode_to_vec();
    let mut out = String::with_capacity(2 * bytes.len());
    print_message(&DynamicMessage::decode(descriptor(full_name)?, bytes.as_slice())?, &mut out)?;
    Ok(out)
}

fn descriptor(full_name: &str) -> Result<MessageDescriptor> {
    pb::pool().get_message_by_name(full_name).ok_or_else(|| anyhow!("the contract has no message {full_name}"))
}

/// "…, column 12": of a file of lines, "line 1" would mislead.
fn in_column(error: &serde_json::Error) -> anyhow::Error {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => anyhow!("{}, column {}", &text[..end], error.column()),
        None => anyhow!(text),
    }
}

// prost-reflect could write all of this, were its maps not in the order of a hash.
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
        other => bail!("the contract has no values like {other:?}"),
    }
    Ok(())
}

fn print_map(values: &HashMap<MapKey, Value>, entry: &Kind, out: &mut String) -> Result<()> {
    let Kind::Message(entry) = entry else { bail!("a map is a list of entries, not {entry:?}") };
    let kind = entry.map_entry_value_field().kind();
    let in_order: BTreeMap<_, _> = values
        .iter()
        .map(|(key, value)| Some((key.as_str()?, value)))
        .collect::<Option<_>>()
        .context("the contract has strings as keys")?;
    out.push('{');
    print_items(in_order, out, |(key, value), out| {
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
    fn a_message_is_printed_as_it_was_read() {
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
    fn whole_numbers_of_64_bits_are_strings() {
        let article = pb::Article { revision: i64::MAX, ..Default::default() };
        let line = print("readout.v1.Article", &article).unwrap();
        assert_eq!(line, r#"{"revision":"9223372036854775807"}"#);
        assert_eq!(parse::<pb::Article>("readout.v1.Article", &line).unwrap(), article);
    }

    #[test]
    fn proto_names_are_accepted() {
        let line = r#"{"article":{"language_code":"en"}}"#;
        let story: pb::Story = parse(STORY, line).unwrap();
        assert_eq!(story.article.unwrap().language_code, "en");
    }

    #[test]
    fn what_the_contract_does_not_have_is_refused_with_its_column() {
        for (line, why) in [
            (r#"{"article":{"titel":"x"}}"#, "unrecognized field name 'titel', column 19"),
            (r#"{"extractor":{"kind":"ROBOT"}}"#, "unrecognized enum value 'ROBOT', column 28"),
            (r#"{} {}"#, "trailing characters, column 4"),
            (r#"{"article":"#, "EOF while parsing a value, column 11"),
        ] {
            let error = parse::<pb::Story>(STORY, line).unwrap_err();
            assert_eq!(error.to_string(), why, "{line}");
        }
    }
}
