//! When the meeting took place, as far as the reports know.

use super::ranking::{Candidate, ReportedValue, candidates};
use crate::{
    model::time::spans::{SpanKey, contains, key},
    pb::{DateSpan, date_span::Basis},
};

/// The spans that can be settled on, from claims in order of rank. What tells no day gives way to any day that is told,
/// an inferred day to a stated one, a coarse one to a finer one.
pub fn told<'a>(claims: impl Iterator<Item = ReportedValue<&'a DateSpan>>) -> Vec<Candidate<&'a DateSpan>> {
    let mut claims: Vec<_> = claims.filter(|ReportedValue(_, span)| **span != DateSpan::default()).collect();
    let best = claims.iter().map(|ReportedValue(_, span)| knowledge(span)).max();
    claims.retain(|ReportedValue(_, span)| Some(knowledge(span)) == best);
    let spans =
        candidates(claims.iter().map(|ReportedValue(teller, span)| ReportedValue(*teller, *span)), |span| key(span));
    finest(spans, &claims)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Knowledge {
    NoDay,
    Inferred,
    Stated,
}

fn knowledge(span: &DateSpan) -> Knowledge {
    match span.basis() {
        _ if span.start.is_none() => Knowledge::NoDay,
        Basis::InferredFromAnnouncement | Basis::InferredFromPublication => Knowledge::Inferred,
        Basis::Unspecified | Basis::Stated | Basis::YearInferred | Basis::Relative => Knowledge::Stated,
    }
}

/// Removes the spans that contain a finer one. A value has a wording for each zone that reports use, and contains all that
/// one of its wordings contains. `claims` has the wordings: a report has at most one date.
fn finest<'a>(
    mut candidates: Vec<Candidate<&'a DateSpan>>,
    claims: &[ReportedValue<&'a DateSpan>],
) -> Vec<Candidate<&'a DateSpan>> {
    if candidates.len() < 2 {
        return candidates;
    }
    let values: Vec<Value<'_>> = candidates.iter().map(|candidate| Value::of(candidate, claims)).collect();
    // Quadratic in the distinct values of one field, of which there are few.
    let mut keep = values.iter().map(|coarse| !values.iter().any(|fine| coarse.contains(fine)));
    candidates.retain(|_| keep.next().unwrap_or(true));
    candidates
}

/// A date with all its wordings.
struct Value<'a> {
    key: SpanKey,
    wordings: Vec<&'a DateSpan>,
}

impl<'a> Value<'a> {
    fn of(candidate: &Candidate<&'a DateSpan>, claims: &[ReportedValue<&'a DateSpan>]) -> Self {
        let mut wordings = vec![candidate.value];
        // Claims are in the order of their reports' ranks.
        let claim = |rank: &usize| claims.binary_search_by_key(rank, |claim| claim.0).ok();
        for ReportedValue(_, span) in candidate.others.iter().filter_map(claim).map(|at| &claims[at]) {
            // Wordings of one value differ in nothing else that matters.
            if wordings.iter().all(|known| known.time_zone != span.time_zone) {
                wordings.push(span);
            }
        }
        Self { key: key(candidate.value), wordings }
    }

    fn contains(&self, fine: &Self) -> bool {
        let is_finer = |coarse: &&DateSpan| fine.wordings.iter().any(|fine| contains(coarse, fine));
        self.key.may_contain(&fine.key) && self.wordings.iter().any(is_finer)
    }
}
