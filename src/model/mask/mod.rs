//! Field masks: select the fields of a resource that an update replaces (AIP-134, AIP-161).

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
        quoted::quoted,
        suggestion::{did_you_mean, nearest},
    },
};
use crate::pb;

/// Limit of paths in a mask.
pub const MAX_PATHS: usize = 1_000;

/// A mask that was validated against the message type of its resource.
#[derive(Debug, Clone)]
pub enum Mask {
    /// No mask was sent. Replaces every field that is set in the sent resource, each as a whole.
    Populated,
    /// `*`. Replaces every field that a caller can set, and clears those that are not sent.
    All,
    /// Replaces the fields at these paths.
    Paths(Vec<MaskPath>),
}

/// A parsed path: leads through singular messages to a field, or to one key of a map.
#[derive(Debug, Clone)]
pub struct MaskPath {
    fields: Vec<FieldDescriptor>,
    key: Option<String>,
    /// True if ProtoJSON may have converted it from a path to another key.
    may_be_json: bool,
}

impl Mask {
    /// Parses the mask of an update of an `R`. `at` is the path of the mask in the request. Reports every invalid path
    /// to `out`.
    ///
    /// A path names fields by proto or JSON name: `title`, `publisher.display_name`, `publisher.displayName`. A list is
    /// replaced as a whole. A map is replaced as a whole or by key: `labels.desk`. A key with a dot or a backtick is
    /// written between backticks, with its own backticks doubled: ``labels.`a.b` ``. Paths with control characters are
    /// skipped here, because `Strings` refuses them.
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
        if paths.len() > MAX_PATHS {
            out.add(&at, format!("must have at most {MAX_PATHS} items, not {}", paths.len()));
            return Self::Paths(Vec::new());
        }
        let resource = descriptor::<R>();
        let behavior = behavior();
        let mut routes = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate().filter(|(_, path)| !path.contains(char::is_control)) {
            match MaskPath::read(&resource, path, &behavior) {
                Ok(route) => routes.push(route),
                Err(description) => out.add(&at.index(index), description),
            }
        }
        // ProtoJSON converts every capital: a mask with a capital was not sent as ProtoJSON.
        if paths.iter().any(|path| path.contains(char::is_uppercase)) {
            routes.iter_mut().for_each(|route| route.may_be_json = false);
        }
        Self::Paths(routes)
    }

    /// The same paths in proto names. An invalid path stays as it is.
    pub fn in_proto_names<R: Resource>(mask: FieldMask) -> FieldMask {
        let (resource, behavior) = (descriptor::<R>(), behavior());
        let rename = |path: String| MaskPath::read(&resource, &path, &behavior).map_or(path, |route| route.to_string());
        FieldMask { paths: mask.paths.into_iter().map(rename).collect() }
    }

    /// The same mask with map keys resolved. ProtoJSON turns `labels.myKey` into `labels.my_key`: such a path refers to
    /// "myKey" if that pair alone is sent with another value.
    ///
    /// # Errors
    /// If a path could refer to either key, so that no pair is changed by mistake.
    pub fn with_resolved_keys<R: Resource>(
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
        let mut resolved = routes.clone();
        for (index, route) in resolved.iter_mut().enumerate().filter(|(_, route)| route.may_be_json) {
            if let Err(description) = route.resolve_key(&current, &sent) {
                out.add(&at.index(index), description);
            }
        }
        out.into_result().map(|()| Cow::Owned(Self::Paths(resolved)))
    }

    /// True if the mask replaces this field of the resource, or a part of it. `is_set`: the sent resource has the
    /// field.
    pub fn replaces(&self, field: &str, is_set: bool) -> bool {
        match self {
            Self::Populated => is_set,
            Self::All => true,
            Self::Paths(routes) => {
                routes.iter().any(|route| route.fields.first().is_some_and(|first| first.name() == field))
            }
        }
    }

    /// True if the mask names the field at this path of the request, or a field that contains it. `at` is the path of
    /// the resource in the request. A mask without paths names all fields.
    pub fn names(&self, field: &str, at: &Path<'_>) -> bool {
        let Self::Paths(routes) = self else { return true };
        routes.iter().any(|route| {
            let path = route.fields.iter().fold(at.to_string(), |path, step| format!("{path}.{}", step.name()));
            field.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The current resource with the masked fields of the sent one. Fields that only the service sets stay as they are.
    pub fn apply<R: Resource>(&self, current: &R, sent: &R) -> R {
        let (mut merged, sent) = (reflect(current), reflect(sent));
        match self {
            Self::Paths(routes) => routes.iter().for_each(|route| route.copy(&sent, &mut merged)),
            Self::Populated | Self::All => {
                let behavior = behavior();
                for field in merged.descriptor().fields().filter(|field| !is_service_set(field, &behavior)) {
                    match (sent.has_field(&field), self) {
                        (true, _) => merged.set_field(&field, sent.get_field(&field).into_owned()),
                        (false, Self::All) => merged.clear_field(&field),
                        (false, _) => {}
                    }
                }
            }
        }
        R::decode(merged.encode_to_vec().as_slice()).expect("the message has the fields of an R")
    }
}

impl MaskPath {
    fn read(resource: &MessageDescriptor, path: &str, behavior: &ExtensionDescriptor) -> Result<Self, String> {
        let because = |reason: &str| Err(format!("{reason}: {}", quoted(path)));
        if path == "*" {
            return Err("must be the only path if it is *".to_owned());
        }
        let mut fields: Vec<FieldDescriptor> = Vec::new();
        let mut message = resource.clone();
        let mut rest = path;
        loop {
            let (step, after) = rest.split_once('.').map_or((rest, None), |(step, after)| (step, Some(after)));
            let Some(field) = message.get_field_by_name(step).or_else(|| message.get_field_by_json_name(step)) else {
                let settable = message.fields().filter(|field| !is_service_set(field, behavior)).collect::<Vec<_>>();
                let nearest = nearest(settable.iter().map(FieldDescriptor::name), step);
                let nearest = nearest.map(|name| format!("{}{name}", &path[..path.len() - rest.len()]));
                return because(&format!("is not a field of {}", message.name()))
                    .map_err(|description| description + &did_you_mean(nearest));
            };
            if is_service_set(&field, behavior) {
                return because("names a field that the service sets");
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
                return because("goes below a field without subfields");
            };
            message = inner;
            rest = after;
        }
    }

    /// Replaces the key by the one that it refers to. An error describes an ambiguous key.
    fn resolve_key(&mut self, current: &DynamicMessage, sent: &DynamicMessage) -> Result<(), String> {
        let Some(key) = &mut self.key else { return Ok(()) };
        let pairs = |message| match value(message, &self.fields) {
            Some(Value::Map(pairs)) => key::texts(&pairs),
            _ => Default::default(),
        };
        match key::resolve(key, &pairs(current), &pairs(sent)) {
            Ok(resolved) => *key = resolved,
            Err(other) => {
                let (path, whole) = (self.to_string(), fields(&self.fields));
                let names =
                    format!("{} names a key of its own, and is what JSON makes of {whole}.{other}", quoted(&path));
                return Err(format!("may mean either of two pairs: {names}; name {whole} as a whole"));
            }
        }
        Ok(())
    }

    /// Copies the value at the end of the route in `from` to `to`, or clears it there.
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

impl fmt::Display for MaskPath {
    /// Writes the path in proto names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fields(&self.fields))?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, ".{}", key::quoted(key)))
    }
}

/// Joins fields to a path in proto names.
fn fields(fields: &[FieldDescriptor]) -> String {
    fields.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
}

/// The value at the end of these fields. `None` if a field on the way is not set.
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

/// True if only the service sets the field (AIP-203): output-only fields, and the name.
fn is_service_set(field: &FieldDescriptor, behavior: &ExtensionDescriptor) -> bool {
    const OUTPUT_ONLY: i32 = 3;
    const IDENTIFIER: i32 = 8;
    let options = field.options();
    let behaviors = options.get_extension(behavior);
    let is_service_set = |behavior: &Value| matches!(behavior.as_enum_number(), Some(OUTPUT_ONLY | IDENTIFIER));
    behaviors.as_list().is_some_and(|list| list.iter().any(is_service_set))
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
