//! Decides on two names of persons: the alignment, the family of names and the region make the level.

use super::{
    super::{
        fold::Script,
        given_names,
        name::{Name, Token},
        profile::Profile,
        region::{self, Family},
    },
    Comparison, Level, Reason, ReasonKind,
    align::{self, Alignment},
    syllables,
    tokens::{self, ACCENTS, STRONG, STRONG_ACROSS, SURE_ACROSS, Spelling},
};

/// All that the decision depends on beside the names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// The family of the region, or of the region that is set.
    pub family: Family,
    pub spelling: Spelling,
    /// True if a region is unset: only accents may differ then.
    pub is_unset: bool,
    /// True if both regions are set and differ.
    pub differs: bool,
    /// True if a second given name makes another person of the first.
    pub has_double_names: bool,
}

impl Setting {
    pub fn of(a: &Profile, b: &Profile) -> Self {
        let known = if a.region.is_empty() { b } else { a };
        let is_native = known.family.is_native_latin()
            || matches!(known.family, Family::Syllables | Family::Korean)
            || known.region == "JP";
        let is_respelled = !is_native || region::is_respelled(&known.region);
        Self {
            family: known.family,
            spelling: if is_respelled { Spelling::Respelled } else { Spelling::Native },
            is_unset: a.region.is_empty() || b.region.is_empty(),
            has_double_names: region::has_double_names(&known.region),
            differs: !a.region.is_empty() && !b.region.is_empty() && a.region != b.region,
        }
    }

    /// Two set regions that differ are two persons, unless the names are equal.
    pub fn apply_region(&self, comparison: &mut Comparison, a: &str, b: &str) {
        if self.differs {
            let level = if comparison.score >= 0.95 { Level::Possible } else { Level::No };
            comparison.lower_to(level, ReasonKind::RegionDiffers, a, b);
        }
    }
}

/// Compares two names.
pub fn compare(a: &Name, b: &Name, setting: &Setting) -> Comparison {
    if let Some(kind) = contradiction(a, b) {
        return Comparison::of(Level::No, 0.3, kind, -1.);
    }
    let mut comparison = if a.door == b.door {
        let is_single = a.tokens.len() < 2 && setting.is_unset;
        let reason = Reason::new(ReasonKind::EqualName, &a.door, &b.door, 1.);
        let level = if is_single { Level::Possible } else { Level::Confident };
        Comparison { level, score: 1., reasons: vec![reason] }
    } else {
        let syllables = whole_name(a, b, setting);
        syllables.unwrap_or_else(|| aligned(a, b, setting))
    };
    for (left, right, kind) in
        [(a.generation, b.generation, ReasonKind::Generation), (a.ordinal, b.ordinal, ReasonKind::Ordinal)]
    {
        if left != right {
            comparison.lower_to(Level::Possible, kind, "", "");
        }
    }
    comparison
}

fn contradiction(a: &Name, b: &Name) -> Option<ReasonKind> {
    let differs = |a: Option<u8>, b: Option<u8>| a.is_some() && b.is_some() && a != b;
    if differs(a.generation, b.generation) {
        return Some(ReasonKind::Generation);
    }
    differs(a.ordinal, b.ordinal).then_some(ReasonKind::Ordinal)
}

