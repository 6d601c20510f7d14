//! Random changes of inputs: of bytes, of text, and of encoded messages field by field.

use super::targets::Input;
use crate::faults::rng::Chance;

/// Maximum size of a mutated input, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Texts at the edges of parsers: empty, control and combining characters, other scripts, names, dates, syntax.
const TEXTS: [&str; 46] = [
    "",
    "\0",
    "\n",
    "\u{1b}[31m",
    "\u{feff}",
    "\u{202e}",
    "\u{301}",
    "e\u{301}\u{301}\u{301}",
    "\u{1100}\u{1161}\u{11a8}",
    "\u{fb03}",
    "\u{fdfa}",
    "\u{bd}",
    "\u{130}I\u{131}i",
    "\u{10ffff}",
    "😀",
    "Əliyev",
    "Хасанов",
    "القدس",
    "東京",
    "ß",
    "#key",
    "#",
    "participants/0198f2d1-7c0e-7000-8000-0123456789ab",
    "meetings/0198f2d1-7c0e-7000-8000-0123456789ab",
    "articles/",
    "2020-08-24",
    "2020-02-30T25:61:61Z",
    "0000-00-00",
    "9999-12-31T23:59:60.999999999+14:00",
    "Asia/Baku",
    "America/Scoresbysund",
    " AND ",
    " OR ",
    "NOT ",
    "-",
    "((((((((",
    "))))",
    "\"",
    "\\",
    "*",
    "`",
    "participations[0].roles[1]",
    "labels.`a.b`",
    "18446744073709551616",
    "-9223372036854775808",
    "1e400",
];

/// Numbers at the edges of the integer types.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    12,
    31,
    127,
    128,
    9_999,
    i32::MAX as u64,
    u32::MAX as u64,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
    u64::MAX - 1,
];

/// Changes an input of this kind. `corpus` has other inputs, parts of which may be inserted.
pub fn mutate(input: &[u8], kind: Input, corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut mutated = input.to_vec();
    for _ in 0..=chance.below(4) {
        mutated = match kind {
            Input::Text => text(mutated, corpus, chance),
            Input::Bytes => bytes(mutated, corpus, chance),
            Input::Message => message(mutated, corpus, chance),
            Input::NamedMessage => {
                let head = mutated.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                let body = mutated.split_off(head);
                mutated.extend(message(body, corpus, chance));
                mutated
            }
        };
        mutated.truncate(MAX_BYTES);
    }
    mutated
}

/// Changes an encoded message. One change in four ignores its structure.
pub fn message(input: Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    match Fields::parse(&input) {
        Some(mut fields) if !chance.once_in(4) => {
            fields.mutate(chance, 0);
            fields.encode()
        }
        _ => bytes(input, corpus, chance),
    }
}

/// Changes bytes without regard to their meaning.
pub fn bytes(mut input: Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let at = chance.below(input.len() as u64 + 1) as usize;
    let end = at + chance.below((input.len() - at) as u64 + 1) as usize;
    match chance.below(9) {
        0 | 1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = [0, 1, 0x7f, 0x80, 0xff][chance.below(5) as usize];
            }
        }
        3 => input.truncate(at),
        4 => drop(input.drain(at..end.min(at + 32))),
        5 => {
            let copy = input[at..end].to_vec();
            (0..=chance.below(3)).for_each(|_| insert(&mut input, at, &copy));
        }
        6 => insert(&mut input, at, pick(&TEXTS, chance).as_bytes()),
        7 => {
            let random: Vec<u8> = (0..=chance.below(8)).map(|_| chance.below(256) as u8).collect();
            insert(&mut input, at, &random);
        }
        _ => insert(&mut input, at, part(corpus, chance)),
    }
    input
}

/// Changes text between its characters; one change in eight may break its encoding.
fn text(input: Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    if chance.once_in(8) {
        return bytes(input, corpus, chance);
    }
    let text = String::from_utf8_lossy(&input).into_owned();
    let mut chars: Vec<char> = text.chars().collect();
    let at = chance.below(chars.len() as u64 + 1) as usize;
    let length = chance.below(12).min((chars.len() - at) as u64) as usize;
    match chance.below(7) {
        0 => drop(chars.drain(at..at + length)),
        1 => {
            let copy = chars[at..at + length].to_vec();
            // Deep nesting and long lists come from repetition.
            let repeated = copy.repeat(1 << chance.below(8));
            chars.splice(at..at, repeated);
        }
        2 | 3 => drop(chars.splice(at..at, pick(&TEXTS, chance).chars())),
        4 => drop(chars.splice(at..at + length, pick(&TEXTS, chance).chars())),
        5 => {
            let random = char::from_u32(chance.below(0x1_1000) as u32 * if chance.once_in(4) { 16 } else { 1 });
            chars.splice(at..at, random);
        }
        _ => {
            let part = String::from_utf8_lossy(part(corpus, chance)).into_owned();
            chars.splice(at..at, part.chars());
        }
    }
    String::from_iter(chars).into_bytes()
}

