//! The words of titles, summaries and articles, which order results of one level.

use std::collections::HashSet;

use crate::model::query::search::fold;

/// Maximum bytes that are read of one text. The first paragraphs of an article tell of the event.
pub const MAX_TEXT_BYTES: usize = 16_384;

/// Shorter words occur in every text.
const MIN_LETTERS: usize = 4;

/// A set of folded words.
#[derive(Debug, Clone, Default)]
pub struct Words(HashSet<String>);

impl Words {
    /// The words of these texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = HashSet::new();
        for text in texts {
            let folded = fold(text, MAX_TEXT_BYTES);
            let long = folded.split_whitespace().filter(|word| word.chars().count() >= MIN_LETTERS);
            words.extend(long.map(str::to_owned));
        }
        Self(words)
    }

    /// The share of the words of the smaller set that the other one has, too.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        let least = self.0.len().min(other.0.len());
        if least == 0 {
            return 0.0;
        }
        // Texts are bounded: the numbers are exact.
        self.0.intersection(&other.0).count() as f64 / least as f64
    }
}
