//! Writes a JSON text as a message on the wire, and names the first value that does not match its descriptor.

use std::{borrow::Cow, fmt};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{
    Fault, MAX_PROBLEM, Mismatch,
    kinds::{self, Scalar},
    shown::{Excerpt, cut, shortened, shown_name},
    writer::{JsonLimits, WireWriter},
};
use crate::model::text::suggestion::nearest;

/// Maximum depth of a value of any type (`google.protobuf.Value`). Each level takes three messages, and decoders read
/// a hundred.
const MAX_VALUE_DEPTH: usize = 30;

/// Converts a message from JSON to its wire format.
///
/// # Errors
/// The text is not one JSON value, has an unknown field or enum value, a field twice, a value of another type or a leap
/// second, or exceeds a limit.
pub fn to_wire(json: &[u8], of: &MessageDescriptor, limits: JsonLimits) -> Result<Vec<u8>, Fault> {
    let out = Vec::with_capacity(json.len().min(limits.bytes) / 2);
    let mut writer = WireWriter { out, path: String::new(), items: 0, value_depth: 0, limits, fault: None };
    let kind = Kind::Message(of.clone());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let whole = Slot { writer: &mut writer, kind: &kind, shape: Shape::Single, number: None, is_nullable: false };
    let parsed = whole.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (parsed, writer.fault) {
        (_, Some(fault)) => Err(fault),
        (Ok(()), None) => Ok(writer.out),
        (Err(error), None) => {
            let problem = shortened(&in_column(&error), MAX_PROBLEM);
            Err(Mismatch { path: String::new(), problem, kind: "malformed JSON" }.into())
        }
    }
}

/// The text of an error, with "column 12" instead of "at line 1 column 12" if the message is one line.
fn in_column(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if error.line() == 1 => format!("{}, column {}", &text[..end], error.column()),
        _ => text,
    }
}

/// The form of a value in its field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Single,
    List,
    Map,
}

/// A place for a value.
pub struct Slot<'a> {
    pub writer: &'a mut WireWriter,
    /// The kind of the value, of the items of a list, or of the entries of a map.
    pub kind: &'a Kind,
    pub shape: Shape,
    /// The number of the field. `None` for the message itself, and in a packed list.
    pub number: Option<u32>,
    /// True if null leaves the field unset.
    pub is_nullable: bool,
}

/// The types whose JSON is not that of their fields.
pub enum Special {
    Timestamp,
    FieldMask,
    Value,
    Struct,
    ListValue,
    Other,
}

fn special(message: &MessageDescriptor) -> Option<Special> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    Some(match name {
        "Timestamp" => Special::Timestamp,
        "FieldMask" => Special::FieldMask,
        "Value" => Special::Value,
        "Struct" => Special::Struct,
        "ListValue" => Special::ListValue,
        _ => Special::Other,
    })
}

