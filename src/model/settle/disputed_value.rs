//! A value of a field that can be disputed: its equality and its ProtoJSON form.

use std::collections::BTreeMap;

use prost_types::{Struct, Value, value::Kind};

use super::offices;
use crate::{
    model::{text::names, time::spans},
    pb,
};

/// A value of a disputed field.
#[derive(Clone, Copy, Debug)]
pub enum DisputedValue<'a> {
    /// An enum value, by its name.
    Name(&'static str),
    /// A settled id, or a code.
    Id(&'a str),
    Text(&'a str),
    Date(&'a pb::DateSpan),
    Office(&'a pb::Office),
}

impl DisputedValue<'_> {
    /// True if both are the same value by the rule that groups reported values.
    pub fn is_same(&self, other: &DisputedValue<'_>) -> bool {
        match (self, other) {
            (DisputedValue::Name(left), DisputedValue::Name(right)) => left == right,
            (DisputedValue::Id(left), DisputedValue::Id(right)) => left == right,
            (DisputedValue::Text(left), DisputedValue::Text(right)) => names::key(left) == names::key(right),
            (DisputedValue::Date(left), DisputedValue::Date(right)) => spans::key(left) == spans::key(right),
            (DisputedValue::Office(left), DisputedValue::Office(right)) => offices::are_same(left, right),
            _ => false,
        }
    }

    /// The value in ProtoJSON.
    pub fn value(&self) -> Value {
        match self {
            DisputedValue::Name(text) | DisputedValue::Id(text) | DisputedValue::Text(text) => self::text(text),
            DisputedValue::Date(span) => date_span(span),
            DisputedValue::Office(office) => self::office(office),
        }
    }
}

/// The ProtoJSON value of an unset field.
pub fn null() -> Value {
    Value { kind: Some(Kind::NullValue(0)) }
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

fn date_span(span: &pb::DateSpan) -> Value {
    let pb::DateSpan { start, end, start_time, end_time, time_zone, approximate, basis, literal, extent } = span;
    let basis = pb::date_span::Basis::try_from(*basis).ok().filter(|_| *basis != 0);
    let extent = pb::date_span::Extent::try_from(*extent).ok().filter(|_| *extent != 0);
    object([
        ("start", start.as_ref().map(date)),
        ("end", end.as_ref().map(date)),
        ("startTime", start_time.as_ref().map(time_of_day)),
        ("endTime", end_time.as_ref().map(time_of_day)),
        ("timeZone", optional_text(time_zone)),
        ("approximate", approximate.then_some(Value { kind: Some(Kind::BoolValue(true)) })),
        ("basis", basis.map(|basis| text(basis.as_str_name()))),
        ("literal", optional_text(literal)),
        ("extent", extent.map(|extent| text(extent.as_str_name()))),
    ])
}

fn date(date: &pb::Date) -> Value {
    let pb::Date { year, month, day } = *date;
    object([("year", number(year)), ("month", number(month)), ("day", number(day))])
}

fn time_of_day(time: &pb::TimeOfDay) -> Value {
    let pb::TimeOfDay { hours, minutes, seconds, nanos } = *time;
    let parts = [("hours", hours), ("minutes", minutes), ("seconds", seconds), ("nanos", nanos)];
    object(parts.map(|(name, part)| (name, number(part))))
}

fn office(office: &pb::Office) -> Value {
    let pb::Office { title, organization, region_code, seniority } = office;
    object([
        ("title", optional_text(title)),
        ("organization", optional_text(organization)),
        ("regionCode", optional_text(region_code)),
        ("seniority", number(*seniority)),
    ])
}

/// A message in ProtoJSON, without its unset fields.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let set = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value { kind: Some(Kind::StructValue(Struct { fields: BTreeMap::from_iter(set) })) }
}

fn optional_text(words: &str) -> Option<Value> {
    (!words.is_empty()).then(|| text(words))
}

fn number(number: i32) -> Option<Value> {
    (number != 0).then(|| Value { kind: Some(Kind::NumberValue(number.into())) })
}

#[cfg(test)]
mod tests {
    use prost_reflect::DynamicMessage;

    use super::*;

    /// A message in ProtoJSON, converted by reflection.
    fn reflected<M: prost::Message>(name: &str, message: &M) -> Value {
        let descriptor = |name: &str| pb::pool().get_message_by_name(name).unwrap();
        let message = DynamicMessage::decode(descriptor(name), message.encode_to_vec().as_slice()).unwrap();
        let json = serde_json::to_value(message).unwrap();
        DynamicMessage::deserialize(descriptor("google.protobuf.Value"), json).unwrap().transcode_to().unwrap()
    }

    #[test]
    fn value_equals_the_protojson_made_by_reflection() {
        let date = |day| Some(pb::Date { year: 2020, month: 8, day });
        let time = |hours| Some(pb::TimeOfDay { hours, minutes: 30, seconds: 0, nanos: 1 });
        let span = pb::DateSpan {
            start: date(0),
            end: date(24),
            start_time: time(9),
            end_time: time(10),
            time_zone: "Asia/Baku".into(),
            approximate: true,
            basis: pb::date_span::Basis::Relative.into(),
            literal: "on Monday".into(),
            extent: pb::date_span::Extent::Throughout.into(),
        };
        let office = pb::Office {
            title: "Minister".into(),
            organization: "Ministry of Defence".into(),
            region_code: "AZ".into(),
            seniority: 2,
        };
        for span in [span.clone(), pb::DateSpan { start: span.start, ..Default::default() }] {
            assert_eq!(DisputedValue::Date(&span).value(), reflected("readout.v1.DateSpan", &span));
        }
        assert_eq!(DisputedValue::Office(&office).value(), reflected("readout.v1.Office", &office));
    }
}
