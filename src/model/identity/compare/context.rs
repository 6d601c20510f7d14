//! Appearances as evidence: they raise and lower the level of names, never decide alone.

use super::{
    super::profile::{Appearance, Context},
    Comparison, Level, Reason, ReasonKind,
};

/// Maximum number of appearances of a side that are read.
const MAX_APPEARANCES: usize = 200;
/// The longest career, in days.
const MAX_CAREER: i32 = 45 * 366;
/// Appearances in one office within these days overlap.
const SAME_TERM: i32 = 366;

/// Applies the appearances to a comparison of names.
pub fn apply(comparison: &mut Comparison, context: &Context<'_>, same_region: bool) {
    let of = |appearances: &'_ [Appearance]| appearances.len().min(MAX_APPEARANCES);
    let (a, b) = (&context.a[..of(context.a)], &context.b[..of(context.b)]);
    if a.is_empty() || b.is_empty() {
        return;
    }
    if is_far_apart(a, b) {
        return comparison.lower_to(Level::Possible, ReasonKind::FarApart, "", "");
    }
    let pairs = || a.iter().flat_map(|left| b.iter().map(move |right| (left, right)));
    if let Some((left, right)) = pairs().find(|(left, right)| are_two_top_offices(left, right)) {
        return comparison.lower_to(Level::Possible, ReasonKind::TwoTopOffices, &left.title, &right.title);
    }
    let leaves_nothing = !comparison.reasons.iter().any(|reason| {
        matches!(
            reason.kind,
            ReasonKind::Extra
                | ReasonKind::OwnNames
                | ReasonKind::Order
                | ReasonKind::Generation
                | ReasonKind::Ordinal
                | ReasonKind::Gender
                | ReasonKind::RegionDiffers
                | ReasonKind::Initial
        )
    });
    if comparison.level != Level::Possible || !leaves_nothing || !same_region || comparison.score < 0.6 {
        return;
    }
    let raised = pairs().find_map(|(left, right)| {
        let is_office = !left.title.is_empty()
            && left.title == right.title
            && left.organization == right.organization
            && days_between(left, right).is_some_and(|days| days <= SAME_TERM);
        let is_company = days_between(left, right) == Some(0)
            && !left.co_participants.is_empty()
            && left.co_participants == right.co_participants;
        let kind = if is_office { Some(ReasonKind::SameOffice) } else { is_company.then_some(ReasonKind::SameCompany) };
        kind.map(|kind| Reason::new(kind, &left.title, &right.title, 0.5))
    });
    if let Some(reason) = raised {
        comparison.level = Level::Confident;
        comparison.reasons.push(reason);
    }
}

/// The days between two appearances: 0 if they overlap. None if a date is unknown.
fn days_between(a: &Appearance, b: &Appearance) -> Option<i32> {
    let span = |appearance: &Appearance| {
        let first = appearance.first_day?;
        Some((first, appearance.last_day.unwrap_or(first).max(first)))
    };
    let ((a_first, a_last), (b_first, b_last)) = (span(a)?, span(b)?);
    Some(a_first.saturating_sub(b_last).max(b_first.saturating_sub(a_last)).max(0))
}

fn is_far_apart(a: &[Appearance], b: &[Appearance]) -> bool {
    let first = |side: &[Appearance]| side.iter().filter_map(|appearance| appearance.first_day).min();
    let last =
        |side: &[Appearance]| side.iter().filter_map(|appearance| appearance.last_day.or(appearance.first_day)).max();
    let both = [a, b].map(|side| first(side).zip(last(side)));
    let [Some((a_first, a_last)), Some((b_first, b_last))] = both else { return false };
    a_last.max(b_last).saturating_sub(a_first.min(b_first)) > MAX_CAREER
}

/// True if both are heads of state or government on one day, under different titles.
fn are_two_top_offices(a: &Appearance, b: &Appearance) -> bool {
    a.seniority == 1
        && b.seniority == 1
        && days_between(a, b) == Some(0)
        && !a.title.is_empty()
        && !b.title.is_empty()
        && a.title.to_lowercase() != b.title.to_lowercase()
}
