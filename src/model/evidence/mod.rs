//! Evidence: quotes from the article that support a field of an account. A quote that does not occur in the text is
//! refused, so that an extractor cannot invent evidence.

mod near_miss;

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    collections::HashMap,
};

use memchr::memmem;
use prost::Message;
use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use self::near_miss::Folded;
use super::{
    canonical,
    rules::{Path, Violations},
    text::{
        quoted::quoted,
        suggestion::{did_you_mean, nearest},
    },
};
use crate::pb::{self, Account, ErrorReason, Evidence};

/// A text with an index from code points to bytes, and budgets for searching it.
pub struct IndexedText<'a> {
    text: &'a str,
    /// Byte offset of every `STRIDE`th code point.
    marks: Vec<usize>,
    /// Length in code points.
    len: usize,
    /// Bytes that may still be searched for quotes without offsets.
    budget: Cell<usize>,
    /// Bytes that may still be searched to find out if the offsets of a quote are redundant.
    offsets_budget: Cell<usize>,
    /// Bytes that may still be searched for near misses of refused quotes.
    hint_budget: Cell<usize>,
    /// Computed for the first near miss.
    folded: OnceCell<Folded>,
}

const STRIDE: usize = 256;

/// Budget of bytes searched for all quotes of a call, about half a second. A search costs the length of the text;
/// without the limit, half a million short quotes in a text of 1 MiB would take minutes.
const SEARCH_BYTES: usize = 512 * 1024 * 1024;

impl<'a> IndexedText<'a> {
    /// Indexes a text, which must be in NFC.
    pub fn new(text: &'a str) -> Self {
        let marks = text.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect();
        let (budget, offsets_budget) = (Cell::new(SEARCH_BYTES), Cell::new(SEARCH_BYTES));
        let hint_budget = Cell::new(near_miss::SEARCH_BYTES);
        Self { text, marks, len: text.chars().count(), budget, offsets_budget, hint_budget, folded: OnceCell::new() }
    }

    /// The byte offset of a code point, or of the end of the text. `None` beyond the end.
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

    /// The part of the text from code point `start` to `end`. `None` if either is beyond the end.
    pub fn words(&self, start: usize, end: usize) -> Option<&'a str> {
        self.text.get(self.byte(start)?..self.byte(end)?)
    }

    /// Charges one search to the budget. False if the budget is used up.
    fn may_search(&self) -> bool {
        self.charge(&self.budget)
    }

    fn charge(&self, budget: &Cell<usize>) -> bool {
        let left = budget.get().checked_sub(self.text.len());
        left.inspect(|&left| budget.set(left)).is_some()
    }

    /// True if a quote that occurs at this byte occurs nowhere else.
    fn occurs_only_at(&self, quote: &str, byte: usize) -> bool {
        let (text, quote) = (self.text.as_bytes(), quote.as_bytes());
        memmem::find(text, quote) == Some(byte) && memmem::find(&text[byte + 1..], quote).is_none()
    }

    /// Searches for `quote`. Positions are in code points.
    fn find(&self, quote: &str) -> QuoteMatch {
        if !self.may_search() {
            return QuoteMatch::TooCostly;
        }
        let Some(first) = self.text.find(quote) else { return QuoteMatch::Nowhere };
        let next = first + self.text[first..].chars().next().map_or(1, char::len_utf8);
        // An empty quote occurs in an empty text, after which there is nothing.
        if self.text.get(next..).is_some_and(|rest| rest.contains(quote)) {
            return QuoteMatch::Often;
        }
        let start = self.code_point(first);
        QuoteMatch::Once(start, start + quote.chars().count())
    }
}

enum QuoteMatch {
    Nowhere,
    /// The start and the end.
    Once(usize, usize),
    Often,
    /// The budget is used up.
    TooCostly,
}

/// True if the quote occurs in the text at its offsets.
fn is_at_offsets(evidence: &Evidence, text: &IndexedText<'_>) -> bool {
    let (Ok(start), Ok(end)) = (usize::try_from(evidence.start), usize::try_from(evidence.end)) else {
        return false;
    };
    start < end && text.words(start, end) == Some(evidence.quote.as_str())
}

