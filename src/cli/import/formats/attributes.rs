//! Sets fields of the contract by their names, from strings and other JSON values.

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use serde_json::Value as Json;

use crate::{
    model::text::{
        quoted::quoted,
        suggestion::{did_you_mean, nearest},
    },
    pb,
};

/// Sets the field at a path such as `office.title`, in proto or JSON names. A null or empty value sets nothing.
///
/// # Errors
/// The predicate of a sentence whose subject is the attribute.
pub fn set(message: &mut DynamicMessage, path: &str, json: &Json) -> Result<(), String> {
    if json.is_null() || json.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(());
    }
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let of = message.descriptor();
    let field = of.get_field_by_name(name).or_else(|| of.get_field_by_json_name(name));
    let field = field.ok_or_else(|| {
        let fields: Vec<_> = of.fields().collect();
        let nearest = nearest(fields.iter().map(FieldDescriptor::name), name);
        format!("is not a field of {}{}", of.name(), did_you_mean(nearest))
    })?;
    match (rest, json) {
        (Some(rest), _) => match part(message, &field)? {
            Some(part) => set(part, rest, json),
            None => Err(format!("has a part, and {name} of {} has none", of.name())),
        },
        (None, Json::Object(parts)) => match part(message, &field)? {
            Some(part) => parts.iter().try_for_each(|(name, json)| set(part, name, json)),
            None => Err("must not be an object".to_owned()),
        },
        (None, Json::Array(items)) if field.is_list() => {
            let values = items.iter().map(|item| value(&field.kind(), item)).collect::<Result<_, _>>()?;
            message.set_field(&field, Value::List(values));
            Ok(())
        }
        (None, Json::String(text)) if field.is_list() && is_word_list(&field) => {
            let words = text.split(',').map(|word| value(&field.kind(), &Json::String(word.trim().to_owned())));
            message.set_field(&field, Value::List(words.collect::<Result<_, _>>()?));
            Ok(())
        }
        (None, item) => {
            let value = value(&field.kind(), item)?;
            message.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
            Ok(())
        }
    }
}

/// The message in a field. `None` for another kind of field.
fn part<'m>(
    message: &'m mut DynamicMessage,
    field: &FieldDescriptor,
) -> Result<Option<&'m mut DynamicMessage>, String> {
    match message.get_field_mut(field) {
        Value::Message(part) => Ok(Some(part)),
        Value::List(_) if matches!(field.kind(), Kind::Message(_)) => {
            Err(format!("must be extractions of their own: {} is a list", field.name()))
        }
        _ => Ok(None),
    }
}

/// True for a list whose items have no comma: codes and slugs.
fn is_word_list(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Enum(_)) || field.name() == "topics"
}

fn value(kind: &Kind, json: &Json) -> Result<Value, String> {
    let text = match json {
        Json::String(text) => text.trim(),
        _ => "",
    };
    let wrong = |expected: &str| Err(format!("must be {expected}, not {json}"));
    match kind {
        Kind::String => match json {
            Json::String(text) => Ok(Value::String(text.clone())),
            Json::Number(number) => Ok(Value::String(number.to_string())),
            _ => wrong("a string"),
        },
        Kind::Bool => match json.as_bool().or_else(|| text.to_lowercase().parse().ok()) {
            Some(value) => Ok(Value::Bool(value)),
            None => wrong("true or false"),
        },
        Kind::Int32 => {
            match json.as_i64().or_else(|| text.parse().ok()).and_then(|number| i32::try_from(number).ok()) {
                Some(number) => Ok(Value::I32(number)),
                None => wrong("a whole number"),
            }
        }
        Kind::Double => match json.as_f64().or_else(|| text.parse().ok()) {
            Some(number) => Ok(Value::F64(number)),
            None => wrong("a number"),
        },
        Kind::Float => match json.as_f64().or_else(|| text.parse().ok()) {
            Some(number) => Ok(Value::F32(number as f32)), // of the precision of the contract
            None => wrong("a number"),
        },
        Kind::Enum(of) => {
            enum_value(of, text).map_or_else(|| Err(not_among(of, json)), |number| Ok(Value::EnumNumber(number)))
        }
        Kind::Message(of) => match message(of, text) {
            Some(message) => Ok(Value::Message(message)),
            None => Err(not_a_message(of, json)),
        },
        _ => Err("cannot be set".to_owned()),
    }
}

/// The number of a value, by its name in any case and with spaces or hyphens.
fn enum_value(of: &EnumDescriptor, text: &str) -> Option<i32> {
    let name = text.to_uppercase().replace([' ', '-'], "_");
    of.get_value_by_name(&name).map(|value| value.number())
}

fn not_among(of: &EnumDescriptor, json: &Json) -> String {
    let values: Vec<_> = of.values().filter(|value| value.number() != 0).collect();
    let names: Vec<&str> = values.iter().map(|value| value.name()).collect();
    let shown = json.as_str().map_or_else(|| json.to_string(), quoted);
    format!("must be one of {}, not {shown}", names.join(", "))
}

/// A message that is written as one word: a date, a period `2020-09-03/2020-09-05`, a time of day.
fn message(of: &MessageDescriptor, text: &str) -> Option<DynamicMessage> {
    let mut message = DynamicMessage::new(of.clone());
    match of.full_name() {
        "google.type.Date" => message.transcode_from(&date(text)?).ok()?,
        "readout.v1.DateSpan" => {
            let (start, end) = text.split_once('/').map_or((text, None), |(start, end)| (start, Some(end)));
            let end = match end {
                Some(end) => Some(date(end)?),
                None => None,
            };
            let span = pb::DateSpan { start: Some(date(start)?), end, ..Default::default() };
            message.transcode_from(&span).ok()?;
        }
        "google.type.TimeOfDay" => {
            let mut parts = text.split(':');
            let mut next = |most: i32| parts.next()?.parse().ok().filter(|number| (0..=most).contains(number));
            let (hours, minutes) = (next(24)?, next(59)?);
            let seconds = if text.matches(':').count() == 2 { next(59)? } else { 0 };
            parts.next().is_none().then_some(())?;
            message.transcode_from(&pb::TimeOfDay { hours, minutes, seconds, nanos: 0 }).ok()?;
        }
        _ => return None,
    }
    Some(message)
}

fn not_a_message(of: &MessageDescriptor, json: &Json) -> String {
    match of.full_name() {
        "google.type.Date" | "readout.v1.DateSpan" => {
            format!("must be a date such as 2020-09-03, 2020-09 or 2020, not {json}")
        }
        "google.type.TimeOfDay" => format!("must be a time such as 14:30, not {json}"),
        name => {
            let fields: Vec<_> = of.fields().collect();
            let names: Vec<&str> = fields.iter().map(FieldDescriptor::name).collect();
            let name = name.rsplit('.').next().unwrap_or(name);
            format!("must name a field of {name}, one of {}", names.join(", "))
        }
    }
}

/// Reads a date of ISO 8601, of which the day, or the day and the month, may be left out.
pub fn date(text: &str) -> Option<pb::Date> {
    let text = text.trim();
    let is_date = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && matches!(text.len(), 4 | 7 | 10);
    let mut parts = is_date.then(|| text.split('-'))?;
    let mut next = || parts.next().map_or(Some(0), |part| part.parse().ok());
    let (year, month, day) = (next()?, next()?, next()?);
    (parts.next().is_none() && text.as_bytes()[..4].iter().all(u8::is_ascii_digit)).then_some(pb::Date {
        year,
        month,
        day,
    })
}
