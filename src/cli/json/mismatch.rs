//! Finds the first value of a JSON text that does not match the descriptor of its message, and describes it.

use std::fmt;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use crate::{cli::time, model::text::suggestion::nearest};

/// Maximum length of a shown value, in characters.
const MAX_VALUE: usize = 60;

/// A value that does not match its descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// The path of the value in JSON names: `reports[0].account.kind`; empty for the message itself.
    pub path: String,
    /// The fault, as a sentence that continues from the path.
    pub problem: String,
    /// The name under which mismatches of this kind are counted.
    pub kind: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.problem),
            path => write!(f, "{path} {}", self.problem),
        }
    }
}

/// Returns the first value that does not match the descriptor.
pub fn find(value: &Value, of: &MessageDescriptor) -> Option<Mismatch> {
    Search { path: String::new() }.message(value, of)
}

struct Search {
    path: String,
}

impl Search {
    fn mismatch(&self, kind: &'static str, problem: String) -> Option<Mismatch> {
        Some(Mismatch { path: self.path.clone(), problem, kind })
    }

    /// A mismatch of types: "must be a string, not 5".
    fn wrong_type(&self, expected: &str, value: &Value) -> Option<Mismatch> {
        self.mismatch("a value of the wrong type", format!("must be {expected}, not {}", shown(value)))
    }

    /// Searches a field or an item, whose name or index is appended to the path.
    fn within(&mut self, step: &str, search: impl FnOnce(&mut Self) -> Option<Mismatch>) -> Option<Mismatch> {
        let len = self.path.len();
        self.path.push_str(step);
        let found = search(self);
        self.path.truncate(len);
        found
    }

    fn message(&mut self, value: &Value, of: &MessageDescriptor) -> Option<Mismatch> {
        match of.full_name() {
            "google.protobuf.Timestamp" => return self.time(value),
            "google.protobuf.Value" => return None,
            "google.protobuf.Struct" if !value.is_object() => return self.wrong_type("an object", value),
            "google.protobuf.ListValue" if !value.is_array() => return self.wrong_type("a list", value),
            "google.protobuf.FieldMask" | "google.protobuf.Duration" if !value.is_string() => {
                return self.wrong_type("a string", value);
            }
            name if name.starts_with("google.protobuf.") => return None,
            _ => {}
        }
        let Value::Object(fields) = value else { return self.wrong_type("an object", value) };
        for (name, value) in fields {
            let step = if self.path.is_empty() { shown_name(name) } else { format!(".{}", shown_name(name)) };
            let field = of.get_field_by_json_name(name).or_else(|| of.get_field_by_name(name));
            let found = self.within(&step, |search| match &field {
                Some(field) => search.field(value, field),
                None => search.unknown(name, of),
            });
            if found.is_some() {
                return found;
            }
        }
        of.oneofs().find_map(|oneof| {
            let is_set = |field: &FieldDescriptor| {
                let value = fields.get(field.json_name()).or_else(|| fields.get(field.name()));
                value.is_some_and(|value| !value.is_null())
            };
            let set: Vec<_> = oneof.fields().filter(is_set).map(|field| field.json_name().to_owned()).collect();
            match set.len() {
                0 | 1 => None,
                _ => self.mismatch("mutually exclusive fields", format!("must have only one of {}", set.join(", "))),
            }
        })
    }

    fn unknown(&self, name: &str, of: &MessageDescriptor) -> Option<Mismatch> {
        let fields: Vec<FieldDescriptor> = of.fields().collect();
        let meant = nearest(fields.iter().flat_map(|field| [field.json_name(), field.name()]), name);
        let problem = match meant {
            Some(meant) => format!("is not a field of {}: {meant} is the nearest", of.name()),
            None => format!("is not a field of {}", of.name()),
        };
        self.mismatch("an unknown field", problem)
    }

