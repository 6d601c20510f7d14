//! Respells a message without changing its content. Its lists of sets and of strings that are compared as given are
//! independent of the service's.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use readout::pb::{self, Story};
use unicode_normalization::UnicodeNormalization;

use crate::faults::rng::Chance;

/// Lists whose order does not matter.
const SETS: [&str; 5] = ["roles", "topics", "names", "external_ids", "alternate_uris"];
/// Strings that are compared as given, without normalisation.
const AS_GIVEN: [&str; 3] = ["uri", "alternate_uris", "request_id"];
/// Messages whose zero value differs from absence.
const VALUES: [&str; 2] = ["google.protobuf.Timestamp", "google.type.TimeOfDay"];
/// Message fields that a story must set.
const REQUIRED: [&str; 3] =
    ["readout.v1.Story.article", "readout.v1.StoryReport.account", "readout.v1.StoryParticipant.participant"];
/// Strings that must be ASCII, or that these tests leave without accents.
const CODES: [&str; 11] = [
    "uri",
    "alternate_uris",
    "region_code",
    "language_code",
    "time_zone",
    "field",
    "scheme",
    "topics",
    "name",
    "parent",
    "syndicated_from",
];

/// The same story in another spelling.
pub fn respelled(story: &Story, chance: &mut Chance) -> Story {
    edited(story, |message| respell(message, chance))
}

/// The same story with accents on letters. Offsets stay valid: each letter stays one code point.
pub fn accented(story: &Story) -> Story {
    edited(story, accent)
}

fn edited(story: &Story, edit: impl FnOnce(&mut DynamicMessage)) -> Story {
    let ty = pb::pool().get_message_by_name("readout.v1.Story").unwrap();
    let mut message = DynamicMessage::new(ty);
    message.transcode_from(story).unwrap();
    edit(&mut message);
    message.transcode_to().unwrap()
}

fn respell(message: &mut DynamicMessage, chance: &mut Chance) {
    for field in message.descriptor().fields() {
        if !message.has_field(&field) {
            if let Some(empty) = empty_value(&field, chance) {
                message.set_field(&field, empty);
            }
            continue;
        }
        let mut value = message.get_field(&field).into_owned();
        match &mut value {
            Value::Map(pairs) => {
                let decomposed = |(key, value): (&MapKey, &Value)| {
                    let text = |text: &str| text.nfd().collect::<String>();
                    (MapKey::String(text(key.as_str().unwrap())), Value::String(text(value.as_str().unwrap())))
                };
                *pairs = pairs.iter().map(decomposed).collect();
            }
            Value::List(items) => {
                items.iter_mut().for_each(|item| respell_value(&field, item, chance));
                if SETS.contains(&field.name()) {
                    shuffle(items, chance);
                }
                if field.name() == "names" {
                    items.push(items[0].clone());
                }
            }
            value => respell_value(&field, value, chance),
        }
        message.set_field(&field, value);
    }
    match message.descriptor().name() {
        "DateSpan" if chance.once_in(2) => repeat_start(message),
        "Article" => add_own_uri(message),
        _ => {}
    }
}

fn respell_value(field: &FieldDescriptor, value: &mut Value, chance: &mut Chance) {
    match value {
        Value::Message(part) if !VALUES.contains(&part.descriptor().full_name()) => respell(part, chance),
        Value::String(path) if field.full_name() == "readout.v1.Evidence.field" => {
            *path = path.split('.').map(json_name).collect::<Vec<_>>().join(".");
        }
        Value::String(text) if !AS_GIVEN.contains(&field.name()) => *text = text.nfd().collect(),
        _ => {}
    }
}

/// An empty value for a field, sometimes with empty messages in it.
fn empty_value(field: &FieldDescriptor, chance: &mut Chance) -> Option<Value> {
    let Kind::Message(ty) = field.kind() else { return None };
    let may_be_empty = !field.is_list()
        && !field.is_map()
        && !VALUES.contains(&ty.full_name())
        && !REQUIRED.contains(&field.full_name());
    if !may_be_empty || chance.once_in(3) {
        return None;
    }
    let mut empty = DynamicMessage::new(ty);
    if empty.descriptor().package_name() == "readout.v1" {
        respell(&mut empty, chance);
    }
    Some(Value::Message(empty))
}

fn shuffle(items: &mut [Value], chance: &mut Chance) {
    for at in (1..items.len()).rev() {
        items.swap(at, chance.below(at as u64 + 1) as usize);
    }
}

fn repeat_start(span: &mut DynamicMessage) {
    if span.has_field_by_name("start") && !span.has_field_by_name("end") {
        let start = span.get_field_by_name("start").unwrap().into_owned();
        span.set_field_by_name("end", start);
    }
}

fn add_own_uri(article: &mut DynamicMessage) {
    let uri = article.get_field_by_name("uri").unwrap().into_owned();
    let mut others = article.get_field_by_name("alternate_uris").unwrap().into_owned();
    if let Value::List(others) = &mut others
        && others.len() < 100
    {
        others.push(uri);
    }
    article.set_field_by_name("alternate_uris", others);
}

/// `name_as_written[0]` as `nameAsWritten[0]`.
fn json_name(step: &str) -> String {
    let mut words = step.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

fn accent(message: &mut DynamicMessage) {
    for field in message.descriptor().fields() {
        if !message.has_field(&field) || CODES.contains(&field.name()) {
            continue;
        }
        let mut value = message.get_field(&field).into_owned();
        accent_value(&mut value);
        message.set_field(&field, value);
    }
}

fn accent_value(value: &mut Value) {
    match value {
        Value::Message(part) => accent(part),
        Value::List(items) => items.iter_mut().for_each(accent_value),
        Value::Map(pairs) => pairs.values_mut().for_each(accent_value),
        Value::String(text) => *text = text.replace('e', "é").replace('o', "ö").replace('u', "\u{1ee5}"),
        _ => {}
    }
}
