//! The name that was probably meant where one is not known.

use strsim::osa_distance;

/// Longer words are not compared, nor repeated: the distance costs the product of the lengths.
pub const LONGEST: usize = 64;

/// The name that is a few slips of the pen away (one in three letters), if any is. Capitals are no slips.
pub fn nearest<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    let word = (word.len() <= LONGEST).then(|| word.to_ascii_lowercase())?;
    let slips = |name: &str| osa_distance(&name.to_ascii_lowercase(), &word);
    let (slips, nearest) = names.map(|name| (slips(name), name)).min_by_key(|(slips, _)| *slips)?;
    (3 * slips <= nearest.len().max(word.len())).then_some(nearest)
}

/// The end of an error that suggests a name, if there is one to suggest.
pub fn did_you_mean(nearest: Option<impl AsRef<str>>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {:?}?", name.as_ref()))
}
