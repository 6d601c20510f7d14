//! Compares two profiles.

use super::{
    door,
    profile::{Context, Profile},
};

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

/// Compares two participants. Symmetric, but for the sides of the reasons.
pub fn compare(a: &Profile, b: &Profile, context: &Context<'_>) -> Comparison {
    let _ = context;
    let equal = a.door_keys.iter().find(|key| b.door_keys.contains(key));
    let reason = |kind, weight| Reason { kind, a: String::new(), b: String::new(), weight };
    if door::shares_an_id(&a.external_ids, &b.external_ids) {
        return Comparison { level: Level::Confident, score: 1., reasons: vec![reason(ReasonKind::SharedId, 1.)] };
    }
    let agrees = a.region == b.region || a.region.is_empty() || b.region.is_empty();
    match equal {
        Some(_) if agrees && a.kind == b.kind && !door::contradicts_on_ids(&a.external_ids, &b.external_ids) => {
            Comparison { level: Level::Confident, score: 1., reasons: vec![reason(ReasonKind::EqualName, 1.)] }
        }
        _ => Comparison { level: Level::No, score: 0., reasons: vec![reason(ReasonKind::OwnNames, -1.)] },
    }
}
