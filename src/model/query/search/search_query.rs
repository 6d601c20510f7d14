//! Parses search queries. The syntax is that of web search, with `word*` for the beginning of a word.

use thiserror::Error;

use super::{fold::fold_for_words, language::query_config, pieces::pieces};

/// Maximum number of words in one query. The contract states it too.
pub const MAX_WORDS: usize = 100;

/// A search query and its language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// Alternatives: one of the lists of terms must match, and all terms of it.
    pub(super) groups: Vec<Vec<Term>>,
    /// PostgreSQL's configuration for the stems of the words; `None` to match words as written.
    pub config: Option<&'static str>,
}

/// Words that stand next to each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Term {
    /// True if the words must not occur.
    pub is_negated: bool,
    /// The parts, at least one.
    pub parts: Vec<Part>,
}

/// A part of a term.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Part {
    /// The folded text.
    pub text: String,
    pub kind: PartKind,
    /// Its position after the first part: a word takes one position, a run one for each character.
    pub offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PartKind {
    Word,
    /// The beginning of a word.
    Prefix,
    /// A part of a text of a script without spaces.
    Run,
}

/// The reason why a query is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// It has more words than [`MAX_WORDS`].
    #[error("must have at most {MAX_WORDS} words, not {0}")]
    Words(usize),
    /// An asterisk is not at the end of a word.
    #[error("must have * only at the end of a word, as in \"minist*\", not at byte {0}")]
    Asterisk(usize),
}

impl SearchQuery {
    /// Used if the request has no language.
    const DEFAULT_LANGUAGE: &str = "en";

    /// Parses a query; `None` if it is empty. A query without a word matches nothing.
    ///
    /// Text without a space (`Nagorno-Karabakh`, `U.S.`) is a phrase, as if it were in quotes. An unclosed quote
    /// extends to the end. Any other character that is neither letter nor digit separates words.
    pub fn read(query: &str, language: &str) -> Option<Self> {
        let language = if language.is_empty() { Self::DEFAULT_LANGUAGE } else { language };
        (!query.is_empty()).then(|| Self { groups: parse(query).groups(), config: query_config(language) })
    }

    /// As [`read`](Self::read), for a query on names, which have no stems.
    pub fn of_names(query: &str) -> Option<Self> {
        (!query.is_empty()).then(|| Self { groups: parse(query).groups(), config: None })
    }

    /// The words whose stems are searched for.
    pub fn stemmed_words(&self) -> Vec<&str> {
        let terms = self.groups.iter().flatten().filter(|term| self.config.is_some() && term.has_stems());
        let mut words: Vec<&str> = terms.flat_map(|term| term.parts.iter().map(|part| part.text.as_str())).collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    /// The terms that must occur.
    pub(super) fn required_terms(&self) -> impl Iterator<Item = &Term> {
        self.groups.iter().flatten().filter(|term| !term.is_negated)
    }
}

impl Term {
    /// True if the words may also match by their stems.
    pub fn has_stems(&self) -> bool {
        self.parts.iter().all(|part| part.kind == PartKind::Word)
    }
}

/// Checks a query.
///
/// # Errors
/// If it has too many words, or an asterisk that is not at the end of a word.
pub fn check(query: &str) -> Result<(), QueryError> {
    let parsed = parse(query);
    let words = parsed.words();
    match parsed.misplaced {
        _ if words > MAX_WORDS => Err(QueryError::Words(words)),
        Some(position) => Err(QueryError::Asterisk(position)),
        None => Ok(()),
    }
}

/// A query as far as it is parsed.
#[derive(Default)]
struct Parsed {
    items: Vec<Item>,
    /// The first byte of an asterisk that is not at the end of a word.
    misplaced: Option<usize>,
}

enum Item {
    Term(Term),
    /// The word `or`, which is an operator between two terms.
    Or(Term),
}

fn parse(query: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let (mut is_negated, mut start) = (false, 0);
    for (index, part) in query.split('"').enumerate() {
        if index % 2 == 1 {
            parsed.push(part, start, is_negated);
        } else {
            for word in part.split_whitespace() {
                // The word is a part of the query.
                let at = start + (word.as_ptr().addr() - part.as_ptr().addr());
                match word.strip_prefix('-') {
                    Some(word) => parsed.push(word, at + 1, true),
                    None => parsed.push(word, at, false),
                }
            }
            let before = part.strip_suffix('-');
            is_negated = before.is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace));
        }
        start += part.len() + 1;
    }
    parsed
}

impl Parsed {
    fn push(&mut self, text: &str, start: usize, is_negated: bool) {
        let (mut parts, mut offset, mut at) = (Vec::new(), 0, start);
        let segments: Vec<&str> = text.split('*').collect();
        for (number, segment) in segments.iter().enumerate() {
            let folded = fold_for_words(segment, usize::MAX);
            for piece in pieces(&folded) {
                let kind = if piece.is_run { PartKind::Run } else { PartKind::Word };
                parts.push(Part { text: piece.text.to_owned(), kind, offset });
                offset += if piece.is_run { piece.text.chars().count() } else { 1 };
            }
            at += segment.len();
            if number + 1 == segments.len() {
                break;
            }
            let is_at_an_end = ends_with_word(&folded) && !starts_with_word(segments[number + 1]);
            match parts.last_mut().filter(|_| is_at_an_end) {
                Some(part) if part.kind == PartKind::Word => part.kind = PartKind::Prefix,
                // Any part of a run is found.
                Some(_) => {}
                None => self.misplaced = self.misplaced.or(Some(at)),
            }
            at += 1;
        }
        if parts.is_empty() {
            return;
        }
        let is_or = !is_negated && text.eq_ignore_ascii_case("or");
        let term = Term { is_negated, parts };
        self.items.push(if is_or { Item::Or(term) } else { Item::Term(term) });
    }

