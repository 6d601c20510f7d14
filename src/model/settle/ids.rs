//! The settled ids: which participations and delegations of different reports are the same.

use std::collections::{HashMap, hash_map::Entry};

use super::{
    SourceReport,
    group_delegations::{bounded, group},
    ranking::Texts,
    reading::{RankedReport, ReportParticipation, ranked},
};
use crate::{model::text::names, pb};

/// The reports by rank, and what is the same in them.
pub struct Ids<'a> {
    pub readings: Vec<RankedReport<'a>>,
    /// Settled ids of the participations, in the order in which the readings first tell them.
    pub participations: Vec<String>,
    /// Settled ids of the delegations, in the same order.
    pub delegations: Vec<String>,
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
    pub fn of(told: &[SourceReport<'a>]) -> Self {
        let mut ids = Ids { readings: ranked(told), participations: Vec::new(), delegations: Vec::new() };
        ids.name_delegations();
        ids.name_participations();
        ids
    }

    fn name_delegations(&mut self) {
        for (index, (id, members)) in group(&self.readings).into_iter().enumerate() {
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
                reading.parts.push(ReportParticipation { told, who, delegation });
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
