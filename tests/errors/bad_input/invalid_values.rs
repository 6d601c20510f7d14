//! Values that violate a declared rule, derived from the rule.

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage, Value};

/// A value that violates a rule of its field, with the path and the text of the violation that the service must report.
pub struct Broken {
    pub rule: String,
    /// Path relative to the field: an index, a key or a subfield.
    pub at: String,
    /// Text that the description of the violation must contain.
    pub says: String,
    /// None clears the field.
    pub value: Option<Value>,
    /// The extreme value that the rule allows, for a rule with a limit.
    pub edge: Option<Value>,
}

fn broken(rule: &str, value: Value, says: impl Into<String>) -> Broken {
    Broken { rule: rule.to_owned(), at: String::new(), says: says.into(), value: Some(value), edge: None }
}

/// Violations of each rule that a field declares; `value` satisfies them all.
pub fn field(rules: &DynamicMessage, field: &FieldDescriptor, value: &Value) -> Vec<Broken> {
    let mut all = Vec::new();
    for (rule, limits) in rules.fields() {
        match (rule.name(), limits) {
            ("ignore", _) => {}
            ("required", _) => all.push(Broken { value: None, ..broken("required", value.clone(), "is required") }),
            ("repeated", Value::Message(limits)) => all.extend(list(limits, field, value)),
            ("map", Value::Message(limits)) => all.extend(map(limits, value)),
            (_, Value::Message(_)) => all.extend(scalar(rules, value)),
            (other, _) => unknown(other),
        }
    }
    all
}

/// Violations of the rules of a value that is neither a list nor a map.
fn scalar(rules: &DynamicMessage, value: &Value) -> Vec<Broken> {
    let mut all = Vec::new();
    for (kind, limits) in rules.fields() {
        let (kind, Value::Message(limits)) = (kind.name().to_owned(), limits) else { continue };
        for (rule, limit) in limits.fields() {
            let name = format!("{kind}.{}", rule.name());
            match name.as_str() {
                "string.min_len" => all.push(broken(&name, Value::String(String::new()), "is required")),
                "string.max_len" => {
                    let says = format!("must have at most {} characters", size(limit));
                    let text = |length| Some(Value::String("é".repeat(length)));
                    let over = broken(&name, Value::Bool(false), says);
                    all.push(Broken { value: text(size(limit) + 1), edge: text(size(limit)), ..over });
                }
                "string.max_bytes" => {
                    let says = format!("must have at most {} bytes", size(limit));
                    let text = |letters| Some(Value::String("é".repeat(letters)));
                    let over = broken(&name, Value::Bool(false), says);
                    all.push(Broken { value: text(size(limit) / 2 + 1), edge: text(size(limit) / 2), ..over });
                }
                "string.pattern" => {
                    let pattern = limit.as_str().expect("a pattern is a string");
                    let bad = mismatches(value.as_str().expect("a string"));
                    all.extend(bad.map(|bad| broken(&name, Value::String(bad), format!("must match {pattern}"))));
                }
                "string.uuid" => {
                    let good = value.as_str().expect("a string");
                    let bad = ["7".to_owned(), good.replace('-', ""), format!("{{{good}}}"), good.replace('a', "g")];
                    all.extend(bad.map(|bad| broken(&name, Value::String(bad), "must be a UUID")));
                }
                "enum.defined_only" => {
                    let bad = [-1, 99, i32::MAX];
                    all.extend(bad.map(|bad| broken(&name, Value::EnumNumber(bad), "must be a defined value")));
                }
                "enum.not_in" => all.push(broken(&name, Value::EnumNumber(0), "is required")),
                "int32.gte" | "int32.lte" => {
                    let limit = limit.as_i32().expect("an int32");
                    let (bad, word) = if name.ends_with("gte") { (limit - 1, "least") } else { (limit + 1, "most") };
                    let over = broken(&name, Value::I32(bad), format!("must be at {word} {limit}"));
                    all.push(Broken { edge: Some(Value::I32(limit)), ..over });
                }
                "float.gte" | "float.lte" => {
                    let limit = limit.as_f32().expect("a float");
                    let (bad, word) = if name.ends_with("gte") { (-0.01, "least") } else { (0.01, "most") };
                    for bad in [limit + bad, f32::NAN] {
                        let over = broken(&name, Value::F32(bad), format!("must be at {word} {limit}"));
                        all.push(Broken { edge: Some(Value::F32(limit)), ..over });
                    }
                }
                other => unknown(other),
            }
        }
    }
    all
}

/// The length from which a list is lengthened by items without parts: a request has a limit of all its items, too.
const MANY: usize = 1_000;

/// Clears the lists and maps of a message, and the messages in its messages.
fn clear_parts(value: &mut Value, is_outer: bool) {
    let Value::Message(message) = value else { return };
    for field in message.descriptor().fields() {
        let is_message = matches!(field.kind(), prost_reflect::Kind::Message(_));
        // The initiator refers to an item of a list.
        if field.is_list() || field.is_map() || field.name() == "initiator" || is_message && !is_outer {
            message.clear_field(&field);
        } else if is_message && message.has_field(&field) {
            clear_parts(message.get_field_mut(&field), false);
        }
    }
}

