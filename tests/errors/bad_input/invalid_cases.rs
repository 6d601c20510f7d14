//! Walks the fields of a request and builds a case for each invalid value of each field.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use readout::pb;

use super::{
    implied,
    invalid_values::{self, Broken},
};

/// A request that breaks one rule, and the violation that the service must report.
pub struct Case {
    /// The rule, and the message and field that declare it.
    pub rule: String,
    /// Path of the field that the service must name.
    pub field: String,
    /// Text that the description of the violation must contain.
    pub says: String,
    pub request: DynamicMessage,
    /// The same request with the extreme value that the rule allows.
    pub edge: Option<DynamicMessage>,
}

#[derive(Clone)]
enum Step {
    Field(FieldDescriptor),
    Index(usize),
}

/// All cases for a valid request. Panics if it leaves a field with rules unset.
pub fn cases(request: &DynamicMessage) -> Vec<Case> {
    let mut cases = Vec::new();
    walk(request, &request.descriptor(), &[Vec::new()], &mut cases);
    cases
}

/// Adds the cases of one message field of the contract; `places` are its occurrences in the request.
fn walk(request: &DynamicMessage, ty: &MessageDescriptor, places: &[Vec<Step>], out: &mut Vec<Case>) {
    let validate = pb::pool().get_extension_by_name("buf.validate.field").expect("an import");
    for field in ty.fields().filter(|field| !is_output_only(field)) {
        let mut set: Vec<Vec<Step>> = Vec::new();
        for place in places {
            if message(request, place).has_field(&field) {
                set.push(place.iter().cloned().chain([Step::Field(field.clone())]).collect());
            }
        }
        let Some(last) = set.last() else {
            // A ruling is an update of account fields, which excludes the other fields: see ruling.rs.
            let of_ruling = request.descriptor().name() == "UpdateMeetingRequest" && field.name() == "account";
            // Only a story resolves names: see `no_story_parts`.
            let of_story = field.name() == "participant_kind" && !request.descriptor().name().starts_with("Ingest");
            let may_be_unset =
                field.kind() == Kind::Bool || field.containing_oneof().is_some() || of_ruling || of_story;
            assert!(may_be_unset, "base.rs sets {} nowhere", field.full_name());
            continue;
        };
        let value = message(request, &last[..last.len() - 1]).get_field(&field).into_owned();
        let options = field.options();
        let rules = options.get_extension(&validate);
        let rules = rules.as_message().expect("rules are a message");
        for broken in invalid_values::field(rules, &field, &value).into_iter().chain(implied::field(&field, &value)) {
            out.push(case(request, last, &field, broken));
        }
        let inner = match field.kind() {
            Kind::Message(inner) if inner.package_name() == "readout.v1" && !field.is_map() => inner,
            _ => continue,
        };
        let inner_places: Vec<Vec<Step>> = set.iter().flat_map(|place| items(request, place)).collect();
        walk(request, &inner, &inner_places, out);
    }
}

fn case(request: &DynamicMessage, place: &[Step], field: &FieldDescriptor, broken: Broken) -> Case {
    let with = |value: Option<Value>| {
        let mut request = request.clone();
        put(&mut request, place, value);
        request
    };
    let edge = broken.edge.map(|value| with(Some(value)));
    let rule = format!("{} of {}", broken.rule, field.full_name());
    // The service truncates paths to 200 characters.
    let field: String = format!("{}{}", path(place), broken.at).chars().take(200).collect();
    Case { rule, field, says: broken.says, request: with(broken.value), edge }
}

/// The places of the messages in a field: the field itself, or each item of its list.
fn items(request: &DynamicMessage, place: &[Step]) -> Vec<Vec<Step>> {
    let Some(Step::Field(field)) = place.last() else { unreachable!("a place ends in its field") };
    match message(request, &place[..place.len() - 1]).get_field(field).as_list() {
        Some(items) => (0..items.len()).map(|index| [place, &[Step::Index(index)]].concat()).collect(),
        None => vec![place.to_vec()],
    }
}

fn message(request: &DynamicMessage, place: &[Step]) -> DynamicMessage {
    let mut value = Value::Message(request.clone());
    for step in place {
        value = match step {
            Step::Field(field) => value.as_message().expect("a message").get_field(field).into_owned(),
            Step::Index(index) => value.as_list().expect("a list")[*index].clone(),
        };
    }
    value.as_message().expect("a message").clone()
}

fn put(message: &mut DynamicMessage, place: &[Step], value: Option<Value>) {
    let inner = "a message with fields";
    match (place, value) {
        ([Step::Field(field)], Some(value)) => message.set_field(field, value),
        ([Step::Field(field)], None) => message.clear_field(field),
        ([Step::Field(field), Step::Index(index), rest @ ..], value) => {
            let items = message.get_field_mut(field).as_list_mut().expect("a list");
            put(items[*index].as_message_mut().expect(inner), rest, value);
        }
        ([Step::Field(field), rest @ ..], value) => {
            put(message.get_field_mut(field).as_message_mut().expect(inner), rest, value);
        }
        _ => unreachable!("a place begins and ends with a field"),
    }
}

fn path(place: &[Step]) -> String {
    let mut path = String::new();
    for step in place {
        match step {
            Step::Field(field) if path.is_empty() => path.push_str(field.name()),
            Step::Field(field) => path.push_str(&format!(".{}", field.name())),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

pub fn is_output_only(field: &FieldDescriptor) -> bool {
    const OUTPUT_ONLY: i32 = 3;
    let behavior = pb::pool().get_extension_by_name("google.api.field_behavior").expect("an import");
    let options = field.options();
    let behaviors = options.get_extension(&behavior);
    behaviors.as_list().is_some_and(|all| all.iter().any(|behavior| behavior.as_enum_number() == Some(OUTPUT_ONLY)))
}
