//! Appearances as evidence: they raise and lower the level of names, never decide alone.

use super::{
    super::profile::{Appearance, Context},
    Comparison, Level, Reason, ReasonKind,
};

/// Maximum number of appearances of a side that are read.
const MAX_APPEARANCES: usize = 200;
/// The longest career, in days.
const MAX_CAREER: i32 = 45 * 366;
/// Terms of office with at most this gap, in days, overlap.
const MAX_GAP: i32 = 14;

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
    let least = if same_region { 0.75 } else { 0.9 };
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
    if comparison.level != Level::Possible || !leaves_nothing || comparison.score < least {
        return;
    }
    let company = pairs().find(|(left, right)| {
        days_between(left, right) == Some(0)
            && !left.co_participants.is_empty()
            && left.co_participants == right.co_participants
    });
    let office = pairs().find(|(left, right)| is_one_office(left, right) && terms_overlap(a, b, left));
    let found = office.map(|found| (found, ReasonKind::SameOffice));
    if let Some(((left, right), kind)) = found.or(company.map(|found| (found, ReasonKind::SameCompany))) {
        comparison.level = Level::Confident;
        comparison.reasons.push(Reason::new(kind, &left.title, &right.title, 0.5));
    }
}

fn is_one_office(a: &Appearance, b: &Appearance) -> bool {
    !a.title.is_empty() && a.title == b.title && a.organization == b.organization
}

/// True if the times overlap at which the two sides appear in an office. The times of a successor do not.
fn terms_overlap(a: &[Appearance], b: &[Appearance], office: &Appearance) -> bool {
    let term = |side: &[Appearance]| {
        let held: Vec<Appearance> = side.iter().filter(|held| is_one_office(held, office)).cloned().collect();
        Some(Appearance {
            first_day: Some(first_day(&held)?),
            last_day: Some(last_day(&held)?),
            ..Appearance::default()
        })
    };
    let days = term(a).zip(term(b)).and_then(|(a, b)| days_between(&a, &b));
    days.is_some_and(|days| days <= MAX_GAP)
}

fn first_day(side: &[Appearance]) -> Option<i32> {
    side.iter().filter_map(|appearance| appearance.first_day).min()
}

fn last_day(side: &[Appearance]) -> Option<i32> {
    side.iter().filter_map(|appearance| appearance.last_day.or(appearance.first_day)).max()
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
    let both = [a, b].map(|side| first_day(side).zip(last_day(side)));
    let [Some((a_first, a_last)), Some((b_first, b_last))] = both else { return false };
    a_last.max(b_last).saturating_sub(a_first.min(b_first)) > MAX_CAREER
}

/// True if both are heads of state or government on one day, under titles without a common word.
fn are_two_top_offices(a: &Appearance, b: &Appearance) -> bool {
    let is_top = |appearance: &Appearance| appearance.seniority == 1 && !appearance.title.is_empty();
    let words = |title: &str| -> Vec<String> {
        title.to_lowercase().split_whitespace().filter(|word| word.len() > 3).map(str::to_owned).collect()
    };
    is_top(a)
        && is_top(b)
        && days_between(a, b) == Some(0)
        && !words(&a.title).iter().any(|word| words(&b.title).contains(word))
}
