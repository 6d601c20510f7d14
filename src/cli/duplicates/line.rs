//! Parses an object of a file of judgements: names and a verdict, or a printed pair to which a verdict was added.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::PAIR;
use crate::{
    cli::json::{self, Mismatch, shown, shown_name},
    model::{canonical, text::suggestion::nearest},
    pb::{Judgement, list_duplicates_response::Duplicate},
};

/// The message with the fields of an object that a printed pair lacks.
const JUDGEMENT: &str = "readout.v1.Judgement";
/// The fields of a judgement that an object has beside the two participants. `time` is ignored.
const OF_JUDGEMENT: [&str; 3] = ["verdict", "reason", "time"];
/// The fields that an object may have.
const FIELDS: [&str; 8] = ["participant", "other", "verdict", "reason", "time", "level", "score", "reasons"];

/// Parses an object. The reason is empty if it has none.
///
/// # Errors
/// If the object has an unknown field, a field twice, or a value of another type.
pub fn parse(text: &str) -> Result<Judgement, Mismatch> {
    let ObjectFields(fields) = serde_json::from_str(text).map_err(|error| Mismatch {
        path: String::new(),
        problem: error.to_string(),
        kind: "not a JSON object",
    })?;
    let (mut pair, mut judgement) = (Map::new(), Map::new());
    for (name, value) in fields {
        let mismatch = |kind, problem| Err(Mismatch { path: shown_name(&name), problem, kind });
        if !FIELDS.contains(&name.as_str()) {
            let meant = nearest(FIELDS.into_iter(), &name).map(|meant| format!(": {meant} is the nearest"));
            let problem = format!("is not a field of a judgement{}", meant.unwrap_or_default());
            return mismatch("an unknown field", problem);
        }
        if pair.contains_key(&name) || judgement.contains_key(&name) {
            return mismatch("a repeated field", "is a field that occurs twice".to_owned());
        }
        let value = match (name.as_str(), value) {
            ("participant" | "other", Value::String(of)) => {
                Value::Object(Map::from_iter([("name".to_owned(), of.into())]))
            }
            ("participant" | "other", value) if !value.is_object() && !value.is_null() => {
                let problem = format!("must be the name of a participant, or an object with it, not {}", shown(&value));
                return mismatch("a value of the wrong type", problem);
            }
            (_, value) => value,
        };
        let part = if OF_JUDGEMENT.contains(&name.as_str()) { &mut judgement } else { &mut pair };
        part.insert(name, value);
    }
    let pair: Duplicate = json::parse(PAIR, &Value::Object(pair).to_string())?;
    let mut judgement: Judgement = json::parse(JUDGEMENT, &Value::Object(judgement).to_string())?;
    judgement.participant = pair.participant.unwrap_or_default().name;
    judgement.other = pair.other.unwrap_or_default().name;
    // As the service stores it: reasons are compared with stored ones.
    canonical::text(&mut judgement.reason);
    judgement.time = None;
    Ok(judgement)
}

/// The fields of an object in their order, with those that occur twice.
struct ObjectFields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for ObjectFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;
        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = ObjectFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectFields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(ObjectFields(fields))
            }
        }
        deserializer.deserialize_map(FieldVisitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::pb::{IdentityReason, Participant, judgement::Verdict};

    use super::*;

    fn judgement(verdict: Verdict, reason: &str) -> Judgement {
        let mut judgement = Judgement {
            participant: "participants/a".into(),
            other: "participants/b".into(),
            reason: reason.into(),
            ..Default::default()
        };
        judgement.set_verdict(verdict);
        judgement
    }

    #[test]
    fn names_and_printed_pairs_are_parsed() {
        for (text, expected) in [
            (
                r#"{"participant":"participants/a","other":"participants/b","verdict":"SAME"}"#,
                judgement(Verdict::Same, ""),
            ),
            (
                r#"{"verdict":"DIFFERENT","other":{"name":"participants/b"},"reason":"e\u0301","participant":"participants/a"}"#,
                judgement(Verdict::Different, "é"),
            ),
            (
                r#"{"participant":"participants/a","other":"participants/b","verdict":"WITHDRAWN","reason":null,"time":"2020-09-04T12:00:00Z"}"#,
                judgement(Verdict::Withdrawn, ""),
            ),
            (r#"{"participant":"participants/a","other":"participants/b"}"#, judgement(Verdict::Unspecified, "")),
            ("{}", Judgement::default()),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        let participant = |name: &str| {
            let names = vec![crate::pb::ParticipantName { text: "A".into(), ..Default::default() }];
            Some(Participant { name: name.into(), display_name: "Ann Lee".into(), names, ..Default::default() })
        };
        let reasons = vec![IdentityReason { kind: "sound".into(), weight: 0.9, ..Default::default() }];
        let pair = Duplicate {
            participant: participant("participants/a"),
            other: participant("participants/b"),
            level: 2,
            score: 0.7,
            reasons,
        };
        let line = json::print(PAIR, &pair).expect("a pair is printed");
        let line = line.replace("{\"participant\":{", "{\"verdict\":\"SAME\",\"participant\":{");
        assert_eq!(parse(&line), Ok(judgement(Verdict::Same, "")), "{line}");
    }

    #[test]
    fn mismatch_names_the_field_and_the_nearest_one() {
        for (text, expected) in [
            (r#"{"verdct":"SAME"}"#, "verdct is not a field of a judgement: verdict is the nearest"),
            (r#"{"reson":"x"}"#, "reson is not a field of a judgement: reason is the nearest"),
            (r#"{"weather":"fine"}"#, "weather is not a field of a judgement"),
            (r#"{"a b":1}"#, "\"a b\" is not a field of a judgement"),
            (r#"{"participant":{"nmae":"x"}}"#, "participant.nmae is not a field of Participant: name is the nearest"),
            (r#"{"participant":5}"#, "participant must be the name of a participant, or an object with it, not 5"),
            (r#"{"other":["x"]}"#, "other must be the name of a participant, or an object with it, not [\"x\"]"),
            (
                r#"{"verdict":"SMAE"}"#,
                "verdict must be a value of Judgement.Verdict, not \"SMAE\": SAME is the nearest",
            ),
            (r#"{"verdict":true}"#, "verdict must be the name of a value, not true"),
            (r#"{"reason":7}"#, "reason must be a string, not 7"),
            (r#"{"verdict":"SAME","verdict":"DIFFERENT"}"#, "verdict is a field that occurs twice"),
            (r#"{"other":"x","other":{"name":"y"}}"#, "other is a field that occurs twice"),
            (r#"{"score":"high"}"#, "score must be a number, not \"high\""),
        ] {
            assert_eq!(parse(text).map_err(|mismatch| mismatch.to_string()), Err(expected.to_owned()), "{text}");
        }
    }
}
