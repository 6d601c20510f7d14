//! The facts of an account that the rule compares.

use std::collections::{BTreeSet, HashSet};

use chrono::{Days as DayCount, NaiveDate};
use uuid::Uuid;

use super::{MAX_DAYS, place::PlaceFacts, words::Words};
use crate::{
    model::{participant::office_key, resource::Collection, text::names, time::dates},
    pb::{
        Account, Date, DateSpan, Participation,
        account::{Kind, Status},
        date_span::{Basis, Extent},
        participation::{Presence, Role},
    },
};

/// The facts of one account.
#[derive(Debug, Clone, Default)]
pub struct EventFacts {
    /// `None` if no day is known.
    pub(super) days: Option<Days>,
    /// The principals.
    pub principals: BTreeSet<Principal>,
    pub(super) place: PlaceFacts,
    pub(super) kind: Kind,
    pub(super) status: Status,
    /// The external ids: scheme and value.
    pub external_ids: BTreeSet<(String, String)>,
    /// True if articles only recall the event.
    pub is_background: bool,
    /// Words that order the results; empty to leave them out.
    pub words: Words,
    /// The publication date, which orders the results.
    pub publish_date: Option<NaiveDate>,
}

/// The days of an event.
#[derive(Debug, Clone)]
pub(super) struct Days {
    first: NaiveDate,
    last: NaiveDate,
    pub(super) precision: Precision,
    /// True if the days are inferred from another date, or approximate.
    pub(super) is_inferred: bool,
    pub(super) text: String,
}

/// The precision of the days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// The first and the last day are known.
    Full,
    /// Only a month, a year or a longer span is known, within which the event was.
    Partial,
}

/// The identity of a principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// A participant.
    Resolved(Uuid),
    /// The name key of a participant that is not resolved, or of a delegation.
    Named(String),
}

impl Principal {
    /// The principals as a text for readers.
    pub(super) fn join<'a>(principals: impl Iterator<Item = &'a Self>) -> String {
        let text = |principal: &Self| match principal {
            Self::Resolved(id) => Collection::Participants.name(*id),
            Self::Named(name) => name.clone(),
        };
        principals.map(text).collect::<Vec<_>>().join(", ")
    }
}

impl EventFacts {
    /// The facts of an account. `resolve` returns the id under which the participant of a participation is known: the
    /// same id for all records of one person. See [`canonical`].
    pub fn of(account: &Account, resolve: impl Fn(&str) -> Option<Uuid>) -> Self {
        let identity = |participation: &Participation| match resolve(&participation.participant) {
            Some(id) => Principal::Resolved(id),
            None => Principal::Named(written_name(account, participation)),
        };
        Self {
            days: account.date.as_ref().and_then(Days::of),
            principals: principals(account).into_iter().map(identity).collect(),
            place: account.place.as_ref().map(PlaceFacts::of).unwrap_or_default(),
            kind: account.kind(),
            status: account.status(),
            external_ids: account.external_ids.iter().map(|id| (id.scheme.clone(), id.value.clone())).collect(),
            is_background: false,
            words: Words::default(),
            publish_date: None,
        }
    }

    /// The first and the last day on which an event that matches may be: a day before and after its own days.
    pub fn search_days(&self) -> Option<(NaiveDate, NaiveDate)> {
        let days = self.days.as_ref()?;
        let a_day = DayCount::new(1);
        let (first, last) = (days.first.checked_sub_days(a_day), days.last.checked_add_days(a_day));
        Some((first.unwrap_or(days.first), last.unwrap_or(days.last)))
    }

    /// The participants with one of which a meeting must share a principal to match: two common principals are needed, if
    /// there are several, so one can be left out. That is the one with the smallest id, who is in most meetings.
    pub fn search_participants(&self) -> Vec<Uuid> {
        let mut ids: Vec<Uuid> = self.resolved().collect();
        if ids.len() > 1 && ids.len() == self.principals.len() {
            ids.remove(0);
        }
        ids
    }

    /// The first and the last day and the first principal, if another account can be SAME: such an account shares a day
    /// and has the principal.
    pub fn same_key(&self) -> Option<(NaiveDate, NaiveDate, Uuid)> {
        let days = self.days.as_ref()?;
        let is_sure = days.precision == Precision::Full && !days.is_inferred && days.length() <= MAX_DAYS;
        let is_resolved = self.resolved().count() == self.principals.len();
        let first = self.resolved().min().filter(|_| is_sure && is_resolved && !self.is_background)?;
        Some((days.first, days.last, first))
    }