fn list(rules: &DynamicMessage, field: &FieldDescriptor, value: &Value) -> Vec<Broken> {
    let items = value.as_list().expect("a list");
    let of_length = |length: usize| {
        let mut last = items[items.len() - 1].clone();
        if length >= MANY {
            clear_parts(&mut last, true);
        }
        let grown = items.iter().cloned().chain((items.len()..).map(|index| numbered(&last, index)));
        Some(Value::List(grown.take(length).collect()))
    };
    let mut all = Vec::new();
    for (rule, limit) in rules.fields() {
        let name = format!("repeated.{}", rule.name());
        match rule.name() {
            "min_items" => all.push(broken(&name, Value::List(Vec::new()), "must have at least")),
            "max_items" => {
                let over = broken(&name, Value::Bool(false), format!("must have at most {} items", size(limit)));
                all.push(Broken { value: of_length(size(limit) + 1), edge: of_length(size(limit)), ..over });
            }
            "unique" => {
                let again = items.iter().chain([&items[0]]).cloned().collect();
                let at = format!("[{}]", items.len());
                all.push(Broken { at, ..broken(&name, Value::List(again), "repeats an earlier item") });
            }
            "items" => {
                let last = items.len() - 1;
                let rules = limit.as_message().expect("rules of items");
                for broken in self::field(rules, field, &items[last]) {
                    let replaced = |item| {
                        let mut items = items.to_vec();
                        items[last] = item;
                        Value::List(items)
                    };
                    let (value, edge) = (broken.value.map(replaced), broken.edge.map(replaced));
                    let (rule, at) = (format!("repeated.items.{}", broken.rule), format!("[{last}]{}", broken.at));
                    all.push(Broken { rule, at, value, edge, ..broken });
                }
            }
            other => unknown(other),
        }
    }
    all
}

fn map(rules: &DynamicMessage, value: &Value) -> Vec<Broken> {
    let pairs = value.as_map().expect("a map");
    let (key, item) = pairs.iter().next().expect("a pair");
    let key_text = key.as_str().expect("keys are strings").to_owned();
    let of_length = |length: usize| {
        let more = (0..length - 1).map(|index| (MapKey::String(format!("{index}")), item.clone()));
        Some(Value::Map(more.chain([(key.clone(), item.clone())]).collect()))
    };
    let mut all = Vec::new();
    for (rule, limit) in rules.fields() {
        match rule.name() {
            "max_pairs" => {
                let says = format!("must have at most {} pairs", size(limit));
                let over = broken("map.max_pairs", Value::Bool(false), says);
                all.push(Broken { value: of_length(size(limit) + 1), edge: of_length(size(limit)), ..over });
            }
            "keys" => {
                for bad in scalar(limit.as_message().expect("rules of keys"), &Value::String(key_text.clone())) {
                    let keyed = |key: Value| {
                        let key = MapKey::String(key.as_str().expect("a string").to_owned());
                        Value::Map([(key, item.clone())].into())
                    };
                    let text = bad.value.as_ref().and_then(Value::as_str).unwrap_or_default();
                    let (rule, at) = (format!("map.keys.{}", bad.rule), format!("[{text:?}]"));
                    all.push(Broken { rule, at, value: bad.value.map(keyed), edge: bad.edge.map(keyed), ..bad });
                }
            }
            "values" => {
                for bad in scalar(limit.as_message().expect("rules of values"), item) {
                    let valued = |value: Value| Value::Map([(key.clone(), value)].into());
                    let (rule, at) = (format!("map.values.{}", bad.rule), format!("[{key_text:?}]"));
                    all.push(Broken { rule, at, value: bad.value.map(valued), edge: bad.edge.map(valued), ..bad });
                }
            }
            other => unknown(other),
        }
    }
    all
}

/// A copy of an item, made unique by its index where items must be unique.
fn numbered(item: &Value, index: usize) -> Value {
    match item {
        // Resource names may repeat, and a suffix would make them invalid.
        Value::String(text) if !text.contains('/') => Value::String(format!("{text}-{index}")),
        Value::Message(message) => {
            let mut message = message.clone();
            if message.descriptor().name() == "ExternalId" {
                message.set_field_by_name("value", Value::String(format!("copy-{index}")));
            }
            for name in ["id", "key"] {
                if message.has_field_by_name(name) {
                    message.set_field_by_name(name, Value::String(format!("copy-{index}")));
                }
            }
            if let Some(Value::Message(account)) = message.get_field_by_name_mut("account") {
                account.set_field_by_name("title", Value::String(format!("copy {index}")));
            }
            Value::Message(message)
        }
        other => other.clone(),
    }
}

/// Texts that resemble a valid one and are invalid; for a resource name also one of another collection.
fn mismatches(good: &str) -> impl Iterator<Item = String> {
    let other = match good.split_once('/') {
        Some(("reports", id)) => format!("articles/{id}"),
        Some((_, id)) => format!("reports/{id}"),
        None => "?".to_owned(),
    };
    let good = good.to_owned();
    [other, good.to_uppercase(), format!("{good}\n"), format!(" {good}")].into_iter().filter(move |bad| *bad != good)
}

fn size(limit: &Value) -> usize {
    usize::try_from(limit.as_u64().expect("a limit")).expect("it fits")
}

fn unknown(rule: &str) -> ! {
    panic!("no violating value for the rule {rule}: add one here")
}
