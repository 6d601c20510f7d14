//! Field masks: which fields of a resource an update replaces (AIP-134, AIP-161).

pub mod diff;
mod key;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use prost::Message;
use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use prost_types::FieldMask;

use super::{
    resource::Resource,
    rules::{Path, Violations},
    text::{
        quoted::shown,
        suggestion::{did_you_mean, nearest},
    },
};
use crate::pb;

/// A mask has at most so many paths.
pub const MOST_PATHS: usize = 1_000;

/// A mask that was checked against the resource that it is for.
#[derive(Debug, Clone)]
pub enum Mask {
    /// None was sent: every field that the sent resource has set, each as a whole.
    Populated,
    /// `*`: every field that a caller can set, so that those not sent are cleared.
    All,
    /// These, and no others.
    Paths(Vec<Route>),
}

/// Where a path leads: through singular messages to a field, or to one key of a map.
#[derive(Debug, Clone)]
pub struct Route {
    fields: Vec<FieldDescriptor>,
    key: Option<String>,
    /// True if ProtoJSON may have made it of a path to another key.
    may_be_json: bool,
}

impl Mask {
    /// Reads the mask of an update of an `R`; `at` is where it stands in the request. Tells every path that is wrong.
    ///
    /// A path names fields by their proto or JSON names: `title`, `publisher.display_name`, `publisher.displayName`. A list
    /// is replaced as a whole. A map is too, or by key: `labels.desk`, and between backticks where the key has a dot or a
    /// backtick, which is then written twice (``labels.`a.b` ``). Paths with control characters are refused before, as
    /// strings of the request.
    pub fn read<R: Resource>(mask: Option<&FieldMask>, at: &Path<'_>, out: &mut Violations) -> Self {
        let at = at.field("paths");
        let paths = match mask {
            Some(mask) if !mask.paths.is_empty() => &mask.paths,
            _ => return Self::Populated,
        };
        if let [path] = paths.as_slice()
            && path == "*"
        {
            return Self::All;
        }
        if paths.len() > MOST_PATHS {
            out.add(&at, format!("must have at most {MOST_PATHS} items, not {}", paths.len()));
            return Self::Paths(Vec::new());
        }
        let resource = descriptor::<R>();
        let behavior = behavior();
        let mut routes = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate().filter(|(_, path)| !path.contains(char::is_control)) {
            match Route::read(&resource, path, &behavior) {
                Ok(route) => routes.push(route),
                Err(why) => out.add(&at.index(index), why),
            }
        }
        // ProtoJSON leaves no capital in any path.
        if paths.iter().any(|path| path.contains(char::is_uppercase)) {
            routes.iter_mut().for_each(|route| route.may_be_json = false);
        }
        Self::Paths(routes)
    }

    /// The same paths in proto names; one that is wrong stays as it is.
    pub fn in_proto_names<R: Resource>(mask: FieldMask) -> FieldMask {
        let (resource, behavior) = (descriptor::<R>(), behavior());
        let rename = |path: String| Route::read(&resource, &path, &behavior).map_or(path, |route| route.to_string());
        FieldMask { paths: mask.paths.into_iter().map(rename).collect() }
    }

