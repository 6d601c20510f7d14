//! Writes `rules.rs`: the checks of the rules that the contract declares. A rule without a check here fails the build.

use std::{collections::BTreeSet, error::Error, fmt::Write};

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};

use super::{camel, field_behavior, ident, is_output_only, rust_path, sent_messages, snake};

/// Messages with rules that buf.validate cannot express; `model::rules::cross_field` has a function for each.
const CROSS_FIELD: [&str; 26] = [
    "Account",
    "AddReportRequest",
    "Article",
    "BindParticipationRequest",
    "CreateMeetingRequest",
    "DateSpan",
    "EraseArticleTextRequest",
    "JudgeParticipantsRequest",
    "Link",
    "ListChangesRequest",
    "ListReportsRequest",
    "MatchMeetingsRequest",
    "MergeMeetingsRequest",
    "MergeParticipantsRequest",
    "OfficeTerm",
    "Participant",
    "Participation",
    "RetractReportRequest",
    "SplitMeetingRequest",
    "Stop",
    "Story",
    "UnmergeParticipantRequest",
    "UpdateArticleRequest",
    "UpdateMeetingRequest",
    "UpdateParticipantRequest",
    "WatchChangesRequest",
];

/// Three impls for each message of the contract: `Strings` (every string that a caller can set), `Check` (its declared
/// rules, then those of its parts) and `ClearOutput` (its output-only fields).
pub fn impls(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let validate = pool
        .get_extension_by_name("buf.validate.field")
        .ok_or("buf/validate/validate.proto is not among the imports")?;
    let behavior = field_behavior(pool)?;
    let mut code = String::new();
    for message in sent_messages(pool) {
        let (mut strings, mut check, mut clear) = (String::new(), String::new(), String::new());
        for field in message.fields() {
            if is_output_only(&field, &behavior) {
                writeln!(clear, "        self.{} = Default::default();", ident(&field))?;
            } else {
                strings.push_str(&check_strings(&field)?);
                check.push_str(&check_field(&field, &validate)?);
                clear.push_str(&clear_part(&field));
            }
        }
        if CROSS_FIELD.contains(&message.name()) {
            writeln!(check, "        crate::model::rules::cross_field::{}(self, at, out);", snake(message.name()))?;
        }
        let ty = rust_path(&message);
        write!(
            code,
            "impl Strings for {ty} {{\n    fn check_strings(&self, at: &Path<'_>, out: &mut Violations) {{\n        let _ = (at, &out);\n{strings}    }}\n}}\n\
             impl Check for {ty} {{\n    fn check(&self, at: &Path<'_>, out: &mut Violations) {{\n        let _ = (at, &out);\n{check}    }}\n}}\n\
             impl ClearOutput for {ty} {{\n    fn clear_output(&mut self) {{\n{clear}    }}\n}}\n"
        )?;
    }
    Ok(code)
}

/// Visits the strings of one field: itself, its items, the keys and values of its pairs, or those in its messages.
fn check_strings(field: &FieldDescriptor) -> Result<String, Box<dyn Error>> {
    let visit = |value: &str, kind: Kind| -> Result<Option<String>, Box<dyn Error>> {
        match kind {
            Kind::String => Ok(Some(format!("rule::no_nul({value}, at, out);"))),
            Kind::Message(ty) if !holds_strings(&ty) => Ok(None),
            Kind::Message(ty) if ty.package_name() == "readout.v1" || ty.full_name() == "google.protobuf.FieldMask" => {
                Ok(Some(format!("{value}.check_strings(at, out);")))
            }
            Kind::Message(ty) => {
                Err(format!("{}: add the strings of {} to rules.rs", field.full_name(), ty.full_name()).into())
            }
            _ => Ok(None),
        }
    };
    let (name, value) = (field.name(), format!("self.{}", ident(field)));
    let code = if field.is_map() {
        let Kind::Message(entry) = field.kind() else { unreachable!("a map field is of its entry") };
        let keys = visit("key", entry.map_entry_key_field().kind())?.unwrap_or_default();
        let values = visit("value", entry.map_entry_value_field().kind())?.unwrap_or_default();
        Some(format!("for (key, value) in &{value} {{ let at = &at.key(key); {keys} {values} }}"))
    } else if field.is_list() {
        let items = visit("value", field.kind())?;
        items.map(|items| {
            format!("for (index, value) in {value}.iter().enumerate() {{ let at = &at.index(index); {items} }}")
        })
    } else if let Some(oneof) = field.containing_oneof() {
        let message = snake(field.parent_message().name());
        let variant = format!("pb::{message}::{}::{}", camel(oneof.name()), camel(name));
        let inner = visit("value", field.kind())?;
        inner.map(|inner| format!("if let Some({variant}(value)) = &self.{} {{ {inner} }}", oneof.name()))
    } else if let Kind::Message(_) = field.kind() {
        visit("value", field.kind())?.map(|inner| format!("if let Some(value) = &{value} {{ {inner} }}"))
    } else {
        visit(&format!("&{value}"), field.kind())?
    };
    Ok(code.map_or_else(String::new, |code| format!("        {{ let at = &at.field({name:?}); {code} }}\n")))
}