/// Comparisons of names as wholes: rotated syllables, romanisations of Korean and Chinese, scripts without spaces.
fn whole_name(a: &Name, b: &Name, setting: &Setting) -> Option<Comparison> {
    if a.tokens.len().min(b.tokens.len()) == 0 {
        return Some(Comparison::of(Level::No, 0., ReasonKind::Weak, -1.));
    }
    let reason = |kind, weight| vec![Reason::new(kind, &a.door, &b.door, weight)];
    let confident = |score, kind| Some(Comparison { level: Level::Confident, score, reasons: reason(kind, score) });
    let has_two = a.tokens.len().max(b.tokens.len()) >= 2;
    if has_two && syllables::are_rotations(a, b) {
        return confident(0.98, ReasonKind::EqualToken);
    }
    if setting.is_unset {
        return None;
    }
    match setting.family {
        Family::Korean if syllables::are_korean_spellings(a, b) => return confident(0.95, ReasonKind::Romanisation),
        Family::Syllables if syllables::are_chinese_spellings(a, b) => {
            return confident(0.95, ReasonKind::Romanisation);
        }
        _ => {}
    }
    let across = script(a) != script(b);
    if !across {
        return None;
    }
    let likeness = whole_likeness(a, b);
    let is_long = |name: &Name| name.tokens.iter().map(consonants).sum::<usize>() >= 4;
    let is_alike = likeness >= SURE_ACROSS && is_long(a) && is_long(b);
    is_alike.then(|| Comparison {
        level: Level::Confident,
        score: likeness.min(0.95),
        reasons: reason(ReasonKind::Sound, likeness),
    })
}

fn consonants(token: &Token) -> usize {
    token.sounds.iter().filter(|sound| !sound.is_vowel() && !sound.is_optional()).count()
}

fn script(name: &Name) -> Script {
    name.tokens.iter().map(|token| token.script).max().unwrap_or(Script::Latin)
}

/// How alike two names sound when written together, in either order of the family name.
fn whole_likeness(a: &Name, b: &Name) -> f32 {
    let joined = |tokens: &mut dyn Iterator<Item = &Token>| {
        let mut sounds = Vec::new();
        for token in tokens {
            sounds.extend_from_slice(&token.sounds);
        }
        sounds
    };
    let left = joined(&mut a.tokens.iter());
    let scale = tokens::scale(script(a), script(b));
    let count = b.tokens.len();
    let likeness = |from: usize| {
        let right = joined(&mut (0..count).map(|at| &b.tokens[(from + at) % count]));
        tokens::likeness(&left, &right, scale)
    };
    let froms = if script(b) == Script::Han || script(a) == Script::Han { 1 } else { count.min(4) };
    (0..froms).map(likeness).fold(0., f32::max)
}

