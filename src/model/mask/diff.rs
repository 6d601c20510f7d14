//! The difference between two revisions of a record, as field paths.

use prost::DecodeError;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage, SerializeOptions, Value,
};

use crate::{model::resource::Resource, pb};

/// Fields that differ in every revision.
const MARKS: [&str; 3] = ["etag", "revision", "update_time"];

/// Decodes a stored revision for comparison.
///
/// # Errors
/// If `doc` is not an encoded `R`.
pub fn read<R: Resource>(doc: &[u8]) -> Result<DynamicMessage, DecodeError> {
    let message = pb::pool().get_message_by_name(R::MESSAGE).expect("the contract has every resource");
    DynamicMessage::decode(message, doc)
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Its path, in proto names.
    pub path: String,
    /// The value before, as JSON; empty if it is unset.
    pub before: String,
    /// The value after.
    pub after: String,
}

/// The fields that differ, as [`changed_paths`] has them, with their values.
pub fn field_changes(before: &DynamicMessage, after: &DynamicMessage) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare_records(before, after, &mut |field, path, values| {
        let [before, after] = values.map(|value| value.map(|value| json(field, value)).unwrap_or_default());
        changes.push(FieldChange { path, before, after });
    });
    changes
}

/// A value of a field as JSON, with proto names. `value` is that of the field, or of one key of a map.
fn json(field: &FieldDescriptor, value: &Value) -> String {
    if field.is_map()
        && let Value::String(text) = value
    {
        return serde_json::to_string(text).unwrap_or_default();
    }
    let mut message = DynamicMessage::new(field.parent_message().clone());
    message.set_field(field, value.clone());
    let options = SerializeOptions::new().use_proto_field_name(true);
    let object = message.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default();
    object.get(field.name()).map(ToString::to_string).unwrap_or_default()
}

/// The fields that differ, as paths in proto names: `account.place.region_code`. A list, a date, and a field that only
/// one revision has are reported as a whole. A map is reported by key, as in a mask: `labels.desk`. A record has only
/// the hash of an article's text; its difference is reported as `text`.
pub fn changed_paths(before: &DynamicMessage, after: &DynamicMessage) -> Vec<String> {
    let mut paths = Vec::new();
    compare_records(before, after, &mut |_, path, _| paths.push(path));
    paths
}

/// Receives a field that differs: its descriptor, its path, and its two values.
type OnChange<'a> = &'a mut dyn FnMut(&FieldDescriptor, String, [Option<&Value>; 2]);

fn compare_records(before: &DynamicMessage, after: &DynamicMessage, on_change: OnChange<'_>) {
    let fields = after.descriptor();
    for field in fields.fields().filter(|field| !MARKS.contains(&field.name())) {
        match field.name() {
            "text_sha256" => compare(&field, "text", (before, after), on_change),
            "text_length" if fields.get_field_by_name("text_sha256").is_some() => {}
            name => compare(&field, name, (before, after), on_change),
        }
    }
}

