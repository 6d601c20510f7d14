//! Aligns the tokens of two names.

use super::{
    super::name::{Name, NameToken},
    ReasonKind,
    tokens::{self, STRONG, STRONG_ACROSS, SURE_ACROSS, Spelling, TokenMatch},
};

/// A pair of tokens, or of runs of tokens that are written together on the other side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The first token of the run, and the number of tokens, on each side.
    pub a: (usize, usize),
    pub b: (usize, usize),
    pub matched: TokenMatch,
}

/// The aligned tokens, in the order of the first name, and the tokens that are left over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Alignment {
    pub pairs: Vec<Pair>,
    pub left_a: Vec<usize>,
    pub left_b: Vec<usize>,
}

/// Aligns two names: the pairs of the greatest value first.
pub fn align(a: &Name, b: &Name, spelling: Spelling) -> Alignment {
    let mut candidates: Vec<Pair> = Vec::with_capacity(a.tokens.len() * b.tokens.len());
    for (at, left) in a.tokens.iter().enumerate() {
        for (other, right) in b.tokens.iter().enumerate() {
            if let Some(matched) = tokens::compare(left, right, spelling) {
                candidates.push(Pair { a: (at, 1), b: (other, 1), matched });
            }
        }
    }
    let distance = |pair: &Pair| pair.a.0.abs_diff(pair.b.0);
    candidates.sort_by(|x, y| {
        y.matched.value.total_cmp(&x.matched.value).then_with(|| (distance(x), x.a, x.b).cmp(&(distance(y), y.a, y.b)))
    });
    let mut alignment = Alignment::default();
    let (mut used_a, mut used_b) = (0_u32, 0_u32);
    let mut take = |pair: Pair, used_a: &mut u32, used_b: &mut u32| {
        if *used_a & mask(pair.a) == 0 && *used_b & mask(pair.b) == 0 {
            *used_a |= mask(pair.a);
            *used_b |= mask(pair.b);
            alignment.pairs.push(pair);
        }
    };
    let strong = if a.tokens.iter().chain(&b.tokens).any(|token| token.script != a.tokens[0].script) {
        STRONG_ACROSS
    } else {
        STRONG
    };
    let weak = candidates.iter().position(|pair| pair.matched.value < strong).unwrap_or(candidates.len());
    candidates[..weak].iter().for_each(|pair| take(*pair, &mut used_a, &mut used_b));
    if used_a.count_ones() < a.tokens.len() as u32 || used_b.count_ones() < b.tokens.len() as u32 {
        for pair in joined(&a.tokens, &b.tokens, used_a, used_b, spelling) {
            take(pair, &mut used_a, &mut used_b);
        }
        for pair in joined(&b.tokens, &a.tokens, used_b, used_a, spelling) {
            take(Pair { a: pair.b, b: pair.a, ..pair }, &mut used_a, &mut used_b);
        }
    }
    candidates[weak..].iter().for_each(|pair| take(*pair, &mut used_a, &mut used_b));
    alignment.pairs.sort_by_key(|pair| pair.a);
    alignment.left_a = (0..a.tokens.len()).filter(|at| used_a & (1 << at) == 0).collect();
    alignment.left_b = (0..b.tokens.len()).filter(|at| used_b & (1 << at) == 0).collect();
    alignment
}

fn mask((from, length): (usize, usize)) -> u32 {
    ((1_u32 << length) - 1) << from
}

/// Runs of two or three free tokens of `parts` that are one free token of `whole`.
fn joined(parts: &[NameToken], whole: &[NameToken], used_parts: u32, used_whole: u32, spelling: Spelling) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for length in [2, 3] {
        for from in 0..parts.len().saturating_sub(length - 1) {
            if used_parts & mask((from, length)) != 0 {
                continue;
            }
            let run = &parts[from..from + length];
            for (at, token) in whole.iter().enumerate().filter(|(at, _)| used_whole & (1 << at) == 0) {
                if let Some(matched) = compare_joined(run, token, spelling) {
                    pairs.push(Pair { a: (from, length), b: (at, 1), matched });
                }
            }
        }
    }
    pairs
}

fn compare_joined(run: &[NameToken], token: &NameToken, spelling: Spelling) -> Option<TokenMatch> {
    let length: usize = run.iter().map(|part| part.text.len()).sum();
    if token.is_initial || length.abs_diff(token.text.len()) > 4 && run[0].script == token.script {
        return None;
    }
    let text: String = run.iter().map(|part| part.text.as_str()).collect();
    if text == token.text {
        return Some(TokenMatch { value: 0.97, kind: ReasonKind::EqualToken });
    }
    if spelling == Spelling::Native && run[0].script == token.script {
        return None;
    }
    let mut sounds = Vec::new();
    run.iter().flat_map(|part| &part.sounds).for_each(|sound| super::super::sound::push(&mut sounds, sound.0));
    let whole =
        NameToken { text, sounds, length, expanded: String::new(), groups: &[], gender: None, ..run[0].clone() };
    let strong = if whole.script == token.script { STRONG } else { SURE_ACROSS };
    tokens::compare(&whole, token, spelling).filter(|matched| matched.value >= strong)
}
