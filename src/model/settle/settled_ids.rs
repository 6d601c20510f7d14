//! The settled ids: which participations and delegations of different reports are the same.

use std::collections::{HashMap, hash_map::Entry};

use uuid::Uuid;

use super::{
    SourceReport,
    group_delegations::{DelegationGroups, bounded, group},
    ranked_report::{RankedReport, ReportParticipation, ranked},
    ranking::TextIndex,
};
use crate::{
    model::{participant::office_key, text::names},
    pb,
};

/// The reports by rank, and the settled ids of their participations and delegations.
pub struct Ids<'a> {
    pub reports: Vec<RankedReport<'a>>,
    /// Settled ids of the participations, in the order in which the reports first mention them.
    pub participations: Vec<String>,
    /// Settled ids of the delegations, in the same order.
    pub delegations: Vec<String>,
    /// The origins without any one of which settled ids may differ, sorted.
    pub renaming: Vec<Uuid>,
}

/// The identity of a participation: two participations with equal keys are the same.
#[derive(PartialEq, Eq, Hash)]
enum ParticipationKey<'a> {
    Participant(&'a str),
    /// An unresolved name, by its number among the distinct names.
    Name(Option<usize>),
    /// A delegation that itself acts, by its index in `Ids::delegations`.
    Delegation(usize),
    /// An office without a name: its key.
    Office(String),
}

impl<'a> Ids<'a> {
    pub fn of(reports: &[SourceReport<'a>]) -> Self {
        let mut ids =
            Ids { reports: ranked(reports), participations: Vec::new(), delegations: Vec::new(), renaming: Vec::new() };
        ids.name_delegations();
        ids.name_participations();
        ids
    }

    fn name_delegations(&mut self) {
        let DelegationGroups { groups, renaming } = group(&self.reports);
        self.renaming.extend(renaming);
        for (index, (id, members)) in groups.into_iter().enumerate() {
            self.delegations.push(id);
            for member in members {
                self.reports[member.rank].delegations[member.position] = index;
            }
        }
    }

    fn name_participations(&mut self) {
        let mut indexes: HashMap<ParticipationKey<'a>, usize> = HashMap::new();
        let mut names = TextIndex::new();
        for report in &mut self.reports {
            for reported in &report.account.participations {
                let delegation = report.delegation(&reported.delegation);
                let index = match indexes.entry(participation_key(reported, delegation, &mut names)) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) => {
                        self.participations.push(bounded(match entry.key() {
                            ParticipationKey::Participant(uuid) => (*uuid).to_owned(),
                            ParticipationKey::Name(_) => format!("name:{}", names::key(&reported.name_as_written)),
                            ParticipationKey::Delegation(at) => format!("delegation:{}", self.delegations[*at]),
                            ParticipationKey::Office(key) => format!("office:{key}"),
                        }));
                        *entry.insert(self.participations.len() - 1)
                    }
                };
                report.participations.push(ReportParticipation { reported, index, delegation });
                report.by_id.push((&reported.id, index));
            }
            report.by_id.sort_unstable();
        }
    }
}

fn participation_key<'a>(
    reported: &'a pb::Participation,
    delegation: Option<usize>,
    names: &mut TextIndex<'a>,
) -> ParticipationKey<'a> {
    if !reported.participant.is_empty() {
        let uuid = reported.participant.strip_prefix("participants/").unwrap_or(&reported.participant);
        return ParticipationKey::Participant(uuid);
    }
    match (names.index(&reported.name_as_written), delegation) {
        (None, Some(at)) => ParticipationKey::Delegation(at),
        (Some(name), _) => ParticipationKey::Name(Some(name)),
        (None, None) => match office_key(reported) {
            Some(office) => ParticipationKey::Office(office),
            None => ParticipationKey::Name(None),
        },
    }
}
