//! Candidates for the date of a meeting.

use super::ranking::{Candidate, ReportedValue, candidates};
use crate::{
    model::time::spans::{SpanKey, contains, key},
    pb::{DateSpan, date_span::Basis},
};

/// The spans that can be settled on, from values in order of rank. Drops spans without a day if any span has one,
/// inferred days if any is stated, and coarse spans that contain a finer one.
pub fn date_candidates<'a>(values: impl Iterator<Item = ReportedValue<&'a DateSpan>>) -> Vec<Candidate<&'a DateSpan>> {
    let mut values: Vec<_> = values.filter(|ReportedValue(_, span)| **span != DateSpan::default()).collect();
    let best = values.iter().map(|ReportedValue(_, span)| certainty(span)).max();
    values.retain(|ReportedValue(_, span)| Some(certainty(span)) == best);
    let spans =
        candidates(values.iter().map(|ReportedValue(rank, span)| ReportedValue(*rank, *span)), |span| key(span));
    finest(spans, &values)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Certainty {
    NoDay,
    Inferred,
    Stated,
}

fn certainty(span: &DateSpan) -> Certainty {
    match span.basis() {
        _ if span.start.is_none() => Certainty::NoDay,
        Basis::InferredFromAnnouncement | Basis::InferredFromPublication => Certainty::Inferred,
        Basis::Unspecified | Basis::Stated | Basis::YearInferred | Basis::Relative => Certainty::Stated,
    }
}

/// Removes the spans that contain a finer one. One date may have several wordings, one for each time zone that reports
/// use, and contains everything that any of its wordings contains. `values` has the wordings: a report has at most one
/// date.
fn finest<'a>(
    mut candidates: Vec<Candidate<&'a DateSpan>>,
    values: &[ReportedValue<&'a DateSpan>],
) -> Vec<Candidate<&'a DateSpan>> {
    if candidates.len() < 2 {
        return candidates;
    }
    let dates: Vec<WordedDate<'_>> = candidates.iter().map(|candidate| WordedDate::of(candidate, values)).collect();
    // Quadratic in the distinct values of one field, of which there are few.
    let mut keep = dates.iter().map(|coarse| !dates.iter().any(|fine| coarse.contains(fine)));
    candidates.retain(|_| keep.next().unwrap_or(true));
    candidates
}

/// A date with all its wordings.
struct WordedDate<'a> {
    key: SpanKey,
    wordings: Vec<&'a DateSpan>,
}

impl<'a> WordedDate<'a> {
    fn of(candidate: &Candidate<&'a DateSpan>, values: &[ReportedValue<&'a DateSpan>]) -> Self {
        let mut wordings = vec![candidate.value];
        // The values are sorted by rank.
        let position = |rank: &usize| values.binary_search_by_key(rank, |value| value.0).ok();
        for ReportedValue(_, span) in candidate.others.iter().filter_map(position).map(|at| &values[at]) {
            // Only the time zone matters: the wordings of one date differ in nothing else that `contains` reads.
            if wordings.iter().all(|wording| wording.time_zone != span.time_zone) {
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
