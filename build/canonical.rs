//! Generates `model::canonical::Canonical` for the messages of the contract: the spelling in which a message is stored,
//! and the form in which its content is compared.

use std::{error::Error, fmt::Write};

use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::{field_behavior, ident, is_answer, is_output_only, is_required, rust_path, sent_messages, snake};

/// Lists that are sets: order and repetition do not matter. All other lists keep their order.
const SETS: [&str; 10] = [
    "readout.v1.Account.external_ids",
    "readout.v1.Account.topics",
    "readout.v1.Article.alternate_uris",
    "readout.v1.Article.external_ids",
    "readout.v1.IngestStoriesRequest.require_evidence",
    "readout.v1.IngestStoryRequest.require_evidence",
    "readout.v1.Participant.external_ids",
    "readout.v1.Participant.names",
    "readout.v1.Participation.roles",
    "readout.v1.Statement.topics",
];

/// Strings that are defined elsewhere and compared as given.
const AS_GIVEN: [&str; 3] = ["alternate_uris", "request_id", "uri"];

/// Messages whose zero is a value: midnight, and the first instant of 1970.
const VALUES: [&str; 2] = ["google.protobuf.Timestamp", "google.type.TimeOfDay"];

/// Parts that `model::rules::cross_field` requires and that may be empty.
const KEPT: [&str; 1] = ["readout.v1.Meeting.account"];

/// Messages with a rule of their own; `model::canonical` has a function for each.
const BY_HAND: [&str; 5] = ["Article", "CreateMeetingRequest", "DateSpan", "Report", "StoryReport"];

/// The names of the sets, and `Canonical` for each message of the contract.
pub fn impls(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    for name in SETS.iter().chain(&KEPT) {
        find(pool, name).ok_or_else(|| format!("{name} is not a field of the contract"))?;
    }
    let behavior = field_behavior(pool)?;
    let mut code = format!(
        "/// Lists whose order and repetitions do not matter.\nconst SETS: [&str; {}] = {SETS:?};\n",
        SETS.len()
    );
    for message in sent_messages(pool) {
        code.push_str(&canonical(&message, &behavior)?);
    }
    Ok(code)
}

fn find(pool: &DescriptorPool, name: &str) -> Option<FieldDescriptor> {
    let (message, field) = name.rsplit_once('.')?;
    pool.get_message_by_name(message)?.get_field_by_name(field)
}

/// The impl for one message.
fn canonical(message: &MessageDescriptor, behavior: &ExtensionDescriptor) -> Result<String, Box<dyn Error>> {
    let ty = rust_path(message);
    let (mut spell, mut order) = (String::new(), String::new());
    if BY_HAND.contains(&message.name()) {
        writeln!(order, "        {}(self);", snake(message.name()))?;
    }
    // The oneofs of the contract select where a read starts; they are not stored.
    for field in message.fields().filter(|field| field.containing_oneof().is_none()) {
        let value = ident(&field);
        match field.kind() {
            _ if field.is_map() => writeln!(spell, "        pairs(&mut self.{value});")?,
            Kind::String if AS_GIVEN.contains(&field.name()) => {}
            Kind::String if field.is_list() => writeln!(spell, "        self.{value}.iter_mut().for_each(text);")?,
            Kind::String => writeln!(spell, "        text(&mut self.{value});")?,
            Kind::Message(part) if VALUES.contains(&part.full_name()) || is_answer(&part) => {}
            Kind::Message(part) if field.is_list() => {
                writeln!(spell, "        self.{value}.iter_mut().for_each(Canonical::canonicalize);")?;
                writeln!(order, "        self.{value}.iter_mut().for_each(Canonical::order_sets);")?;
                if !part.fields().any(|field| is_required(&field, behavior)) {
                    writeln!(order, "        self.{value}.retain(|item| *item != Default::default());")?;
                }
            }
            Kind::Message(_) => {
                let is_kept = is_required(&field, behavior)
                    || is_output_only(&field, behavior)
                    || KEPT.contains(&field.full_name());
                writeln!(spell, "        {}(&mut self.{value});", if is_kept { "kept_part" } else { "part" })?;
                writeln!(order, "        self.{value}.iter_mut().for_each(Canonical::order_sets);")?;
            }
            _ => {}
        }
        if SETS.contains(&field.full_name()) {
            let order_of = if matches!(field.kind(), Kind::Message(_)) { "order_messages" } else { "order_values" };
            writeln!(order, "        {order_of}(&mut self.{value});")?;
        }
    }
    Ok(format!(
        "impl Canonical for {ty} {{\n    fn canonicalize(&mut self) {{\n{spell}    }}\n    \
         fn order_sets(&mut self) {{\n{order}    }}\n}}\n"
    ))
}