    fn field(&mut self, value: &Value, field: &FieldDescriptor) -> Option<Mismatch> {
        let is_any_value = matches!(field.kind(), Kind::Message(of) if of.full_name() == "google.protobuf.Value");
        if value.is_null() && !is_any_value {
            return None;
        }
        if field.is_map() {
            let Value::Object(pairs) = value else { return self.wrong_type("an object of keys and values", value) };
            let Kind::Message(entry) = field.kind() else { return None };
            let of = entry.map_entry_value_field();
            return pairs.iter().find_map(|(key, value)| {
                self.within(&format!("[{key:?}]"), |search| search.single(value, &of.kind()))
            });
        }
        if field.is_list() {
            let Value::Array(items) = value else { return self.wrong_type("a list", value) };
            return items.iter().enumerate().find_map(|(index, item)| {
                self.within(&format!("[{index}]"), |search| search.single(item, &field.kind()))
            });
        }
        self.single(value, &field.kind())
    }

    fn single(&mut self, value: &Value, kind: &Kind) -> Option<Mismatch> {
        match kind {
            Kind::Message(of) => self.message(value, of),
            Kind::Enum(of) => self.named(value, of),
            Kind::String if !value.is_string() => self.wrong_type("a string", value),
            Kind::Bytes if !value.is_string() => self.wrong_type("a string in base64", value),
            Kind::Bool if !value.is_boolean() => self.wrong_type("true or false", value),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => self.whole(value, i32::MIN.into(), i32::MAX.into()),
            Kind::Uint32 | Kind::Fixed32 => self.whole(value, 0, u32::MAX.into()),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => self.whole(value, i64::MIN.into(), i64::MAX.into()),
            Kind::Uint64 | Kind::Fixed64 => self.whole(value, 0, u64::MAX.into()),
            Kind::Float | Kind::Double => {
                let is_number = match value {
                    Value::String(text) => text.parse::<f64>().is_ok(),
                    value => value.is_number(),
                };
                if is_number { None } else { self.wrong_type("a number", value) }
            }
            _ => None,
        }
    }

    fn whole(&self, value: &Value, least: i128, greatest: i128) -> Option<Mismatch> {
        let number = match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => {
                let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
                whole.or_else(|| number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128))
            }
            _ => None,
        };
        match number {
            Some(number) if (least..=greatest).contains(&number) => None,
            Some(_) => self.wrong_type(&format!("a whole number from {least} to {greatest}"), value),
            None => self.wrong_type("a whole number", value),
        }
    }

    fn named(&self, value: &Value, of: &EnumDescriptor) -> Option<Mismatch> {
        let name = match value {
            Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => {
                return None;
            }
            Value::String(name) => name,
            _ => return self.wrong_type("the name of a value", value),
        };
        if of.full_name() == "google.protobuf.NullValue" || of.get_value_by_name(name).is_some() {
            return None;
        }
        // Names are in capitals, so the suggestion ignores case.
        let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
        let meant = nearest(names.iter().map(String::as_str), &name.to_ascii_uppercase());
        let problem = match meant {
            Some(meant) => {
                format!("must be a value of {}, not {}: {meant} is the nearest", short(of.full_name()), shown(value))
            }
            None => {
                let some: Vec<&str> = names.iter().skip(1).take(4).map(String::as_str).collect();
                format!("must be a value of {} ({}, …), not {}", short(of.full_name()), some.join(", "), shown(value))
            }
        };
        self.mismatch("an unknown enum value", problem)
    }

    fn time(&self, value: &Value) -> Option<Mismatch> {
        let Value::String(text) = value else { return self.wrong_type("a time as a string", value) };
        let problem = match time::parse(text) {
            // ProtoJSON is stricter than RFC 3339: it requires capitals and no space.
            Ok(_) if text.contains(['t', 'z', ' ']) => {
                "must have T before its time, and Z where it is in UTC, in capitals".to_owned()
            }
            Ok(_) => return None,
            Err(problem) => problem,
        };
        self.mismatch("a malformed time", format!("{problem}; sent was {}", shown(value)))
    }
}

/// Returns the name of an enum without its package.
fn short(full_name: &str) -> &str {
    full_name.strip_prefix("readout.v1.").unwrap_or(full_name)
}

/// Returns a value as JSON, shortened for messages.
pub fn shown(value: &Value) -> String {
    shortened(&value.to_string(), MAX_VALUE)
}

