//! The words that a record is searched by, as text of PostgreSQL's type `tsvector`.

use std::{collections::HashMap, fmt::Write};

use super::{
    fold::fold_for_words,
    pieces::{for_each_token, pieces},
};

/// Maximum number of searched bytes of an article, and of a statement. A `tsvector` holds at most 1 MiB, and takes up
/// to four bytes for each byte of a text of short words, or of a script without spaces.
pub const MAX_BYTES: usize = 200_000;

/// The token of a record whose positions are incomplete. No text contains it.
pub(super) const INCOMPLETE: &str = "*";

/// Maximum position for which phrases are found by positions. PostgreSQL stores positions up to 16,383, and those of
/// stems follow those of words.
const MAX_POSITION: usize = 8_191;

/// Maximum number of positions of one token for which phrases are found by positions. PostgreSQL stores 255, and words
/// may have a common stem.
const MAX_REPETITIONS: usize = 127;

/// The highest position and the most positions of a token that PostgreSQL stores.
const LAST_POSITION: usize = 16_383;
const LAST_REPETITION: usize = 255;

/// The words of a record.
#[derive(Debug, Clone, Default)]
pub struct WordVector {
    /// The positions of each token, each with the weight A or without.
    tokens: HashMap<String, Vec<(u16, bool)>>,
    /// The number of positions in use.
    length: usize,
    /// The searched bytes of texts.
    bytes: usize,
    is_incomplete: bool,
}

impl WordVector {
    /// Adds a text, as far as [`MAX_BYTES`] are not exceeded. Returns its words without runs, whose stems are searched
    /// too. Words of a title have a greater weight.
    pub fn add(&mut self, text: &str, is_title: bool) -> String {
        let folded = fold_for_words(text, MAX_BYTES.saturating_sub(self.bytes));
        self.bytes += folded.len();
        if folded.is_empty() {
            return String::new();
        }
        // No phrase extends over two texts.
        let first = if self.length == 0 { 1 } else { self.length + 2 };
        let (tokens, is_incomplete) = (&mut self.tokens, &mut self.is_incomplete);
        let end = for_each_token(&folded, first, |token, position| {
            let positions = match tokens.get_mut(token) {
                Some(positions) => positions,
                None => tokens.entry(token.to_owned()).or_default(),
            };
            *is_incomplete |= position > MAX_POSITION || positions.len() >= MAX_REPETITIONS;
            match u16::try_from(position) {
                Ok(place) if position <= LAST_POSITION && positions.len() < LAST_REPETITION => {
                    positions.push((place, is_title));
                }
                _ => {}
            }
        });
        self.length = end - 1;
        stem_words(&folded)
    }

    /// The vector in the text form of `tsvector`.
    pub fn into_literal(self) -> String {
        let mut literal = String::with_capacity(2 * self.bytes + 8);
        for (token, positions) in &self.tokens {
            // Tokens consist of letters, digits and marks.
            literal.push('\'');
            literal.push_str(token);
            literal.push('\'');
            for (number, (position, is_title)) in positions.iter().enumerate() {
                let separator = if number == 0 { ':' } else { ',' };
                // Writing to a string cannot fail.
                let _ = write!(literal, "{separator}{position}{}", if *is_title { "A" } else { "" });
            }
            literal.push(' ');
        }
        if self.is_incomplete {
            let _ = write!(literal, "'{INCOMPLETE}'");
        }
        literal
    }
}

/// The words of a folded text, without runs.
fn stem_words(folded: &str) -> String {
    let mut words = String::with_capacity(folded.len());
    for piece in pieces(folded).filter(|piece| !piece.is_run) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(piece.text);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(vector: WordVector) -> Vec<String> {
        let literal = vector.into_literal();
        let mut tokens: Vec<String> = literal.split_whitespace().map(str::to_owned).collect();
        tokens.sort_unstable();
        tokens
    }

    #[test]
    fn vector_has_the_positions_of_all_texts() {
        let mut vector = WordVector::default();
        assert_eq!(vector.add("Peace talks", true), "peace talks");
        assert_eq!(vector.add("会谈: the talks", false), "the talks");
        assert_eq!(sorted(vector), ["'peace':1A", "'talks':2A,7", "'the':6", "'会谈':4", "'谈':5"]);
        assert_eq!(sorted(WordVector::default()), [""; 0]);
    }

    #[test]
    fn vector_is_incomplete_beyond_the_positions_that_postgres_stores() {
        let is_incomplete = |text: &str| {
            let mut vector = WordVector::default();
            vector.add(text, false);
            vector.into_literal().ends_with("'*'")
        };
        let words = |count: usize| (0..count).map(|number| format!("x{number} ")).collect::<String>();
        assert!(!is_incomplete(&words(MAX_POSITION)));
        assert!(is_incomplete(&words(MAX_POSITION + 1)));
        assert!(!is_incomplete(&"the ".repeat(MAX_REPETITIONS)));
        assert!(is_incomplete(&"the ".repeat(MAX_REPETITIONS + 1)));
        let mut vector = WordVector::default();
        vector.add(&"the ".repeat(20_000), false);
        vector.add(&words(20_000), false);
        assert_eq!(vector.tokens["the"].len(), LAST_REPETITION);
        assert!(vector.tokens["x1"].is_empty());
    }

    #[test]
    fn vector_has_at_most_the_searched_bytes() {
        let mut vector = WordVector::default();
        vector.add(&"a ".repeat(MAX_BYTES / 2 - 1), true);
        vector.add("b c", false);
        assert!(vector.tokens.contains_key("b") && !vector.tokens.contains_key("c"));
    }
}
