//! The scan: walks through a message as the decoder does, and counts instead of storing.
//!
//! The walk must cover whatever the decoder (prost) would store before it fails. So it has the decoder's rules: a length
//! may reach beyond the message that contains it (an error that the decoder notices afterwards), singular parts are
//! merged, and messages are nested at most 100 deep.

use std::borrow::Cow;

use super::{
    Breach, MAX_FIELDS, MAX_ITEMS, MAX_MEMORY_PER_BYTE, MIN_MEMORY, Measure,
    cursor::{Cursor, Malformed},
    table::{Field, FieldKind, LEAF_PAIRS, List, MessageType, TextLimit},
};
use crate::model::rules::{Path, Violations};

/// The nesting at which the decoder fails.
const MAX_DEPTH: usize = 100;

/// The smallest block of the allocator, and the bytes that it adds to each.
const MIN_BLOCK: usize = 32;
const BLOCK_OVERHEAD: usize = 8;

/// The bytes of a pair in which its key is searched, for the path of a violation. A path shows at most 200 characters.
const MAX_KEY_BYTES: usize = 256;

/// The wire types (protobuf encoding guide).
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;
const FIXED32: u64 = 5;

/// Scans a message of `len` bytes of the type with this index. The last chunks may be missing.
pub fn scan<B: AsRef<[u8]>>(types: &[MessageType], of: usize, chunks: &[B], len: usize) -> Result<Measure, Breach> {
    let max_memory = MIN_MEMORY.max(MAX_MEMORY_PER_BYTE * len);
    let size = types[of].size;
    let mut scan = Scan {
        types,
        input: Cursor::new(chunks, len),
        counts: vec![0; types[of].lists],
        measure: Measure { items: 0, memory: size },
        fields: 0,
        bytes: len,
        max_memory,
    };
    match scan.fields(of, 0, 0, 0, &Path::ROOT) {
        Err(Stop::Breach(breach)) => Err(*breach),
        // The decoder refuses what is malformed. Or the rest is missing.
        Ok(()) | Err(Stop::Malformed) => Ok(scan.measure),
    }
}

struct Scan<'a, B> {
    types: &'a [MessageType],
    input: Cursor<'a, B>,
    /// The counts of the lists of the open messages.
    counts: Vec<u32>,
    measure: Measure,
    fields: usize,
    bytes: usize,
    max_memory: usize,
}

enum Stop {
    Malformed,
    Breach(Box<Breach>),
}

impl From<Malformed> for Stop {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Breach> for Stop {
    fn from(breach: Breach) -> Self {
        Self::Breach(Box::new(breach))
    }
}

impl<'a, B: AsRef<[u8]>> Scan<'a, B> {
    /// Scans fields until `end` bytes are left. `base` is the place of the message's lists in `counts`.
    fn fields(&mut self, of: usize, base: usize, end: usize, depth: usize, at: &Path<'_>) -> Result<(), Stop> {
        let types = self.types;
        while self.input.remaining() > end {
            let (number, wire) = self.tag()?;
            match types[of].field(number) {
                Some(field) => self.field(field, wire, base, depth, at)?,
                None => self.unknown(number, wire, depth)?,
            }
        }
        if self.input.remaining() == end { Ok(()) } else { Err(Stop::Malformed) }
    }

