//! Values that violate undeclared rules, which follow from a field's type or name: no U+0000 in strings, real dates.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use super::invalid_values::Broken;

fn broken(at: &str, value: Value, says: &str) -> Broken {
    let (at, says) = (at.to_owned(), says.to_owned());
    Broken { rule: "implied".to_owned(), at, says, value: Some(value), edge: None }
}

/// Invalid values for a field of this type and name; `value` is valid.
pub fn field(field: &FieldDescriptor, value: &Value) -> Vec<Broken> {
    match (field.kind(), value) {
        (_, Value::Map(pairs)) => map(pairs.iter().next().expect("a pair")),
        (Kind::String, Value::List(items)) => {
            let last = items.len() - 1;
            let mut bad = items.clone();
            bad[last] = with_nul(&items[last]);
            vec![broken(&format!("[{last}]"), Value::List(bad), NUL)]
        }
        (Kind::String, text) => {
            let mut all = vec![broken("", with_nul(text), NUL)];
            let (codes, says): (&[&str], _) = match field.name() {
                "region_code" => (&["ZZ", "az", "A", "AZE", "A1", "UK", "FX", "YUG"], "ISO 3166"),
                "language_code" => (&["e", "en_GB", "english-languages", "-", "az-"], "BCP 47"),
                "query_language" => (&["e", "en_GB", "english-languages", "-", "az-", "klingon", "xx"], "BCP 47"),
                "query" => (&[MANY_WORDS], "at most 100 words"),
                "time_zone" => (
                    &["Mars/Olympus", "+25:00", "+4", "-12:01", "+14:01", "+04:60", "asia/baku ", "GMT+25"],
                    "IANA time zone",
                ),
                _ => (&[], ""),
            };
            all.extend(codes.iter().map(|code| broken("", Value::String((*code).to_owned()), says)));
            all
        }
        (Kind::Message(ty), _) => message(&ty),
        _ => Vec::new(),
    }
}

/// 101 words, one more than a query may have.
const MANY_WORDS: &str = "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y \
     1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 10";
const NUL: &str = "must not contain U+0000";

fn with_nul(text: &Value) -> Value {
    Value::String(format!("{}\0", text.as_str().expect("a string")))
}

fn map((key, value): (&MapKey, &Value)) -> Vec<Broken> {
    let text = key.as_str().expect("keys are strings");
    let bad_key = format!("{text}\0");
    vec![
        broken(&format!("[{text:?}]"), Value::Map([(key.clone(), with_nul(value))].into()), NUL),
        broken(&format!("[{bad_key:?}]"), Value::Map([(MapKey::String(bad_key.clone()), value.clone())].into()), NUL),
    ]
}

/// Well-known types, whose rules the contract states in comments only.
fn message(ty: &MessageDescriptor) -> Vec<Broken> {
    let ints = |parts: &[(&str, i32)]| {
        let mut message = DynamicMessage::new(ty.clone());
        for (name, number) in parts {
            message.set_field_by_name(name, Value::I32(*number));
        }
        Value::Message(message)
    };
    match ty.full_name() {
        // A date of zeros counts as absent.
        "google.type.Date" => [
            ([0, 8, 24], "year"),
            ([-1, 8, 24], "year"),
            ([10_000, 8, 24], "year"),
            ([2020, 13, 1], "month from 1 to 12"),
            ([2020, -1, 1], "month from 1 to 12"),
            ([2020, 0, 24], "must have a month"),
            ([2020, 2, 30], "day that exists"),
            ([2021, 2, 29], "day that exists"),
            ([2020, 9, 31], "day that exists"),
            ([2020, 9, -1], "day that exists"),
            ([i32::MAX, i32::MIN, i32::MAX], "year"),
        ]
        .iter()
        .map(|([y, m, d], says)| broken("", ints(&[("year", *y), ("month", *m), ("day", *d)]), says))
        .collect(),
        "google.type.TimeOfDay" => [
            ("hours", 25),
            ("hours", -1),
            ("minutes", 60),
            ("minutes", -1),
            ("seconds", 60),
            ("nanos", 1_000_000_000),
            ("nanos", -1),
        ]
        .iter()
        .map(|part| broken("", ints(&[*part]), "must be a time of day"))
        .collect(),
        "google.type.LatLng" => [
            ("latitude", 90.01, "-90 to 90"),
            ("latitude", -91.0, "-90 to 90"),
            ("latitude", f64::NAN, "-90 to 90"),
            ("longitude", 180.01, "-180 to 180"),
            ("longitude", f64::NEG_INFINITY, "-180 to 180"),
        ]
        .iter()
        .map(|(name, degrees, says)| {
            let mut message = DynamicMessage::new(ty.clone());
            message.set_field_by_name(name, Value::F64(*degrees));
            broken(&format!(".{name}"), Value::Message(message), says)
        })
        .collect(),
        "google.protobuf.Timestamp" => {
            [(-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, i32::MAX)]
                .iter()
                .map(|(seconds, nanos)| {
                    let mut message = DynamicMessage::new(ty.clone());
                    message.set_field_by_name("seconds", Value::I64(*seconds));
                    message.set_field_by_name("nanos", Value::I32(*nanos));
                    broken("", Value::Message(message), "must be an instant")
                })
                .collect()
        }
        "google.protobuf.FieldMask" => {
            [(".paths[0]", 1, "is not a field of"), (".paths", 1_001, "must have at most 1000 items")]
                .iter()
                .map(|(at, count, says)| {
                    let mut message = DynamicMessage::new(ty.clone());
                    let paths = vec![Value::String("nonsense".to_owned()); *count];
                    message.set_field_by_name("paths", Value::List(paths));
                    broken(at, Value::Message(message), says)
                })
                .collect()
        }
        other => {
            assert!(other.starts_with("readout.v1."), "no invalid values for {other}: add them here");
            Vec::new()
        }
    }
}
