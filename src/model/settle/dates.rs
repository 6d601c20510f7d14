//! Candidates for the date of a meeting.

use std::cmp::Reverse;

use super::ranking::{Candidate, FieldValues, ReportedValue, SourceRanking, candidates, separate};
use crate::{
    model::time::spans::{SpanKey, contains, key},
    pb::{DateSpan, date_span::Basis},
};

/// The spans, from values in order of rank. Drops spans without a day if any span has one, and inferred days if any is
/// stated. Separates coarse spans that contain a finer one.
pub fn date_candidates<'a>(
    values: impl Iterator<Item = ReportedValue<&'a DateSpan>>,
    ranking: &SourceRanking,
) -> FieldValues<&'a DateSpan> {
    date_candidates_of(values.filter(|ReportedValue(_, span)| **span != DateSpan::default()).collect(), ranking)
}

fn date_candidates_of<'a>(
    values: Vec<ReportedValue<&'a DateSpan>>,
    ranking: &SourceRanking,
) -> FieldValues<&'a DateSpan> {
    let best = values.iter().map(|ReportedValue(_, span)| certainty(span)).max();
    let (values, less_certain): (Vec<_>, Vec<_>) =
        values.into_iter().partition(|ReportedValue(_, span)| Some(certainty(span)) == best);
    let spans =
        candidates(values.iter().map(|ReportedValue(rank, span)| ReportedValue(*rank, *span)), |span| key(span));
    let mut settled = finest(spans, &values, ranking);
    settled.has_weaker_evidence = !less_certain.is_empty() && {
        let only_origin = ranking.only_origin(values.iter().map(|value| value.0));
        let of_others = |rank: usize| ranking.only_origin(std::iter::once(rank)) != only_origin;
        only_origin.is_some_and(|_| {
            let left = less_certain.into_iter().filter(|ReportedValue(rank, _)| of_others(*rank));
            let without = date_candidates_of(left.collect(), ranking);
            strongest(&without, ranking) == strongest(&settled, ranking)
        })
    };
    settled
}

/// The key of the strongest date.
fn strongest(values: &FieldValues<&DateSpan>, ranking: &SourceRanking) -> Option<SpanKey> {
    let order =
        |candidate: &&Candidate<&DateSpan>| (ranking.count_sources(candidate), Reverse(candidate.first.position));
    values.finest.iter().max_by_key(order).map(|candidate| key(candidate.value))
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

/// Separates the spans that contain a finer one. One date may have several wordings, one for each time zone that reports
/// use, and contains everything that any of its wordings contains. `values` has the wordings: a report has at most one
/// date.
fn finest<'a>(
    candidates: Vec<Candidate<&'a DateSpan>>,
    values: &[ReportedValue<&'a DateSpan>],
    ranking: &SourceRanking,
) -> FieldValues<&'a DateSpan> {
    if candidates.len() < 2 {
        return candidates.into();
    }
    let dates: Vec<WordedDate<'_>> =
        candidates.iter().map(|candidate| WordedDate::of(candidate, values, ranking)).collect();
    // Quadratic in the distinct values of one field, of which there are few.
    let revived_without = dates.iter().map(|coarse| coarse.revived_without(&dates)).collect();
    separate(candidates, revived_without)
}

/// A date with all its wordings.
struct WordedDate<'a> {
    key: SpanKey,
    wordings: Vec<Wording<'a>>,
}

/// A wording of a date.
struct Wording<'a> {
    span: &'a DateSpan,
    /// The number of the origin if only one has the wording.
    only_origin: Option<usize>,
}

impl<'a> WordedDate<'a> {
    fn of(
        candidate: &Candidate<&'a DateSpan>,
        values: &[ReportedValue<&'a DateSpan>],
        ranking: &SourceRanking,
    ) -> Self {
        let mut wordings: Vec<Wording<'a>> = Vec::with_capacity(1);
        // The values are sorted by rank.
        let position = |rank: usize| values.binary_search_by_key(&rank, |value| value.0).ok();
        for ReportedValue(rank, span) in candidate.ranks().filter_map(position).map(|at| &values[at]) {
            let origin = ranking.only_origin(std::iter::once(*rank));
            // Only the time zone matters: the wordings of one date differ in nothing else that `contains` reads.
            match wordings.iter_mut().find(|wording| wording.span.time_zone == span.time_zone) {
                Some(wording) => wording.only_origin = wording.only_origin.filter(|only| Some(*only) == origin),
                None => wordings.push(Wording { span, only_origin: origin }),
            }
        }
        Self { key: key(candidate.value), wordings }
    }

    /// The origins without any one of which no date is finer. `None` if none is.
    fn revived_without(&self, dates: &[Self]) -> Option<Vec<usize>> {
        let mut origins: Option<Vec<usize>> = None;
        for fine in dates.iter().filter(|fine| self.key.may_contain(&fine.key)) {
            let pairs = self.wordings.iter().flat_map(|coarse| fine.wordings.iter().map(move |fine| (coarse, fine)));
            for (coarse, fine) in pairs.filter(|(coarse, fine)| contains(coarse.span, fine.span)) {
                // The pair is gone if one of its wordings is.
                let either = [coarse.only_origin, fine.only_origin];
                let left: Vec<usize> = match origins {
                    None => either.into_iter().flatten().collect(),
                    Some(origins) => origins.into_iter().filter(|origin| either.contains(&Some(*origin))).collect(),
                };
                if left.is_empty() {
                    return Some(left);
                }
                origins = Some(left);
            }
        }
        origins
    }
}
