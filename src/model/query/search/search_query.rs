//! Parses search queries. The syntax is that of web search; PostgreSQL gets an unambiguous form of it.

use super::fold::fold;

/// Maximum number of words in one query. The contract states it too.
pub const MAX_WORDS: usize = 100;

/// A search query and its language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// The query in PostgreSQL's web-search syntax: quoted phrases of folded words, with `-` to negate and `or`
    /// between.
    pub words: String,
    /// The language for stemming, BCP 47.
    pub language: String,
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
        (!query.is_empty()).then(|| Self { words: web_search(query).words, language: language.to_owned() })
    }
}

/// The number of words in a query.
pub fn count_words(query: &str) -> usize {
    web_search(query).count
}

fn web_search(query: &str) -> SearchTerms {
    let mut terms = SearchTerms::default();
    let mut is_negated = false;
    for (index, part) in query.split('"').enumerate() {
        if index % 2 == 1 {
            terms.phrase(part, is_negated);
            continue;
        }
        for word in part.split_whitespace() {
            match word.strip_prefix('-') {
                Some(word) => terms.phrase(word, true),
                None if word.eq_ignore_ascii_case("or") => terms.push("or"),
                None => terms.phrase(word, false),
            }
        }
        let before = part.strip_suffix('-');
        is_negated = before.is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace));
    }
    terms
}

/// The query in PostgreSQL's syntax, as far as it is parsed, and its number of words.
#[derive(Default)]
struct SearchTerms {
    words: String,
    count: usize,
}

impl SearchTerms {
    fn phrase(&mut self, text: &str, is_negated: bool) {
        let folded = fold(text, usize::MAX);
        let words: Vec<&str> = folded.split_whitespace().collect();
        if words.is_empty() {
            return;
        }
        self.count += words.len();
        let sign = if is_negated { "-" } else { "" };
        self.push(&format!("{sign}\"{}\"", words.join(" ")));
    }

    fn push(&mut self, term: &str) {
        if !self.words.is_empty() {
            self.words.push(' ');
        }
        self.words.push_str(term);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn query_becomes_quoted_phrases_with_operators() {
        for (query, expected) in [
            ("peace talks", r#""peace" "talks""#),
            ("Peace OR war", r#""peace" or "war""#),
            ("talks -Sport", r#""talks" -"sport""#),
            (r#"talks -"peace treaty" x"#, r#""talks" -"peace treaty" "x""#),
            (r#""in Baku"#, r#""in baku""#),
            (r#"a"b"c"#, r#""a" "b" "c""#),
            ("Nagorno-Karabakh U.S.", r#""nagorno karabakh" "u s""#),
            ("a & !b | (c:*) <-> d", r#""a" "b" "c" "d""#),
            ("100% _ \\ ' $1 --", r#""100" "1""#),
            ("!?", ""),
            (" - - ", ""),
        ] {
            assert_eq!(SearchQuery::read(query, "").unwrap().words, expected, "{query}");
        }
        assert_eq!(SearchQuery::read("", "de"), None);
        assert_eq!(SearchQuery::read("x", "").unwrap().language, "en");
        assert_eq!((count_words("a-b \"c d\" or -e"), count_words("...")), (5, 0));
    }

    proptest! {
        #[test]
        fn parsed_query_contains_only_words_quotes_and_operators(query in any::<String>()) {
            let terms = web_search(&query);
            let mut count = 0;
            for (index, term) in terms.words.split('"').enumerate() {
                if index % 2 == 1 {
                    count += term.split(' ').count();
                    prop_assert_eq!(fold(term, usize::MAX), term);
                } else {
                    prop_assert!(term.split_whitespace().all(|word| word == "or" || word == "-"));
                }
            }
            prop_assert_eq!(count, terms.count);
        }
    }
}
