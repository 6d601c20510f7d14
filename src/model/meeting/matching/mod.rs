//! A pure rule with a version decides if two accounts describe one event. It compares dates, principals, places, kinds
//! and states. Words never decide; they only order.
//!
//! The rule is strict, because two meetings of the same people within a day are common: bilateral talks beside
//! trilateral ones, talks before a signing, the next round on the next day. Contradictions and missing facts therefore
//! make a candidate, for a person to decide.

mod facts;
mod place;
#[cfg(test)]
mod tests;
mod words;

use self::{
    facts::{Days, Precision},
    place::Agreement,
};
pub use self::{
    facts::{EventFacts, Principal, canonical, principals},
    words::{MAX_TEXT_BYTES, Words},
};
use crate::pb::{
    account::{Kind, Status},
    meeting_match::{Reason, reason::Kind as ReasonKind},
};

/// The version of the rule. Every change to the result of a comparison increments it.
pub const VERSION: i32 = 1;

/// The longest date that can be SAME, in days. Visits and conferences are shorter; a longer span says little.
pub const MAX_DAYS: i64 = 31;

/// Maximum characters of a value in a reason.
const MAX_VALUE_CHARS: usize = 128;

/// Maximum days between publications that raise the score.
const MAX_PUBLICATION_DAYS: i64 = 3;

/// The parts of the score. Those of a perfect match add up to 1.
const PRINCIPALS_WEIGHT: f64 = 0.4;
const SAME_DAY_WEIGHT: f64 = 0.25;
const UNSURE_DAY_WEIGHT: f64 = 0.15;
const NEXT_DAY_WEIGHT: f64 = 0.1;
const SAME_LOCALITY_WEIGHT: f64 = 0.15;
const SAME_REGION_WEIGHT: f64 = 0.1;
const KIND_WEIGHT: f64 = 0.1;
const TEXT_WEIGHT: f64 = 0.07;
const PUBLICATION_WEIGHT: f64 = 0.03;

/// The result of a comparison, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Two events.
    No,
    /// Perhaps one event.
    Candidate,
    /// One event.
    Same,
}

/// A comparison with its explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct EventComparison {
    pub level: Level,
    /// The sum of the weights of the reasons, at most 1.
    pub score: f64,
    pub reasons: Vec<Reason>,
}

impl EventComparison {
    fn no() -> Self {
        Self { level: Level::No, score: 0.0, reasons: Vec::new() }
    }

    fn add(&mut self, kind: ReasonKind, (a, b): (&str, &str), weight: f64) {
        let value = |text: &str| text.chars().take(MAX_VALUE_CHARS).collect();
        self.reasons.push(Reason { kind: kind.into(), a: value(a), b: value(b), weight });
        self.score += weight;
    }

    /// The comparison with a meeting that has an external id of the account: one event, whatever else they tell. The
    /// other reasons explain it too.
    pub fn by_external_id(id: &str, compared: Option<Self>) -> Self {
        let mut result = Self { level: Level::Same, ..Self::no() };
        result.add(ReasonKind::SameExternalId, (id, id), 1.0);
        result.reasons.extend(compared.into_iter().flat_map(|compared| compared.reasons));
        result
    }

    /// Lowers SAME to CANDIDATE, for this reason.
    pub fn doubt(&mut self, kind: ReasonKind) {
        self.level = self.level.min(Level::Candidate);
        self.add(kind, ("", ""), 0.0);
    }
}

/// Compares two accounts. The level and the score are the same in both directions.
pub fn compare(a: &EventFacts, b: &EventFacts) -> EventComparison {
    let mut result = EventComparison { level: Level::Same, ..EventComparison::no() };
    let (Some(a_days), Some(b_days)) = (&a.days, &b.days) else { return EventComparison::no() };
    let apart = a_days.apart(b_days);
    let is_full = [a_days, b_days].iter().all(|days| days.precision == Precision::Full);
    if apart > 1 || (apart == 1 && !is_full) {
        return EventComparison::no();
    }
    compare_dates(&mut result, a_days, b_days);
    if !compare_principals(&mut result, a, b, apart == 1) {
        return EventComparison::no();
    }
    let kinds_differ = compare_kinds(&mut result, a.kind, b.kind);
    let is_call = |kind: Kind| matches!(kind, Kind::PhoneCall | Kind::VideoCall);
    let agreement = a.place.agreement(&b.place);
    let places = (a.place.text.as_str(), b.place.text.as_str());
    match agreement {
        Agreement::Locality => result.add(ReasonKind::SamePlace, places, SAME_LOCALITY_WEIGHT),
        Agreement::Region => result.add(ReasonKind::SamePlace, places, SAME_REGION_WEIGHT),
        // A call has no place.
        Agreement::Unknown if is_call(a.kind) || is_call(b.kind) => {}
        Agreement::Unknown => result.doubt_with(ReasonKind::UnknownPlace, places),
        Agreement::Differs => result.doubt_with(ReasonKind::OtherPlace, places),
    }
    let contradictions = u8::from(kinds_differ) + u8::from(agreement == Agreement::Differs);
    let has_equal_principals = a.principals == b.principals;
    let may_contradict = apart == 0 && is_full && has_equal_principals && a.principals.len() > 1;
    if contradictions > 1 || (contradictions == 1 && !may_contradict) {
        return EventComparison::no();
    }
    let is_visit = a.kind == Kind::Visit && b.kind == Kind::Visit;
    if a.principals.len().min(b.principals.len()) == 1 && !(is_visit && agreement == Agreement::Locality) {
        result.doubt(ReasonKind::SinglePrincipal);
    }
    if !may_be_one(a.status, b.status) {
        result.doubt_with(ReasonKind::OtherStatus, (a.status.as_str_name(), b.status.as_str_name()));
    }
    if have_other_ids(a, b) {
        result.doubt(ReasonKind::OtherExternalId);
    }
    if a.is_background || b.is_background {
        result.doubt(ReasonKind::Background);
    }
    compare_texts(&mut result, a, b);
    result.score = result.score.clamp(0.0, 1.0);
    result
}

