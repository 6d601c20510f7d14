//! What is searched for: the web-search syntax, of which PostgreSQL gets a form that cannot be misunderstood.

use super::fold::fold;

/// Most words in one query. The contract says so too.
pub const MOST_WORDS: usize = 100;

/// What is searched for, and in which language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// In PostgreSQL's web-search syntax: folded words in quotes, `-` before some of these, and `or` between others.
    pub words: String,
    /// The language whose stems are found, BCP 47.
    pub language: String,
}

impl Question {
    /// Where no language is asked for.
    const DEFAULT_LANGUAGE: &str = "en";

    /// Reads a query; `None` where there is none. One without a word finds nothing.
    ///
    /// What is written together (`Nagorno-Karabakh`, `U.S.`) is searched for together, as if it stood in quotes. A quote
    /// that is not closed goes on to the end. All else that is neither letter nor digit separates words.
    pub fn read(query: &str, language: &str) -> Option<Self> {
        let language = if language.is_empty() { Self::DEFAULT_LANGUAGE } else { language };
        (!query.is_empty()).then(|| Self { words: web_search(query).words, language: language.to_owned() })
    }
}

/// How many words a query has.
pub fn count_words(query: &str) -> usize {
    web_search(query).count
}

fn web_search(query: &str) -> Written {
    let mut written = Written::default();
    let mut is_denied = false;
    for (index, part) in query.split('"').enumerate() {
        if index % 2 == 1 {
            written.phrase(part, is_denied);
            continue;
        }
        for word in part.split_whitespace() {
            match word.strip_prefix('-') {
                Some(word) => written.phrase(word, true),
                None if word.eq_ignore_ascii_case("or") => written.push("or"),
                None => written.phrase(word, false),
            }
        }
        let before = part.strip_suffix('-');
        is_denied = before.is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace));
    }
    written
}

#[derive(Default)]
struct Written {
    words: String,
    count: usize,
}

impl Written {
    fn phrase(&mut self, text: &str, is_denied: bool) {
        let folded = fold(text, usize::MAX);
        let words: Vec<&str> = folded.split_whitespace().collect();
        if words.is_empty() {
            return;
        }
        self.count += words.len();
        let sign = if is_denied { "-" } else { "" };
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
    fn queries_in_a_form_that_cannot_be_misunderstood() {
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
            assert_eq!(Question::read(query, "").unwrap().words, expected, "{query}");
        }
        assert_eq!(Question::read("", "de"), None);
        assert_eq!(Question::read("x", "").unwrap().language, "en");
        assert_eq!((count_words("a-b \"c d\" or -e"), count_words("...")), (5, 0));
    }

    proptest! {
        #[test]
        fn nothing_but_words_quotes_and_signs_is_left(query in any::<String>()) {
            let written = web_search(&query);
            let terms = written.words.split('"').enumerate();
            let mut count = 0;
            for (index, term) in terms {
                if index % 2 == 1 {
                    count += term.split(' ').count();
                    prop_assert_eq!(fold(term, usize::MAX), term);
                } else {
                    prop_assert!(term.split_whitespace().all(|word| word == "or" || word == "-"));
                }
            }
            prop_assert_eq!(count, written.count);
        }
    }
}
