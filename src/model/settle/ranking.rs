//! The rule for one field: which of the reported values is settled on.
//!
//! `candidates` collects the distinct values with the reports that have them. `SourceRanking::ranked` sorts these by
//! strength: the first is settled on, the others make a dispute. `SourceRanking::is_fragile` finds out whether the
//! first stays without any one source.

use std::{cmp::Reverse, collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;
use uuid::Uuid;

use super::ranked_report::RankedReport;
use crate::model::text::names;

/// The rank of a report, and a value that it has.
pub struct ReportedValue<T>(pub usize, pub T);

/// One place in which a value is reported.
#[derive(Clone, Copy, Debug)]
pub struct Mention {
    /// The rank of the report.
    pub rank: usize,
    /// The position among all values of the field. Of equally strong values, the one with the lowest position wins.
    pub position: usize,
}

/// A value in the wording of the first report that has it, and all places in which it is reported.
pub struct Candidate<T> {
    pub value: T,
    /// The first mention.
    pub first: Mention,
    /// The other mentions, in order. Empty, and thus not allocated, for a value that only one report has.
    pub others: Vec<Mention>,
}

/// The values of one field.
pub struct FieldValues<T> {
    /// Those that can be settled on.
    pub finest: Vec<Candidate<T>>,
    /// Those that contain a finer one.
    pub coarse: Vec<CoarseValue>,
    /// True if the strongest value has one source, and weaker evidence in other sources has the same value.
    pub has_weaker_evidence: bool,
}

/// A value that cannot be settled on, because it contains a finer one.
pub struct CoarseValue {
    candidate: Candidate<()>,
    /// The origins, by number, without any one of which there is no finer value.
    revived_without: Vec<usize>,
}

impl CoarseValue {
    pub fn new<T>(candidate: Candidate<T>, revived_without: Vec<usize>) -> Self {
        Self { candidate: candidate.map(drop), revived_without }
    }
}

impl<T> From<Vec<Candidate<T>>> for FieldValues<T> {
    fn from(finest: Vec<Candidate<T>>) -> Self {
        Self { finest, coarse: Vec::new(), has_weaker_evidence: false }
    }
}

impl<T> FieldValues<T> {
    /// Converts the values.
    pub fn map<U>(self, to: impl Fn(T) -> U) -> FieldValues<U> {
        let finest = self.finest.into_iter().map(|candidate| candidate.map(&to)).collect();
        FieldValues { finest, coarse: self.coarse, has_weaker_evidence: self.has_weaker_evidence }
    }
}

impl<T> Candidate<T> {
    /// Converts the value.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Candidate<U> {
        Candidate { value: to(self.value), first: self.first, others: self.others }
    }

    /// The ranks of all reports with the value. A report that has it twice comes twice.
    pub fn ranks(&self) -> impl Iterator<Item = usize> {
        self.mentions().map(|mention| mention.rank)
    }

    fn mentions(&self) -> impl Iterator<Item = Mention> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// Orders candidates by their number of independent sources.
pub struct SourceRanking {
    /// By rank, the number of the report's origin. Reports of one origin share it.
    origins: Vec<usize>,
    /// By number, the origins whose withdrawal `is_fragile` does not consider.
    ignored: Vec<usize>,
}

impl SourceRanking {
    /// The ranking of these reports. `is_fragile` does not consider the withdrawal of the `ignored` origins.
    pub fn of(reports: &[RankedReport<'_>], ignored: &[Uuid]) -> Self {
        let mut numbers: HashMap<Uuid, usize> = HashMap::new();
        let mut number = |origin| {
            let next = numbers.len();
            *numbers.entry(origin).or_insert(next)
        };
        let origins = reports.iter().map(|report| number(report.origin)).collect();
        let ignored = ignored.iter().filter_map(|origin| numbers.get(origin).copied()).collect();
        SourceRanking { origins, ignored }
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
        self.sources(candidate).len()
    }

    /// The number of the only origin among these ranks; `None` if there are several.
    pub fn only_origin(&self, mut ranks: impl Iterator<Item = usize>) -> Option<usize> {
        let first = self.origins[ranks.next()?];
        ranks.all(|rank| self.origins[rank] == first).then_some(first)
    }

    /// True if these ranks are of one source, whose withdrawal is considered.
    pub fn are_fragile(&self, ranks: impl Iterator<Item = usize>) -> bool {
        self.only_origin(ranks).is_some_and(|origin| !self.ignored.contains(&origin))
    }

    /// True if the strongest value is another one, or there is none, without some origin. `values` are sorted by
    /// strength.
    ///
    /// A value that is left without a source stays as strong or gets weaker. So only the sources of the strongest value
    /// matter, and those without which a coarse value can be settled on. Only values that lack at most one source are
    /// compared: the effort is linear in the reports.
    pub fn is_fragile<T>(&self, values: &[Candidate<T>], coarse: &[CoarseValue]) -> bool {
        let Some((strongest, others)) = values.split_first() else { return false };
        if self.are_fragile(strongest.ranks()) {
            return true;
        }
        if others.is_empty() && coarse.is_empty() {
            return false;
        }
        let strongest = Support { mentions: strongest.mentions().collect(), sources: self.sources(strongest) };
        let is_overtaken = |rival: &Support, without: &[usize]| {
            let considered = without.iter().filter(|origin| !self.ignored.contains(origin));
            considered.into_iter().any(|origin| self.overtakes(rival, &strongest, *origin))
        };
        for other in others {
            let rival = Support { mentions: other.mentions().collect(), sources: self.sources(other) };
            if rival.sources.len() + 1 < strongest.sources.len() {
                break;
            }
            if is_overtaken(&rival, &strongest.sources) {
                return true;
            }
        }
        coarse.iter().filter(|value| !value.revived_without.is_empty()).any(|value| {
            let candidate = &value.candidate;
            let rival = Support { mentions: candidate.mentions().collect(), sources: self.sources(candidate) };
            is_overtaken(&rival, &value.revived_without)
        })
    }

    /// True if the rival is stronger without this origin.
    fn overtakes(&self, rival: &Support, strongest: &Support, origin: usize) -> bool {
        let count = |of: &Support| of.sources.len() - usize::from(of.sources.binary_search(&origin).is_ok());
        let first = |of: &Support| {
            let mut left = of.mentions.iter().filter(|mention| self.origins[mention.rank] != origin);
            left.next().map(|mention| mention.position)
        };
        let (of_rival, of_strongest) = (count(rival), count(strongest));
        of_rival > of_strongest || (of_rival > 0 && of_rival == of_strongest && first(rival) < first(strongest))
    }

    /// The distinct origins of a value, by number, sorted.
    fn sources<T>(&self, candidate: &Candidate<T>) -> Vec<usize> {
        let mut origins: Vec<usize> = candidate.ranks().map(|rank| self.origins[rank]).collect();
        origins.sort_unstable();
        origins.dedup();
        origins
    }
}

/// The reports and the sources of a value.
struct Support {
    mentions: Vec<Mention>,
    sources: Vec<usize>,
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
    for (position, ReportedValue(rank, value)) in values.enumerate() {
        let Some(index) = index(&value) else { continue };
        let mention = Mention { rank, position };
        match candidates.get_mut(index) {
            Some(candidate) => candidate.others.push(mention),
            None => candidates.push(Candidate { value, first: mention, others: Vec::new() }),
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

/// Separates the values that contain a finer one. `contains` is a strict order.
pub fn finest<T>(
    candidates: Vec<Candidate<T>>,
    ranking: &SourceRanking,
    contains: impl Fn(&T, &T) -> bool,
) -> FieldValues<T> {
    // Quadratic in the distinct values of one field, of which there are few.
    let revived_without = candidates.iter().map(|coarse| {
        let mut finer = candidates.iter().filter(|fine| contains(&coarse.value, &fine.value));
        let only = ranking.only_origin(finer.next()?.ranks());
        Some(
            only.filter(|only| finer.all(|fine| ranking.only_origin(fine.ranks()) == Some(*only)))
                .into_iter()
                .collect(),
        )
    });
    let revived_without: Vec<Option<Vec<usize>>> = revived_without.collect();
    separate(candidates, revived_without)
}

/// Separates the candidates that contain a finer one: those for which there are origins, or an empty list of them.
pub fn separate<T>(candidates: Vec<Candidate<T>>, revived_without: Vec<Option<Vec<usize>>>) -> FieldValues<T> {
    let mut values = FieldValues::from(Vec::with_capacity(candidates.len()));
    for (candidate, origins) in candidates.into_iter().zip(revived_without) {
        match origins {
            None => values.finest.push(candidate),
            Some(origins) => values.coarse.push(CoarseValue::new(candidate, origins)),
        }
    }
    values
}
