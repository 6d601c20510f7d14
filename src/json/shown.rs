//! Values of a JSON text in messages.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Maximum length of a shown value, in characters.
const MAX_VALUE: usize = 60;

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
        false => format!("{:?}", shortened(name, MAX_VALUE)),
    }
}

/// Reads the start of a value as JSON, as much of it as is shown. Fails once that is read.
pub(super) struct Excerpt<'a>(pub &'a mut String);

impl Excerpt<'_> {
    /// Appends a scalar as JSON.
    pub fn scalar<E: Error>(self, value: impl Into<Value>) -> Result<(), E> {
        let value = match value.into() {
            // A text of megabytes is not copied as a whole.
            Value::String(text) => Value::String(shortened(&text, MAX_VALUE)),
            value => value,
        };
        self.push(&value.to_string())
    }

    fn push<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        match self.0.len() > 4 * MAX_VALUE {
            true => Err(E::custom("the excerpt is full")),
            false => Ok(()),
        }
    }

    fn again(&mut self) -> Excerpt<'_> {
        Excerpt(self.0)
    }
}

/// Returns the excerpt as it is shown.
pub(super) fn cut(excerpt: &str) -> String {
    shortened(excerpt, MAX_VALUE)
}

impl<'de> DeserializeSeed<'de> for Excerpt<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Excerpt<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(shortened(value, MAX_VALUE))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.again().push("[")?;
        let mut is_first = true;
        while items.next_element_seed(Separated { is_first, excerpt: self.again() })?.is_some() {
            is_first = false;
        }
        self.push("]")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut pairs: A) -> Result<(), A::Error> {
        self.again().push("{")?;
        let mut is_first = true;
        while pairs.next_key_seed(Separated { is_first, excerpt: self.again() })?.is_some() {
            is_first = false;
            self.again().push(":")?;
            pairs.next_value_seed(self.again())?;
        }
        self.push("}")
    }
}

/// A value after the comma that separates it from the one before.
struct Separated<'a> {
    is_first: bool,
    excerpt: Excerpt<'a>,
}

impl<'de> DeserializeSeed<'de> for Separated<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        if !self.is_first {
            self.excerpt.again().push(",")?;
        }
        self.excerpt.deserialize(deserializer)
    }
}
