//! The rule for one field: which of the told values is settled on.
//!
//! First the values with their tellers (`candidates`), then the choice among them (`choose`): the losers are what a
//! disagreement consists of.

use std::{collections::HashMap, hash::Hash};

use uuid::Uuid;

use super::ids::Reading;
use crate::model::names;

/// A value, and the rank of the report that tells it.
pub struct Claim<T>(pub usize, pub T);

/// A value in the wording of the first report that tells it, and the ranks of all that do.
pub struct Candidate<T> {
    pub value: T,
    pub tellers: Vec<usize>,
}

/// Weighs tellers: knows which of them are independent of each other.
pub struct Scale {
    /// By rank, a number that tellers of one origin share.
    sources: Vec<usize>,
}

impl Scale {
    pub fn of(readings: &[Reading<'_>]) -> Self {
        let mut numbers: HashMap<Uuid, usize> = HashMap::new();
        let mut number = |origin| {
            let next = numbers.len();
            *numbers.entry(origin).or_insert(next)
        };
        Scale { sources: readings.iter().map(|reading| number(reading.origin)).collect() }
    }

    /// The text that is settled on, from claims in order of rank; empty if there is none.
    pub fn text<'a>(&self, claims: impl Iterator<Item = Claim<&'a str>>) -> String {
        let told = claims.filter(|Claim(_, text)| !text.is_empty());
        let texts = merged(candidates(told, |text| *text), |text| Some(names::key(text)).filter(|key| !key.is_empty()));
        self.choose(texts).map(str::to_owned).unwrap_or_default()
    }

    /// The code or count that is settled on, from claims in order of rank; 0 if there is none.
    pub fn number(&self, claims: impl Iterator<Item = Claim<i32>>) -> i32 {
        self.value(claims.filter(|Claim(_, value)| *value != 0), |value| *value).unwrap_or_default()
    }

    /// The value that is settled on, from claims in order of rank; values of one key are one.
    pub fn value<T, K: Eq + Hash>(&self, claims: impl Iterator<Item = Claim<T>>, key: impl Fn(&T) -> K) -> Option<T> {
        self.choose(candidates(claims, key))
    }

    /// The candidate of most independent sources; of equals, the one that was told first.
    pub fn choose<T>(&self, mut candidates: Vec<Candidate<T>>) -> Option<T> {
        // Most fields of most meetings are undisputed.
        if candidates.len() > 1 {
            // Reversed, since of equal maxima `max_by_key` takes the last.
            let most = (0..candidates.len()).rev().max_by_key(|&at| self.count_sources(&candidates[at].tellers))?;
            candidates.swap(0, most);
        }
        candidates.into_iter().next().map(|candidate| candidate.value)
    }

    fn count_sources(&self, tellers: &[usize]) -> usize {
        let mut sources: Vec<usize> = tellers.iter().map(|&teller| self.sources[teller]).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.len()
    }
}

/// The distinct values of claims in order of rank, in the order in which they were first told.
pub fn candidates<T, K: Eq + Hash>(claims: impl Iterator<Item = Claim<T>>, key: impl Fn(&T) -> K) -> Vec<Candidate<T>> {
    let mut candidates: Vec<Candidate<T>> = Vec::new();
    let mut keys = Keys::new();
    for Claim(teller, value) in claims {
        match candidates.get_mut(keys.place(key(&value))) {
            Some(candidate) => candidate.tellers.push(teller),
            None => candidates.push(Candidate { value, tellers: vec![teller] }),
        }
    }
    candidates
}

/// Wordings of one key as one candidate; a wording without a key is none. So a key, which costs something, is made
/// once for each wording and not for each claim.
pub fn merged<T, K: Eq + Hash>(wordings: Vec<Candidate<T>>, key: impl Fn(&T) -> Option<K>) -> Vec<Candidate<T>> {
    let mut merged: Vec<Candidate<T>> = Vec::new();
    let mut keys = Keys::new();
    for wording in wordings {
        let Some(key) = key(&wording.value) else { continue };
        match merged.get_mut(keys.place(key)) {
            Some(candidate) => candidate.tellers.extend(wording.tellers),
            None => merged.push(wording),
        }
    }
    merged
}

/// Distinct keys in the order of their coming.
struct Keys<K> {
    few: Vec<K>,
    more: HashMap<K, usize>,
}

impl<K: Eq + Hash> Keys<K> {
    /// So many are found faster by looking at each than by hashing, and a field seldom has more values.
    const FEW: usize = 8;

    fn new() -> Self {
        Keys { few: Vec::new(), more: HashMap::new() }
    }

    /// The place of a key: that of its equal, or the next one.
    fn place(&mut self, key: K) -> usize {
        if let Some(place) = self.few.iter().position(|one| *one == key) {
            return place;
        }
        if self.few.len() < Self::FEW {
            self.few.push(key);
            return self.few.len() - 1;
        }
        let next = Self::FEW + self.more.len();
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
