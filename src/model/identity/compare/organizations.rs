//! Names of organizations, states and groups: strict, because one changed word is another body.

use super::{super::name::Name, Comparison, Level, Reason, ReasonKind};

/// Compares two names: equal keys or equal sets of tokens are one body. An abbreviation that the other's first letters
/// form, and a name within the other, are candidates.
pub fn compare(a: &Name, b: &Name) -> Comparison {
    if a.door == b.door {
        return Comparison {
            level: Level::Confident,
            score: 1.,
            reasons: vec![Reason::new(ReasonKind::EqualName, &a.door, &b.door, 1.)],
        };
    }
    let sorted = |name: &Name| {
        let mut texts: Vec<String> = name.tokens.iter().map(|token| token.text.clone()).collect();
        texts.sort_unstable();
        texts
    };
    let (left, right) = (sorted(a), sorted(b));
    let common = left.iter().filter(|text| right.contains(text)).count();
    let total = left.len().max(right.len()).max(1);
    #[allow(clippy::cast_precision_loss)]
    let score = common as f32 / total as f32;
    if left == right && left.len() > 1 && (a.generation, a.ordinal) == (b.generation, b.ordinal) {
        return Comparison::of(Level::Confident, 0.95, ReasonKind::EqualToken, 1.);
    }
    if is_abbreviation(a, b) || is_abbreviation(b, a) {
        return Comparison::of(Level::Possible, 0.7, ReasonKind::Variant, 0.5);
    }
    // A number in one name only, or another number, is another body.
    let numbers = |name: &Name| -> Vec<String> {
        name.tokens.iter().filter(|token| token.has_digit).map(|token| token.text.clone()).collect()
    };
    if common >= 2 && common == left.len().min(right.len()) && numbers(a) == numbers(b) {
        return Comparison::of(Level::Possible, score, ReasonKind::Extra, 0.5);
    }
    Comparison::of(Level::No, score * 0.5, ReasonKind::OwnNames, -1.)
}

/// True if the first letters of `full` spell `short`.
fn is_abbreviation(short: &Name, full: &Name) -> bool {
    full.tokens.len() >= 3
        && short.tokens.len() == 1
        && short.door.chars().eq(full.tokens.iter().filter_map(|token| token.text.chars().next()))
}
