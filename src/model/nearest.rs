//! The name that was probably meant where one is not known.

use strsim::osa_distance;

/// Longer words are not compared, nor repeated: the distance costs the product of the lengths.
pub const LONGEST: usize = 64;

/// The name that is a few slips of the pen away (one in three letters), if any is.
pub fn nearest<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    let word = (word.len() <= LONGEST).then_some(word)?;
    let (slips, nearest) = names.map(|name| (osa_distance(name, word), name)).min_by_key(|(slips, _)| *slips)?;
    (3 * slips <= nearest.len().max(word.len())).then_some(nearest)
}
