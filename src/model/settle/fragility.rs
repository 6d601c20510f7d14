//! Fragile fields: settled values that rest on one source, so that another value or none is settled without it.
//!
//! `SourceRanking::is_fragile` decides about each field of the reports. Here rulings are taken into account, and the
//! few sources without which other settled ids result: without these, the meeting is settled again.

use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{
    SourceReport, account_without,
    disputes::{Field, ParticipationField},
    fragile_field::{OWN_FIELDS, listed, path},
    ranking::SourceRanking,
    rulings::Rulings,
    settled_ids::Ids,
};
use crate::{
    model::text::names,
    pb::{Account, Participation},
};

/// Maximum number of sources without which a meeting is settled again. It bounds the time.
pub const MAX_SETTLED_AGAIN: usize = 32;

/// The inputs and the results of settling.
pub struct Settling<'r, 'a> {
    pub sources: &'r [SourceReport<'a>],
    pub rulings: &'r Rulings<'a>,
    pub ids: &'r Ids<'a>,
    pub ranking: &'r SourceRanking,
    pub account: &'r Account,
}

impl Settling<'_, '_> {
    /// The paths of the fragile fields, sorted. `reported` are the fields on which the reports settle otherwise without
    /// some source, `defaults` those that no report states: they are fragile with their participation.
    pub fn fragile_fields(&self, reported: &[Field<'_>], defaults: &[Field<'_>]) -> Vec<String> {
        let people = people(self.account);
        let is_told = |field: &Field<'_>| field.read(self.account, &people).flatten().is_some();
        let is_ruled = |field: &Field<'_>| self.rulings.on(field.path()).is_some();
        let reported = reported.iter().filter(|field| is_told(field) && !is_ruled(field));
        let mut paths: BTreeSet<String> = reported.map(path).collect();
        if !self.rulings.is_empty() {
            paths.extend(self.left_by_rulings(&people).iter().filter(|field| is_told(field)).map(path));
        }
        if !defaults.is_empty() {
            let lost = self.lost_people();
            paths.extend(defaults.iter().filter(|field| is_of(field, |id| lost.contains(id))).map(path));
        }
        for origin in self.ids.renaming.iter().take(MAX_SETTLED_AGAIN) {
            let other = account_without(*origin, self.sources, self.rulings);
            paths.extend(changed(self.account, &other).iter().map(path));
            let left: HashSet<&str> = other.participations.iter().map(|person| person.id.as_str()).collect();
            paths.extend(defaults.iter().filter(|field| is_of(field, |id| !left.contains(id))).map(path));
        }
        listed(paths)
    }

    /// The fields that a ruling decides, and that are unset without some source: the ruled value refers to a
    /// participation or a delegation that only this source reports.
    fn left_by_rulings<'s>(&'s self, people: &HashMap<&str, &'s Participation>) -> Vec<Field<'s>> {
        let rules = |path| self.rulings.on(path).is_some();
        let mut fields = Vec::new();
        let mut lost_people = HashSet::new();
        if rules("account.participations") {
            let lost = if rules("account.delegations") { HashSet::new() } else { self.lost_delegations() };
            for person in self.account.participations.iter().filter(|person| lost.contains(person.delegation.as_str()))
            {
                let is_named = !person.participant.is_empty() || !names::key(&person.name_as_written).is_empty();
                if is_named {
                    fields.push(Field::Participation(&person.id, ParticipationField::Delegation));
                } else {
                    lost_people.insert(person.id.as_str());
                    fields.extend(fields_of(&person.id));
                }
            }
        } else if rules("account.initiator") {
            lost_people = self.lost_people();
        }
        if people.contains_key(self.account.initiator.as_str()) && lost_people.contains(self.account.initiator.as_str())
        {
            fields.push(Field::Initiator);
        }
        fields
    }

    /// The delegations that only one source reports.
    fn lost_delegations(&self) -> HashSet<&str> {
        let mut ranks: Vec<Vec<usize>> = vec![Vec::new(); self.ids.delegations.len()];
        for (rank, report) in self.ids.reports.iter().enumerate() {
            report.delegations.iter().for_each(|at| ranks[*at].push(rank));
        }
        self.fragile(&self.ids.delegations, ranks)
    }

    /// The participations that only one source reports.
    fn lost_people(&self) -> HashSet<&str> {
        let mut ranks: Vec<Vec<usize>> = vec![Vec::new(); self.ids.participations.len()];
        for (rank, report) in self.ids.reports.iter().enumerate() {
            report.participations.iter().for_each(|part| ranks[part.index].push(rank));
        }
        self.fragile(&self.ids.participations, ranks)
    }

    fn fragile<'s>(&self, ids: &'s [String], ranks: Vec<Vec<usize>>) -> HashSet<&'s str> {
        let ids = ids.iter().zip(ranks).filter(|(_, ranks)| self.ranking.are_fragile(ranks.iter().copied()));
        ids.map(|(id, _)| id.as_str()).collect()
    }
}

fn is_of(field: &Field<'_>, is_sought: impl Fn(&str) -> bool) -> bool {
    matches!(field, Field::Participation(id, _) if is_sought(id))
}

/// The participations of an account by id.
pub fn people(account: &Account) -> HashMap<&str, &Participation> {
    account.participations.iter().map(|person| (person.id.as_str(), person)).collect()
}

/// The fields of an account that can be fragile, set or not.
fn fields(account: &Account) -> impl Iterator<Item = Field<'_>> {
    let of_participations = account.participations.iter().flat_map(|person| fields_of(&person.id));
    OWN_FIELDS.into_iter().chain(of_participations)
}

/// The fields of a participation.
pub fn fields_of(id: &str) -> [Field<'_>; 5] {
    ParticipationField::ALL.map(|field| Field::Participation(id, field))
}

/// The fields that are set in an account and have another value in the other.
pub fn changed<'a>(account: &'a Account, other: &Account) -> Vec<Field<'a>> {
    let (people, others) = (people(account), people(other));
    let is_changed = |field: &Field<'_>| {
        let value = field.read(account, &people).flatten();
        value.is_some_and(|value| !field.read(other, &others).flatten().is_some_and(|other| value.is_same(&other)))
    };
    fields(account).filter(is_changed).collect()
}

/// The reports of all other origins.
pub fn without<'a>(origin: Uuid, sources: &[SourceReport<'a>]) -> Vec<SourceReport<'a>> {
    sources.iter().filter(|source| source.origin != origin).copied().collect()
}
