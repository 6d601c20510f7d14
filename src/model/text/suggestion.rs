//! "Did you mean …?": suggests a known name for a misspelt one.

use strsim::osa_distance;

/// Bytes of the longest word that is compared or quoted. Computing the distance costs the product of the lengths.
pub const MAX_WORD_LENGTH: usize = 64;

/// The name with the smallest edit distance to `word` (optimal string alignment), ignoring ASCII case. `None` if the
/// distance exceeds a third of the characters of the longer name, or `word` is longer than [`MAX_WORD_LENGTH`]. So the
/// name has at most 1.5 times as many characters as `word`.
pub fn nearest<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    let word = (word.len() <= MAX_WORD_LENGTH).then(|| word.to_ascii_lowercase())?;
    let letters = word.chars().count();
    let is_near = |edits: usize, name: &str| 3 * edits <= name.chars().count().max(letters);
    // The distance is at least the difference of the lengths. There are hundreds of time zones, and most have another
    // length.
    let names = names.filter(|name| is_near(name.chars().count().abs_diff(letters), name));
    let distance = |name: &str| osa_distance(&name.to_ascii_lowercase(), &word);
    let (edits, nearest) = names.map(|name| (distance(name), name)).min_by_key(|(edits, _)| *edits)?;
    is_near(edits, nearest).then_some(nearest)
}

/// The suggestion as the end of an error message. Empty if there is none.
pub fn did_you_mean(nearest: Option<impl AsRef<str>>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {:?}?", name.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_within_a_third_of_the_longer_name() {
        let names = ["status", "announcement.date", "id"];
        for (word, expected) in [
            ("staus", Some("status")),
            ("STATUS", Some("status")),
            ("sta", None),
            ("stat", Some("status")),
            ("statusxxx", Some("status")),
            ("statusxxxx", None),
            ("anouncement.dates", Some("announcement.date")),
            ("\u{1f600}tatus", Some("status")),
            ("\u{1f600}\u{1f600}\u{1f600}tus", None),
            ("", None),
            (&"i".repeat(MAX_WORD_LENGTH + 1), None),
        ] {
            assert_eq!(nearest(names.into_iter(), word), expected, "{word}");
        }
    }

    #[test]
    fn nearest_is_never_much_longer_than_the_word() {
        let long = "\u{6771}\u{4eac}".repeat(256);
        assert_eq!(nearest([long.as_str()].into_iter(), "side"), None);
        assert_eq!(nearest(["\u{6771}\u{4eac}"].into_iter(), "side"), None);
    }
}
