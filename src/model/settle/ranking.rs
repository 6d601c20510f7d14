//! The rule for one field: which of the told values is settled on.
//!
//! First the values with their tellers (`candidates`), then their order of strength (`SourceRanking::ranked`): the first is
//! settled on, the others are what a disagreement consists of.

use std::{cmp::Reverse, collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;
use uuid::Uuid;

use super::reading::RankedReport;
use crate::model::text::names;

/// A value, and the rank of the report that tells it.
pub struct ReportedValue<T>(pub usize, pub T);

/// A value in the wording of the first report that tells it, and the ranks of all that do.
pub struct Candidate<T> {
    pub value: T,
    /// The rank of the first.
    pub first: usize,
    /// The ranks of those after it. Where all say something else, nothing is allocated.
    pub others: Vec<usize>,
}

impl<T> Candidate<T> {
    /// The same candidate, of another value.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Candidate<U> {
        Candidate { value: to(self.value), first: self.first, others: self.others }
    }

    /// The ranks of all that tell it; of one that tells it twice, twice.
    pub fn tellers(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// Weighs tellers: knows which of them are independent of each other.
pub struct SourceRanking {
    /// By rank, a number that tellers of one origin share.
    sources: Vec<usize>,
}

impl SourceRanking {
    pub fn of(readings: &[RankedReport<'_>]) -> Self {
        let mut numbers: HashMap<Uuid, usize> = HashMap::new();
        let mut number = |origin| {
            let next = numbers.len();
            *numbers.entry(origin).or_insert(next)
        };
        SourceRanking { sources: readings.iter().map(|reading| number(reading.origin)).collect() }
    }

    /// The text that is settled on, from claims in order of rank; empty if there is none.
    pub fn text<'a>(&self, claims: impl Iterator<Item = ReportedValue<&'a str>>) -> String {
        self.choose(texts(claims)).map(str::to_owned).unwrap_or_default()
    }

    /// The code or count that is settled on, from claims in order of rank; 0 if there is none.
    pub fn number(&self, claims: impl Iterator<Item = ReportedValue<i32>>) -> i32 {
        self.choose(numbers(claims)).unwrap_or_default()
    }

    /// The value that is settled on, from claims in order of rank; values of one key are one.
    pub fn value<T, K: Eq + Hash>(
        &self,
        claims: impl Iterator<Item = ReportedValue<T>>,
        key: impl Fn(&T) -> K,
    ) -> Option<T> {
        self.choose(candidates(claims, key))
    }

    /// The strongest candidate.
    pub fn choose<T>(&self, candidates: Vec<Candidate<T>>) -> Option<T> {
        self.ranked(candidates).into_iter().next().map(|candidate| candidate.value)
    }

    /// Candidates of most independent sources first; of equals, the one that was told first.
    pub fn ranked<T>(&self, mut candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
        // Most fields of most meetings are undisputed.
        if candidates.len() > 1 {
            candidates.sort_by_cached_key(|candidate| Reverse(self.count_sources(candidate)));
        }
        candidates
    }

    /// How many independent sources tell it.
    pub fn count_sources<T>(&self, candidate: &Candidate<T>) -> usize {
        if candidate.others.is_empty() {
            return 1;
        }
        let mut sources: Vec<usize> = candidate.tellers().map(|teller| self.sources[teller]).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.len()
    }
}

/// The distinct values of claims in order of rank, in the order in which they were first told.
pub fn candidates<T, K: Eq + Hash>(
    claims: impl Iterator<Item = ReportedValue<T>>,
    key: impl Fn(&T) -> K,
) -> Vec<Candidate<T>> {
    let mut keys = Keys::new();
    collected(claims, |value| Some(keys.place(key(value))))
}

/// The distinct codes or counts; 0 is none.
pub fn numbers(claims: impl Iterator<Item = ReportedValue<i32>>) -> Vec<Candidate<i32>> {
    candidates(claims.filter(|ReportedValue(_, value)| *value != 0), |value| *value)
}

/// The distinct texts; one without a key is none.
pub fn texts<'a>(claims: impl Iterator<Item = ReportedValue<&'a str>>) -> Vec<Candidate<&'a str>> {
    let mut numbers = Texts::new();
    collected(claims, |text| numbers.place(text))
}

