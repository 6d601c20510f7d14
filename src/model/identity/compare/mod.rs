//! Compares two profiles.

mod align;
mod context;
mod decide;
mod organizations;
mod syllables;
mod tokens;

use super::{
    door,
    profile::{Context, Profile},
};
use crate::pb::participant::Kind;

/// The result of a comparison, from apart to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Two participants.
    No,
    /// Perhaps one participant; a curator decides.
    Possible,
    /// One participant, unless a second candidate is as good.
    Confident,
}

/// The sort of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonKind {
    /// An external id is shared.
    SharedId,
    /// Another id in one scheme.
    ContradictingId,
    /// The kinds differ.
    KindDiffers,
    /// The regions are set and differ.
    RegionDiffers,
    /// The region of a side is unknown.
    RegionUnset,
    /// The door keys of two names are equal.
    EqualName,
    /// Two tokens are equal.
    EqualToken,
    /// Two tokens have one romanisation.
    Romanisation,
    /// Two tokens are given names of one family, or an abbreviation and its long form.
    Variant,
    /// Two tokens differ in vowels only, or agree across scripts.
    Sound,
    /// Two tokens differ in one letter.
    Typo,
    /// An initial stands for a token.
    Initial,
    /// A token that only one side has.
    Extra,
    /// The order of tokens differs in a way that names of that family do not have.
    Order,
    /// Each side has a token that the other lacks.
    OwnNames,
    /// Generations differ: "Jr", "Sr".
    Generation,
    /// Ordinals of rulers differ: "II", "VI".
    Ordinal,
    /// Gendered surnames differ: "-ov", "-ova".
    Gender,
    /// The names have too few strong tokens.
    Weak,
    /// The same office at an overlapping date.
    SameOffice,
    /// The same co-participants on the same day.
    SameCompany,
    /// Two top offices at the same time.
    TwoTopOffices,
    /// More than 45 years lie between the appearances.
    FarApart,
}

/// One reason of a comparison, in terms of the two sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The sort.
    pub kind: ReasonKind,
    /// The part of the first side that it is about. May be empty.
    pub a: String,
    /// The part of the second side. May be empty.
    pub b: String,
    /// From -1, against one identity, to 1, for it.
    pub weight: f32,
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The decision.
    pub level: Level,
    /// From 0 to 1: orders comparisons of one level.
    pub score: f32,
    /// The reasons, in the order of the first side's tokens.
    pub reasons: Vec<Reason>,
}

impl Comparison {
    fn of(level: Level, score: f32, kind: ReasonKind, weight: f32) -> Self {
        Self { level, score, reasons: vec![Reason::new(kind, "", "", weight)] }
    }

    /// Bounds the level from above, for a reason.
    fn lower_to(&mut self, level: Level, kind: ReasonKind, a: &str, b: &str) {
        self.level = self.level.min(level);
        self.reasons.push(Reason::new(kind, a, b, -0.5));
    }

    /// The same comparison with the sides exchanged.
    fn exchanged(mut self) -> Self {
        self.reasons.iter_mut().for_each(|reason| std::mem::swap(&mut reason.a, &mut reason.b));
        self
    }
}

impl Reason {
    fn new(kind: ReasonKind, a: &str, b: &str, weight: f32) -> Self {
        Self { kind, a: a.to_owned(), b: b.to_owned(), weight }
    }
}

/// Maximum number of pairs of names that are compared. Further names, by door key, are left out.
const MAX_NAME_PAIRS: usize = 400;

/// Compares two participants. Symmetric, but for the sides of the reasons.
pub fn compare(a: &Profile, b: &Profile, context: &Context<'_>) -> Comparison {
    let contradicts = door::contradicts_on_ids(&a.external_ids, &b.external_ids);
    if door::shares_an_id(&a.external_ids, &b.external_ids) {
        let mut comparison = Comparison::of(Level::Confident, 1., ReasonKind::SharedId, 1.);
        if a.kind != b.kind {
            comparison.lower_to(Level::Possible, ReasonKind::KindDiffers, "", "");
        }
        if contradicts {
            comparison.lower_to(Level::Possible, ReasonKind::ContradictingId, "", "");
        }
        return comparison;
    }
    if a.kind != b.kind {
        return Comparison::of(Level::No, 0., ReasonKind::KindDiffers, -1.);
    }
    if contradicts {
        return Comparison::of(Level::No, 0., ReasonKind::ContradictingId, -1.);
    }
    let is_person = a.kind == Kind::Person as i32;
    let mut best = compare_names(a, b, is_person);
    if is_person && best.level > Level::No {
        context::apply(&mut best, context, a.region == b.region);
    }
    best
}

/// Compares each name with each, and takes the best comparison. With the region, it decides what the names mean.
fn compare_names(a: &Profile, b: &Profile, is_person: bool) -> Comparison {
    let setting = decide::Setting::of(a, b);
    let mut best: Option<Comparison> = None;
    let pairs = a.names.iter().flat_map(|left| b.names.iter().map(move |right| (left, right)));
    for (left, right) in pairs.take(MAX_NAME_PAIRS) {
        // Equal results for both orders: the lesser name is always the first.
        let is_exchanged = (right.tokens.len(), &right.door) < (left.tokens.len(), &left.door);
        let (first, second) = if is_exchanged { (right, left) } else { (left, right) };
        let mut comparison =
            if is_person { decide::compare(first, second, &setting) } else { organizations::compare(first, second) };
        if is_exchanged {
            comparison = comparison.exchanged();
        }
        let is_better = best.as_ref().is_none_or(|best| {
            (comparison.level, comparison.score)
                .partial_cmp(&(best.level, best.score))
                .is_some_and(|order| order.is_gt())
        });
        if is_better {
            let is_sure = comparison.level == Level::Confident && comparison.score >= 1.;
            best = Some(comparison);
            if is_sure {
                break;
            }
        }
    }
    let mut best = best.unwrap_or_else(|| Comparison::of(Level::No, 0., ReasonKind::Weak, -1.));
    setting.apply_region(&mut best, &a.region, &b.region);
    best
}