fn aligned(a: &Name, b: &Name, setting: &Setting) -> Comparison {
    let alignment = align::align(a, b, setting.spelling);
    let mut comparison =
        Comparison { level: Level::Possible, score: score(a, b, &alignment), reasons: reasons(a, b, &alignment) };
    let is_across = script(a) != script(b);
    let least = if is_across { STRONG_ACROSS } else { STRONG };
    let strong: Vec<_> = alignment.pairs.iter().filter(|pair| pair.matched.value >= least).collect();
    let is_real = |token: &Token| !token.may_miss;
    let own = |name: &Name, left: &[usize]| left.iter().any(|at| is_real(&name.tokens[*at]));
    if own(a, &alignment.left_a) && own(b, &alignment.left_b) {
        comparison.lower_to(Level::No, ReasonKind::OwnNames, "", "");
        comparison.score *= 0.6;
        return comparison;
    }
    let is_own = own(a, &alignment.left_a) || own(b, &alignment.left_b);
    if !alignment.left_a.is_empty() && !alignment.left_b.is_empty() && is_own {
        comparison.lower_to(Level::Possible, ReasonKind::Extra, "", "");
        return comparison;
    }
    if strong.is_empty() {
        comparison.lower_to(Level::No, ReasonKind::Weak, "", "");
        return comparison;
    }
    let (shorter, longer, extras) =
        if alignment.left_a.is_empty() { (a, b, &alignment.left_b) } else { (b, a, &alignment.left_a) };
    let has_extras = !alignment.left_a.is_empty() || !alignment.left_b.is_empty();
    let has_real_extras = extras.iter().any(|at| {
        let token = &longer.tokens[*at];
        !(token.may_miss || token.is_initial || token.has_article)
    });
    // The tokens that identify: common ones count half if something is left over.
    let weight: f32 = strong
        .iter()
        .map(|pair| {
            let token = &a.tokens[pair.a.0];
            let joined = if pair.a.1 + pair.b.1 > 2 && !(is_across && has_extras) { 2. } else { 1. };
            if (token.is_common || token.may_miss) && has_real_extras { 0.5 } else { joined }
        })
        .sum();
    let best = strong.iter().map(|pair| pair.matched.value).fold(0., f32::max);
    let weak = alignment.pairs.len() - strong.len();
    let mean = strong.iter().map(|pair| pair.matched.value).sum::<f32>() / strong.len().max(1) as f32;
    if weight < 2. || (best < 0.9 && !is_across) || weak > 1 || (is_across && mean < SURE_ACROSS) {
        comparison.lower_to(Level::Possible, ReasonKind::Weak, "", "");
        return comparison;
    }
    if setting.is_unset {
        let differs = alignment.pairs.iter().any(|pair| pair.matched.value < ACCENTS);
        if differs || has_extras {
            comparison.lower_to(Level::Possible, ReasonKind::RegionUnset, "", "");
            return comparison;
        }
    }
    let is_slight = |pair: &align::Pair| {
        let length = |token: &Token| token.length >= 7 && !given_names::is_given(&token.text);
        let is_typo =
            pair.matched.kind == ReasonKind::Typo && length(&a.tokens[pair.a.0]) && length(&b.tokens[pair.b.0]);
        pair.matched.value >= least || pair.matched.kind == ReasonKind::Initial || (is_typo && !has_extras)
    };
    if weak > 0 && !alignment.pairs.iter().all(is_slight) {
        comparison.lower_to(Level::Possible, ReasonKind::Weak, "", "");
        return comparison;
    }
    let is_native_syllables = matches!(setting.family, Family::Korean) && script(a) == script(b);
    if is_native_syllables {
        comparison.lower_to(Level::Possible, ReasonKind::Order, "", "");
        return comparison;
    }
    if !order_agrees(a, b, &alignment, has_extras, longer, extras, setting) {
        comparison.lower_to(Level::Possible, ReasonKind::Order, "", "");
        return comparison;
    }
    let is_left_a = !alignment.left_a.is_empty();
    let places = |pair: &align::Pair| if is_left_a { pair.a } else { pair.b };
    let matched: Vec<usize> =
        alignment.pairs.iter().flat_map(|pair| places(pair).0..places(pair).0 + places(pair).1).collect();
    if let Some(extra) = extras.iter().find(|at| !may_be_extra(**at, longer, shorter, &matched, setting)) {
        comparison.lower_to(Level::Possible, ReasonKind::Extra, &longer.tokens[*extra].text, "");
        return comparison;
    }
    comparison.level = Level::Confident;
    comparison
}

fn score(a: &Name, b: &Name, alignment: &Alignment) -> f32 {
    let weight = |token: &Token| if token.is_initial || token.may_miss { 0.3 } else { 1. };
    let total = |name: &Name| name.tokens.iter().map(weight).sum::<f32>();
    let matched: f32 = alignment
        .pairs
        .iter()
        .map(|pair| {
            let side = |name: &Name, (from, length): (usize, usize)| {
                name.tokens[from..from + length].iter().map(weight).sum::<f32>()
            };
            pair.matched.value * (side(a, pair.a) + side(b, pair.b))
        })
        .sum();
    (matched / (total(a) + total(b)).max(1.)).clamp(0., 0.99)
}

fn reasons(a: &Name, b: &Name, alignment: &Alignment) -> Vec<Reason> {
    let text = |name: &Name, (from, length): (usize, usize)| {
        name.tokens[from..from + length].iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    };
    let pairs = alignment.pairs.iter();
    let mut reasons: Vec<Reason> = pairs
        .map(|pair| Reason::new(pair.matched.kind, &text(a, pair.a), &text(b, pair.b), pair.matched.value))
        .collect();
    reasons.extend(alignment.left_a.iter().map(|at| Reason::new(ReasonKind::Extra, &a.tokens[*at].text, "", -0.1)));
    reasons.extend(alignment.left_b.iter().map(|at| Reason::new(ReasonKind::Extra, "", &b.tokens[*at].text, -0.1)));
    reasons
}