/// Claims of one place are one candidate; places come in the order of the numbers.
fn collected<T>(
    claims: impl Iterator<Item = ReportedValue<T>>,
    mut place: impl FnMut(&T) -> Option<usize>,
) -> Vec<Candidate<T>> {
    let mut candidates: Vec<Candidate<T>> = Vec::new();
    for ReportedValue(teller, value) in claims {
        let Some(place) = place(&value) else { continue };
        match candidates.get_mut(place) {
            Some(candidate) => candidate.others.push(teller),
            None => candidates.push(Candidate { value, first: teller, others: Vec::new() }),
        }
    }
    candidates
}

/// So many are found faster by looking at each than by hashing, and a field seldom has more values.
const FEW: usize = 8;
/// Making a key costs more than hashing it.
const FEW_WORDINGS: usize = 16;

/// Texts with the same `names::key`, in the order of their coming.
pub struct Texts<'a> {
    /// The first wordings with their places, so that the key, which costs something, is not made for each claim.
    wordings: Vec<(&'a str, Option<usize>)>,
    places: HashMap<Box<str>, usize, RandomState>,
    /// The key of the last one.
    key: String,
}

impl<'a> Texts<'a> {
    pub fn new() -> Self {
        Texts { wordings: Vec::new(), places: HashMap::default(), key: String::new() }
    }

    /// The place of a text: that of its equal, or the next one. None without a key.
    pub fn place(&mut self, text: &'a str) -> Option<usize> {
        if text.is_empty() {
            return None;
        }
        // Different wordings seldom end alike, and whole texts need not be compared.
        let end = text.as_bytes().last();
        let is_same = |wording: &str| wording.as_bytes().last() == end && wording == text;
        if let Some((_, place)) = self.wordings.iter().find(|(wording, _)| is_same(wording)) {
            return *place;
        }
        names::write_key(text, &mut self.key);
        let place = (!self.key.is_empty()).then(|| self.place_of_key());
        if self.wordings.len() < FEW_WORDINGS {
            self.wordings.push((text, place));
        }
        place
    }

    fn place_of_key(&mut self) -> usize {
        if let Some(place) = self.places.get(self.key.as_str()) {
            return *place;
        }
        let next = self.places.len();
        self.places.insert(self.key.as_str().into(), next);
        next
    }
}

/// Distinct keys in the order of their coming.
struct Keys<K> {
    few: Vec<K>,
    more: HashMap<K, usize, RandomState>,
}

impl<K: Eq + Hash> Keys<K> {
    fn new() -> Self {
        Keys { few: Vec::new(), more: HashMap::default() }
    }

    /// The place of a key: that of its equal, or the next one.
    fn place(&mut self, key: K) -> usize {
        if let Some(place) = self.few.iter().position(|one| *one == key) {
            return place;
        }
        if self.few.len() < FEW {
            self.few.push(key);
            return self.few.len() - 1;
        }
        let next = FEW + self.more.len();
        *self.more.entry(key).or_insert(next)
    }
}

/// Without the values that contain a finer one. `contains` is a strict order.
pub fn finest<T>(mut candidates: Vec<Candidate<T>>, contains: impl Fn(&T, &T) -> bool) -> Vec<Candidate<T>> {
    // Quadratic in the distinct values of one field, of which there are few.
    let keep: Vec<bool> =
        candidates.iter().map(|one| !candidates.iter().any(|other| contains(&one.value, &other.value))).collect();
    let mut keep = keep.into_iter();
    candidates.retain(|_| keep.next().unwrap_or(true));
    candidates
}