/// Compares a field of two messages. `path` is the path to report.
fn compare(
    field: &FieldDescriptor,
    path: &str,
    (before, after): (&DynamicMessage, &DynamicMessage),
    on_change: OnChange<'_>,
) {
    let is_set = (before.has_field(field), after.has_field(field));
    if is_set == (false, false) {
        return;
    }
    let values = (before.get_field(field), after.get_field(field));
    if is_set == (true, true) && values.0 == values.1 {
        return;
    }
    match (values.0.as_ref(), values.1.as_ref()) {
        (Value::Message(before), Value::Message(after)) if is_set == (true, true) && has_parts(&after.descriptor()) => {
            for part in after.descriptor().fields() {
                compare(&part, &format!("{path}.{}", part.name()), (before, after), on_change);
            }
        }
        (Value::Map(before), Value::Map(after)) => {
            let mut keys: Vec<&MapKey> = before.keys().chain(after.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys.into_iter().filter(|key| before.get(key) != after.get(key)) {
                on_change(field, format!("{path}.{}", step(key)), [before.get(key), after.get(key)]);
            }
        }
        (before, after) => {
            let values = [(is_set.0, before), (is_set.1, after)];
            on_change(field, path.to_owned(), values.map(|(is_set, value)| is_set.then_some(value)));
        }
    }
}

/// True if the fields of a message are reported separately. A date, a time and a location on the map are single values.
fn has_parts(message: &MessageDescriptor) -> bool {
    message.package_name() == "readout.v1" && message.name() != "DateSpan"
}

/// The key of a map as the last step of a path.
fn step(key: &MapKey) -> String {
    super::key::quoted(key.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Account, Article, Date, DateSpan, Meeting, Participation, Place};

    fn changes<R: Resource>(before: &R, after: &R) -> Vec<String> {
        let read = |record: &R| read::<R>(&record.encode_to_vec()).unwrap();
        changed_paths(&read(before), &read(after))
    }

    fn meeting() -> Meeting {
        let place = Place { locality: "Baku".into(), region_code: "AZ".into(), ..Default::default() };
        let start = Some(Date { year: 2020, month: 8, day: 24 });
        let account = Account {
            date: Some(DateSpan { start, ..Default::default() }),
            place: Some(place),
            title: "Visit".into(),
            ..Default::default()
        };
        Meeting { etag: "a".into(), revision: 1, account: Some(account), report_count: 1, ..Default::default() }
    }

    #[test]
    fn changed_paths_ignores_fields_that_differ_in_every_revision() {
        let next = Meeting {
            etag: "b".into(),
            revision: 2,
            update_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            ..meeting()
        };
        assert_eq!(changes(&meeting(), &next), [""; 0]);
    }

    #[test]
    fn changed_paths_reports_parts_of_messages_but_whole_lists_and_dates() {
        let mut next = meeting();
        next.report_count = 2;
        let account = next.account.as_mut().unwrap();
        account.date.as_mut().unwrap().start = Some(Date { year: 2020, month: 8, day: 25 });
        account.place.as_mut().unwrap().region_code = "RU".into();
        account.participations.push(Participation::default());
        account.title.clear();
        let expected =
            ["account.title", "account.date", "account.place.region_code", "account.participations", "report_count"];
        let mut paths = changes(&meeting(), &next);
        paths.sort_unstable();
        let mut sorted = expected;
        sorted.sort_unstable();
        assert_eq!(paths, sorted);
        // The result is symmetric.
        let mut back = changes(&next, &meeting());
        back.sort_unstable();
        assert_eq!(back, sorted);
    }

    #[test]
    fn changed_paths_reports_a_part_that_one_revision_lacks_as_a_whole() {
        let mut next = meeting();
        next.account.as_mut().unwrap().place = None;
        assert_eq!(changes(&meeting(), &next), ["account.place"]);
        assert_eq!(changes(&next, &meeting()), ["account.place"]);
        // Also if the part exists and is empty.
        let mut empty = next.clone();
        empty.account.as_mut().unwrap().place = Some(Place::default());
        assert_eq!(changes(&next, &empty), ["account.place"]);
    }

    #[test]
    fn changed_paths_reports_labels_by_key() {
        let labels = |pairs: &[(&str, &str)]| Meeting {
            labels: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..meeting()
        };
        let before = labels(&[("desk", "foreign"), ("kept", "1"), ("gone", "1")]);
        let after = labels(&[("desk", "home"), ("kept", "1"), ("a.b", "1"), ("c`d", "1")]);
        assert_eq!(changes(&before, &after), ["labels.`a.b`", "labels.`c``d`", "labels.desk", "labels.gone"]);
    }

    #[test]
    fn changed_paths_reports_another_text_as_text() {
        let before = Article { text_length: 5, text_sha256: "a".repeat(64), ..Default::default() };
        let after = Article { text_length: 7, text_sha256: "b".repeat(64), title: "New".into(), ..Default::default() };
        assert_eq!(changes(&before, &after), ["title", "text"]);
    }
}