impl Slot<'_> {
    /// The error of a value of another type: "must be a string, not 5".
    fn wrong_type<'de, D: Deserializer<'de>>(self, value: D) -> D::Error {
        let mut excerpt = String::new();
        // The fault is the type, also if the value is malformed further on, or longer than the excerpt.
        let _ = Excerpt(&mut excerpt).deserialize(value);
        let expected = self.expected();
        self.writer.mismatch("a value of the wrong type", format!("must be {expected}, not {}", cut(&excerpt)))
    }

    pub fn wrong_scalar<E: Error>(self, value: impl Into<serde_json::Value>) -> E {
        let mut excerpt = String::new();
        let _ = Excerpt(&mut excerpt).scalar::<E>(value);
        let expected = self.expected();
        self.writer.mismatch("a value of the wrong type", format!("must be {expected}, not {}", cut(&excerpt)))
    }

    fn expected(&self) -> Cow<'static, str> {
        match self.shape {
            Shape::List => "a list".into(),
            Shape::Map => "an object of keys and values".into(),
            Shape::Single => match self.kind {
                Kind::Message(message) => match special(message) {
                    Some(Special::Timestamp) => "a time as a string".into(),
                    Some(Special::FieldMask) => "a string".into(),
                    Some(Special::ListValue) => "a list".into(),
                    _ => "an object".into(),
                },
                kind => kinds::expected(kind).into(),
            },
        }
    }

    /// The type of a single value that is a message with a JSON of its own.
    pub fn special(&self) -> Option<Special> {
        match self.kind {
            Kind::Message(message) if self.shape == Shape::Single => special(message),
            _ => None,
        }
    }

    fn message<'de, A: MapAccess<'de>>(self, of: &MessageDescriptor, pairs: A) -> Result<(), A::Error> {
        self.writer.part(self.number, |writer| fields(writer, of, pairs))
    }

    /// Reads the pairs of a map, or of a `google.protobuf.Struct`.
    fn pairs<'de, A: MapAccess<'de>>(self, entry: &Kind, mut pairs: A) -> Result<(), A::Error> {
        let Kind::Message(entry) = entry else { return Err(A::Error::custom("a map has entries")) };
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = pairs.next_key::<String>()? {
            self.writer.count_item()?;
            let step = format!("[{:?}]", shortened(&name, 60));
            self.writer.within(&step, |writer| {
                if !seen.insert(name.clone()) {
                    return Err(writer.mismatch("a field given twice", "is given twice".to_owned()));
                }
                writer.part(self.number, |writer| {
                    let slot = Slot { writer, kind: &key, shape: Shape::Single, number: Some(1), is_nullable: false };
                    match key {
                        Kind::Bool => return Err(slot.wrong_scalar(name.as_str())),
                        _ => slot.text(&name)?,
                    }
                    let shape = Shape::Single;
                    pairs.next_value_seed(Slot { writer, kind: &value, shape, number: Some(2), is_nullable: false })
                })
            })?;
        }
        Ok(())
    }

    /// Counts a level of a value of any type.
    fn deeper<E: Error>(self, read: impl FnOnce(Slot<'_>) -> Result<(), E>) -> Result<(), E> {
        let Slot { writer, kind, shape, number, is_nullable } = self;
        if writer.value_depth == MAX_VALUE_DEPTH {
            let problem = format!("is nested more than {MAX_VALUE_DEPTH} levels deep");
            return Err(writer.mismatch("a value of the wrong type", problem));
        }
        writer.value_depth += 1;
        let result = read(Slot { writer: &mut *writer, kind, shape, number, is_nullable });
        writer.value_depth -= 1;
        result
    }
}

/// Reads the fields of a message.
fn fields<'de, A: MapAccess<'de>>(
    writer: &mut WireWriter,
    of: &MessageDescriptor,
    mut pairs: A,
) -> Result<(), A::Error> {
    let mut seen: Vec<FieldDescriptor> = Vec::new();
    while let Some(name) = pairs.next_key_seed(FieldName { of })? {
        let step = match &name {
            Ok(field) if writer.path.is_empty() => field.json_name().to_owned(),
            Ok(field) => format!(".{}", field.json_name()),
            Err(unknown) if writer.path.is_empty() => shown_name(unknown),
            Err(unknown) => format!(".{}", shown_name(unknown)),
        };
        let is_set = writer.within(&step, |writer| {
            let field = name.as_ref().map_err(|unknown| {
                let problem = unknown_field(unknown, of);
                writer.mismatch("an unknown field", problem)
            })?;
            if seen.contains(field) {
                return Err(writer.mismatch("a field given twice", "is given twice".to_owned()));
            }
            let kind = field.kind();
            let shape = match (field.is_map(), field.is_list()) {
                (true, _) => Shape::Map,
                (_, true) => Shape::List,
                _ => Shape::Single,
            };
            let before = writer.out.len();
            let number = Some(field.number());
            pairs.next_value_seed(Slot { writer, kind: &kind, shape, number, is_nullable: true })?;
            Ok(writer.out.len() > before)
        })?;
        let Ok(field) = name else { continue };
        if is_set && let Some(oneof) = field.containing_oneof() {
            let other = seen.iter().find(|other| other.containing_oneof().as_ref() == Some(&oneof));
            if let Some(other) = other {
                let (first, second) = match other.number() < field.number() {
                    true => (other, &field),
                    false => (&field, other),
                };
                let problem = format!("must have only one of {}, {}", first.json_name(), second.json_name());
                return Err(writer.mismatch("mutually exclusive fields", problem));
            }
        }
        if is_set {
            seen.push(field);
        }
    }
    Ok(())
}

fn unknown_field(name: &str, of: &MessageDescriptor) -> String {
    let fields: Vec<FieldDescriptor> = of.fields().collect();
    let meant = nearest(fields.iter().flat_map(|field| [field.json_name(), field.name()]), name);
    match meant {
        Some(meant) => format!("is not a field of {}: {meant} is the nearest", of.name()),
        None => format!("is not a field of {}", of.name()),
    }
}

