//! Evidence: quotes from the article that support a field of an account. A quote that does not occur in the text is
//! refused, so that an extractor cannot invent evidence.
//!
//! `lookup` finds a quote as it was sent, else in another spelling; `fold` says which spellings are equal. The article's
//! own words are stored, so a stored quote never depends on that rule.

mod coverage;
mod fields;
mod fold;
mod folded_text;
mod lookup;
mod near_miss;
mod positions;
mod required;
mod sent_text;
mod text;

use std::{collections::HashMap, ops::Range};

pub use self::{
    coverage::{mean_share, set_coverage, thousandths},
    lookup::is_respelled,
    required::{AccountField, MAX_REQUIRED_FIELDS, MissingEvidence, missing},
    text::IndexedText,
};
use self::{fields::Fields, lookup::Lookup, near_miss::NearMiss};
use super::{
    canonical,
    rules::{Path, Violations},
    text::quoted::quoted,
};
use crate::pb::{Account, ErrorReason, Evidence, OffsetEncoding, evidence::Match};

/// True if the quote occurs in the text at its offsets, which count code points. Returns the passage in bytes.
fn passage(evidence: &Evidence, text: &IndexedText<'_>) -> Option<Range<usize>> {
    let [start, end] = [evidence.start, evidence.end].map(|at| text.positions.byte(usize::try_from(at).ok()?));
    let passage = start?..end?;
    (!passage.is_empty() && text.text().get(passage.clone()) == Some(evidence.quote.as_str())).then_some(passage)
}

/// Clears the offsets of stored evidence whose quote occurs exactly once in the text, because they follow from the
/// quote.
pub fn clear_redundant_offsets(evidence: &mut [Evidence], text: &IndexedText<'_>) {
    for cited in evidence.iter_mut().filter(|cited| (cited.start, cited.end) != (0, 0)) {
        if passage(cited, text).is_some_and(|passage| text.is_unique(&passage)) {
            (cited.start, cited.end) = (0, 0);
        }
    }
}

/// Sets `stale` on evidence that was checked against an earlier text: true if its quote no longer occurs in `text`, in
/// any spelling. Words that a publisher respelled still support the field.
/// Evidence beyond the search budget stays as it is. Returns true if any flag changed.
pub fn mark_stale(evidence: &mut [Evidence], text: &IndexedText<'_>) -> bool {
    let mut occurs_by_quote: HashMap<String, bool> = HashMap::new();
    let mut is_changed = false;
    for cited in evidence {
        let occurs = match occurs_by_quote.get(&cited.quote) {
            Some(&occurs) => occurs,
            None if passage(cited, text).is_some() => true,
            None => match text.has(&cited.quote) {
                Some(occurs) => occurs,
                None => continue,
            },
        };
        occurs_by_quote.insert(cited.quote.clone(), occurs);
        is_changed |= cited.stale == occurs;
        cited.stale = !occurs;
    }
    is_changed
}

/// Checks evidence against the account that it supports and the text that it quotes, and brings it into its stored
/// form: field paths in proto names, and the words of the text with their offsets in code points. `text` is `None` if
/// the article has no text. `at` is the path of the list in the request.
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
        [&mut cited.quote, &mut cited.prefix, &mut cited.suffix].into_iter().for_each(canonical::text);
        let Some(text) = text else {
            let description = "the article has no text to check it against";
            out.add_as(ErrorReason::EvidenceUnverifiable, &at.field("quote"), description);
            continue;
        };
        match (cited.start, cited.end) {
            (0, 0) => search(cited, text, at, out),
            _ => compare(cited, text, at, out),
        }
    }
}

