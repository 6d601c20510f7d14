//! Finds the words of a query in a text.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
};

use super::{
    fold::fold_with_places,
    pieces::pieces,
    search_query::{Part, PartKind, SearchQuery, Term},
    tsquery::Stems,
    word_vector::MAX_BYTES,
};

/// A text, split into what takes one position each: words, and the characters of runs.
#[derive(Debug)]
pub struct SplitText {
    folded: String,
    units: Vec<Unit>,
}

#[derive(Debug)]
struct Unit {
    /// The bytes in the folded text.
    bytes: Range<usize>,
    /// The code points in the text.
    place: Range<usize>,
    is_run: bool,
    /// True for a character of a run that follows another one of it.
    continues: bool,
}

/// The stems of a query and of a text.
#[derive(Debug, Clone, Copy)]
pub struct MatchStems<'a> {
    /// The stems of the words of the query, in its language.
    pub query: &'a Stems,
    /// The stems of the words of the text, in its language.
    pub text: &'a Stems,
}

impl SplitText {
    /// Splits a text, as far as it is searched.
    pub fn of(text: &str) -> Self {
        let letters = fold_with_places(text, MAX_BYTES);
        let folded: String = letters.iter().map(|letter| letter.c).collect();
        let mut units = Vec::new();
        let mut letters = letters.iter();
        let mut at = 0;
        let mut place = |bytes: &Range<usize>| {
            let mut place: Option<Range<usize>> = None;
            while at < bytes.end {
                let Some(letter) = letters.next() else { break };
                if at >= bytes.start {
                    let before = place.unwrap_or(letter.from.clone());
                    place = Some(before.start.min(letter.from.start)..before.end.max(letter.from.end));
                }
                at += letter.c.len_utf8();
            }
            place.unwrap_or_default()
        };
        for piece in pieces(&folded) {
            if !piece.is_run {
                let bytes = piece.start..piece.start + piece.text.len();
                units.push(Unit { place: place(&bytes), bytes, is_run: false, continues: false });
                continue;
            }
            for (offset, c) in piece.text.char_indices() {
                let bytes = piece.start + offset..piece.start + offset + c.len_utf8();
                let continues = offset > 0 || piece.continues;
                units.push(Unit { place: place(&bytes), bytes, is_run: true, continues });
            }
        }
        Self { folded, units }
    }

    /// The distinct words, without runs.
    pub fn words(&self) -> BTreeSet<&str> {
        self.units.iter().filter(|unit| !unit.is_run).map(|unit| self.text(unit)).collect()
    }

    fn text(&self, unit: &Unit) -> &str {
        &self.folded[unit.bytes.clone()]
    }

    /// The places of the words that a query requires, in code points and in order. Those of a term are where its words
    /// stand next to each other. Words that share a character, as both words of `½` do, are one place.
    ///
    /// Needs memory for the units of the text, however often the words of the query repeat.
    pub fn matches(&self, query: &SearchQuery, stems: MatchStems<'_>) -> Vec<Range<usize>> {
        let text_stems: Vec<Option<&Vec<String>>> =
            self.units.iter().map(|unit| stems.text.get(self.text(unit)).filter(|_| !unit.is_run)).collect();
        let text = StemmedText { text: self, stems: text_stems };
        let mut found = vec![0; self.units.len()];
        let terms: HashSet<&Term> = query.required_terms().collect();
        for term in terms {
            text.find(term, None, &mut found);
            if query.config.is_some() && term.has_stems() {
                text.find(term, Some(stems.query), &mut found);
            }
        }
        let found = found.into_iter().enumerate().filter(|(_, length)| *length > 0);
        let place = |(at, length): (usize, usize)| self.units[at].place.start..self.units[at + length - 1].place.end;
        let mut places: Vec<Range<usize>> = found.map(place).collect();
        places.sort_unstable_by_key(|place| (place.start, place.end));
        places.dedup_by(|next, place| {
            let is_shared = next.start < place.end;
            if is_shared {
                place.end = place.end.max(next.end);
            }
            is_shared
        });
        places
    }
}

struct StemmedText<'a> {
    text: &'a SplitText,
    stems: Vec<Option<&'a Vec<String>>>,
}

impl StemmedText<'_> {
    /// Sets the number of units of the longest match at its first unit, for each part of a term with the words as
    /// written, or with these stems.
    fn find(&self, term: &Term, stems: Option<&Stems>, found: &mut [usize]) {
        let wanted: Vec<Wanted<'_>> = term.parts.iter().filter_map(|part| Wanted::of(part, stems)).collect();
        let Some(first) = wanted.first() else { return };
        for start in 0..found.len() {
            let at = |wanted: &Wanted<'_>| start + wanted.offset - first.offset;
            if wanted.iter().all(|wanted| self.holds(wanted, at(wanted))) {
                for wanted in &wanted {
                    let length = &mut found[at(wanted)];
                    *length = wanted.length.max(*length);
                }
            }
        }
    }

    fn holds(&self, wanted: &Wanted<'_>, at: usize) -> bool {
        let text = |unit: &Unit| self.text.text(unit);
        let Some(units) = self.text.units.get(at..at + wanted.length) else { return false };
        let has = |is_wanted: &dyn Fn(&str) -> bool| {
            !units[0].is_run
                && (is_wanted(text(&units[0]))
                    || self.stems[at].is_some_and(|stems| stems.iter().any(|stem| is_wanted(stem))))
        };
        match wanted.token {
            WantedText::Word(word) => has(&|token| token == word),
            WantedText::Stems(stems) => has(&|token| stems.iter().any(|stem| stem == token)),
            WantedText::Prefix(prefix) => has(&|token| token.starts_with(prefix)),
            WantedText::Run(run) => {
                units.iter().skip(1).all(|unit| unit.continues)
                    && units.iter().all(|unit| unit.is_run)
                    && run.chars().eq(units.iter().flat_map(|unit| text(unit).chars()))
            }
        }
    }
}

/// A part of a term, as it is wanted in a text.
struct Wanted<'a> {
    token: WantedText<'a>,
    offset: usize,
    /// The number of units.
    length: usize,
}

enum WantedText<'a> {
    Word(&'a str),
    Stems(&'a [String]),
    Prefix(&'a str),
    Run(&'a str),
}

impl<'a> Wanted<'a> {
    /// `None` for a stop word.
    fn of(part: &'a Part, stems: Option<&'a Stems>) -> Option<Self> {
        let (token, length) = match part.kind {
            PartKind::Word => match stems.and_then(|stems| stems.get(&part.text)) {
                Some(stems) if stems.is_empty() => return None,
                Some(stems) => (WantedText::Stems(stems), 1),
                None => (WantedText::Word(&part.text), 1),
            },
            PartKind::Prefix => (WantedText::Prefix(&part.text), 1),
            PartKind::Run => (WantedText::Run(&part.text), part.text.chars().count()),
        };
        Some(Self { token, offset: part.offset, length })
    }
}

#[cfg(test)]
mod tests;