/// True if the tokens stand in an order that one person's names have: the same, or the family name moved.
fn order_agrees(
    a: &Name,
    b: &Name,
    alignment: &Alignment,
    has_extras: bool,
    longer: &Name,
    extras: &[usize],
    setting: &Setting,
) -> bool {
    let order: Vec<usize> = alignment.pairs.iter().map(|pair| pair.b.0).collect();
    let descents = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
    if descents == 0 {
        return true;
    }
    let is_rotation = descents == 1 && order.first() > order.last();
    fn texts(name: &Name) -> Vec<&str> {
        name.tokens.iter().map(|token| token.text.as_str()).collect()
    }
    let (left, right) = (texts(a), texts(b));
    let is_rotation = is_rotation
        || (left.len() == right.len()
            && (1..left.len()).any(|from| right[from..].iter().chain(&right[..from]).eq(left.iter())));
    if has_extras {
        let small = |at: &usize| {
            let token = &longer.tokens[*at];
            token.may_miss || token.is_initial || setting.family == Family::Iberian && longer.tokens.len() > 3
        };
        let marked = a.family_first
            || b.family_first
            || a.tokens.iter().chain(&b.tokens).any(|token| token.script != Script::Latin);
        let has_given = longer.tokens.iter().any(|token| given_names::is_given(&token.text));
        if setting.family == Family::Syllables && has_given {
            return true;
        }
        return is_rotation && (marked || extras.iter().all(small));
    }
    if is_rotation {
        return true;
    }
    // Two family names exchanged behind the given name.
    !matches!(setting.family, Family::Korean | Family::Syllables)
        && order.len() >= 3
        && (order.first() == Some(&0) || order.len() >= 4)
}

/// True if a token may be missing in the shorter name of the same person.
fn may_be_extra(at: usize, longer: &Name, shorter: &Name, matched: &[usize], setting: &Setting) -> bool {
    let token = &longer.tokens[at];
    if token.may_miss || token.is_initial || token.has_article && at > 0 {
        return true;
    }
    if token.has_digit {
        return false;
    }
    let first = matched.iter().min().copied().unwrap_or(0);
    let last = matched.iter().max().copied().unwrap_or(0);
    let is_leading = at < first;
    let is_trailing = at > last;
    let is_given = |token: &Token| given_names::is_given(&token.text);
    if longer.tokens.iter().map(|token| token.script).max() != shorter.tokens.iter().map(|token| token.script).max() {
        // Sounds of two tokens agree across scripts: another person of such a name would be rare.
        return !matches!(setting.family, Family::Chain | Family::Korean) || !is_leading && !is_trailing;
    }
    let all_given = shorter.tokens.iter().all(is_given);
    let bound_to_given = (token.hyphen && at == first + 1) || (is_leading && longer.tokens[at + 1].hyphen);
    match setting.family {
        Family::Korean => false,
        Family::Syllables => shorter.tokens.iter().any(is_given) || (is_given(token) && matched.len() >= 3),
        Family::Iberian => {
            let maria = is_leading && matches!(token.text.as_str(), "maria" | "jose" | "juan" | "luis" | "jaime");
            !all_given && (!is_leading || maria || matched.len() >= 2)
        }
        Family::English => !is_leading && (!is_trailing || token.hyphen),
        Family::Native => {
            let is_second_given = setting.has_double_names && is_given(token) && !is_trailing;
            let is_outside = is_leading || (is_trailing && !token.hyphen);
            !is_outside && !bound_to_given && !is_second_given
        }
        Family::Chain => {
            !is_leading && (!is_trailing || matched.len() >= 3 || shorter.tokens.first().is_some_and(is_given))
        }
        Family::Other => {
            let is_outside = is_leading || (is_trailing && all_given);
            !is_outside && !bound_to_given
        }
        Family::Unknown => false,
    }
}
