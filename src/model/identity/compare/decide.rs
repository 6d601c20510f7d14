//! Decides on two names of persons: the alignment, the family of names and the region make the level.

use super::{
    super::{
        fold::Script,
        given_names,
        name::{Name, NameToken},
        profile::Profile,
        region::{self, Family},
    },
    Comparison, Level, Reason, ReasonKind,
    align::{self, Alignment, Pair},
    syllables,
    tokens::{self, ACCENTS, STRONG, STRONG_ACROSS, SURE_ACROSS, Spelling},
};
use crate::model::rules::codes::may_be_one_region;

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
    /// True if sons bear the whole name of the father behind their own.
    pub is_son_like: bool,
}

impl Setting {
    pub fn of(a: &Profile, b: &Profile) -> Self {
        // Of two regions, the lesser: the comparison is symmetric.
        let is_b = a.region.is_empty() || (!b.region.is_empty() && b.region < a.region);
        let known = if is_b { b } else { a };
        let is_native = known.family.is_native_latin()
            || matches!(known.family, Family::Syllables | Family::Korean)
            || known.region == "JP";
        let is_respelled = !is_native || region::is_respelled(&known.region);
        Self {
            family: known.family,
            spelling: if is_respelled { Spelling::Respelled } else { Spelling::Native },
            is_unset: a.region.is_empty() || b.region.is_empty(),
            has_double_names: region::has_double_names(&known.region),
            is_son_like: known.region == "PH",
            differs: !a.region.is_empty() && !b.region.is_empty() && a.region != b.region,
        }
    }