/// Clears the offsets of quotes that occur exactly once in the text, because they follow from the quote.
pub fn clear_redundant_offsets(evidence: &mut [Evidence], text: &IndexedText<'_>) {
    for cited in evidence.iter_mut().filter(|cited| (cited.start, cited.end) != (0, 0)) {
        let start = usize::try_from(cited.start).ok().and_then(|start| text.byte(start));
        if let Some(start) = start
            && is_at_offsets(cited, text)
            && text.charge(&text.offsets_budget)
            && text.occurs_only_at(&cited.quote, start)
        {
            (cited.start, cited.end) = (0, 0);
        }
    }
}

/// Sets `stale` on evidence that was checked against an earlier text: true if its quote no longer occurs in `text`.
/// Evidence beyond the search budget stays as it is. Returns true if any flag changed.
pub fn mark_stale(evidence: &mut [Evidence], text: &IndexedText<'_>) -> bool {
    let mut occurs_by_quote: HashMap<String, bool> = HashMap::new();
    let mut is_changed = false;
    for cited in evidence {
        let occurs = match occurs_by_quote.get(&cited.quote) {
            Some(&occurs) => occurs,
            None if is_at_offsets(cited, text) => true,
            None if text.may_search() => text.text.contains(&cited.quote),
            None => continue,
        };
        occurs_by_quote.insert(cited.quote.clone(), occurs);
        is_changed |= cited.stale == occurs;
        cited.stale = !occurs;
    }
    is_changed
}

/// Checks evidence against the account that it supports and the text that it quotes, and brings it into its stored
/// form: field paths in proto names, quotes in NFC, and offsets for quotes without them. `text` is `None` if the
/// article has no text. `at` is the path of the list in the request.
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
    for (index, cited) in evidence.iter_mut().enumerate() {
        let at = &at.index(index);
        match account.resolve(&cited.field) {
            Ok(field) => cited.field = field,
            Err(description) => out.add(&at.field("field"), description),
        }
        canonical::text(&mut cited.quote);
        let at = &at.field("quote");
        let Some(text) = text else {
            out.add_as(ErrorReason::EvidenceUnverifiable, at, "the article has no text to check it against");
            continue;
        };
        if (cited.start, cited.end) != (0, 0) {
            if !is_at_offsets(cited, text) {
                out.add_with(ErrorReason::EvidenceNotFound, at, || {
                    let (start, end, quote) = (cited.start, cited.end, quoted(&cited.quote));
                    let near = text.near_miss_of_offsets(&cited.quote, start, end);
                    format!("is not at {start} to {end} of the text: {quote}{near}")
                });
            }
            continue;
        }
        match text.find(&cited.quote) {
            // The text has at most 1 MiB: the offsets fit.
            QuoteMatch::Once(start, end) => (cited.start, cited.end) = (start as i32, end as i32),
            QuoteMatch::Nowhere => out.add_with(ErrorReason::EvidenceNotFound, at, || {
                format!("is not in the text: {}{}", quoted(&cited.quote), text.near_miss(&cited.quote))
            }),
            QuoteMatch::Often => out.add_with(ErrorReason::EvidenceAmbiguous, at, || {
                let (quote, places) = (quoted(&cited.quote), text.first_places(&cited.quote));
                format!("is in the text more than once: {quote}{places}; give start and end")
            }),
            QuoteMatch::TooCostly => {
                out.add(at, "exceeds the search budget of the call for a text of this length: give start and end")
            }
        }
    }
}

/// An account in reflected form, for looking up fields by path.
struct Fields(DynamicMessage);

impl Fields {
    fn of(account: &Account) -> Self {
        let descriptor = account_descriptor();
        let message = DynamicMessage::decode(descriptor, account.encode_to_vec().as_slice());
        Self(message.expect("an account has the fields of an account"))
    }

    /// Resolves a path to a field that is set. Returns the path in proto names, or the description of a violation.
    fn resolve(&self, path: &str) -> Result<String, String> {
        self.walk(path).map_err(|(reason, nearest)| format!("{reason}: {}{}", quoted(path), did_you_mean(nearest)))
    }

    /// [`resolve`](Self::resolve), with the parts of an error: the reason, and a field to suggest.
    fn walk(&self, path: &str) -> Result<String, (String, Option<String>)> {
        let because = |reason: &str| (reason.to_owned(), None);
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
                (format!("is not a field of {}", descriptor.name()), nearest.map(str::to_owned))
            })?;
            if !resolved.is_empty() {
                resolved.push('.');
            }
            resolved.push_str(field.name());
            // prost-reflect returns a borrowed value for a field that is set, and an owned default for one that is not.
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
                        Kind::Message(_) => "needs an index after a list field",
                        _ => "goes below a field without subfields",
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
