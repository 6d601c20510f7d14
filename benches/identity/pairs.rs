//! The labelled pairs: recall and errors by class, candidate keys, speed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use readout::{
    model::identity::{Context, Level, Profile, candidate_keys, compare},
    pb::{Participant, participant::Kind},
};

/// A pair of names, with the verdict of a reader.
pub struct Pair {
    is_same: bool,
    class: String,
    a: Profile,
    b: Profile,
    level: Level,
    /// True if the two share a pair key; true if they share any key.
    shares: (bool, bool),
    /// True if a name is in a script of which the spelling says least of the sounds.
    is_hard: bool,
    /// One of two halves, by a hash of the line.
    half: u64,
}

/// The profile of a person with one name.
pub fn person(name: &str, region: &str) -> Profile {
    let mut person = Participant { display_name: name.into(), region_code: region.into(), ..Default::default() };
    person.set_kind(Kind::Person);
    Profile::of(&person)
}

/// Reads and compares the pairs.
pub fn read() -> Vec<Pair> {
    let text = std::fs::read_to_string(super::stories::path("names/pairs-dev.tsv")).expect("the file exists");
    text.lines().skip(1).map(pair).collect()
}

fn pair(line: &str) -> Pair {
    let fields: Vec<&str> = line.split('\t').collect();
    let [verdict, name_a, region_a, name_b, region_b, class] = fields[..] else { panic!("six columns: {line}") };
    let (a, b) = (person(name_a, region_a), person(name_b, region_b));
    let (left, right) = (candidate_keys(&a), candidate_keys(&b));
    let shares_pair = left.pairs.iter().any(|key| right.pairs.contains(key));
    let shares_single = left.singles.iter().any(|key| right.singles.contains(key));
    Pair {
        is_same: verdict == "same",
        class: class.to_owned(),
        level: compare(&a, &b, &Context::default()).level,
        shares: (shares_pair, shares_pair || shares_single),
        is_hard: line.chars().any(is_hard),
        half: line
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            >> 20
            & 1,
        a,
        b,
    }
}

/// True for letters of Hangul, Han, Kana, Indic, Thai, Arabic, Hebrew, Greek, Georgian and Armenian.
fn is_hard(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}' | '\u{530}'..='\u{6ff}' | '\u{900}'..='\u{e7f}' | '\u{10a0}'..='\u{10ff}'
        | '\u{1f00}'..='\u{1fff}' | '\u{3040}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// Prints a row for each class.
pub fn print_classes(pairs: &[Pair]) {
    let mut classes: BTreeMap<(bool, &str), Vec<&Pair>> = BTreeMap::new();
    for pair in pairs {
        classes.entry((!pair.is_same, &pair.class)).or_default().push(pair);
    }
    println!("{:<24}{:>8}{:>12}{:>12}", "class", "pairs", "CONFIDENT", "or POSSIBLE");
    for ((is_different, class), pairs) in classes {
        let at_least = |level: Level| pairs.iter().filter(|pair| pair.level >= level).count();
        let name = format!("{} {class}", if is_different { "different" } else { "same" });
        println!("{name:<24}{:>8}{:>12}{:>12}", pairs.len(), at_least(Level::Confident), at_least(Level::Possible));
    }
}

/// Decides if a pair belongs to a row.
type Belongs = fn(&&Pair) -> bool;

/// Prints the figures over all classes.
pub fn print_figures(pairs: &[Pair]) {
    println!("\n{:<24}{:>16}{:>16}{:>16}{:>16}", "pairs", "recall", "false", "false, POSSIBLE", "share a key");
    let all: [(&str, Belongs); 5] = [
        ("all", |_| true),
        ("easy scripts", |pair| !pair.is_hard),
        ("other scripts", |pair| pair.is_hard),
        ("first half by hash", |pair| pair.half == 0),
        ("second half by hash", |pair| pair.half == 1),
    ];
    for (name, belongs) in all {
        let (same, different): (Vec<&Pair>, Vec<&Pair>) = pairs.iter().filter(belongs).partition(|pair| pair.is_same);
        let confident = |pairs: &[&Pair]| pairs.iter().filter(|pair| pair.level == Level::Confident).count();
        let possible = different.iter().filter(|pair| pair.level == Level::Possible).count();
        let found = confident(&same);
        let shared = same.iter().filter(|pair| pair.shares.1).count();
        println!(
            "{name:<24}{:>16}{:>16}{possible:>16}{:>16}",
            format!("{found} of {}: {:.3}", same.len(), ratio(found, same.len())),
            format!("{} of {}", confident(&different), different.len()),
            format!("{shared} of {}", same.len()),
        );
    }
    let confident: Vec<&Pair> = pairs.iter().filter(|pair| pair.is_same && pair.level == Level::Confident).collect();
    let keyed = confident.iter().filter(|pair| pair.shares.0).count();
    println!("{keyed} of the {} confident pairs share a pair key", confident.len());
}

#[allow(clippy::cast_precision_loss)]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Prints the comparisons a second on one core, with their reasons.
#[allow(clippy::cast_precision_loss)]
pub fn print_speed(pairs: &[Pair]) {
    let begin = Instant::now();
    let mut count = 0_usize;
    while begin.elapsed() < Duration::from_secs(1) {
        for pair in pairs {
            std::hint::black_box(compare(&pair.a, &pair.b, &Context::default()));
        }
        count += pairs.len();
    }
    println!("{:.0} comparisons a second, explained, on one core", count as f64 / begin.elapsed().as_secs_f64());
}