    /// The same mask with the keys that its paths mean. ProtoJSON turns `labels.myKey` into `labels.my_key`: such a path
    /// means "myKey" where that pair alone is sent with another value. Refuses one that could mean either, so that no pair
    /// is changed that the caller did not mean.
    pub fn with_keys_meant<R: Resource>(
        &self,
        current: &R,
        sent: &R,
        at: &Path<'_>,
    ) -> Result<Cow<'_, Self>, Violations> {
        let Self::Paths(routes) = self else { return Ok(Cow::Borrowed(self)) };
        if !routes.iter().any(|route| route.may_be_json) {
            return Ok(Cow::Borrowed(self));
        }
        let (current, sent) = (reflect(current), reflect(sent));
        let (at, mut out) = (at.field("paths"), Violations::default());
        let mut meant = routes.clone();
        for (index, route) in meant.iter_mut().enumerate().filter(|(_, route)| route.may_be_json) {
            if let Err(why) = route.mean(&current, &sent) {
                out.add(&at.index(index), why);
            }
        }
        out.into_result().map(|()| Cow::Owned(Self::Paths(meant)))
    }

    /// Whether it replaces a field of the resource, which `is_set` in the sent one or not.
    pub fn replaces(&self, field: &str, is_set: bool) -> bool {
        match self {
            Self::Populated => is_set,
            Self::All => true,
            Self::Paths(routes) => {
                routes.iter().any(|route| route.fields.first().is_some_and(|first| first.name() == field))
            }
        }
    }

    /// Whether it names the field at this path of the request, or something that the field is part of; `at` is where the
    /// request has the resource. Without paths, it names all.
    pub fn names(&self, field: &str, at: &Path<'_>) -> bool {
        let Self::Paths(routes) = self else { return true };
        routes.iter().any(|route| {
            let path = route.fields.iter().fold(at.to_string(), |path, step| format!("{path}.{}", step.name()));
            field.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The current resource with the masked fields of the sent one. What only the service sets stays as it is.
    pub fn apply<R: Resource>(&self, current: &R, sent: &R) -> R {
        let (mut merged, sent) = (reflect(current), reflect(sent));
        match self {
            Self::Paths(routes) => routes.iter().for_each(|route| route.copy(&sent, &mut merged)),
            Self::Populated | Self::All => {
                let behavior = behavior();
                for field in merged.descriptor().fields().filter(|field| !is_ours(field, &behavior)) {
                    match (sent.has_field(&field), self) {
                        (true, _) => merged.set_field(&field, sent.get_field(&field).into_owned()),
                        (false, Self::All) => merged.clear_field(&field),
                        (false, _) => {}
                    }
                }
            }
        }
        R::decode(merged.encode_to_vec().as_slice()).expect("it has the fields of an R")
    }
}

impl Route {
    fn read(resource: &MessageDescriptor, path: &str, behavior: &ExtensionDescriptor) -> Result<Self, String> {
        let because = |why: &str| Err(format!("{why}: {}", shown(path)));
        if path == "*" {
            return Err("must be the only path if it is *".to_owned());
        }
        let mut fields: Vec<FieldDescriptor> = Vec::new();
        let mut message = resource.clone();
        let mut rest = path;
        loop {
            let (step, after) = rest.split_once('.').map_or((rest, None), |(step, after)| (step, Some(after)));
            let Some(field) = message.get_field_by_name(step).or_else(|| message.get_field_by_json_name(step)) else {
                let settable = message.fields().filter(|field| !is_ours(field, behavior)).collect::<Vec<_>>();
                let nearest = nearest(settable.iter().map(FieldDescriptor::name), step);
                let nearest = nearest.map(|name| format!("{}{name}", &path[..path.len() - rest.len()]));
                return because(&format!("names no field of {}", message.name()))
                    .map_err(|why| why + &did_you_mean(nearest));
            };
            if is_ours(&field, behavior) {
                return because("names what the service sets");
            }
            fields.push(field.clone());
            let Some(after) = after else { return Ok(Self { fields, key: None, may_be_json: false }) };
            if field.is_map() {
                let Some(key) = key::read(after) else {
                    return because("must end with the key of a map, between backticks if it has a dot");
                };
                let may_be_json = key.contains('_');
                return Ok(Self { fields, key: Some(key), may_be_json });
            }
            if field.is_list() {
                return because("goes into a list, which can only be replaced as a whole");
            }
            let Kind::Message(inner) = field.kind() else {
                return because("names a part of a field that has no parts");
            };
            message = inner;
            rest = after;
        }
    }

    /// Replaces its key by the one that it means. An error: it may mean another one.
    fn mean(&mut self, current: &DynamicMessage, sent: &DynamicMessage) -> Result<(), String> {
        let Some(key) = &mut self.key else { return Ok(()) };
        let pairs = |message| match value(message, &self.fields) {
            Some(Value::Map(pairs)) => key::texts(&pairs),
            _ => Default::default(),
        };
        match key::meant(key, &pairs(current), &pairs(sent)) {
            Ok(meant) => *key = meant,
            Err(other) => {
                let (path, whole) = (self.to_string(), fields(&self.fields));
                let names =
                    format!("{} names a key of its own, and is what JSON makes of {whole}.{other}", shown(&path));
                return Err(format!("may mean either of two pairs: {names}; name {whole} as a whole"));
            }
        }
        Ok(())
    }

    /// Makes what is at the end of the route in `to` what it is in `from`.
    fn copy(&self, from: &DynamicMessage, to: &mut DynamicMessage) {
        let Some((last, outer)) = self.fields.split_last() else { return };
        let key = self.key.clone().map(MapKey::String);
        let value = match (value(from, &self.fields), &key) {
            (Some(Value::Map(pairs)), Some(key)) => pairs.get(key).cloned(),
            (value, _) => value,
        };
        let mut message = to;
        for field in outer {
            if value.is_none() && !message.has_field(field) {
                return;
            }
            let Some(inner) = message.get_field_mut(field).as_message_mut() else { return };
            message = inner;
        }
        match (value, &key) {
            (Some(value), None) => message.set_field(last, value),
            (None, None) => message.clear_field(last),
            (value, Some(key)) => {
                let Some(pairs) = message.get_field_mut(last).as_map_mut() else { return };
                match value {
                    Some(value) => pairs.insert(key.clone(), value),
                    None => pairs.remove(key),
                };
            }
        }
    }
}

impl fmt::Display for Route {
    /// As a path in proto names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fields(&self.fields))?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, ".{}", key::written(key)))
    }
}

/// Fields as a path in proto names.
fn fields(fields: &[FieldDescriptor]) -> String {
    fields.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
}

/// What is set at the end of these fields.
fn value(message: &DynamicMessage, fields: &[FieldDescriptor]) -> Option<Value> {
    let (first, rest) = fields.split_first()?;
    if !message.has_field(first) {
        return None;
    }
    let found = message.get_field(first);
    match rest {
        [] => Some(found.into_owned()),
        _ => value(found.as_message()?, rest),
    }
}

/// Whether only the service sets it (AIP-203): outputs, and the name.
fn is_ours(field: &FieldDescriptor, behavior: &ExtensionDescriptor) -> bool {
    const OUTPUT_ONLY: i32 = 3;
    const IDENTIFIER: i32 = 8;
    let options = field.options();
    let behaviors = options.get_extension(behavior);
    let ours = |one: &Value| matches!(one.as_enum_number(), Some(OUTPUT_ONLY | IDENTIFIER));
    behaviors.as_list().is_some_and(|list| list.iter().any(ours))
}

fn behavior() -> ExtensionDescriptor {
    pb::pool().get_extension_by_name("google.api.field_behavior").expect("the contract imports it")
}

fn reflect<R: Resource>(resource: &R) -> DynamicMessage {
    let bytes = resource.encode_to_vec();
    DynamicMessage::decode(descriptor::<R>(), bytes.as_slice()).expect("a resource has the fields of its message")
}

fn descriptor<R: Resource>() -> MessageDescriptor {
    pb::pool().get_message_by_name(R::MESSAGE).expect("the contract has every resource")
}