/// Cuts a text to at most `longest` characters, and appends `…` if it is cut.
pub fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns a name for a path, in quotes if it has characters that would make the path ambiguous.
pub fn shown_name(name: &str) -> String {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match is_plain {
        true => shortened(name, MAX_VALUE),
        false => shown(&Value::from(name)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{cli::json, pb};

    fn mismatch_of(json: &str) -> String {
        let story = json::parse::<pb::Story>("readout.v1.Story", json);
        story.expect_err(json).to_string()
    }

    #[test]
    fn mismatch_has_its_path_its_value_and_advice() {
        for (json, expected) in [
            (r#"{"article":{"titel":"x"}}"#, "article.titel is not a field of Article: title is the nearest"),
            (
                r#"{"article":{"language-code":"x"}}"#,
                "article.\"language-code\" is not a field of Article: languageCode is the nearest",
            ),
            (r#"{"artikel":{}}"#, "artikel is not a field of Story: article is the nearest"),
            (r#"{"weather":"fine"}"#, "weather is not a field of Story"),
            (
                r#"{"extractor":{"kind":"ROBOT"}}"#,
                "extractor.kind must be a value of Extractor.Kind (HUMAN, MODEL, RULES, IMPORT, …), not \"ROBOT\"",
            ),
            (
                r#"{"extractor":{"kind":"humann"}}"#,
                "extractor.kind must be a value of Extractor.Kind, not \"humann\": HUMAN is the nearest",
            ),
            (r#"{"extractor":{"kind":true}}"#, "extractor.kind must be the name of a value, not true"),
            (r#"{"extractor":{"confidence":"high"}}"#, "extractor.confidence must be a number, not \"high\""),
            (r#"{"article":{"uri":5}}"#, "article.uri must be a string, not 5"),
            (r#"{"article":"urn:x"}"#, "article must be an object, not \"urn:x\""),
            (r#"{"reports":{"key":"a"}}"#, "reports must be a list, not {\"key\":\"a\"}"),
            (r#"{"reports":[{"account":{"topics":["a",1]}}]}"#, "reports[0].account.topics[1] must be a string, not 1"),
            (r#"{"article":{"labels":{"a":1}}}"#, "article.labels[\"a\"] must be a string, not 1"),
            (r#"{"article":{"labels":["a"]}}"#, "article.labels must be an object of keys and values, not [\"a\"]"),
            (
                r#"{"article":{"publishDate":{"year":"MMXX"}}}"#,
                "article.publishDate.year must be a whole number, not \"MMXX\"",
            ),
            (
                r#"{"article":{"publishDate":{"year":2020.5}}}"#,
                "article.publishDate.year must be a whole number, not 2020.5",
            ),
            (
                r#"{"article":{"publishDate":{"year":99999999999}}}"#,
                "article.publishDate.year must be a whole number from -2147483648 to 2147483647, not 99999999999",
            ),
            (
                r#"{"article":{"publishDate":"2020-09-04"}}"#,
                "article.publishDate must be an object, not \"2020-09-04\"",
            ),
        ] {
            assert_eq!(mismatch_of(json), expected, "{json}");
        }
    }

    #[test]
    fn mismatch_names_the_fault_of_a_time() {
        for (time, why) in [
            ("2016-12-31T23:59:60Z", "has a leap second"),
            ("2016-12-31T23:59:60.500+02:00", "has a leap second"),
            ("2020-09-04T12:00:00", "has no time zone"),
            ("2020-09-04", "is a day without a time"),
            ("2020-09-04 12:00:00Z", "must have T before its time"),
            ("2020-09-04t12:00:00z", "must have T before its time"),
            ("2020-02-30T12:00:00Z", "not in the calendar"),
            ("yesterday", "must begin with its day"),
        ] {
            let mismatch = mismatch_of(&format!(r#"{{"article":{{"publishTime":"{time}"}}}}"#));
            assert!(mismatch.starts_with("article.publishTime ") && mismatch.contains(why), "{mismatch}");
            assert!(mismatch.ends_with(&format!("sent was \"{time}\"")), "{mismatch}");
        }
        assert_eq!(
            mismatch_of(r#"{"article":{"publishTime":5}}"#),
            "article.publishTime must be a time as a string, not 5"
        );
    }

    #[test]
    fn mismatch_cuts_a_long_value() {
        let mismatch = mismatch_of(&format!(r#"{{"article":{{"publishDate":"{}"}}}}"#, "é".repeat(9_000)));
        assert!(mismatch.chars().count() < 120, "{mismatch}");
    }
}
