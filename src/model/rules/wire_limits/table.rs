//! The limits of every message that a request can contain, read from the descriptors once.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use prost_reflect::{DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::{MAX_ITEMS, MAX_STRING_BYTES};
use crate::{model::mask, pb};

include!(concat!(env!("OUT_DIR"), "/sizes.rs"));

/// A list may have this many times its declared limit before the scan refuses it: up to there the rules answer.
const LIST_FACTOR: usize = 2;

/// A string may have this many bytes for each declared character or byte. A limit holds for the canonical form, which
/// is shorter than the text as sent: NFC makes one character of 3 bytes from up to 9 bytes (Hangul, Sinhala).
const BYTES_PER_CHARACTER: usize = 9;
const BYTES_PER_BYTE: usize = 3;

/// Messages that hold a settled account, which has the items of all reports: the limits of one report do not hold in
/// them. A client may send back a meeting as it was answered, to update its labels.
const SETTLED: [&str; 1] = ["readout.v1.UpdateMeetingRequest.meeting"];

/// Limits that the code declares, since the `.proto` of another package does not.
const OF_OTHER_PACKAGES: [(&str, usize); 1] = [("google.protobuf.FieldMask.paths", mask::MAX_PATHS)];

/// The bytes of a leaf of a `BTreeMap` besides its pairs, and the number of its pairs.
const LEAF_OVERHEAD: usize = 16;
pub const LEAF_PAIRS: usize = 11;

/// All messages that requests can contain.
pub static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

pub struct Table {
    pub types: Vec<MessageType>,
    /// The types of requests, by full name.
    pub requests: HashMap<String, usize>,
}

/// A message type, or the type of a map's entries.
#[derive(Default)]
pub struct MessageType {
    /// By field number.
    fields: Vec<Option<Field>>,
    /// The number of lists in the message and in its singular parts, at any depth. The decoder merges all occurrences
    /// of a singular part, so a list in it is counted over all of them.
    pub lists: usize,
    /// The size of the decoded message, without what it points to.
    pub size: usize,
}

pub struct Field {
    /// Empty for the key and the value of a map.
    pub name: &'static str,
    pub kind: FieldKind,
    /// Set for lists and maps.
    pub list: Option<List>,
}

#[derive(Clone, Copy)]
pub enum FieldKind {
    Varint,
    Fixed32,
    Fixed64,
    /// A string or bytes.
    Text(TextLimit),
    /// A message, or the entry of a map: the index of its type, and for a singular one the place of its lists among
    /// those of the message that has it.
    Message {
        of: usize,
        lists_at: usize,
    },
}

/// The limit of a string.
#[derive(Clone, Copy)]
pub struct TextLimit {
    pub max_bytes: usize,
    /// The limit as declared, with its unit, for messages.
    pub declared: usize,
    pub unit: &'static str,
}

/// A list or a map.
#[derive(Clone, Copy)]
pub struct List {
    /// The place of its count among those of its message.
    pub at: usize,
    /// Items beyond this number are refused.
    pub max_items: u32,
    /// The limit as declared, for messages.
    pub declared: usize,
    pub is_map: bool,
    /// The size of an item in memory; for a map, that of a leaf with [`LEAF_PAIRS`] pairs.
    pub size: usize,
}

impl MessageType {
    pub fn field(&self, number: u32) -> Option<&Field> {
        self.fields.get(number as usize)?.as_ref()
    }

    /// All fields, with their numbers.
    #[cfg(test)]
    pub fn fields(&self) -> impl Iterator<Item = (u32, &Field)> {
        (0..).zip(&self.fields).filter_map(|(number, field)| Some((number, field.as_ref()?)))
    }
}

/// A message type is in the table twice if it occurs in a settled account and elsewhere.
type Key = (String, bool);

struct Builder {
    types: Vec<MessageType>,
    indices: HashMap<Key, usize>,
    sizes: HashMap<&'static str, usize>,
    validate: ExtensionDescriptor,
}

