//! Evidence: the words of the article that support a field. A quote that does not stand in the text is refused, so an
//! extractor cannot invent its evidence.

mod near;

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    collections::HashMap,
};

use memchr::memmem;
use prost::Message;
use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use self::near::Folded;
use super::{
    canonical,
    rules::{Path, Violations},
    text::{
        quoted::shown,
        suggestion::{did_you_mean, nearest},
    },
};
use crate::pb::{self, Account, ErrorReason, Evidence};

/// A stored text, in which code points can be counted without walking it from the start each time.
pub struct IndexedText<'a> {
    text: &'a str,
    /// Byte offset of every `STRIDE`th code point.
    marks: Vec<usize>,
    /// How many code points it has.
    len: usize,
    /// How many bytes may still be searched for quotes without offsets.
    budget: Cell<usize>,
    /// How many bytes may still be searched for quotes with offsets, to see whether the offsets are needed.
    spare_budget: Cell<usize>,
    /// The same for near misses of quotes that are refused.
    hint_budget: Cell<usize>,
    /// Made for the first near miss.
    folded: OnceCell<Folded>,
}

const STRIDE: usize = 256;

/// Looking for a quote costs the length of the text. All quotes of a call together may cost so much, half a second or so;
/// half a million short quotes in a text of a mebibyte would take minutes.
const SEARCH_BYTES: usize = 512 * 1024 * 1024;

impl<'a> IndexedText<'a> {
    /// Reads a text in NFC.
    pub fn new(text: &'a str) -> Self {
        let marks = text.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect();
        let (budget, spare_budget) = (Cell::new(SEARCH_BYTES), Cell::new(SEARCH_BYTES));
        let hint_budget = Cell::new(near::SEARCH_BYTES);
        Self { text, marks, len: text.chars().count(), budget, spare_budget, hint_budget, folded: OnceCell::new() }
    }

    /// Byte offset of a code point; the text's end counts as one.
    fn byte(&self, code_point: usize) -> Option<usize> {
        if code_point >= self.len {
            return (code_point == self.len).then_some(self.text.len());
        }
        let mark = *self.marks.get(code_point / STRIDE)?;
        self.text[mark..].char_indices().nth(code_point % STRIDE).map(|(byte, _)| mark + byte)
    }

    /// The code point at a byte offset.
    fn code_point(&self, byte: usize) -> usize {
        let mark = self.marks.partition_point(|&mark| mark <= byte).saturating_sub(1);
        let start = self.marks.get(mark).copied().unwrap_or(0);
        mark * STRIDE + self.text[start..byte].chars().count()
    }

    /// The words from one code point to another.
    pub fn words(&self, start: usize, end: usize) -> Option<&'a str> {
        self.text.get(self.byte(start)?..self.byte(end)?)
    }

    /// Whether it may be searched once more.
    fn may_search(&self) -> bool {
        self.take_from(&self.budget)
    }

    fn take_from(&self, budget: &Cell<usize>) -> bool {
        let left = budget.get().checked_sub(self.text.len());
        left.inspect(|&left| budget.set(left)).is_some()
    }

    /// True if a quote, which stands at this byte, occurs nowhere else.
    fn is_only(&self, quote: &str, byte: usize) -> bool {
        let (text, quote) = (self.text.as_bytes(), quote.as_bytes());
        memmem::find(text, quote) == Some(byte) && memmem::find(&text[byte + 1..], quote).is_none()
    }

    /// Where `quote` stands, as code points: nowhere, once, or more often.
    fn find(&self, quote: &str) -> QuoteMatch {
        if !self.may_search() {
            return QuoteMatch::TooCostly;
        }
        let Some(first) = self.text.find(quote) else { return QuoteMatch::Nowhere };
        let next = first + self.text[first..].chars().next().map_or(1, char::len_utf8);
        if self.text[next..].contains(quote) {
            return QuoteMatch::Often;
        }
        let start = self.code_point(first);
        QuoteMatch::Once(start, start + quote.chars().count())
    }
}

enum QuoteMatch {
    Nowhere,
    Once(usize, usize),
    Often,
    TooCostly,
}

/// Whether a piece of evidence stands in the text at its offsets.
pub fn holds(evidence: &Evidence, text: &IndexedText<'_>) -> bool {
    let (Ok(start), Ok(end)) = (usize::try_from(evidence.start), usize::try_from(evidence.end)) else {
        return false;
    };
    start < end && text.words(start, end) == Some(evidence.quote.as_str())
}

/// Clears the offsets of quotes that occur once in the text. Such offsets follow from the quote.
pub fn forget_offsets(evidence: &mut [Evidence], text: &IndexedText<'_>) {
    for cited in evidence.iter_mut().filter(|cited| (cited.start, cited.end) != (0, 0)) {
        let start = usize::try_from(cited.start).ok().and_then(|start| text.byte(start));
        if let Some(start) = start
            && holds(cited, text)
            && text.take_from(&text.spare_budget)
            && text.is_only(&cited.quote, start)
        {
            (cited.start, cited.end) = (0, 0);
        }
    }
}

/// Says of evidence that was checked against another text whether its words stand anywhere in this one. What would cost
/// too much to look for stays as it is. Answers whether anything changed.
pub fn mark_stale(evidence: &mut [Evidence], text: &IndexedText<'_>) -> bool {
    let mut stands: HashMap<String, bool> = HashMap::new();
    let mut is_changed = false;
    for one in evidence {
        let found = match stands.get(&one.quote) {
            Some(&known) => known,
            None if holds(one, text) => true,
            None if text.may_search() => text.text.contains(&one.quote),
            None => continue,
        };
        stands.insert(one.quote.clone(), found);
        is_changed |= one.stale == found;
        one.stale = !found;
    }
    is_changed
}

