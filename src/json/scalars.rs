//! Reads the scalars of a JSON text into their places.

use prost_reflect::{EnumDescriptor, Kind};
use serde::de::Error;

use super::{
    kinds::{self, Scalar},
    parse::{Shape, Slot, Special},
    shown::{Excerpt, cut},
};
use crate::model::{text::suggestion::nearest, time::rfc3339};

impl Slot<'_> {
    pub fn number<E: Error>(self, value: serde_json::Number) -> Result<(), E> {
        if let Some(Special::Value) = self.special() {
            let double = value.as_f64().unwrap_or_default();
            return self.writer.part(self.number, |writer| writer.scalar(Some(2), Scalar::of_f64(double)));
        }
        let scalar = match self.shape {
            Shape::Single => kinds::of_number(self.kind, &value),
            _ => Err(None),
        };
        match scalar {
            Ok(scalar) => self.writer.scalar(self.number, scalar),
            Err(Some(range)) => Err(self.out_of_range(range, &value.to_string())),
            Err(None) => Err(self.wrong_scalar(value)),
        }
    }

    fn out_of_range<E: Error>(self, range: String, value: &str) -> E {
        self.writer.mismatch("a value of the wrong type", format!("must be {range}, not {}", cut(value)))
    }

    pub fn text<E: Error>(self, text: &str) -> Result<(), E> {
        match (self.special(), self.kind) {
            (Some(Special::Timestamp), _) => self.time(text),
            (Some(Special::FieldMask), _) => self.writer.part(self.number, |writer| {
                for path in text.split(',').filter(|path| !path.is_empty()) {
                    writer.count_item()?;
                    writer.bytes(Some(1), kinds::snake_case(path).as_bytes())?;
                }
                Ok(())
            }),
            (Some(Special::Value), _) => self.writer.part(self.number, |writer| writer.bytes(Some(3), text.as_bytes())),
            (None, kind) if self.shape == Shape::Single => match kind {
                Kind::String => self.writer.bytes(self.number, text.as_bytes()),
                Kind::Bytes => match kinds::base64(text) {
                    Some(bytes) => self.writer.bytes(self.number, &bytes),
                    None => Err(self.wrong_scalar(text)),
                },
                Kind::Enum(of) => match of.get_value_by_name(text) {
                    Some(value) => self.writer.scalar(self.number, Scalar::of_i64(value.number().into())),
                    None => Err(self.unknown_name(of, text)),
                },
                kind => match kinds::of_text(kind, text) {
                    Ok(scalar) => self.writer.scalar(self.number, scalar),
                    Err(Some(range)) => Err(self.out_of_range(range, &format!("{text:?}"))),
                    Err(None) => Err(self.wrong_scalar(text)),
                },
            },
            _ => Err(self.wrong_scalar(text)),
        }
    }

    fn time<E: Error>(self, text: &str) -> Result<(), E> {
        let problem = match rfc3339::parse(text) {
            // ProtoJSON is stricter than RFC 3339: it requires capitals and no space.
            Ok(_) if text.contains(['t', 'z', ' ']) => {
                "must have T before its time, and Z where it is in UTC, in capitals".to_owned()
            }
            Ok(time) => {
                return self.writer.part(self.number, |writer| {
                    for (number, value) in [(1, time.seconds), (2, time.nanos.into())] {
                        if value != 0 {
                            writer.scalar(Some(number), Scalar::of_i64(value))?;
                        }
                    }
                    Ok(())
                });
            }
            Err(problem) => problem,
        };
        let mut excerpt = String::new();
        let _ = Excerpt(&mut excerpt).scalar::<E>(text);
        Err(self.writer.mismatch("a malformed time", format!("{problem}; sent was {}", cut(&excerpt))))
    }

    fn unknown_name<E: Error>(self, of: &EnumDescriptor, name: &str) -> E {
        // Names are in capitals, so the suggestion ignores case.
        let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
        let meant = nearest(names.iter().map(String::as_str), &name.to_ascii_uppercase());
        let (short, sent) = (kinds::short(of.full_name()), cut(&serde_json::Value::from(name).to_string()));
        let problem = match meant {
            Some(meant) => format!("must be a value of {short}, not {sent}: {meant} is the nearest"),
            None => {
                let some: Vec<&str> = names.iter().skip(1).take(4).map(String::as_str).collect();
                format!("must be a value of {short} ({}, …), not {sent}", some.join(", "))
            }
        };
        self.writer.mismatch("an unknown enum value", problem)
    }
}