    /// Two set regions that differ are two persons, unless the names are equal or one region followed the other.
    pub fn apply_region(&self, comparison: &mut Comparison, a: &str, b: &str) {
        if self.differs {
            let may_be_one = comparison.score >= 0.95 || may_be_one_region(a, b);
            let level = if may_be_one { Level::Possible } else { Level::No };
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

fn consonants(token: &NameToken) -> usize {
    token.sounds.iter().filter(|sound| !sound.is_vowel() && !sound.is_optional()).count()
}

fn script(name: &Name) -> Script {
    name.tokens.iter().map(|token| token.script).max().unwrap_or(Script::Latin)
}

/// How alike two names sound when written together, in either order of the family name.
fn whole_likeness(a: &Name, b: &Name) -> f32 {
    let joined = |tokens: &mut dyn Iterator<Item = &NameToken>| {
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
    let pair = NamePair::of(a, b, setting);
    let mut comparison = Comparison {
        level: Level::Confident,
        score: score(a, b, &pair.alignment),
        reasons: reasons(a, b, &pair.alignment),
    };
    if let Some((level, kind)) = pair.objection(setting) {
        comparison.lower_to(level, kind, "", "");
        if kind == ReasonKind::OwnNames {
            comparison.score *= 0.6;
        }
    }
    comparison
}

/// Two names with their aligned tokens.
struct NamePair<'a> {
    a: &'a Name,
    b: &'a Name,
    alignment: Alignment,
    is_across: bool,
    /// The least value of a strong match.
    least: f32,
}

impl<'a> NamePair<'a> {
    fn of(a: &'a Name, b: &'a Name, setting: &Setting) -> Self {
        let is_across = script(a) != script(b);
        let least = if is_across { STRONG_ACROSS } else { STRONG };
        Self { a, b, alignment: align::align(a, b, setting.spelling), is_across, least }
    }

    /// The tokens that one side has beyond the other, with the longer and the shorter name.
    fn extras(&self) -> (&'a Name, &'a Name, &[usize]) {
        if self.alignment.left_a.is_empty() {
            (self.b, self.a, &self.alignment.left_b)
        } else {
            (self.a, self.b, &self.alignment.left_a)
        }
    }

    /// The first reason why the two are not surely one, and the level that it allows.
    fn objection(&self, setting: &Setting) -> Option<(Level, ReasonKind)> {
        let Alignment { pairs, left_a, left_b } = &self.alignment;
        let own = |name: &Name, left: &[usize]| left.iter().any(|at| !name.tokens[*at].may_miss);
        let (own_a, own_b) = (own(self.a, left_a), own(self.b, left_b));
        let strong: Vec<&Pair> = pairs.iter().filter(|pair| pair.matched.value >= self.least).collect();
        if own_a && own_b {
            return Some((Level::No, ReasonKind::OwnNames));
        }
        if !left_a.is_empty() && !left_b.is_empty() && (own_a || own_b) {
            return Some((Level::Possible, ReasonKind::Extra));
        }
        if strong.is_empty() {
            return Some((Level::No, ReasonKind::Weak));
        }
        let (longer, shorter, extras) = self.extras();
        if !self.is_sure(&strong) {
            return Some((Level::Possible, ReasonKind::Weak));
        }
        let has_extras = !extras.is_empty();
        let differs = pairs.iter().any(|pair| pair.matched.value < ACCENTS);
        if setting.is_unset && (differs || has_extras) {
            return Some((Level::Possible, ReasonKind::RegionUnset));
        }
        if !pairs.iter().all(|pair| self.is_slight(pair)) {
            return Some((Level::Possible, ReasonKind::Weak));
        }
        // Korean names of one script are compared by their syllables.
        let is_korean = setting.family == Family::Korean && !self.is_across;
        if is_korean || !self.order_agrees(longer, extras, setting) {
            return Some((Level::Possible, ReasonKind::Order));
        }
        let side = |pair: &Pair| if left_a.is_empty() { pair.b } else { pair.a };
        let matched: Vec<usize> = pairs.iter().flat_map(|pair| side(pair).0..side(pair).0 + side(pair).1).collect();
        // A son who bears a name of the father twice: Seretse Khama Ian Khama. Next to each other they are a misprint.
        let repeats = |at: &usize| {
            matched.iter().any(|other| at.abs_diff(*other) > 1 && longer.tokens[*other].text == longer.tokens[*at].text)
        };
        let is_bound = extras.iter().all(|at| !repeats(at) && may_be_extra(*at, longer, shorter, &matched, setting));
        (!is_bound).then_some((Level::Possible, ReasonKind::Extra))
    }

    /// True if enough tokens match strongly.
    fn is_sure(&self, strong: &[&Pair]) -> bool {
        let (longer, _, extras) = self.extras();
        let is_real = |at: &usize| {
            let token = &longer.tokens[*at];
            !(token.may_miss || token.is_initial || token.has_article)
        };
        let has_real_extras = extras.iter().any(is_real);
        // Common tokens count half if something is left over.
        let weight = |pair: &&Pair| {
            let token = &self.a.tokens[pair.a.0];
            let is_joined = pair.a.1 + pair.b.1 > 2 && (extras.is_empty() || !self.is_across);
            match (token.is_common || token.may_miss, has_real_extras, is_joined) {
                (true, true, _) => 0.5,
                (_, _, true) => 2.,
                _ => 1.,
            }
        };
        let weights: f32 = strong.iter().map(weight).sum();
        let values = || strong.iter().map(|pair| pair.matched.value);
        let best = values().fold(0., f32::max);
        let mean = values().sum::<f32>() / strong.len().max(1) as f32;
        let weak = self.alignment.pairs.len() - strong.len();
        weights >= 2. && weak <= 1 && if self.is_across { mean >= SURE_ACROSS } else { best >= 0.9 }
    }

    /// True for a strong match, and for a weak match that another name would rarely give: an initial, a typo.
    fn is_slight(&self, pair: &Pair) -> bool {
        let is_long = |token: &NameToken| token.length >= 7 && !given_names::is_given(&token.text);
        match pair.matched.kind {
            _ if pair.matched.value >= self.least => true,
            ReasonKind::Initial => true,
            ReasonKind::Typo => {
                self.extras().2.is_empty() && is_long(&self.a.tokens[pair.a.0]) && is_long(&self.b.tokens[pair.b.0])
            }
            _ => false,
        }
    }

    /// True if the tokens stand in an order that one person's names have: the same, or the family name moved.
    fn order_agrees(&self, longer: &Name, extras: &[usize], setting: &Setting) -> bool {
        let order: Vec<usize> = self.alignment.pairs.iter().map(|pair| pair.b.0).collect();
        let descents = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
        if descents == 0 {
            return true;
        }
        let is_rotation = (descents == 1 && order.first() > order.last()) || are_rotated(self.a, self.b);
        let is_syllables = matches!(setting.family, Family::Korean | Family::Syllables);
        if extras.is_empty() {
            // Else two family names are exchanged behind the given name.
            let keeps_given = order.len() >= 4 || (order.len() == 3 && order.first() == Some(&0));
            return is_rotation || (!is_syllables && keeps_given);
        }
        if is_syllables && longer.tokens.iter().any(|token| given_names::is_given(&token.text)) {
            return true;
        }
        let is_small = |at: &usize| {
            let token = &longer.tokens[*at];
            token.may_miss || token.is_initial || (setting.family == Family::Iberian && longer.tokens.len() > 3)
        };
        let all = || self.a.tokens.iter().chain(&self.b.tokens);
        let is_marked = self.a.family_first || self.b.family_first || all().any(|token| token.script != Script::Latin);
        is_rotation && (is_marked || extras.iter().all(is_small))
    }
}

/// True if the tokens of one name are those of the other, from another token on.
fn are_rotated(a: &Name, b: &Name) -> bool {
    let count = a.tokens.len();
    let is_equal = |from: usize| (0..count).all(|at| a.tokens[at].text == b.tokens[(at + from) % count].text);
    count == b.tokens.len() && (1..count).any(is_equal)
}

fn score(a: &Name, b: &Name, alignment: &Alignment) -> f32 {
    let weight = |token: &NameToken| if token.is_initial || token.may_miss { 0.3 } else { 1. };
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

/// True if a token may be missing in the shorter name of the same person.
fn may_be_extra(at: usize, longer: &Name, shorter: &Name, matched: &[usize], setting: &Setting) -> bool {
    let token = &longer.tokens[at];
    if token.is_initial {
        // A name that has an initial has all of them: George W. Bush is not George H. W. Bush.
        return !shorter.tokens.iter().any(|token| token.is_initial);
    }
    if token.may_miss || token.has_article && at > 0 {
        return true;
    }
    if token.has_digit {
        return false;
    }
    let first = matched.iter().min().copied().unwrap_or(0);
    let last = matched.iter().max().copied().unwrap_or(0);
    let is_leading = at < first;
    let is_trailing = at > last;
    let is_given = |token: &NameToken| given_names::is_given(&token.text);
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
            let is_father = is_leading && setting.is_son_like;
            !is_father && !all_given
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