/// True if a message has a string at any depth. No message of the contract contains itself.
fn holds_strings(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| match field.kind() {
        Kind::String => true,
        Kind::Message(inner) => inner != *message && holds_strings(&inner),
        _ => false,
    })
}

/// The checks of one field: its declared rules, and those that its type or name implies.
fn check_field(field: &FieldDescriptor, validate: &ExtensionDescriptor) -> Result<String, Box<dyn Error>> {
    let options = field.options();
    let rules = options.get_extension(validate);
    let mut rules = Rules::of(rules.as_message().ok_or("buf.validate.field is a message")?, field);

    let ignore = rules.take("ignore").and_then(|value| value.as_enum_number()).unwrap_or(0);
    const IF_ZERO_VALUE: i32 = 1;
    const ALWAYS: i32 = 3;
    let required = rules.take_bool("required");
    if ignore == ALWAYS {
        rules.finish()?;
        return Ok(String::new());
    }

    let name = field.name();
    let value = format!("self.{}", ident(field));
    let mut code = String::new();
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { unreachable!("a map field is of its entry") };
        let mut map = rules.take_message("map");
        let (mut keys, mut values) = (map.take_message("keys"), map.take_message("values"));
        if let Some(limit) = map.take("max_pairs") {
            writeln!(code, "rule::max_pairs({value}.len(), {}, at, out);", number(&limit))?;
        }
        map.finish()?;
        writeln!(code, "rule::distinct_keys(&{value}, at, out);")?;
        let pair = check_value("key", &entry.map_entry_key_field(), &mut keys)?
            + &check_value("value", &entry.map_entry_value_field(), &mut values)?;
        if !pair.is_empty() {
            writeln!(code, "for (key, value) in &{value} {{ let at = &at.key(key);\n{pair}}}")?;
        }
        keys.finish()?;
        values.finish()?;
    } else if field.is_list() {
        let mut list = rules.take_message("repeated");
        let mut items = list.take_message("items");
        for bound in ["min_items", "max_items"] {
            if let Some(limit) = list.take(bound) {
                writeln!(code, "rule::{bound}({value}.len(), {}, at, out);", number(&limit))?;
            }
        }
        if list.take_bool("unique") {
            let show = match field.kind() {
                Kind::Enum(ty) => {
                    let ty = rust_enum(&ty);
                    format!(
                        "|item| {ty}::try_from(*item).map_or_else(|_| item.to_string(), |name| name.as_str_name().to_owned())"
                    )
                }
                _ => "|item| crate::model::text::quoted::quoted(item)".to_owned(),
            };
            writeln!(code, "rule::unique(&{value}, {show}, at, out);")?;
        }
        list.finish()?;
        let item = check_value("value", field, &mut items)?;
        items.finish()?;
        if !item.is_empty() {
            writeln!(code, "for (index, value) in {value}.iter().enumerate() {{ let at = &at.index(index);\n{item}}}")?;
        }
    } else if let Kind::Message(_) = field.kind() {
        if field.containing_oneof().is_some() {
            // Oneofs declare no rules: `model::rules::cross_field` checks those of requests.
            rules.finish()?;
            return Ok(String::new());
        }
        write!(code, "if let Some(value) = &{value} {{ value.check(at, out); }}")?;
        writeln!(code, "{}", if required { " else { rule::required(at, out); }" } else { "" })?;
    } else if field.containing_oneof().is_none() {
        let zero = match field.kind() {
            Kind::String | Kind::Bytes => "value.is_empty()",
            Kind::Bool => "!*value",
            _ => "*value == Default::default()",
        };
        let checks = check_value("value", field, &mut rules)?;
        if required || !checks.is_empty() {
            writeln!(code, "let value = &{value};")?;
        }
        match (required, ignore == IF_ZERO_VALUE) {
            (true, _) => writeln!(code, "if {zero} {{ rule::required(at, out); }} else {{ {checks} }}")?,
            (false, true) => writeln!(code, "if !({zero}) {{ {checks} }}")?,
            (false, false) => code.push_str(&checks),
        }
    }
    rules.finish()?;
    Ok(if code.is_empty() { code } else { format!("        {{ let at = &at.field({name:?});\n{code}}}\n") })
}