impl EventComparison {
    fn doubt_with(&mut self, kind: ReasonKind, values: (&str, &str)) {
        self.level = self.level.min(Level::Candidate);
        self.add(kind, values, 0.0);
    }
}

fn compare_dates(result: &mut EventComparison, a: &Days, b: &Days) {
    let values = (a.text.as_str(), b.text.as_str());
    let all = [a, b];
    let is_sure = all.iter().all(|days| days.precision == Precision::Full && !days.is_inferred);
    match (a.apart(b), is_sure) {
        (0, true) => result.add(ReasonKind::SameDay, values, SAME_DAY_WEIGHT),
        (0, false) => result.add(ReasonKind::SameDay, values, UNSURE_DAY_WEIGHT),
        _ => {
            result.level = Level::Candidate;
            result.add(ReasonKind::NextDay, values, NEXT_DAY_WEIGHT);
        }
    }
    if all.iter().any(|days| days.precision == Precision::Partial) {
        result.doubt(ReasonKind::PartialDate);
    }
    if all.iter().any(|days| days.is_inferred) {
        result.doubt(ReasonKind::InferredDate);
    }
    if all.iter().any(|days| days.length() > MAX_DAYS) {
        result.doubt(ReasonKind::LongDate);
    }
}

/// Compares the principals. False if they are not those of one event: neither equal, nor all of one side among those of
/// the other. A single principal says little on another day, and next to others; so do extra principals on another day.
fn compare_principals(result: &mut EventComparison, a: &EventFacts, b: &EventFacts, is_next_day: bool) -> bool {
    let shared = a.principals.intersection(&b.principals).count();
    let is_equal = a.principals == b.principals;
    let is_part = shared == a.principals.len().min(b.principals.len());
    if shared == 0 || !is_part || (shared == 1 && (is_next_day || !is_equal)) || (!is_equal && is_next_day) {
        return false;
    }
    let all = a.principals.union(&b.principals).count();
    // At most 1,000 of each: the numbers are exact.
    let weight = PRINCIPALS_WEIGHT * shared as f64 / all as f64;
    if is_equal {
        let names = Principal::join(a.principals.iter());
        result.add(ReasonKind::SamePrincipals, (&names, &names), weight);
    } else {
        let a_only = Principal::join(a.principals.difference(&b.principals));
        let b_only = Principal::join(b.principals.difference(&a.principals));
        result.level = result.level.min(Level::Candidate);
        result.add(ReasonKind::ExtraPrincipals, (&a_only, &b_only), weight);
    }
    if a.principals.iter().chain(&b.principals).any(|principal| matches!(principal, Principal::Named(_))) {
        result.doubt(ReasonKind::UnresolvedPrincipal);
    }
    true
}

/// Compares the kinds. True if they differ.
fn compare_kinds(result: &mut EventComparison, a: Kind, b: Kind) -> bool {
    let values = (a.as_str_name(), b.as_str_name());
    match (a, b) {
        (Kind::Unspecified, _) | (_, Kind::Unspecified) => false,
        _ if a == b => {
            result.add(ReasonKind::SameKind, values, KIND_WEIGHT);
            false
        }
        _ => {
            result.doubt_with(ReasonKind::OtherKind, values);
            true
        }
    }
}

/// True if both have external ids in one scheme, and share no id at all: a register tells them apart.
fn have_other_ids(a: &EventFacts, b: &EventFacts) -> bool {
    let has_scheme = |scheme: &str| b.external_ids.iter().any(|(other, _)| other == scheme);
    a.external_ids.is_disjoint(&b.external_ids) && a.external_ids.iter().any(|(scheme, _)| has_scheme(scheme))
}

/// True if events in these states can be one. A state that is not stated counts as HELD: articles report what happened.
fn may_be_one(a: Status, b: Status) -> bool {
    let stated = |status: Status| if status == Status::Unspecified { Status::Held } else { status };
    stated(a) == stated(b)
}

fn compare_texts(result: &mut EventComparison, a: &EventFacts, b: &EventFacts) {
    let likeness = a.words.likeness(&b.words);
    if likeness > 0.0 {
        result.add(ReasonKind::LikeText, ("", ""), TEXT_WEIGHT * likeness);
    }
    if let (Some(a), Some(b)) = (a.publish_date, b.publish_date)
        && (a - b).num_days().abs() <= MAX_PUBLICATION_DAYS
    {
        result.add(ReasonKind::LikePublication, (&a.to_string(), &b.to_string()), PUBLICATION_WEIGHT);
    }
}

/// Lowers all SAME results of one account to CANDIDATE if there are several: it is not known which one is meant.
pub fn require_unique<'a>(results: impl Iterator<Item = &'a mut EventComparison>) {
    let mut same: Vec<&mut EventComparison> = results.filter(|result| result.level == Level::Same).collect();
    if same.len() > 1 {
        same.iter_mut().for_each(|result| result.doubt(ReasonKind::NotUnique));
    }
}