/// Checks evidence against the account that it supports and the text that it quotes, and completes it: fields in
/// proto names, quotes in NFC, offsets of quotes that came without. `text` is `None` where there is none to check
/// against. `at` is where the list stands in the request.
pub fn check(
    evidence: &mut [Evidence],
    account: &Account,
    text: Option<&IndexedText<'_>>,
    at: &Path<'_>,
    out: &mut Violations,
) {
    if evidence.is_empty() {
        return;
    }
    let account = Fields::of(account);
    for (index, one) in evidence.iter_mut().enumerate() {
        let at = &at.index(index);
        match account.resolve(&one.field) {
            Ok(field) => one.field = field,
            Err(why) => out.add(&at.field("field"), why),
        }
        canonical::text(&mut one.quote);
        let at = &at.field("quote");
        let Some(text) = text else {
            out.add_as(ErrorReason::EvidenceUnverifiable, at, "the article has no text to check it against");
            continue;
        };
        if (one.start, one.end) != (0, 0) {
            if !holds(one, text) {
                out.add_with(ErrorReason::EvidenceNotFound, at, || {
                    let (start, end, quote) = (one.start, one.end, shown(&one.quote));
                    let near = text.near_miss_of_offsets(&one.quote, start, end);
                    format!("does not stand at {start} to {end} of the text: {quote}{near}")
                });
            }
            continue;
        }
        match text.find(&one.quote) {
            // At most 1 MiB of text: the offsets fit.
            QuoteMatch::Once(start, end) => (one.start, one.end) = (start as i32, end as i32),
            QuoteMatch::Nowhere => out.add_with(ErrorReason::EvidenceNotFound, at, || {
                format!("does not stand in the text: {}{}", shown(&one.quote), text.near_miss(&one.quote))
            }),
            QuoteMatch::Often => out.add_with(ErrorReason::EvidenceAmbiguous, at, || {
                let (quote, places) = (shown(&one.quote), text.first_places(&one.quote));
                format!("stands in the text more than once: {quote}{places}; give start and end")
            }),
            QuoteMatch::TooCostly => {
                out.add(at, "is one of too many quotes to look for in so long a text: give start and end")
            }
        }
    }
}

/// An account whose fields can be looked up by path.
struct Fields(DynamicMessage);

impl Fields {
    fn of(account: &Account) -> Self {
        let descriptor = account_descriptor();
        let message = DynamicMessage::decode(descriptor, account.encode_to_vec().as_slice());
        Self(message.expect("an account has the fields of an account"))
    }

    /// The path in proto names of a field that is there and set.
    fn resolve(&self, path: &str) -> Result<String, String> {
        self.walk(path).map_err(|(why, nearest)| format!("{why}: {}{}", shown(path), did_you_mean(nearest)))
    }

    /// The same; an error is why not, and the name of a field that was probably meant.
    fn walk(&self, path: &str) -> Result<String, (String, Option<String>)> {
        let because = |why: &str| (why.to_owned(), None);
        let mut resolved = String::with_capacity(path.len());
        let mut message = &self.0;
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let (name, index) = split_index(step).map_err(because)?;
            let descriptor = message.descriptor();
            let field = descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name));
            let field = field.ok_or_else(|| {
                let fields: Vec<_> = descriptor.fields().collect();
                let nearest = nearest(fields.iter().map(FieldDescriptor::name), name);
                (format!("names no field of {}", descriptor.name()), nearest.map(str::to_owned))
            })?;
            if !resolved.is_empty() {
                resolved.push('.');
            }
            resolved.push_str(field.name());
            // What is not set is answered as a default of its own.
            let Cow::Borrowed(mut value) = message.get_field(&field) else {
                return Err(because("names a field that is not set"));
            };
            if let Some(index) = index {
                if field.cardinality() != Cardinality::Repeated {
                    return Err(because("has an index on a field that is not a list"));
                }
                let item = value.as_list().and_then(|list| list.get(index));
                let length = value.as_list().map_or(0, <[_]>::len);
                value = item.ok_or_else(|| because(&format!("has an index past the end of a list of {length}")))?;
                resolved.push_str(&format!("[{index}]"));
            }
            if steps.peek().is_some() {
                let Value::Message(inner) = value else {
                    return Err(because(match field.kind() {
                        Kind::Message(_) => "needs an index on the list",
                        _ => "has a part of a field that has no parts",
                    }));
                };
                message = inner;
            }
        }
        Ok(resolved)
    }
}

fn account_descriptor() -> MessageDescriptor {
    pb::pool().get_message_by_name("readout.v1.Account").expect("the contract has accounts")
}

/// `roles[1]` as `("roles", Some(1))`.
fn split_index(step: &str) -> Result<(&str, Option<usize>), &'static str> {
    const MALFORMED: &str = "must be a path such as participations[0].name_as_written";
    let Some((name, rest)) = step.split_once('[') else { return Ok((step, None)) };
    let digits = rest.strip_suffix(']').ok_or(MALFORMED)?;
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(MALFORMED);
    }
    Ok((name, digits.parse().ok()))
}

#[cfg(test)]
mod tests;
