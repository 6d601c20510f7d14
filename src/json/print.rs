//! Writes a message on the wire as JSON. FieldReader come in the order in which they are on the wire: that of their numbers,
//! and maps in the order of their keys, as this service encodes them.

use std::io::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::kinds;

/// The bytes are not a message, or have a value that JSON cannot represent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a message of the contract")]
pub struct Malformed;

/// Maximum depth of messages in one another, as decoders have it.
const MAX_DEPTH: usize = 100;

/// Appends a message as JSON.
///
/// # Errors
/// The bytes are not a message of this type.
pub fn from_wire(message: &[u8], of: &MessageDescriptor, out: &mut Vec<u8>) -> Result<(), Malformed> {
    print_message(message, of, out, 0)
}

/// A value on the wire.
enum Wire<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Delimited(&'a [u8]),
}

/// A reader of fields. Items of a packed list are fields without a key.
struct FieldReader<'a>(&'a [u8]);

impl<'a> FieldReader<'a> {
    fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (wire, number) = decode_key(&mut self.0).map(|(number, wire)| (wire, number)).map_err(|_| Malformed)?;
        match wire {
            WireType::StartGroup | WireType::EndGroup => {
                skip_field(wire, number, &mut self.0, DecodeContext::default()).map_err(|_| Malformed)?;
                self.next()
            }
            wire => Ok(Some((number, self.value(wire)?))),
        }
    }

    fn value(&mut self, wire: WireType) -> Result<Wire<'a>, Malformed> {
        Ok(match wire {
            WireType::Varint => Wire::Varint(decode_varint(&mut self.0).map_err(|_| Malformed)?),
            WireType::ThirtyTwoBit => Wire::Fixed32(*self.array()?),
            WireType::SixtyFourBit => Wire::Fixed64(*self.array()?),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut self.0).map_err(|_| Malformed)?;
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Wire::Delimited(bytes)
            }
            WireType::StartGroup | WireType::EndGroup => return Err(Malformed),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }
}

fn print_message(message: &[u8], of: &MessageDescriptor, out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed);
    }
    if of.package_name() == "google.protobuf" && print_special(message, of, out, depth)? {
        return Ok(());
    }
    out.push(b'{');
    print_fields(message, of, out, depth, true)?;
    out.push(b'}');
    Ok(())
}

/// Prints the fields of a message. `is_first` is false after a field that the message does not have.
fn print_fields(
    message: &[u8],
    of: &MessageDescriptor,
    out: &mut Vec<u8>,
    depth: usize,
    mut is_first: bool,
) -> Result<(), Malformed> {
    let mut fields = FieldReader(message);
    // The list or map whose items are being printed.
    let mut open: Option<(FieldDescriptor, Kind)> = None;
    while let Some((number, wire)) = fields.next()? {
        if let Some((field, kind)) = open.as_ref().filter(|(field, _)| field.number() == number) {
            out.push(b',');
            print_items(field, kind, wire, out, depth)?;
            continue;
        }
        close(open.take(), out);
        // A field of a newer contract has no name.
        let Some(field) = of.get_field(number) else { continue };
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        print_text(field.json_name(), out)?;
        out.push(b':');
        let kind = field.kind();
        match (field.is_map(), field.is_list()) {
            (true, _) => out.push(b'{'),
            (_, true) => out.push(b'['),
            _ => {
                print_value(&kind, wire, out, depth)?;
                continue;
            }
        }
        print_items(&field, &kind, wire, out, depth)?;
        open = Some((field, kind));
    }
    close(open, out);
    Ok(())
}

fn close(open: Option<(FieldDescriptor, Kind)>, out: &mut Vec<u8>) {
    if let Some((field, _)) = open {
        out.push(if field.is_map() { b'}' } else { b']' });
    }
}

/// Prints a pair of a map, an item of a list, or the items of a packed list.
fn print_items(
    field: &FieldDescriptor,
    kind: &Kind,
    wire: Wire<'_>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Malformed> {
    match (wire, kind) {
        (Wire::Delimited(entry), Kind::Message(of)) if field.is_map() => print_pair(entry, of, out, depth),
        (Wire::Delimited(items), kind) if kinds::is_packed(kind) => {
            let (mut items, mut is_first) = (FieldReader(items), true);
            while !items.0.is_empty() {
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                let wire = items.value(wire_type(kind))?;
                print_value(kind, wire, out, depth)?;
            }
            Ok(())
        }
        (wire, kind) => print_value(kind, wire, out, depth),
    }
}

