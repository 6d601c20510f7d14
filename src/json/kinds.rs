//! The kinds of scalars: their JSON, and their wire format.

use base64::{Engine, alphabet, engine::GeneralPurpose, engine::GeneralPurposeConfig};
use prost::encoding::{WireType, encode_varint};
use prost_reflect::Kind;
use serde_json::Number;

/// A scalar on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
}

impl Scalar {
    pub fn of_i64(value: i64) -> Self {
        Self::Varint(value as u64)
    }

    pub fn of_f64(value: f64) -> Self {
        Self::Fixed64(value.to_le_bytes())
    }

    pub fn wire_type(self) -> WireType {
        match self {
            Self::Varint(_) => WireType::Varint,
            Self::Fixed32(_) => WireType::ThirtyTwoBit,
            Self::Fixed64(_) => WireType::SixtyFourBit,
        }
    }

    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Varint(value) => encode_varint(value, out),
            Self::Fixed32(bytes) => out.extend_from_slice(&bytes),
            Self::Fixed64(bytes) => out.extend_from_slice(&bytes),
        }
    }
}

/// The range of a whole number.
fn range(kind: &Kind) -> Option<(i128, i128)> {
    Some(match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => (i64::MIN.into(), i64::MAX.into()),
        Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// True if a list of this kind is one block on the wire.
pub fn is_packed(kind: &Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

/// The value that a kind expects, for messages.
pub fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Bytes => "a string in base64",
        Kind::Bool => "true or false",
        Kind::Enum(_) => "the name of a value",
        Kind::Float | Kind::Double => "a number",
        Kind::Message(_) => "an object",
        _ => "a whole number",
    }
}

/// The name of an enum without its package.
pub fn short(full_name: &str) -> &str {
    full_name.strip_prefix("readout.v1.").unwrap_or(full_name)
}

/// A JSON number as a scalar of this kind. The error has the range of numbers that the kind holds, if the number is
/// outside of it.
pub fn of_number(kind: &Kind, number: &Number) -> Result<Scalar, Option<String>> {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let whole = whole.or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
        Some(float as i128)
    });
    match kind {
        Kind::Float | Kind::Double => of_float(kind, number.as_f64().ok_or(None)?),
        Kind::Enum(_) => match whole.and_then(|whole| i32::try_from(whole).ok()) {
            Some(value) => Ok(Scalar::of_i64(value.into())),
            None => Err(None),
        },
        kind => of_whole(kind, whole.ok_or(None)?),
    }
}

/// A number in a string as a scalar of this kind, with errors as [`of_number`] has them.
pub fn of_text(kind: &Kind, text: &str) -> Result<Scalar, Option<String>> {
    match kind {
        Kind::Float | Kind::Double => of_float(kind, float(text).ok_or(None)?),
        kind => of_whole(kind, text.parse().map_err(|_| None)?),
    }
}

/// A floating-point number in a string. Rust reads further spellings of infinity.
fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|float: &f64| float.is_finite()),
    }
}

fn of_float(kind: &Kind, value: f64) -> Result<Scalar, Option<String>> {
    match kind {
        Kind::Double => Ok(Scalar::of_f64(value)),
        _ if value.is_finite() && !(value as f32).is_finite() => {
            Err(Some(format!("a number from {} to {}", f32::MIN, f32::MAX)))
        }
        _ => Ok(Scalar::Fixed32((value as f32).to_le_bytes())),
    }
}

fn of_whole(kind: &Kind, value: i128) -> Result<Scalar, Option<String>> {
    let (least, greatest) = range(kind).ok_or(None)?;
    if !(least..=greatest).contains(&value) {
        return Err(Some(format!("a whole number from {least} to {greatest}")));
    }
    Ok(match kind {
        Kind::Sint32 | Kind::Sint64 => Scalar::Varint(((value << 1) ^ (value >> 127)) as u64),
        Kind::Fixed32 | Kind::Sfixed32 => Scalar::Fixed32((value as u32).to_le_bytes()),
        Kind::Fixed64 | Kind::Sfixed64 => Scalar::Fixed64((value as u64).to_le_bytes()),
        _ => Scalar::Varint(value as u64),
    })
}

/// Bytes in base64 of either alphabet, with padding or without.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::engine::DecodePaddingMode::Indifferent;
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text).ok()
}

/// A path of a field mask in the names of the contract. A key in backticks stays as it is.
pub fn snake_case(path: &str) -> String {
    recased(path, |letter, out| match letter.is_ascii_uppercase() {
        true => out.extend(['_', letter.to_ascii_lowercase()]),
        false => out.push(letter),
    })
}

/// A path of a field mask in JSON names. A key in backticks stays as it is.
pub fn camel_case(path: &str) -> String {
    let mut follows_underscore = false;
    recased(path, |letter, out| match letter {
        '_' => follows_underscore = true,
        letter if std::mem::take(&mut follows_underscore) => out.push(letter.to_ascii_uppercase()),
        letter => out.push(letter),
    })
}

fn recased(path: &str, mut recase: impl FnMut(char, &mut String)) -> String {
    let (mut out, mut is_key) = (String::with_capacity(path.len() + 8), false);
    for letter in path.chars() {
        is_key ^= letter == '`';
        match is_key {
            true => out.push(letter),
            false => recase(letter, &mut out),
        }
    }
    out
}