impl Table {
    fn new() -> Self {
        let pool = pb::pool();
        let mut builder = Builder {
            types: Vec::new(),
            indices: HashMap::new(),
            sizes: HashMap::from(SIZES),
            validate: pool.get_extension_by_name("buf.validate.field").expect("the contract imports it"),
        };
        let services = pool.services().filter(|service| service.package_name() == "readout.v1");
        let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        let request = |request: MessageDescriptor| (request.full_name().to_owned(), builder.index(&request, false));
        let requests = methods.map(|method| method.input()).map(request).collect();
        let mut types = builder.types;
        for index in 0..types.len() {
            place_lists(&mut types, index, &mut Vec::new());
        }
        Self { types, requests }
    }
}

/// Gives every list of a message and its singular parts a place. Returns their number. `outer` are the messages that
/// this one is a singular part of.
fn place_lists(types: &mut [MessageType], index: usize, outer: &mut Vec<usize>) -> usize {
    assert!(!outer.contains(&index), "a message contains itself outside of a list, so its lists have no fixed places");
    outer.push(index);
    let mut fields = std::mem::take(&mut types[index].fields);
    let mut lists = 0;
    for field in fields.iter_mut().flatten() {
        match (&mut field.list, &mut field.kind) {
            (Some(list), _) => {
                list.at = lists;
                lists += 1;
            }
            (None, FieldKind::Message { of, lists_at }) => {
                *lists_at = lists;
                lists += place_lists(types, *of, outer);
            }
            _ => {}
        }
    }
    types[index].fields = fields;
    types[index].lists = lists;
    outer.pop();
    lists
}

impl Builder {
    /// The index of a message type, which is added with its parts if it is new.
    fn index(&mut self, message: &MessageDescriptor, is_settled: bool) -> usize {
        let key = (message.full_name().to_owned(), is_settled);
        if let Some(&index) = self.indices.get(&key) {
            return index;
        }
        let index = self.types.len();
        self.indices.insert(key, index);
        self.types.push(MessageType { size: self.size(message), ..Default::default() });
        let fields = message.fields().map(|field| {
            let options = field.options();
            let rules = options.get_extension(&self.validate);
            let rules = rules.as_message().filter(|rules| !is_ignored(rules)).cloned();
            (field.number(), self.field(&field, rules.as_ref(), is_settled))
        });
        let fields = by_number(fields.collect());
        self.types[index].fields = fields;
        index
    }

    fn field(&mut self, field: &FieldDescriptor, rules: Option<&DynamicMessage>, is_settled: bool) -> Field {
        let is_settled = is_settled || SETTLED.contains(&field.full_name());
        let is_list = field.is_list() || field.is_map();
        let list_rules = part(rules, if field.is_map() { "map" } else { "repeated" });
        let kind = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                FieldKind::Message { of: self.entry(&entry, list_rules.as_ref(), is_settled), lists_at: 0 }
            }
            Kind::Message(message) => FieldKind::Message { of: self.index(&message, is_settled), lists_at: 0 },
            Kind::String | Kind::Bytes if field.is_list() => {
                FieldKind::Text(text_limit(part(list_rules.as_ref(), "items").as_ref()))
            }
            Kind::String | Kind::Bytes => FieldKind::Text(text_limit(rules)),
            Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => FieldKind::Fixed32,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => FieldKind::Fixed64,
            _ => FieldKind::Varint,
        };
        let list = is_list.then(|| self.list(field, list_rules.as_ref(), is_settled));
        Field { name: Box::leak(field.name().into()), kind, list }
    }

    /// The index of the type of a map's entries, which is of that map alone.
    fn entry(&mut self, entry: &MessageDescriptor, rules: Option<&DynamicMessage>, is_settled: bool) -> usize {
        let pair = [(entry.map_entry_key_field(), "keys"), (entry.map_entry_value_field(), "values")];
        let fields = pair.map(|(field, side)| {
            let number = field.number();
            (number, Field { name: "", ..self.field(&field, part(rules, side).as_ref(), is_settled) })
        });
        self.types.push(MessageType { fields: by_number(fields.into()), ..Default::default() });
        self.types.len() - 1
    }

    fn list(&self, field: &FieldDescriptor, rules: Option<&DynamicMessage>, is_settled: bool) -> List {
        let is_map = field.is_map();
        let declared = limit(rules, if is_map { "max_pairs" } else { "max_items" });
        let declared = declared.or_else(|| implied_limit(field, rules)).filter(|_| !is_settled);
        let (declared, max_items) = declared.map_or((MAX_ITEMS, MAX_ITEMS), |limit| (limit, LIST_FACTOR * limit));
        let size = match field.kind() {
            Kind::Message(entry) if is_map => {
                let pair = [entry.map_entry_key_field(), entry.map_entry_value_field()];
                LEAF_OVERHEAD + LEAF_PAIRS * pair.iter().map(|field| self.value_size(field)).sum::<usize>()
            }
            _ => self.value_size(field),
        };
        List { at: 0, max_items: max_items as u32, declared, is_map, size }
    }

    /// The size of one value of a field, without what it points to.
    fn value_size(&self, field: &FieldDescriptor) -> usize {
        match field.kind() {
            Kind::Message(message) => self.size(&message),
            Kind::String => size_of::<String>(),
            Kind::Bytes => size_of::<Vec<u8>>(),
            Kind::Bool => size_of::<bool>(),
            Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => {
                size_of::<u64>()
            }
            _ => size_of::<i32>(),
        }
    }

    fn size(&self, message: &MessageDescriptor) -> usize {
        *self.sizes.get(message.full_name()).unwrap_or_else(|| panic!("build.rs sizes {}", message.full_name()))
    }
}