fn wire_type(kind: &Kind) -> WireType {
    match kind {
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireType::LengthDelimited,
        _ => WireType::Varint,
    }
}

/// Prints a pair of a map. A key or a value that is not on the wire has its default.
fn print_pair(entry: &[u8], of: &MessageDescriptor, out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    let (key_kind, value_kind) = (of.map_entry_key_field().kind(), of.map_entry_value_field().kind());
    let (mut fields, mut key, mut value) = (FieldReader(entry), default(&key_kind), default(&value_kind));
    while let Some((number, wire)) = fields.next()? {
        match number {
            1 => key = wire,
            2 => value = wire,
            _ => {}
        }
    }
    let is_text = matches!(key_kind, Kind::String | Kind::Int64 | Kind::Uint64 | Kind::Sint64);
    let quote: &[u8] = if is_text { b"" } else { b"\"" };
    out.extend_from_slice(quote);
    print_value(&key_kind, key, out, depth)?;
    out.extend_from_slice(quote);
    out.push(b':');
    print_value(&value_kind, value, out, depth)
}

fn default(kind: &Kind) -> Wire<'static> {
    match wire_type(kind) {
        WireType::ThirtyTwoBit => Wire::Fixed32([0; 4]),
        WireType::SixtyFourBit => Wire::Fixed64([0; 8]),
        WireType::LengthDelimited => Wire::Delimited(&[]),
        _ => Wire::Varint(0),
    }
}

fn print_text(text: &str, out: &mut Vec<u8>) -> Result<(), Malformed> {
    serde_json::to_writer(out, text).map_err(|_| Malformed)
}