/// Searches for a quote without offsets.
fn search(cited: &mut Evidence, text: &IndexedText<'_>, at: &Path<'_>, out: &mut Violations) {
    let at = &at.field("quote");
    let context =
        if cited.prefix.is_empty() && cited.suffix.is_empty() { "" } else { " between its prefix and suffix" };
    match text.find(cited) {
        Lookup::Found(passage, relation) => store(cited, &passage, relation, text),
        Lookup::Nowhere => out.add_detailed(ErrorReason::EvidenceNotFound, at, || {
            let near = match context {
                "" => text.near_miss(&cited.quote),
                _ => text.near_miss_of_place(&cited.quote, 0),
            };
            let (hint, metadata) = details(near, text);
            (format!("is not in the text{context}: {}{hint}", quoted(&cited.quote)), metadata)
        }),
        Lookup::Often(places) => out.add_detailed(ErrorReason::EvidenceAmbiguous, at, || {
            let [first, second] = places.map(|place| text.code_points(&place));
            let quote = quoted(&cited.quote);
            let cure = if context.is_empty() { "start and end, or a prefix or suffix" } else { "start and end" };
            let description =
                format!("is in the text more than once{context}: {quote}, at {first} and at {second}; give {cure}");
            (description, vec![("places", format!("{first}, {second}"))])
        }),
        Lookup::TooCostly => {
            out.add(at, "exceeds the search budget of the call for a text of this length: give start and end");
        }
    }
}

/// Compares a quote with the text at its offsets.
fn compare(cited: &mut Evidence, text: &IndexedText<'_>, at: &Path<'_>, out: &mut Violations) {
    let (start, end) = (cited.start, cited.end);
    let passages = match text.passages(start, end) {
        Ok(passages) => passages,
        Err(name) => {
            let what = match text.unit() {
                OffsetEncoding::Utf16 => "between the two code units of a surrogate pair",
                _ => "between the bytes of one code point",
            };
            return out.add(&at.field(name), format!("must not be {what} of the text"));
        }
    };
    if let Some((passage, relation)) = text.find_among(cited, &passages) {
        return store(cited, &passage, relation, text);
    }
    out.add_detailed(ErrorReason::EvidenceNotFound, &at.field("quote"), || {
        let (unit, units) = match text.unit() {
            OffsetEncoding::Unspecified | OffsetEncoding::CodePoint => ("", "characters"),
            OffsetEncoding::Utf16 => ("UTF-16 offsets ", "UTF-16 code units"),
            OffsetEncoding::Byte => ("byte offsets ", "bytes"),
        };
        let length = text.requested_len();
        let problem = if start >= end {
            "; start must be before end".to_owned()
        } else if usize::try_from(end).is_ok_and(|end| end > length) {
            format!("; the text has {length} {units}")
        } else {
            String::new()
        };
        let has_quote = |passage: &&Range<usize>| text.text()[(*passage).clone()] == cited.quote;
        if passages.iter().any(|passage| has_quote(&passage)) {
            return (format!("is not between its prefix and suffix at {unit}{start} to {end} of the text"), Vec::new());
        }
        let place = passages.first().map_or(text.text().len(), |passage| passage.start);
        let (hint, metadata) = details(text.near_miss_of_place(&cited.quote, place), text);
        let quote = quoted(&cited.quote);
        (format!("is not at {unit}{start} to {end} of the text: {quote}{problem}{hint}"), metadata)
    });
}

/// The hint and the metadata of a near miss.
fn details(near: Option<NearMiss>, text: &IndexedText<'_>) -> (String, Vec<(&'static str, String)>) {
    near.map(|near| (near.hint(text), near.metadata(text))).unwrap_or_default()
}

/// Brings evidence into its stored form: the words of the passage, which is in bytes, and their offsets.
fn store(cited: &mut Evidence, passage: &Range<usize>, relation: Match, text: &IndexedText<'_>) {
    text.text()[passage.clone()].clone_into(&mut cited.quote);
    // The text has at most 1 MiB: the offsets fit.
    [cited.start, cited.end] = [passage.start, passage.end].map(|byte| text.positions.code_point(byte) as i32);
    cited.set_match(relation);
    cited.prefix.clear();
    cited.suffix.clear();
}

#[cfg(test)]
mod tests;
