//! The schemas of messages in JSON. Their limits are in the comments: a settled account may hold more than a request.

use std::collections::BTreeMap;

use prost_reflect::{
    EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Reflected,
};
use serde_json::{Map, Value, json};

use super::comments::comment;
use crate::pb;

/// The schemas of the messages that are referred to, by full name.
#[derive(Debug, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to the schema of a message, which is added with its parts if it is new.
    pub fn reference(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = special(message) {
            return schema;
        }
        let name = message.full_name().to_owned();
        if !self.0.contains_key(&name) {
            // The name is taken first: a message may contain itself.
            self.0.insert(name.clone(), Value::Null);
            let schema = self.message(message);
            self.0.insert(name.clone(), schema);
        }
        reference(&name)
    }

    fn enumeration(&mut self, of: &EnumDescriptor) -> Value {
        let name = of.full_name().to_owned();
        let values: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
        let described = of.values().filter_map(|value| {
            let text = comment(&of.parent_file(), value.path());
            (!text.is_empty()).then(|| format!("- {}: {text}", value.name()))
        });
        let described: Vec<String> = std::iter::once(comment(&of.parent_file(), of.path())).chain(described).collect();
        let schema = json!({ "type": "string", "enum": values, "description": described.join("\n") });
        self.0.entry(name.clone()).or_insert(schema);
        reference(&name)
    }

    fn message(&mut self, message: &MessageDescriptor) -> Value {
        let required = required(message);
        let properties: Map<String, Value> =
            message.fields().map(|field| (field.json_name().to_owned(), self.field(&field))).collect();
        let mut schema = json!({
            "type": "object",
            "description": comment(&message.parent_file(), message.path()),
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        let description = comment(&field.parent_message().parent_file(), field.path());
        let kind = field.kind();
        let mut schema = match (&kind, field.is_map(), field.is_list()) {
            (Kind::Message(entry), true, _) => {
                let value = self.kind(&entry.map_entry_value_field().kind());
                json!({ "type": "object", "additionalProperties": value })
            }
            (kind, _, true) => json!({ "type": "array", "items": self.kind(kind) }),
            (kind, ..) => self.kind(kind),
        };
        if !description.is_empty()
            && let Value::Object(schema) = &mut schema
        {
            schema.insert("description".to_owned(), description.into());
        }
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Enum(of) => self.enumeration(of),
            Kind::Message(message) => self.reference(message),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            // JSON has 64-bit numbers as strings.
            _ => json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$" }),
        }
    }

    /// All schemas, with those of errors.
    pub fn finish(mut self) -> Map<String, Value> {
        let details = json!({
            "type": "object",
            "properties": {
                "type": { "type": "string", "description": "Type of the detail, such as `google.rpc.ErrorInfo`." },
                "value": { "type": "string", "contentEncoding": "base64" },
                "debug": { "description": "The detail in JSON." },
            },
            "required": ["type", "value"],
        });
        let codes = [
            "canceled",
            "unknown",
            "invalid_argument",
            "deadline_exceeded",
            "not_found",
            "already_exists",
            "permission_denied",
            "resource_exhausted",
            "failed_precondition",
            "aborted",
            "out_of_range",
            "unimplemented",
            "internal",
            "unavailable",
            "data_loss",
            "unauthenticated",
        ];
        let error = json!({
            "type": "object",
            "description": "Error of Connect.",
            "properties": {
                "code": { "type": "string", "enum": codes },
                "message": { "type": "string" },
                "reason": { "type": "string", "description": "Reason, one of readout.v1.ErrorReason." },
                "details": { "type": "array", "items": details },
            },
            "required": ["code", "message"],
        });
        let line = json!({
            "type": "object",
            "properties": { "error": reference("Error") },
            "required": ["error"],
            "additionalProperties": false,
        });
        if let Some(reasons) = pb::pool().get_enum_by_name("readout.v1.ErrorReason") {
            self.enumeration(&reasons);
        }
        self.0.insert("Error".to_owned(), error);
        self.0.insert("ErrorLine".to_owned(), line);
        self.0.into_iter().collect()
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schema of a message whose JSON is not that of its fields.
fn special(message: &MessageDescriptor) -> Option<Value> {
    Some(match message.full_name().strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$" }),
        "FieldMask" => json!({ "type": "string" }),
        "Any" => json!({
            "type": "object",
            "properties": { "@type": { "type": "string" } },
            "required": ["@type"],
        }),
        "Struct" => json!({ "type": "object" }),
        "ListValue" => json!({ "type": "array" }),
        _ => json!({}),
    })
}

/// The fields that a request must have.
fn required(message: &MessageDescriptor) -> Vec<String> {
    let is_request = message.name().ends_with("Request");
    let behavior = pb::pool().get_extension_by_name("google.api.field_behavior");
    let Some(behavior) = behavior.filter(|_| is_request) else { return Vec::new() };
    let fields = message.fields().filter(|field| is_required(field, &behavior));
    fields.map(|field| field.json_name().to_owned()).collect()
}

fn is_required(field: &FieldDescriptor, behavior: &ExtensionDescriptor) -> bool {
    const REQUIRED: i32 = 2;
    let options = field.options();
    let behaviors = options.get_extension(behavior);
    let Reflected::List(behaviors) = behaviors.as_ref() else { return false };
    behaviors.iter().any(|value| value.as_enum_number() == Some(REQUIRED))
}
