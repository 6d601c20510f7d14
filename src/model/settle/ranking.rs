//! The rule for one field: which of the reported values is settled on.
//!
//! `candidates` collects the distinct values with the reports that have them. `SourceRanking::ranked` sorts these by
//! strength: the first is settled on, the others make a dispute.

use std::{cmp::Reverse, collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;
use uuid::Uuid;

use super::ranked_report::RankedReport;
use crate::model::text::names;

/// The rank of a report, and a value that it has.
pub struct ReportedValue<T>(pub usize, pub T);

/// A value in the wording of the first report that has it, and the ranks of all such reports.
pub struct Candidate<T> {
    pub value: T,
    /// The lowest rank.
    pub first: usize,
    /// The other ranks, ascending. Empty, and thus not allocated, for a value that only one report has.
    pub others: Vec<usize>,
}

impl<T> Candidate<T> {
    /// Converts the value.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Candidate<U> {
        Candidate { value: to(self.value), first: self.first, others: self.others }
    }

    /// The ranks of all reports with the value. A report that has it twice comes twice.
    pub fn ranks(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// Orders candidates by their number of independent sources.
pub struct SourceRanking {
    /// By rank, the number of the report's origin. Reports of one origin share it.
    origins: Vec<usize>,
}

impl SourceRanking {
    pub fn of(reports: &[RankedReport<'_>]) -> Self {
        let mut numbers: HashMap<Uuid, usize> = HashMap::new();
        let mut number = |origin| {
            let next = numbers.len();
            *numbers.entry(origin).or_insert(next)
        };
        SourceRanking { origins: reports.iter().map(|report| number(report.origin)).collect() }
    }

    /// The text that is settled on, from values in order of rank; empty if there is none.
    pub fn text<'a>(&self, values: impl Iterator<Item = ReportedValue<&'a str>>) -> String {
        self.choose(texts(values)).map(str::to_owned).unwrap_or_default()
    }

    /// The code or count that is settled on, from values in order of rank; 0 if there is none.
    pub fn number(&self, values: impl Iterator<Item = ReportedValue<i32>>) -> i32 {
        self.choose(numbers(values)).unwrap_or_default()
    }

    /// The value that is settled on, from values in order of rank. Values with equal keys are the same.
    pub fn value<T, K: Eq + Hash>(
        &self,
        values: impl Iterator<Item = ReportedValue<T>>,
        key: impl Fn(&T) -> K,
    ) -> Option<T> {
        self.choose(candidates(values, key))
    }

    /// The strongest candidate.
    pub fn choose<T>(&self, candidates: Vec<Candidate<T>>) -> Option<T> {
        self.ranked(candidates).into_iter().next().map(|candidate| candidate.value)
    }

    /// Sorts candidates by the number of independent sources, most first. The sort is stable: ties keep their order.
    pub fn ranked<T>(&self, mut candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
        // Most fields of most meetings are undisputed.
        if candidates.len() > 1 {
            candidates.sort_by_cached_key(|candidate| Reverse(self.count_sources(candidate)));
        }
        candidates
    }

    /// The number of independent sources that have the value.
    pub fn count_sources<T>(&self, candidate: &Candidate<T>) -> usize {
        if candidate.others.is_empty() {
            return 1;
        }
        let mut origins: Vec<usize> = candidate.ranks().map(|rank| self.origins[rank]).collect();
        origins.sort_unstable();
        origins.dedup();
        origins.len()
    }
}

/// The distinct values, from values in order of rank, in the order of their first report.
pub fn candidates<T, K: Eq + Hash>(
    values: impl Iterator<Item = ReportedValue<T>>,
    key: impl Fn(&T) -> K,
) -> Vec<Candidate<T>> {
    let mut keys = KeyIndex::new();
    group_values(values, |value| Some(keys.index(key(value))))
}

/// The distinct codes or counts, without 0.
pub fn numbers(values: impl Iterator<Item = ReportedValue<i32>>) -> Vec<Candidate<i32>> {
    candidates(values.filter(|ReportedValue(_, value)| *value != 0), |value| *value)
}

/// The distinct texts, without those that have an empty key.
pub fn texts<'a>(values: impl Iterator<Item = ReportedValue<&'a str>>) -> Vec<Candidate<&'a str>> {
    let mut texts = TextIndex::new();
    group_values(values, |text| texts.index(text))
}