    fn groups(self) -> Vec<Vec<Term>> {
        let (mut groups, mut group) = (Vec::new(), Vec::new());
        let mut items = self.items.into_iter().peekable();
        while let Some(item) = items.next() {
            match item {
                Item::Or(_) if !group.is_empty() && items.peek().is_some() => groups.push(std::mem::take(&mut group)),
                Item::Or(term) | Item::Term(term) => group.push(term),
            }
        }
        groups.extend(Some(group).filter(|group| !group.is_empty()));
        groups
    }

    fn words(&self) -> usize {
        let words = |item: &Item| match item {
            Item::Term(term) => term.parts.len(),
            Item::Or(_) => 0,
        };
        self.items.iter().map(words).sum()
    }
}

fn ends_with_word(folded: &str) -> bool {
    pieces(folded).last().is_some_and(|piece| piece.start + piece.text.len() == folded.len())
}

fn starts_with_word(text: &str) -> bool {
    pieces(&fold_for_words(text, usize::MAX)).next().is_some_and(|piece| piece.start == 0) || text.starts_with('*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Prints the groups of a query with `|` between groups, `_` between the parts of a term, and brackets around runs.
    fn show(query: &str) -> String {
        let part = |part: &Part| match part.kind {
            PartKind::Word => part.text.clone(),
            PartKind::Prefix => format!("{}*", part.text),
            PartKind::Run => format!("[{}]", part.text),
        };
        let term = |term: &Term| {
            let parts: Vec<String> = term.parts.iter().map(part).collect();
            format!("{}{}", if term.is_negated { "-" } else { "" }, parts.join("_"))
        };
        let group = |group: &Vec<Term>| group.iter().map(term).collect::<Vec<_>>().join(" ");
        let groups = SearchQuery::read(query, "").unwrap().groups;
        groups.iter().map(group).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn query_becomes_alternatives_of_terms() {
        for (query, expected) in [
            ("peace talks", "peace talks"),
            ("Peace OR war", "peace | war"),
            ("a b or c d", "a b | c d"),
            ("or a or", "or a or"),
            ("a or or b", "a | or b"),
            ("a or !? b", "a | b"),
            ("talks -Sport", "talks -sport"),
            (r#"talks -"peace treaty" x"#, "talks -peace_treaty x"),
            (r#""in Baku"#, "in_baku"),
            (r#"a"b"c"#, "a b c"),
            ("Nagorno-Karabakh U.S.", "nagorno_karabakh u_s"),
            ("a & !b | (c:) <-> d", "a b c d"),
            ("100% _ \\ ' $1 --", "100 1"),
            ("!?", ""),
            (" - - ", ""),
            ("minist* -sport* Nagorno-Kara*", "minist* -sport* nagorno_kara*"),
            (r#""peace minist*""#, "peace_minist*"),
            ("(minist*)", "minist*"),
            ("总书记 2024年 访华2024", "[总书记] 2024_[年] [访华]_2024"),
            ("苏* \"苏 林\"", "[苏] [苏]_[林]"),
        ] {
            assert_eq!(show(query), expected, "{query}");
        }
        assert_eq!(SearchQuery::read("", "de"), None);
        assert_eq!(SearchQuery::read("x", "").unwrap().config, Some("english"));
        assert_eq!(SearchQuery::of_names("x").unwrap().config, None);
        let offsets: Vec<usize> =
            SearchQuery::read("\"a 访华 b\"", "").unwrap().groups[0][0].parts.iter().map(|part| part.offset).collect();
        assert_eq!(offsets, [0, 1, 3]);
    }

    #[test]
    fn query_with_an_asterisk_elsewhere_is_invalid() {
        for (query, at) in [
            ("*", 0),
            ("peace *", 6),
            ("-*", 1),
            ("word*word", 4),
            ("word**", 5),
            ("\"peace *\"", 7),
            ("*word", 0),
            ("f.*", 2),
            ("x:*", 2),
            ("é *", 3),
            ("苏*林", 3),
        ] {
            assert_eq!(check(query), Err(QueryError::Asterisk(at)), "{query}");
        }
        for query in ["word*", "a* b*", "\"a b*\"", "word*.", "(word*)", "苏*", "-word*", "word*-word*"] {
            assert_eq!(check(query), Ok(()), "{query}");
        }
    }

    #[test]
    fn query_has_at_most_100_words() {
        assert_eq!(check(&"a ".repeat(100)), Ok(()));
        assert_eq!(check(&"a-".repeat(101)), Err(QueryError::Words(101)));
        assert_eq!(check(&"林".repeat(333)), Ok(()));
        assert_eq!(check(&"林，".repeat(101)), Err(QueryError::Words(101)));
    }

    proptest! {
        #[test]
        fn parsed_query_contains_only_folded_text(query in any::<String>()) {
            for part in parse(&query).groups().iter().flatten().flat_map(|term| &term.parts) {
                prop_assert_eq!(fold_for_words(&part.text, usize::MAX), &*part.text);
                prop_assert_eq!(pieces(&part.text).count(), 1);
            }
            let _ = check(&query);
        }
    }
}
