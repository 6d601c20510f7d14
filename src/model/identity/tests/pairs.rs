//! The labelled pairs of `tests/data/names`: the figures of the rule stay at what they are.

use std::path::Path;

use super::{
    super::{Context, Level, Profile, candidate_keys, compare},
    profile,
};

struct Pair {
    is_same: bool,
    a: Profile,
    b: Profile,
}

fn pairs() -> Vec<Pair> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/names/pairs-dev.tsv");
    let text = std::fs::read_to_string(path).expect("the file exists");
    let pair = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [verdict, a, region_a, b, region_b, _] = fields[..] else { panic!("six columns: {line}") };
        Pair { is_same: verdict == "same", a: profile(a, region_a), b: profile(b, region_b) }
    };
    text.lines().skip(1).map(pair).collect()
}

#[test]
fn compare_keeps_its_figures_on_the_labelled_pairs() {
    let (mut found, mut wrong, mut total, mut keyed) = (0, 0, 0, 0);
    for pair in pairs() {
        let level = compare(&pair.a, &pair.b, &Context::default()).level;
        let is_confident = level == Level::Confident;
        total += usize::from(pair.is_same);
        found += usize::from(pair.is_same && is_confident);
        wrong += usize::from(!pair.is_same && is_confident);
        let (left, right) = (candidate_keys(&pair.a), candidate_keys(&pair.b));
        keyed += usize::from(pair.is_same && is_confident && left.pairs.iter().any(|key| right.pairs.contains(key)));
    }
    assert_eq!(total, 499);
    assert!(found >= 450 && wrong <= 1, "{found} of {total} found, {wrong} wrong");
    assert!(keyed * 100 >= found * 96, "{keyed} of {found} share a pair key");
}