/// The name of a field, in JSON or in the contract. An unknown one is returned as it is.
struct FieldName<'a> {
    of: &'a MessageDescriptor,
}

impl<'de> DeserializeSeed<'de> for FieldName<'_> {
    type Value = Result<FieldDescriptor, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName<'_> {
    type Value = Result<FieldDescriptor, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let field = self.of.get_field_by_json_name(name).or_else(|| self.of.get_field_by_name(name));
        Ok(field.ok_or_else(|| name.to_owned()))
    }
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expected())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.special() {
            Some(Special::Value) => self.writer.part(self.number, |writer| writer.scalar(Some(1), Scalar::of_i64(0))),
            _ if self.is_nullable => Ok(()),
            _ => Err(self.wrong_scalar(serde_json::Value::Null)),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let scalar = Scalar::of_i64(value.into());
        match (self.special(), self.kind) {
            (Some(Special::Value), _) => self.writer.part(self.number, |writer| writer.scalar(Some(4), scalar)),
            (None, Kind::Bool) if self.shape == Shape::Single => self.writer.scalar(self.number, scalar),
            _ => Err(self.wrong_scalar(value)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.number(number),
            // JSON has no other numbers.
            None => Err(self.wrong_scalar(serde_json::Value::Null)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let special = self.special();
        if let Some(Special::Value | Special::ListValue) = special {
            let Kind::Message(message) = self.kind else { return Err(A::Error::custom("a list is a message")) };
            let pool = message.parent_pool().clone();
            let value = pool.get_message_by_name("google.protobuf.Value").map(Kind::Message);
            let value = value.ok_or_else(|| A::Error::custom("the contract has values of any type"))?;
            return self.deeper(|slot| {
                let outer = if let Some(Special::Value) = special { slot.number } else { None };
                slot.writer.part(outer, |writer| {
                    let inner = if let Some(Special::Value) = special { Some(6) } else { slot.number };
                    writer.part(inner, |writer| list(writer, &value, Some(1), items))
                })
            });
        }
        if self.shape != Shape::List {
            return Err(self.wrong_type(serde::de::value::SeqAccessDeserializer::new(items)));
        }
        match kinds::is_packed(self.kind) {
            true => self.writer.part(self.number, |writer| list(writer, self.kind, None, &mut items)),
            false => list(self.writer, self.kind, self.number, items),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, pairs: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.kind else {
            return Err(self.wrong_type(serde::de::value::MapAccessDeserializer::new(pairs)));
        };
        match (self.shape, special(message)) {
            (Shape::Map, _) => {
                let entry = self.kind;
                self.pairs(entry, pairs)
            }
            (Shape::Single, None) => self.message(message, pairs),
            (Shape::Single, Some(special @ (Special::Value | Special::Struct))) => {
                let fields = message.parent_pool().get_message_by_name("google.protobuf.Struct");
                let entry = fields.and_then(|fields| fields.get_field(1)).map(|field| field.kind());
                let entry = entry.ok_or_else(|| A::Error::custom("the contract has values of any type"))?;
                self.deeper(|slot| {
                    let outer = if let Special::Value = special { slot.number } else { None };
                    slot.writer.part(outer, |writer| {
                        let inner = if let Special::Value = special { Some(5) } else { slot.number };
                        writer.part(inner, |writer| {
                            let (kind, shape) = (&entry, Shape::Map);
                            Slot { writer, kind, shape, number: Some(1), is_nullable: false }.pairs(&entry, pairs)
                        })
                    })
                })
            }
            _ => Err(self.wrong_type(serde::de::value::MapAccessDeserializer::new(pairs))),
        }
    }
}

/// Reads the items of a list. A packed one has no numbers.
fn list<'de, A: SeqAccess<'de>>(
    writer: &mut WireWriter,
    kind: &Kind,
    number: Option<u32>,
    mut items: A,
) -> Result<(), A::Error> {
    for index in 0.. {
        let step = format!("[{index}]");
        let more = writer.within(&step, |writer| {
            items.next_element_seed(ListItem(Slot { writer, kind, shape: Shape::Single, number, is_nullable: false }))
        })?;
        if more.is_none() {
            break;
        }
    }
    Ok(())
}

/// An item of a list. It is counted when it is there.
struct ListItem<'a>(Slot<'a>);

impl<'de> DeserializeSeed<'de> for ListItem<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.writer.count_item()?;
        deserializer.deserialize_any(self.0)
    }
}
