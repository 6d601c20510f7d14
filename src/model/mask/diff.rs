//! What is different between two revisions of a record, as paths of fields.

use prost::DecodeError;
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage, Value};

use crate::{model::resource::Resource, pb};

/// Different in every revision.
const MARKS: [&str; 3] = ["etag", "revision", "update_time"];

/// Reads a revision in order to compare it.
pub fn read<R: Resource>(doc: &[u8]) -> Result<DynamicMessage, DecodeError> {
    let message = pb::pool().get_message_by_name(R::MESSAGE).expect("the contract has every resource");
    DynamicMessage::decode(message, doc)
}

/// The fields that are different, in proto names, as paths through messages: `account.place.region_code`. A list, a
/// date and what is set in only one of the two are told as a whole, a map by its keys, as in a mask: `labels.desk`. Of
/// an article's text, which a doc has the hash of, `text` is told.
pub fn changed(before: &DynamicMessage, after: &DynamicMessage) -> Vec<String> {
    let mut paths = Vec::new();
    let fields = after.descriptor();
    for field in fields.fields().filter(|field| !MARKS.contains(&field.name())) {
        match field.name() {
            "text_sha256" => compare(&field, "text", (before, after), &mut paths),
            "text_length" if fields.get_field_by_name("text_sha256").is_some() => {}
            name => compare(&field, name, (before, after), &mut paths),
        }
    }
    paths
}

/// Compares what two messages have in a field, of which `path` is told.
fn compare(
    field: &FieldDescriptor,
    path: &str,
    (before, after): (&DynamicMessage, &DynamicMessage),
    paths: &mut Vec<String>,
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
                compare(&part, &format!("{path}.{}", part.name()), (before, after), paths);
            }
        }
        (Value::Map(before), Value::Map(after)) => {
            let mut keys: Vec<&MapKey> = before.keys().chain(after.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
            paths.extend(changed.map(|key| format!("{path}.{}", step(key))));
        }
        _ => paths.push(path.to_owned()),
    }
}

/// Whether the parts of a message are told each for itself: those of a date, of a time or of a place on the map make
/// one value.
fn has_parts(message: &MessageDescriptor) -> bool {
    message.package_name() == "readout.v1" && message.name() != "DateSpan"
}

/// The key of a map as the last step of a path: between backticks where it has a dot or a backtick.
fn step(key: &MapKey) -> String {
    let key = key.as_str().unwrap_or_default();
    if key.contains(['.', '`']) { format!("`{}`", key.replace('`', "``")) } else { key.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Account, Article, Date, DateSpan, Meeting, Participation, Place};

    fn changes<R: Resource>(before: &R, after: &R) -> Vec<String> {
        let read = |record: &R| read::<R>(&record.encode_to_vec()).unwrap();
        changed(&read(before), &read(after))
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
    fn a_revision_with_other_marks_alone_has_no_changes() {
        let next = Meeting {
            etag: "b".into(),
            revision: 2,
            update_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            ..meeting()
        };
        assert_eq!(changes(&meeting(), &next), [""; 0]);
    }

    #[test]
    fn parts_of_messages_are_told_and_lists_and_dates_as_a_whole() {
        let mut next = meeting();
        next.report_count = 2;
        let account = next.account.as_mut().unwrap();
        account.date.as_mut().unwrap().start = Some(Date { year: 2020, month: 8, day: 25 });
        account.place.as_mut().unwrap().region_code = "RU".into();
        account.participations.push(Participation::default());
        account.title.clear();
        let expected =
            ["account.title", "account.date", "account.place.region_code", "account.participations", "report_count"];
        let mut told = changes(&meeting(), &next);
        told.sort_unstable();
        let mut sorted = expected;
        sorted.sort_unstable();
        assert_eq!(told, sorted);
        // It is the same the other way round.
        let mut back = changes(&next, &meeting());
        back.sort_unstable();
        assert_eq!(back, sorted);
    }

    #[test]
    fn what_only_one_of_them_has_is_told_as_a_whole() {
        let mut next = meeting();
        next.account.as_mut().unwrap().place = None;
        assert_eq!(changes(&meeting(), &next), ["account.place"]);
        assert_eq!(changes(&next, &meeting()), ["account.place"]);
        // Also where it is there and empty.
        let mut empty = next.clone();
        empty.account.as_mut().unwrap().place = Some(Place::default());
        assert_eq!(changes(&next, &empty), ["account.place"]);
    }

    #[test]
    fn labels_are_told_by_their_keys() {
        let labels = |pairs: &[(&str, &str)]| Meeting {
            labels: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..meeting()
        };
        let before = labels(&[("desk", "foreign"), ("kept", "1"), ("gone", "1")]);
        let after = labels(&[("desk", "home"), ("kept", "1"), ("a.b", "1"), ("c`d", "1")]);
        assert_eq!(changes(&before, &after), ["labels.`a.b`", "labels.`c``d`", "labels.desk", "labels.gone"]);
    }

    #[test]
    fn another_text_is_told_as_such() {
        let before = Article { text_length: 5, text_sha256: "a".repeat(64), ..Default::default() };
        let after = Article { text_length: 7, text_sha256: "b".repeat(64), title: "New".into(), ..Default::default() };
        assert_eq!(changes(&before, &after), ["title", "text"]);
    }
}
