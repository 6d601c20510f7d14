//! Words that the house style avoids, as places in files.

use crate::support::repository::File;

/// Comment lines that open with a question word in the role of a noun ("What a caller sent").
pub fn what_openings(file: &File) -> Vec<String> {
    const WORDS: [&str; 5] = ["What", "Who", "Whoever", "Whether", "Whatever"];
    places(file, |line| {
        let comment = line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']).trim_start());
        let opening = comment.and_then(|comment| words(comment).next());
        usize::from(opening.is_some_and(|word| WORDS.contains(&word)))
    })
}

/// Uses of *tell* and *told*, also as parts of names.
pub fn tell_words(file: &File) -> Vec<String> {
    places(file, |line| {
        words(line)
            .flat_map(|word| word.split('_'))
            .filter(|part| matches!(*part, "tell" | "tells" | "told" | "Tell" | "Told"))
            .count()
    })
}

/// Closure parameters `|one|`, and `one.` where a value of this name is used.
pub fn one_names(file: &File) -> Vec<String> {
    places(file, |line| {
        let uses = line.match_indices("one.").filter(|(at, _)| {
            let before = line[..*at].chars().next_back();
            let after = line[at + "one.".len()..].chars().next();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
                && after.is_some_and(|c| c.is_alphanumeric() || c == '_')
        });
        line.matches("|one|").count() + uses.count()
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `path:line` for each of the words that `count` finds in a line.
fn places(file: &File, count: impl Fn(&str) -> usize) -> Vec<String> {
    let numbered = (1..).zip(file.text.lines());
    numbered
        .flat_map(|(number, line)| {
            (0..count(line)).map(move |_| format!("{}:{number}: {}", file.path.display(), line.trim()))
        })
        .collect()
}
