//! When the meeting took place, as far as the reports know.

use super::choice::{Candidate, Claim, candidates, finest};
use crate::{
    model::dates::{contains, key},
    pb::{self, date_span::Basis},
};

/// The spans that can be settled on, from claims in order of rank. What tells no day gives way to any day that is told,
/// an inferred day to a stated one, a coarse one to a finer one.
pub fn told<'a>(claims: impl Iterator<Item = Claim<&'a pb::DateSpan>>) -> Vec<Candidate<&'a pb::DateSpan>> {
    let mut claims: Vec<_> = claims.filter(|Claim(_, span)| **span != pb::DateSpan::default()).collect();
    let best = claims.iter().map(|Claim(_, span)| knowledge(span)).max();
    claims.retain(|Claim(_, span)| Some(knowledge(span)) == best);
    let spans = candidates(claims.into_iter(), |span| key(span));
    finest(spans, |coarse, fine| contains(coarse, fine))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Knowledge {
    NoDay,
    Inferred,
    Stated,
}

fn knowledge(span: &pb::DateSpan) -> Knowledge {
    match span.basis() {
        _ if span.start.is_none() => Knowledge::NoDay,
        Basis::InferredFromAnnouncement | Basis::InferredFromPublication => Knowledge::Inferred,
        Basis::Unspecified | Basis::Stated | Basis::YearInferred | Basis::Relative => Knowledge::Stated,
    }
}
