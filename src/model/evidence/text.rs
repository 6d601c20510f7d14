//! The text of an article, indexed for lookups of quotes, with the budgets of a call.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashSet,
    ops::Range,
};

use super::{
    fold::Looseness,
    folded_text::FoldedText,
    positions::{Misplaced, Positions},
    sent_text::SentText,
};
use crate::pb::OffsetEncoding;

/// Budget of bytes searched for all quotes of a call, about half a second. A search costs the length of the text;
/// without the limit, half a million short quotes in a text of 1 MiB would take minutes. Searches for other spellings
/// have a second budget of the same size.
const MAX_SEARCHED_BYTES: usize = 512 * 1024 * 1024;

/// Budget of bytes searched for the near misses of all quotes of a call, about 0.1 s. A search costs the length of the
/// text.
const MAX_HINT_BYTES: usize = 64 * 1024 * 1024;

/// The time that a byte takes to fold, in that of a byte that is searched.
const FOLD_COST: usize = 16;

/// A text with an index from code points to bytes, and budgets for searching it.
pub struct IndexedText<'a> {
    /// Positions in the stored text.
    pub(super) positions: Positions<'a>,
    /// The unit of the offsets in the request.
    unit: OffsetEncoding,
    /// The text as sent, if it was not in NFC.
    sent: Option<SentText<'a>>,
    budgets: Budgets,
    /// Computed for the first quote that does not occur as it was sent.
    folded: OnceCell<FoldedText<'a>>,
    /// Computed for the first near miss.
    similar: OnceCell<FoldedText<'a>>,
    /// Passages whose words are known to occur nowhere else, in bytes.
    pub(super) unique: RefCell<HashSet<Range<usize>>>,
}

/// The bytes that may still be searched.
pub(super) struct Budgets {
    /// For quotes without offsets.
    pub exact: Cell<usize>,
    /// For quotes that do not occur as they were sent.
    pub respelled: Cell<usize>,
    /// To find out if the offsets of a quote are redundant.
    pub offsets: Cell<usize>,
    /// For near misses of refused quotes.
    pub hints: Cell<usize>,
}

impl<'a> IndexedText<'a> {
    /// Indexes a text, which must be in NFC.
    pub fn new(text: &'a str) -> Self {
        Self {
            positions: Positions::of(text),
            unit: OffsetEncoding::Unspecified,
            sent: None,
            budgets: Budgets {
                exact: Cell::new(MAX_SEARCHED_BYTES),
                respelled: Cell::new(MAX_SEARCHED_BYTES),
                offsets: Cell::new(MAX_SEARCHED_BYTES),
                hints: Cell::new(MAX_HINT_BYTES),
            },
            folded: OnceCell::new(),
            similar: OnceCell::new(),
            unique: RefCell::default(),
        }
    }

    /// With the unit of the offsets in the request, and the text as sent, if it was not in NFC.
    pub fn with_offsets_in(mut self, unit: OffsetEncoding, sent: Option<&'a str>) -> Self {
        self.unit = unit;
        self.sent = sent.map(SentText::of);
        self
    }

    /// The text.
    pub(super) fn text(&self) -> &'a str {
        self.positions.text
    }

    /// The unit of the offsets in the request.
    pub(super) fn unit(&self) -> OffsetEncoding {
        self.unit
    }

    /// The part of the text from code point `start` to `end`. `None` if either is beyond the end.
    pub fn words(&self, start: usize, end: usize) -> Option<&'a str> {
        self.text().get(self.positions.byte(start)?..self.positions.byte(end)?)
    }

    /// The passages, in bytes, to which offsets of the request can refer: in the text as sent, then in the stored text.
    /// Empty if there are none, as for offsets beyond the end.
    ///
    /// # Errors
    /// The name of the offset that is within a code point, in each text.
    pub(super) fn passages(&self, start: i32, end: i32) -> Result<Vec<Range<usize>>, &'static str> {
        let mut passages = Vec::new();
        let mut misplaced = None;
        let sent = self.sent.iter().map(|sent| (&sent.positions, Some(sent)));
        for (positions, sent) in sent.chain([(&self.positions, None)]) {
            let mut bytes = [None; 2];
            for (byte, (name, offset)) in bytes.iter_mut().zip([("start", start), ("end", end)]) {
                let Ok(offset) = usize::try_from(offset) else { continue };
                match positions.byte_of(offset, self.unit) {
                    Ok(at) => *byte = sent.map_or(Some(at), |sent| sent.stored_byte(at)),
                    Err(Misplaced::InCodePoint) => drop(misplaced.get_or_insert(name)),
                    Err(Misplaced::BeyondEnd) => {}
                }
            }
            if let [Some(start), Some(end)] = bytes
                && start < end
                && !passages.contains(&(start..end))
            {
                passages.push(start..end);
            }
        }
        match misplaced {
            Some(name) if passages.is_empty() => Err(name),
            _ => Ok(passages),
        }
    }

    /// The length of the text to which the offsets of the request refer, in their unit.
    pub(super) fn requested_len(&self) -> usize {
        self.sent.as_ref().map_or(&self.positions, |sent| &sent.positions).len_in(self.unit)
    }

    /// The text folded for other spellings.
    pub(super) fn folded(&self) -> &FoldedText<'a> {
        self.folded.get_or_init(|| FoldedText::of(self.text(), Looseness::Spelling))
    }

    /// The text folded for near misses.
    pub(super) fn similar(&self) -> &FoldedText<'a> {
        self.similar.get_or_init(|| FoldedText::of(self.text(), Looseness::Similarity))
    }

    /// Formats a range of bytes as a range of code points.
    pub(super) fn code_points(&self, bytes: &Range<usize>) -> String {
        format!("{} to {}", self.positions.code_point(bytes.start), self.positions.code_point(bytes.end))
    }

    /// Charges a search for a quote as sent. False if the budget is used up.
    pub(super) fn may_search(&self) -> bool {
        charge(&self.budgets.exact, self.text().len())
    }

    /// Charges a search for another spelling. False if the budget is used up.
    pub(super) fn may_search_respelled(&self) -> bool {
        charge(&self.budgets.respelled, self.folded().text.len())
    }

    /// Charges another attempt of a search for another spelling. False if the budget is used up.
    pub(super) fn may_retry(&self, bytes: usize) -> bool {
        charge(&self.budgets.respelled, bytes)
    }

    /// Charges folding a part of the text. False if the budget is used up.
    pub(super) fn may_fold(&self, bytes: usize) -> bool {
        charge(&self.budgets.respelled, FOLD_COST.saturating_mul(bytes))
    }

    /// Charges a search for another occurrence of a passage. False if the budget is used up.
    pub(super) fn may_search_offsets(&self) -> bool {
        charge(&self.budgets.offsets, self.text().len())
    }

    /// Charges one search for a near miss. False if the budget is used up.
    pub(super) fn may_hint(&self) -> bool {
        charge(&self.budgets.hints, self.text().len())
    }

    #[cfg(test)]
    pub(super) fn budgets(&self) -> &Budgets {
        &self.budgets
    }
}

fn charge(budget: &Cell<usize>, bytes: usize) -> bool {
    let left = budget.get().checked_sub(bytes);
    left.inspect(|&left| budget.set(left)).is_some()
}
