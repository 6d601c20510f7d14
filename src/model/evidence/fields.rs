//! The fields of an account that evidence supports, by path.

use std::borrow::Cow;

use prost::Message;
use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use crate::{
    model::text::{
        quoted::quoted,
        suggestion::{did_you_mean, nearest},
    },
    pb::{self, Account},
};

/// An account in reflected form, for looking up fields by path.
pub struct Fields(DynamicMessage);

impl Fields {
    /// Reflects an account.
    pub fn of(account: &Account) -> Self {
        let descriptor = account_descriptor();
        let message = DynamicMessage::decode(descriptor, account.encode_to_vec().as_slice());
        Self(message.expect("an account has the fields of an account"))
    }

    /// The account.
    pub fn message(&self) -> &DynamicMessage {
        &self.0
    }

    /// Resolves a path to a field that is set. Returns the path in proto names.
    ///
    /// # Errors
    /// The description of a violation.
    pub fn resolve(&self, path: &str) -> Result<String, String> {
        self.walk(path).map_err(|(reason, nearest)| format!("{reason}: {}{}", quoted(path), did_you_mean(nearest)))
    }

    /// [`resolve`](Self::resolve), with the parts of an error: the reason, and a field to suggest.
    fn walk(&self, path: &str) -> Result<String, (String, Option<String>)> {
        let because = |reason: &str| (reason.to_owned(), None);
        let mut resolved = String::with_capacity(path.len());
        let mut message = &self.0;
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let (name, index) = split_index(step).map_err(because)?;
            let descriptor = message.descriptor();
            let field = descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name));
            let field = field.ok_or_else(|| {
                let fields: Vec<_> = descriptor.fields().collect();
                let nearest = nearest(fields.iter().map(FieldDescriptor::name), name);
                (format!("is not a field of {}", descriptor.name()), nearest.map(str::to_owned))
            })?;
            if !resolved.is_empty() {
                resolved.push('.');
            }
            resolved.push_str(field.name());
            // prost-reflect returns a borrowed value for a field that is set, and an owned default for one that is not.
            let Cow::Borrowed(mut value) = message.get_field(&field) else {
                return Err(because("names a field that is not set"));
            };
            if let Some(index) = index {
                if field.cardinality() != Cardinality::Repeated {
                    return Err(because("has an index on a field that is not a list"));
                }
                let item = value.as_list().and_then(|list| list.get(index));
                let length = value.as_list().map_or(0, <[_]>::len);
                value = item.ok_or_else(|| because(&format!("has an index past the end of a list of {length}")))?;
                resolved.push_str(&format!("[{index}]"));
            }
            if steps.peek().is_some() {
                let Value::Message(inner) = value else {
                    return Err(because(match field.kind() {
                        Kind::Message(_) => "needs an index after a list field",
                        _ => "goes below a field without subfields",
                    }));
                };
                message = inner;
            }
        }
        Ok(resolved)
    }
}

/// The type of accounts.
pub fn account_descriptor() -> MessageDescriptor {
    pb::pool().get_message_by_name("readout.v1.Account").expect("the contract has accounts")
}

/// `roles[1]` as `("roles", Some(1))`.
fn split_index(step: &str) -> Result<(&str, Option<usize>), &'static str> {
    const MALFORMED: &str = "must be a path such as participations[0].name_as_written";
    let Some((name, rest)) = step.split_once('[') else { return Ok((step, None)) };
    let digits = rest.strip_suffix(']').ok_or(MALFORMED)?;
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(MALFORMED);
    }
    Ok((name, digits.parse().ok()))
}