fn by_number(fields: Vec<(u32, Field)>) -> Vec<Option<Field>> {
    let mut all = Vec::new();
    for (number, field) in fields {
        let number = number as usize;
        all.resize_with(all.len().max(number + 1), || None);
        all[number] = Some(field);
    }
    all
}

/// The limit of a list that declares none: that of another package, or of a set of enum values.
fn implied_limit(field: &FieldDescriptor, rules: Option<&DynamicMessage>) -> Option<usize> {
    let is_unique = part_value(rules, "unique").and_then(|value| value.as_bool()).unwrap_or(false);
    match field.kind() {
        Kind::Enum(values) if is_unique => Some(values.values().len()),
        _ => OF_OTHER_PACKAGES.iter().find(|(name, _)| *name == field.full_name()).map(|(_, limit)| *limit),
    }
}

/// The limit that the rules of a string declare.
fn text_limit(rules: Option<&DynamicMessage>) -> TextLimit {
    let string = part(rules, "string");
    if let Some(declared) = limit(string.as_ref(), "max_len") {
        return TextLimit { max_bytes: BYTES_PER_CHARACTER * declared, declared, unit: "characters" };
    }
    if let Some(declared) = limit(string.as_ref(), "max_bytes") {
        return TextLimit { max_bytes: BYTES_PER_BYTE * declared, declared, unit: "bytes" };
    }
    TextLimit { max_bytes: MAX_STRING_BYTES, declared: MAX_STRING_BYTES, unit: "bytes" }
}

fn part_value(rules: Option<&DynamicMessage>, name: &str) -> Option<Value> {
    let rules = rules.filter(|rules| rules.has_field_by_name(name))?;
    rules.get_field_by_name(name).map(Cow::into_owned)
}

fn part(rules: Option<&DynamicMessage>, name: &str) -> Option<DynamicMessage> {
    part_value(rules, name)?.as_message().cloned()
}

fn limit(rules: Option<&DynamicMessage>, name: &str) -> Option<usize> {
    part_value(rules, name)?.as_u64().and_then(|number| usize::try_from(number).ok())
}

/// True if no rule of a field holds (`ignore: IGNORE_ALWAYS`).
fn is_ignored(rules: &DynamicMessage) -> bool {
    const ALWAYS: i32 = 3;
    part_value(Some(rules), "ignore").and_then(|value| value.as_enum_number()) == Some(ALWAYS)
}
