//! "Did you mean …?": suggests a known name for a misspelt one.

use strsim::osa_distance;

/// Bytes of the longest word that is compared or quoted. Computing the distance costs the product of the lengths.
pub const MAX_WORD_LENGTH: usize = 64;

/// The name with the smallest edit distance to `word` (optimal string alignment), ignoring ASCII case. `None` if the
/// distance exceeds a third of the longer name, or `word` is longer than [`MAX_WORD_LENGTH`].
pub fn nearest<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    let word = (word.len() <= MAX_WORD_LENGTH).then(|| word.to_ascii_lowercase())?;
    let distance = |name: &str| osa_distance(&name.to_ascii_lowercase(), &word);
    let (edits, nearest) = names.map(|name| (distance(name), name)).min_by_key(|(edits, _)| *edits)?;
    (3 * edits <= nearest.len().max(word.len())).then_some(nearest)
}

/// The suggestion as the end of an error message. Empty if there is none.
pub fn did_you_mean(nearest: Option<impl AsRef<str>>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {:?}?", name.as_ref()))
}