    /// Reads the number and the wire type of a field.
    fn tag(&mut self) -> Result<(u32, u64), Stop> {
        let key = self.input.varint()?;
        let number = u32::try_from(key).map_err(|_| Malformed)? >> 3;
        if number == 0 {
            return Err(Stop::Malformed);
        }
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Breach::Fields.into());
        }
        Ok((number, key & 7))
    }

    fn field(&mut self, field: &Field, wire: u64, base: usize, depth: usize, at: &Path<'_>) -> Result<(), Stop> {
        let at = &field.path(at);
        match (field.kind, wire) {
            (FieldKind::Text(limit), DELIMITED) => {
                let bytes = self.input.length()?;
                match &field.list {
                    Some(list) => {
                        let index = self.count(list, base, at)?;
                        self.text(&limit, bytes, &at.index(index))?;
                    }
                    None => self.text(&limit, bytes, at)?,
                }
            }
            (FieldKind::Message { of, lists_at }, DELIMITED) => match &field.list {
                Some(list) => self.item(of, list, base, depth, at)?,
                None => self.part(of, base + lists_at, depth, at)?,
            },
            // A packed list.
            (kind, DELIMITED) => {
                let list = field.list.as_ref().ok_or(Malformed)?;
                let bytes = self.input.length()?;
                let end = self.input.remaining() - bytes;
                while self.input.remaining() > end {
                    self.scalar(kind)?;
                    self.count(list, base, at)?;
                }
                if self.input.remaining() < end {
                    return Err(Stop::Malformed);
                }
            }
            (FieldKind::Varint, VARINT) | (FieldKind::Fixed32, FIXED32) | (FieldKind::Fixed64, FIXED64) => {
                self.scalar(field.kind)?;
                if let Some(list) = &field.list {
                    self.count(list, base, at)?;
                }
            }
            _ => return Err(Stop::Malformed),
        }
        Ok(())
    }

    /// Measures a string, and skips it.
    fn text(&mut self, limit: &TextLimit, bytes: usize, at: &Path<'_>) -> Result<(), Stop> {
        if bytes > limit.max_bytes {
            let TextLimit { declared, unit, .. } = limit;
            return Err(field_breach(at, format!("must have at most {declared} {unit}, but has {bytes} bytes")).into());
        }
        if bytes > 0 {
            self.store(block(bytes))?;
        }
        Ok(self.input.skip(bytes)?)
    }

    fn scalar(&mut self, kind: FieldKind) -> Result<(), Malformed> {
        match kind {
            FieldKind::Varint => self.input.varint().map(drop),
            FieldKind::Fixed32 => self.input.skip(4),
            FieldKind::Fixed64 => self.input.skip(8),
            FieldKind::Text(_) | FieldKind::Message { .. } => Err(Malformed),
        }
    }

    /// Scans a part that is merged with its other occurrences.
    fn part(&mut self, of: usize, base: usize, depth: usize, at: &Path<'_>) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Malformed);
        }
        let bytes = self.input.length()?;
        let end = self.input.remaining() - bytes;
        self.fields(of, base, end, depth + 1, at)
    }

    /// Scans an item of a list, or a pair of a map.
    fn item(&mut self, of: usize, list: &List, outer: usize, depth: usize, at: &Path<'_>) -> Result<(), Stop> {
        let index = self.count(list, outer, at)?;
        let base = self.counts.len();
        self.counts.resize(base + self.types[of].lists, 0);
        match list.is_map {
            true => {
                let key = self.key();
                self.part(of, base, depth, &at.key(&key))?;
            }
            false => self.part(of, base, depth, &at.index(index))?,
        }
        self.counts.truncate(base);
        Ok(())
    }

    /// Counts an item, and returns its index.
    fn count(&mut self, list: &List, base: usize, at: &Path<'_>) -> Result<usize, Stop> {
        let count = &mut self.counts[base + list.at];
        let index = *count as usize;
        if *count == list.max_items {
            return Err(too_many(list, at).into());
        }
        *count += 1;
        self.measure.items += 1;
        if self.measure.items > MAX_ITEMS {
            return Err(Breach::Items.into());
        }
        self.store(growth(list, index))?;
        Ok(index)
    }

    fn store(&mut self, bytes: usize) -> Result<(), Breach> {
        self.measure.memory += bytes;
        match self.measure.memory > self.max_memory {
            true => Err(Breach::Memory { bytes: self.bytes, limit: self.max_memory }),
            false => Ok(()),
        }
    }

    /// The first characters of the key of the pair that follows; empty if they are not in one chunk.
    fn key(&self) -> Cow<'a, str> {
        const KEY: u64 = 1 << 3 | DELIMITED;
        let ahead = self.input.peek(MAX_KEY_BYTES);
        let chunks = [ahead];
        let mut pair = Cursor::new(&chunks, ahead.len());
        let key_bytes = pair.varint().and_then(|_| pair.varint()).and_then(|key| match key {
            KEY => pair.varint(),
            _ => Err(Malformed),
        });
        let from = ahead.len() - pair.remaining();
        let bytes = pair.remaining().min(key_bytes.map_or(0, |bytes| bytes as usize));
        String::from_utf8_lossy(&ahead[from..from + bytes])
    }

    /// Skips a field that the contract does not have.
    fn unknown(&mut self, number: u32, wire: u64, depth: usize) -> Result<(), Stop> {
        match wire {
            VARINT => self.input.varint().map(drop)?,
            FIXED32 => self.input.skip(4)?,
            FIXED64 => self.input.skip(8)?,
            DELIMITED => {
                let bytes = self.input.length()?;
                self.input.skip(bytes)?;
            }
            START_GROUP if depth <= MAX_DEPTH => loop {
                let (inner, wire) = self.tag()?;
                match wire {
                    END_GROUP if inner == number => break,
                    END_GROUP => return Err(Stop::Malformed),
                    wire => self.unknown(inner, wire, depth + 1)?,
                }
            },
            _ => return Err(Stop::Malformed),
        }
        Ok(())
    }
}

impl Field {
    /// The path of the field. That of a map's key or value is the path of the pair.
    fn path<'a>(&'a self, at: &'a Path<'a>) -> Path<'a> {
        if self.name.is_empty() { *at } else { at.field(self.name) }
    }
}

/// The bytes by which a list grows when an item is added to this number of items.
fn growth(list: &List, count: usize) -> usize {
    if list.is_map {
        // A leaf that is full is split into halves.
        return if count.is_multiple_of(LEAF_PAIRS.div_ceil(2)) { block(list.size) } else { 0 };
    }
    // As `Vec` grows: it begins with a few places, and doubles their number.
    let first = match list.size {
        1 => 8,
        2..=1024 => 4,
        _ => 1,
    };
    match count {
        0 => block(first * list.size),
        count if count >= first && count.is_power_of_two() => count * list.size,
        _ => 0,
    }
}

/// The memory that a block of this many bytes takes.
fn block(bytes: usize) -> usize {
    (bytes + BLOCK_OVERHEAD).next_multiple_of(16).max(MIN_BLOCK)
}

#[cold]
fn too_many(list: &List, at: &Path<'_>) -> Breach {
    let List { declared, max_items, is_map, .. } = *list;
    let unit = if is_map { "pairs" } else { "items" };
    let than = if declared == max_items as usize { String::new() } else { format!(" than {max_items}") };
    field_breach(at, format!("must have at most {declared} {unit}, but has more{than}"))
}

fn field_breach(at: &Path<'_>, description: String) -> Breach {
    let mut violations = Violations::default();
    violations.add(at, description);
    Breach::Field(violations)
}