    /// True if the two events are not further apart than the rule allows: a day.
    pub fn may_share_days(&self, other: &Self) -> bool {
        self.days.as_ref().zip(other.days.as_ref()).is_some_and(|(own, others)| own.apart(others) <= 1)
    }

    /// True if the two events share a day. Events that do not are not SAME.
    pub fn shares_a_day(&self, other: &Self) -> bool {
        self.days.as_ref().zip(other.days.as_ref()).is_some_and(|(own, others)| own.apart(others) == 0)
    }

    /// The participants among the principals.
    pub fn resolved(&self) -> impl Iterator<Item = Uuid> {
        self.principals.iter().filter_map(|principal| match principal {
            Principal::Resolved(id) => Some(*id),
            Principal::Named(_) => None,
        })
    }
}

/// The id of the participant with a resource name, for [`EventFacts::of`]. Each record of a participant is its own
/// identity.
pub fn canonical(name: &str) -> Option<Uuid> {
    Collection::Participants.id(name)
}

/// The principals of an account: the participations with the role of a principal; for a region without one, all of its
/// participations that are PRESENT or REMOTE; and those without a region that are.
pub fn principals(account: &Account) -> Vec<&Participation> {
    let is_by_role = |participation: &Participation| {
        !matches!(participation.presence(), Presence::Absent | Presence::Referenced)
            && participation.roles().any(is_role_of_principal)
    };
    let by_role = account.participations.iter().filter(|participation| is_by_role(participation));
    let regions: HashSet<&str> =
        by_role.map(|participation| participation.region_code.as_str()).filter(|code| !code.is_empty()).collect();
    let represents_side = |participation: &Participation| {
        super::super::is_met(participation) && !regions.contains(participation.region_code.as_str())
    };
    let all = account.participations.iter();
    all.filter(|participation| is_by_role(participation) || represents_side(participation)).collect()
}

fn is_role_of_principal(role: Role) -> bool {
    match role {
        Role::Host
        | Role::Visitor
        | Role::Receiver
        | Role::Received
        | Role::HeadOfDelegation
        | Role::Chair
        | Role::Caller
        | Role::Callee => true,
        Role::Unspecified
        | Role::Member
        | Role::Mediator
        | Role::Signatory
        | Role::Speaker
        | Role::Organizer
        | Role::Observer => false,
    }
}

/// The name key of a participation without a participant: of its name, or of its delegation, or its office.
fn written_name(account: &Account, participation: &Participation) -> String {
    if !participation.name_as_written.is_empty() {
        return names::key(&participation.name_as_written);
    }
    if participation.delegation.is_empty()
        && let Some(office) = office_key(participation)
    {
        return office;
    }
    let delegation = account.delegations.iter().find(|delegation| delegation.id == participation.delegation);
    let label = delegation.map_or(participation.delegation.as_str(), |delegation| delegation.label.as_str());
    names::key(label)
}

impl Days {
    fn of(span: &DateSpan) -> Option<Self> {
        let (first, last) = dates::span(span)?;
        let is_partial = |date: &Date| date.day == 0;
        let is_within = span.extent() == Extent::SometimeWithin;
        let is_partial = is_within || span.start.iter().chain(&span.end).any(is_partial);
        let is_inferred = match span.basis() {
            Basis::InferredFromAnnouncement | Basis::InferredFromPublication => true,
            // These count as stated, as in settling.
            Basis::Unspecified | Basis::Stated | Basis::YearInferred | Basis::Relative => span.approximate,
        };
        let text = if first == last { first.to_string() } else { format!("{first}/{last}") };
        let precision = if is_partial { Precision::Partial } else { Precision::Full };
        Some(Self { first, last, precision, is_inferred, text })
    }

    /// The number of days.
    pub(super) fn length(&self) -> i64 {
        (self.last - self.first).num_days() + 1
    }

    /// The number of days between the two; 0 if they share one.
    pub(super) fn apart(&self, other: &Self) -> i64 {
        let gap = (self.first - other.last).num_days().max((other.first - self.last).num_days());
        gap.max(0)
    }
}
