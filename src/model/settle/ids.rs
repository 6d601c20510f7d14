//! The settled ids: which participations and delegations of different reports are the same.

use std::collections::{HashMap, hash_map::Entry};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Told, choice::Texts, delegations};
use crate::{model::names, pb};

/// The reports by rank, and what is the same in them.
pub struct Ids<'a> {
    pub readings: Vec<Reading<'a>>,
    /// Settled ids of the participations, in the order in which the readings first tell them.
    pub participations: Vec<String>,
    /// Settled ids of the delegations, in the same order.
    pub delegations: Vec<String>,
}

/// One report, with the settled participation and delegation that each of its own is.
pub struct Reading<'a> {
    pub report: &'a pb::Report,
    pub account: &'a pb::Account,
    pub origin: Uuid,
    pub publish_date: Option<NaiveDate>,
    pub uri: &'a str,
    pub parts: Vec<Part<'a>>,
    /// Index into `Ids::delegations`, by position in the account.
    pub delegations: Vec<usize>,
    /// Local id and index into `Ids::participations`, in the order of the former.
    by_id: Vec<(&'a str, usize)>,
}

/// A participation of one report.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub told: &'a pb::Participation,
    /// Index into `Ids::participations`.
    pub who: usize,
    /// Index into `Ids::delegations`.
    pub delegation: Option<usize>,
}

impl Reading<'_> {
    /// The settled participation that a reference of the account means.
    pub fn participation(&self, id: &str) -> Option<usize> {
        if id.is_empty() {
            return None;
        }
        let at = self.by_id.binary_search_by(|(one, _)| (*one).cmp(id)).ok()?;
        Some(self.by_id[at].1)
    }

    fn delegation(&self, id: &str) -> Option<usize> {
        let told = self.account.delegations.iter().zip(&self.delegations);
        told.filter(|(delegation, _)| delegation.id == id && !id.is_empty()).map(|(_, &at)| at).next()
    }
}

/// Who takes part: two participations are one if this is the same.
#[derive(PartialEq, Eq, Hash)]
enum Who<'a> {
    Participant(&'a str),
    /// A name, by its place among the names told.
    Name(Option<usize>),
    /// A delegation itself, by its place in `Ids::delegations`.
    Delegation(usize),
}

impl<'a> Ids<'a> {
    pub fn of(told: &[Told<'a>]) -> Self {
        let mut ids = Ids { readings: ranked(told), participations: Vec::new(), delegations: Vec::new() };
        ids.name_delegations();
        ids.name_participations();
        ids
    }

    fn name_delegations(&mut self) {
        for (index, (id, members)) in delegations::unite(&self.readings).into_iter().enumerate() {
            self.delegations.push(id);
            for member in members {
                self.readings[member.teller].delegations[member.position] = index;
            }
        }
    }

    fn name_participations(&mut self) {
        let mut known: HashMap<Who<'a>, usize> = HashMap::new();
        let mut names = Texts::new();
        for reading in &mut self.readings {
            for told in &reading.account.participations {
                let delegation = reading.delegation(&told.delegation);
                let who = match known.entry(who(told, delegation, &mut names)) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) => {
                        self.participations.push(bounded(match entry.key() {
                            Who::Participant(uuid) => (*uuid).to_owned(),
                            Who::Name(_) => format!("name:{}", names::key(&told.name_as_written)),
                            Who::Delegation(at) => format!("delegation:{}", self.delegations[*at]),
                        }));
                        *entry.insert(self.participations.len() - 1)
                    }
                };
                reading.parts.push(Part { told, who, delegation });
                reading.by_id.push((&told.id, who));
            }
            reading.by_id.sort_unstable();
        }
    }
}

fn who<'a>(told: &'a pb::Participation, delegation: Option<usize>, names: &mut Texts<'a>) -> Who<'a> {
    if !told.participant.is_empty() {
        return Who::Participant(told.participant.strip_prefix("participants/").unwrap_or(&told.participant));
    }
    match (names.place(&told.name_as_written), delegation) {
        (None, Some(at)) => Who::Delegation(at),
        (name, _) => Who::Name(name),
    }
}

/// The reports in the order of their rank, each once; those without an account tell nothing.
fn ranked<'a>(told: &[Told<'a>]) -> Vec<Reading<'a>> {
    let mut told: Vec<(&Told<'a>, &'a pb::Account)> =
        told.iter().filter_map(|told| Some((told, told.report.account.as_ref()?))).collect();
    told.sort_unstable_by_key(|(told, _)| {
        let unknown_last = (told.publish_date.is_none(), told.publish_date);
        (unknown_last, told.uri, &told.report.content_hash, &told.report.name)
    });
    told.dedup_by(|(later, later_account), (earlier, account)| {
        later.uri == earlier.uri && later.report.content_hash == earlier.report.content_hash && later_account == account
    });
    let reading = |(told, account): (&Told<'a>, &'a pb::Account)| Reading {
        report: told.report,
        account,
        origin: told.origin,
        publish_date: told.publish_date,
        uri: told.uri,
        parts: Vec::with_capacity(account.participations.len()),
        delegations: vec![0; account.delegations.len()],
        by_id: Vec::with_capacity(account.participations.len()),
    };
    told.into_iter().map(reading).collect()
}

/// The contract's limit for the id of a participation or delegation.
const MAX_CHARS: usize = 512;

/// An id that keeps to the limit: one that is too long ends in its hash, so that different ids stay different.
pub fn bounded(mut id: String) -> String {
    if id.len() <= MAX_CHARS || id.chars().count() <= MAX_CHARS {
        return id;
    }
    let hash = blake3::hash(id.as_bytes()).to_hex();
    if let Some((cut, _)) = id.char_indices().nth(MAX_CHARS - 1 - hash.len()) {
        id.truncate(cut);
    }
    id.push('~');
    id.push_str(&hash);
    id
}