fn print_value(kind: &Kind, wire: Wire<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    // Writing to a vector does not fail.
    let _ = match (kind, wire) {
        (Kind::Message(of), Wire::Delimited(bytes)) => return print_message(bytes, of, out, depth + 1),
        (Kind::String, Wire::Delimited(bytes)) => {
            return print_text(std::str::from_utf8(bytes).map_err(|_| Malformed)?, out);
        }
        (Kind::Bytes, Wire::Delimited(bytes)) => return print_text(&BASE64_STANDARD.encode(bytes), out),
        (Kind::Bool, Wire::Varint(value)) => write!(out, "{}", value != 0),
        (Kind::Int32, Wire::Varint(value)) => write!(out, "{}", value as i32),
        (Kind::Uint32, Wire::Varint(value)) => write!(out, "{}", value as u32),
        (Kind::Sint32, Wire::Varint(value)) => write!(out, "{}", zigzag(value)),
        (Kind::Int64, Wire::Varint(value)) => write!(out, "\"{}\"", value as i64),
        (Kind::Uint64, Wire::Varint(value)) => write!(out, "\"{value}\""),
        (Kind::Sint64, Wire::Varint(value)) => write!(out, "\"{}\"", zigzag(value)),
        (Kind::Fixed32, Wire::Fixed32(bytes)) => write!(out, "{}", u32::from_le_bytes(bytes)),
        (Kind::Sfixed32, Wire::Fixed32(bytes)) => write!(out, "{}", i32::from_le_bytes(bytes)),
        (Kind::Fixed64, Wire::Fixed64(bytes)) => write!(out, "\"{}\"", u64::from_le_bytes(bytes)),
        (Kind::Sfixed64, Wire::Fixed64(bytes)) => write!(out, "\"{}\"", i64::from_le_bytes(bytes)),
        (Kind::Float, Wire::Fixed32(bytes)) => {
            let value = f32::from_le_bytes(bytes);
            return print_number(value.is_finite().then_some(value), value.into(), out);
        }
        (Kind::Double, Wire::Fixed64(bytes)) => {
            let value = f64::from_le_bytes(bytes);
            return print_number(value.is_finite().then_some(value), value, out);
        }
        (Kind::Enum(of), Wire::Varint(number)) => match of.get_value(number as i32) {
            Some(value) => return print_text(value.name(), out),
            None => write!(out, "{}", number as i32),
        },
        _ => return Err(Malformed),
    };
    Ok(())
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Prints a number with as few digits as identify it; NaN and infinities as strings.
fn print_number(finite: Option<impl serde::Serialize>, value: f64, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match finite {
        Some(number) => serde_json::to_writer(out, &number).map_err(|_| Malformed),
        None if value.is_nan() => print_text("NaN", out),
        None if value > 0.0 => print_text("Infinity", out),
        None => print_text("-Infinity", out),
    }
}

/// Prints a message whose JSON is not that of its fields. False for one that has no such form.
fn print_special(message: &[u8], of: &MessageDescriptor, out: &mut Vec<u8>, depth: usize) -> Result<bool, Malformed> {
    let mut fields = FieldReader(message);
    match of.name() {
        "Timestamp" => {
            let (seconds, nanos) = seconds_and_nanos(fields)?;
            let time = DateTime::from_timestamp(seconds, nanos.try_into().map_err(|_| Malformed)?).ok_or(Malformed)?;
            // As many digits as needed, in groups of three.
            print_text(&time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true), out)?;
        }
        "Duration" => {
            let (seconds, nanos) = seconds_and_nanos(fields)?;
            let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
            let (seconds, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
            let _ = match nanos {
                0 => write!(out, "\"{sign}{seconds}s\""),
                nanos => write!(out, "\"{sign}{seconds}.{nanos:09}s\""),
            };
        }
        "FieldMask" => {
            let mut paths = Vec::new();
            while let Some((number, wire)) = fields.next()? {
                if let (1, Wire::Delimited(path)) = (number, wire) {
                    paths.push(kinds::camel_case(std::str::from_utf8(path).map_err(|_| Malformed)?));
                }
            }
            print_text(&paths.join(","), out)?;
        }
        "Value" => match fields.next()? {
            None | Some((1, _)) => out.extend_from_slice(b"null"),
            Some((number, wire)) => {
                let field = of.get_field(number).ok_or(Malformed)?;
                print_value(&field.kind(), wire, out, depth)?;
            }
        },
        "Struct" => {
            out.push(b'{');
            let entry = of.get_field(1).ok_or(Malformed)?.kind();
            let Kind::Message(entry) = entry else { return Err(Malformed) };
            let mut is_first = true;
            while let Some((1, Wire::Delimited(pair))) = fields.next()? {
                if !std::mem::take(&mut is_first) {
                    out.push(b',');
                }
                print_pair(pair, &entry, out, depth)?;
            }
            out.push(b'}');
        }
        "ListValue" => {
            out.push(b'[');
            let value = of.get_field(1).ok_or(Malformed)?.kind();
            let mut is_first = true;
            while let Some((1, wire)) = fields.next()? {
                if !std::mem::take(&mut is_first) {
                    out.push(b',');
                }
                print_value(&value, wire, out, depth)?;
            }
            out.push(b']');
        }
        "Any" => print_any(fields, of, out, depth)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn seconds_and_nanos(mut fields: FieldReader<'_>) -> Result<(i64, i32), Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    while let Some((number, wire)) = fields.next()? {
        match (number, wire) {
            (1, Wire::Varint(value)) => seconds = value as i64,
            (2, Wire::Varint(value)) => nanos = value as i32,
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

/// Prints a message of any type with its type. One of an unknown type is printed as its bytes.
fn print_any(
    mut fields: FieldReader<'_>,
    of: &MessageDescriptor,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Malformed> {
    let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some((number, wire)) = fields.next()? {
        match (number, wire) {
            (1, Wire::Delimited(bytes)) => url = bytes,
            (2, Wire::Delimited(bytes)) => value = bytes,
            _ => {}
        }
    }
    let url = std::str::from_utf8(url).map_err(|_| Malformed)?;
    let name = url.rsplit('/').next().unwrap_or_default();
    out.extend_from_slice(b"{\"@type\":");
    print_text(url, out)?;
    match of.parent_pool().get_message_by_name(name) {
        Some(of) if of.package_name() != "google.protobuf" => {
            let is_first = false;
            print_fields(value, &of, out, depth + 1, is_first)?;
        }
        Some(of) => {
            out.extend_from_slice(b",\"value\":");
            print_message(value, &of, out, depth + 1)?;
        }
        None => {
            out.extend_from_slice(b",\"value\":");
            print_text(&BASE64_STANDARD.encode(value), out)?;
        }
    }
    out.push(b'}');
    Ok(())
}
