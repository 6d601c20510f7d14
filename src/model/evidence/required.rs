//! The fields of accounts that must have evidence, and the told fields of an account that lack it.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::{
    coverage::Supported,
    fields::{Fields, account_descriptor},
};
use crate::{
    model::text::{
        quoted::quoted,
        suggestion::{did_you_mean, nearest},
    },
    pb::{Account, Evidence},
};

/// Maximum number of fields that one request or the service requires.
pub const MAX_REQUIRED_FIELDS: usize = 64;

/// A field of all accounts: a path in proto names without indexes, such as `participations.participant`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountField(String);

/// A told field of an account that has no evidence, and must have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEvidence {
    /// The path of the field from the account, such as `participations[2].participant`.
    pub path: String,
    /// The required field that it is.
    pub required: AccountField,
}

impl AccountField {
    /// Reads a path in proto or JSON names.
    ///
    /// # Errors
    /// The description of the problem, with the nearest field.
    pub fn parse(path: &str) -> Result<Self, String> {
        walk(path).map(Self).map_err(|(reason, nearest)| format!("{reason}: {}{}", quoted(path), did_you_mean(nearest)))
    }

    /// The path in proto names.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path in proto names, or the reason why it is none and a path to suggest.
fn walk(path: &str) -> Result<String, (String, Option<String>)> {
    if path.contains(['[', ']']) {
        return Err(("must have no indexes, since it means all items of a list".to_owned(), None));
    }
    let mut resolved = String::with_capacity(path.len());
    let mut message = Some(account_descriptor());
    let mut rest = path;
    while !rest.is_empty() || resolved.is_empty() {
        let (name, below) = rest.split_once('.').unwrap_or((rest, ""));
        if rest.ends_with('.') && below.is_empty() {
            return Err(("must be a path such as participations.participant".to_owned(), None));
        }
        let Some(descriptor) = message else {
            return Err(("goes below a field without subfields".to_owned(), Some(resolved)));
        };
        let prefix = if resolved.is_empty() { String::new() } else { format!("{resolved}.") };
        let Some(field) = field_of(&descriptor, name) else {
            return Err((format!("is not a field of {}", descriptor.name()), suggestion(&descriptor, &prefix, rest)));
        };
        resolved = prefix + field.name();
        message = match field.kind() {
            Kind::Message(part) => Some(part),
            _ => None,
        };
        rest = below;
    }
    Ok(resolved)
}

fn field_of(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

/// The nearest path: with the names below the unknown one if they then exist.
fn suggestion(message: &MessageDescriptor, prefix: &str, rest: &str) -> Option<String> {
    let (name, below) = rest.split_once('.').unwrap_or((rest, ""));
    let fields: Vec<_> = message.fields().collect();
    let near = format!("{prefix}{}", nearest(fields.iter().map(FieldDescriptor::name), name)?);
    let whole = (!below.is_empty()).then(|| walk(&format!("{near}.{below}")).ok()).flatten();
    Some(whole.unwrap_or(near))
}

/// The told fields of the account among the required ones that have no evidence, in the order of the required fields.
/// Of a list of messages each item needs evidence; a list of values is one field.
pub fn missing<'a>(
    account: &Account,
    evidence: &[Evidence],
    required: impl IntoIterator<Item = &'a AccountField>,
) -> Vec<MissingEvidence> {
    let required: BTreeSet<&AccountField> = required.into_iter().collect();
    if required.is_empty() {
        return Vec::new();
    }
    let (account, supported) = (Fields::of(account), Supported::by(evidence));
    let mut missing = Vec::new();
    for field in required {
        let mut told = Vec::new();
        collect(account.message(), &field.0, String::new(), &mut told);
        let lacks = told.into_iter().filter(|path| !supported.has(path));
        missing.extend(lacks.map(|path| MissingEvidence { path, required: field.clone() }));
    }
    missing
}

/// Adds the paths of the told fields at `path` below the message at `prefix`.
fn collect(message: &DynamicMessage, path: &str, prefix: String, told: &mut Vec<String>) {
    let (name, below) = path.split_once('.').unwrap_or((path, ""));
    let Some(field) = message.descriptor().get_field_by_name(name).filter(|field| message.has_field(field)) else {
        return;
    };
    let at = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    let mut add = |value: &Value, at: String| match value {
        Value::Message(inner) if !below.is_empty() => collect(inner, below, at, told),
        _ => told.push(at),
    };
    let value = message.get_field(&field);
    match &*value {
        Value::List(items) if matches!(field.kind(), Kind::Message(_)) => {
            items.iter().enumerate().for_each(|(index, item)| add(item, format!("{at}[{index}]")));
        }
        value => add(value, at),
    }
}