/// The checks of one value (a field, an item, a map's key or value); `value` is an expression of reference type.
fn check_value(value: &str, field: &FieldDescriptor, rules: &mut Rules) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    let each = |code: &mut String, rules: &mut Rules, names: &[&str]| -> Result<(), Box<dyn Error>> {
        for rule in names {
            if let Some(limit) = rules.take(rule) {
                writeln!(code, "rule::{rule}(*{value}, {}, at, out);", number(&limit))?;
            }
        }
        Ok(())
    };
    match field.kind() {
        Kind::String => {
            let mut string = rules.take_message("string");
            for rule in ["min_len", "max_len", "max_bytes"] {
                if let Some(limit) = string.take(rule) {
                    writeln!(code, "rule::{rule}({value}, {}, at, out);", number(&limit))?;
                }
            }
            if let Some(pattern) = string.take("pattern") {
                let pattern = pattern.as_str().ok_or("a pattern is a string")?.to_owned();
                writeln!(
                    code,
                    "{{ static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new({pattern:?}).expect(\"compiled in a test\")); rule::pattern({value}, &PATTERN, at, out); }}"
                )?;
            }
            if string.take_bool("uuid") {
                writeln!(code, "rule::uuid({value}, at, out);")?;
            }
            string.finish()?;
            match field.name() {
                "region_code" => writeln!(code, "rule::region({value}, at, out);")?,
                "language_code" => writeln!(code, "rule::language({value}, at, out);")?,
                "query_language" => writeln!(code, "rule::query_language({value}, at, out);")?,
                "query" => writeln!(code, "rule::query({value}, at, out);")?,
                "time_zone" => writeln!(code, "rule::time_zone({value}, at, out);")?,
                _ => {}
            }
        }
        Kind::Enum(ty) => {
            let mut rule = rules.take_message("enum");
            if rule.take_bool("defined_only") {
                writeln!(
                    code,
                    "rule::defined_only(*{value}, {}::try_from(*{value}).is_ok(), at, out);",
                    rust_enum(&ty)
                )?;
            } else {
                return Err(format!("{}: an enum field needs defined_only", field.full_name()).into());
            }
            if let Some(values) = rule.take("not_in") {
                for value_not in values.as_list().unwrap_or_default() {
                    writeln!(code, "rule::not_in(*{value}, {}, at, out);", number(value_not))?;
                }
            }
            rule.finish()?;
        }
        Kind::Int32 => {
            let mut int = rules.take_message("int32");
            each(&mut code, &mut int, &["gte", "lte"])?;
            int.finish()?;
        }
        Kind::Float => {
            let mut float = rules.take_message("float");
            each(&mut code, &mut float, &["gte", "lte"])?;
            float.finish()?;
        }
        Kind::Message(_) => writeln!(code, "{value}.check(at, out);")?,
        _ => {}
    }
    Ok(code)
}

/// The rules of a field or item, taken one by one. A rule that is left at the end is declared but not enforced.
struct Rules {
    owner: String,
    rules: Option<DynamicMessage>,
    left: BTreeSet<String>,
}

impl Rules {
    fn of(rules: &DynamicMessage, field: &FieldDescriptor) -> Self {
        Self::new(field.full_name().to_owned(), Some(rules.clone()))
    }

    fn new(owner: String, rules: Option<DynamicMessage>) -> Self {
        let left = rules.iter().flat_map(DynamicMessage::fields).map(|(field, _)| field.name().to_owned()).collect();
        Self { owner, rules, left }
    }

    fn take(&mut self, rule: &str) -> Option<Value> {
        let message = self.rules.as_ref().filter(|_| self.left.contains(rule))?;
        let value = message.get_field_by_name(rule)?.into_owned();
        self.left.remove(rule);
        Some(value)
    }

    fn take_bool(&mut self, rule: &str) -> bool {
        self.take(rule).and_then(|value| value.as_bool()).unwrap_or(false)
    }

    fn take_message(&mut self, rule: &str) -> Self {
        let inner = self.take(rule).and_then(|value| value.as_message().cloned());
        Self::new(format!("{}.{rule}", self.owner), inner)
    }

    fn finish(self) -> Result<(), Box<dyn Error>> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(format!("{}: declared but not enforced: {:?}; add it to build/rules.rs", self.owner, self.left).into())
    }
}

fn clear_part(field: &FieldDescriptor) -> String {
    let is_contract_message = matches!(field.kind(), Kind::Message(ty) if ty.package_name() == "readout.v1");
    if !is_contract_message || field.is_map() || field.containing_oneof().is_some() {
        return String::new();
    }
    let value = ident(field);
    match field.cardinality() {
        Cardinality::Repeated => {
            format!("        self.{value}.iter_mut().for_each(ClearOutput::clear_output);\n")
        }
        _ => format!("        if let Some(part) = &mut self.{value} {{ part.clear_output(); }}\n"),
    }
}

fn number(value: &Value) -> String {
    match value {
        Value::F32(number) => format!("{number:?}"),
        Value::F64(number) => format!("{number:?}"),
        Value::I32(number) | Value::EnumNumber(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        other => unreachable!("a rule's limit is a number, not {other:?}"),
    }
}

fn rust_enum(ty: &prost_reflect::EnumDescriptor) -> String {
    match ty.parent_message() {
        Some(parent) => format!("pb::{}::{}", snake(parent.name()), ty.name()),
        None => format!("pb::{}", ty.name()),
    }
}