fn insert(bytes: &mut Vec<u8>, at: usize, inserted: &[u8]) {
    if bytes.len() + inserted.len() <= MAX_BYTES {
        bytes.splice(at..at, inserted.iter().copied());
    }
}

/// A part of some input.
fn part<'a>(corpus: &'a [Vec<u8>], chance: &mut Chance) -> &'a [u8] {
    let Some(other) = corpus.get(chance.below(corpus.len().max(1) as u64) as usize) else { return &[] };
    let start = chance.below(other.len() as u64 + 1) as usize;
    let length = chance.below((other.len() - start) as u64 + 1).min(64) as usize;
    &other[start..start + length]
}

fn pick<'a, T: ?Sized>(of: &'a [&'a T], chance: &mut Chance) -> &'a T {
    of[chance.below(of.len() as u64) as usize]
}

/// The fields of an encoded message, in the order of the wire.
struct Fields(Vec<Field>);

#[derive(Clone)]
struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Varint(u64),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
    /// Bytes with a length that is not theirs.
    WrongLength(u64, Vec<u8>),
}

impl Fields {
    /// Parses bytes as a message. `None` if they are none.
    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let value = match tag & 7 {
                0 => Value::Varint(varint(&mut bytes)?),
                1 => Value::Fixed(take(&mut bytes, 8)?.to_vec()),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    Value::Bytes(take(&mut bytes, length)?.to_vec())
                }
                5 => Value::Fixed(take(&mut bytes, 4)?.to_vec()),
                _ => return None,
            };
            fields.push(Field { number: tag >> 3, value });
        }
        Some(Self(fields))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for Field { number, value } in &self.0 {
            let (wire_type, length, payload) = match value {
                Value::Varint(_) => (0, None, &[][..]),
                Value::Fixed(bytes) => (if bytes.len() == 8 { 1 } else { 5 }, None, bytes.as_slice()),
                Value::Bytes(bytes) => (2, Some(bytes.len() as u64), bytes.as_slice()),
                Value::WrongLength(length, bytes) => (2, Some(*length), bytes.as_slice()),
            };
            push_varint(&mut out, number << 3 | wire_type);
            if let Value::Varint(number) = value {
                push_varint(&mut out, *number);
            }
            if let Some(length) = length {
                push_varint(&mut out, length);
            }
            out.extend_from_slice(payload);
        }
        out
    }

    /// Changes one field, at any depth.
    fn mutate(&mut self, chance: &mut Chance, depth: usize) {
        if self.0.is_empty() || chance.once_in(16) {
            let value = if chance.once_in(2) { Value::Varint(number(chance)) } else { Value::Bytes(any_text(chance)) };
            return self.0.push(Field { number: 1 + chance.below(24), value });
        }
        let at = chance.below(self.0.len() as u64) as usize;
        // Most of a message is nested in it.
        if depth < 12
            && !chance.once_in(4)
            && let Value::Bytes(bytes) = &mut self.0[at].value
            && let Some(mut inner) = Fields::parse(bytes).filter(|inner| !inner.0.is_empty())
        {
            inner.mutate(chance, depth + 1);
            *bytes = inner.encode();
            return;
        }
        match chance.below(10) {
            0 => drop(self.0.remove(at)),
            1 => self.0.insert(at, self.0[at].clone()),
            2 => {
                let times = 1 << chance.below(10);
                let copies = vec![self.0[at].clone(); times];
                self.0.splice(at..at, copies);
            }
            3 => {
                let other = chance.below(self.0.len() as u64) as usize;
                self.0.swap(at, other);
            }
            4 => {
                let other = self.0[chance.below(self.0.len() as u64) as usize].value.clone();
                self.0[at].value = other;
            }
            5 => self.0[at].number = 1 + chance.below(32),
            6 => {
                if let Value::Bytes(bytes) = &self.0[at].value {
                    self.0[at].value = Value::WrongLength(number(chance), bytes.clone());
                }
            }
            _ => self.0[at].value.mutate(chance),
        }
    }
}

impl Value {
    fn mutate(&mut self, chance: &mut Chance) {
        match self {
            Self::Varint(value) => *value = if chance.once_in(3) { value.wrapping_add(1) } else { number(chance) },
            Self::Fixed(value) => {
                value.iter_mut().for_each(|byte| *byte = [0, 0x7f, 0x80, 0xff][chance.below(4) as usize])
            }
            Self::Bytes(value) | Self::WrongLength(_, value) => {
                *value = if chance.once_in(3) { any_text(chance) } else { text(std::mem::take(value), &[], chance) };
            }
        }
    }
}

/// A text of the list, now and then repeated up to some thousand times.
fn any_text(chance: &mut Chance) -> Vec<u8> {
    let times = if chance.once_in(6) { 1 << chance.below(12) } else { 1 };
    pick(&TEXTS, chance).repeat(times).into_bytes()
}

fn number(chance: &mut Chance) -> u64 {
    NUMBERS[chance.below(NUMBERS.len() as u64) as usize]
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}

fn push_varint(out: &mut Vec<u8>, value: u64) {
    prost::encoding::encode_varint(value, out);
}