/// Groups values by index. `index` must number the groups in the order in which they first occur.
fn group_values<T>(
    values: impl Iterator<Item = ReportedValue<T>>,
    mut index: impl FnMut(&T) -> Option<usize>,
) -> Vec<Candidate<T>> {
    let mut candidates: Vec<Candidate<T>> = Vec::new();
    for ReportedValue(rank, value) in values {
        let Some(index) = index(&value) else { continue };
        match candidates.get_mut(index) {
            Some(candidate) => candidate.others.push(rank),
            None => candidates.push(Candidate { value, first: rank, others: Vec::new() }),
        }
    }
    candidates
}

/// Up to this number of keys a linear scan is faster than hashing. A field seldom has more values.
const MAX_SCANNED_KEYS: usize = 8;
/// The same for wordings: computing a text's key costs more than hashing.
const MAX_SCANNED_WORDINGS: usize = 16;

/// Numbers texts in the order in which they first occur. Texts with the same `names::key` share a number.
pub struct TextIndex<'a> {
    /// A cache of the first wordings, because computing the key is expensive.
    wordings: Vec<(&'a str, Option<usize>)>,
    indexes: HashMap<Box<str>, usize, RandomState>,
    /// A buffer for the key, reused by each call.
    key: String,
}

impl<'a> TextIndex<'a> {
    pub fn new() -> Self {
        TextIndex { wordings: Vec::new(), indexes: HashMap::default(), key: String::new() }
    }

    /// The number of an equal text, else the next free one. `None` for a text with an empty key.
    pub fn index(&mut self, text: &'a str) -> Option<usize> {
        if text.is_empty() {
            return None;
        }
        // Different wordings seldom have the same last byte, which avoids most comparisons of whole texts.
        let end = text.as_bytes().last();
        let is_same = |wording: &str| wording.as_bytes().last() == end && wording == text;
        if let Some((_, index)) = self.wordings.iter().find(|(wording, _)| is_same(wording)) {
            return *index;
        }
        names::write_key(text, &mut self.key);
        let index = (!self.key.is_empty()).then(|| self.index_of_key());
        if self.wordings.len() < MAX_SCANNED_WORDINGS {
            self.wordings.push((text, index));
        }
        index
    }

    fn index_of_key(&mut self) -> usize {
        if let Some(index) = self.indexes.get(self.key.as_str()) {
            return *index;
        }
        let next = self.indexes.len();
        self.indexes.insert(self.key.as_str().into(), next);
        next
    }
}

/// Numbers distinct keys in the order in which they first occur.
struct KeyIndex<K> {
    few: Vec<K>,
    more: HashMap<K, usize, RandomState>,
}

impl<K: Eq + Hash> KeyIndex<K> {
    fn new() -> Self {
        KeyIndex { few: Vec::new(), more: HashMap::default() }
    }

    /// The number of an equal key, else the next free one.
    fn index(&mut self, key: K) -> usize {
        if let Some(index) = self.few.iter().position(|seen| *seen == key) {
            return index;
        }
        if self.few.len() < MAX_SCANNED_KEYS {
            self.few.push(key);
            return self.few.len() - 1;
        }
        let next = MAX_SCANNED_KEYS + self.more.len();
        *self.more.entry(key).or_insert(next)
    }
}

/// Removes the values that contain a finer one. `contains` is a strict order.
pub fn finest<T>(mut candidates: Vec<Candidate<T>>, contains: impl Fn(&T, &T) -> bool) -> Vec<Candidate<T>> {
    // Quadratic in the distinct values of one field, of which there are few.
    let keep: Vec<bool> =
        candidates.iter().map(|coarse| !candidates.iter().any(|fine| contains(&coarse.value, &fine.value))).collect();
    let mut keep = keep.into_iter();
    candidates.retain(|_| keep.next().unwrap_or(true));
    candidates
}
