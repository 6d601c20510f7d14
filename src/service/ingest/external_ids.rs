//! Finds the meetings of reports by the external ids of their accounts: stored meetings, those that earlier stories of the
//! chunk write, and those of other reports of the story.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{lookup::ChunkLookup, planned::PlannedRecords, validated::ValidatedStory};
use crate::{
    model::{
        meeting::external_ids,
        resource::{Collection, Deletable},
    },
    pb::Report,
    service::{Api, error::ServiceError, meeting::settle_inputs::load_inputs_to_settle},
    store::{
        meeting::{self, ExternalIdKey},
        write::Write,
    },
};

/// A report of a story, with the meeting that it belongs to as far as that is known without comparing events.
#[derive(Debug)]
pub struct Target<'a> {
    /// The stored report with the same content.
    pub existing: Option<&'a Report>,
    /// The meeting of the stored report, the one that the story names, or the one that has an external id of the report.
    pub meeting: Option<Uuid>,
    /// True if the story names the meeting.
    pub is_given: bool,
    /// The first report of the story that is of the same meeting by external ids, this one included.
    pub first: usize,
}

/// The result of a search by external ids.
pub enum ById {
    /// The targets have their meetings.
    Found,
    /// These meetings must be read first.
    Missing(Vec<Uuid>),
    /// A meeting of an earlier story of the chunk has an id: that story must be committed first.
    AfterEarlier,
}

/// The external ids of a report: scheme and value.
fn ids_of(report: &Report) -> impl Iterator<Item = (&str, &str)> {
    let ids = report.account.iter().flat_map(|account| &account.external_ids);
    ids.map(|id| (id.scheme.as_str(), id.value.as_str()))
}

fn key((scheme, value): (&str, &str)) -> ExternalIdKey {
    (scheme.to_owned(), value.to_owned())
}

impl ChunkLookup {
    /// Finds the live meetings that have external ids of these stories.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find_external_ids(
        &mut self,
        api: &Api,
        stories: &[ValidatedStory],
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        let reports = stories.iter().flat_map(|story| &story.reports);
        let ids: BTreeSet<(&str, &str)> = reports.flat_map(|sent| ids_of(&sent.report)).collect();
        self.ids.stored = meeting::find_by_external_ids(api.store.reads(), &ids).await?;
        planned.add_meetings_with_ids(&ids, &mut self.ids.stored);
        Ok(())
    }

    /// Reads meetings that have external ids, with their reports. Forgets those that have lost the ids since they were
    /// found.
    ///
    /// # Errors
    /// `Damaged` for a record that cannot be decoded, or the database fails.
    pub async fn read_meetings(
        &mut self,
        api: &Api,
        ids: &[Uuid],
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        // The meetings are read before their reports: every change of the reports makes a revision, so a race becomes a
        // conflict.
        for doc in meeting::get(api.store.reads(), ids).await? {
            self.meetings.insert(doc.id, (doc.decode()?, doc));
        }
        planned.add_meetings(ids, &mut self.meetings)?;
        let mut inputs = load_inputs_to_settle(api, ids).await?;
        planned.add_inputs(api, ids, &mut inputs).await?;
        for id in ids {
            self.inputs.insert(*id, inputs.remove(id).unwrap_or_default());
        }
        let meetings = &self.meetings;
        self.ids.stored.retain(|(scheme, value), id| {
            !ids.contains(id)
                || meetings.get(id).is_some_and(|(meeting, _)| {
                    !meeting.is_deleted() && external_ids(meeting).any(|held| held == (scheme, value))
                })
        });
        Ok(())
    }

    /// Adds the external ids of a planned write, so that later stories of the chunk see them.
    pub fn add_planned_ids(&mut self, write: &Write) {
        for put in &write.meetings {
            self.ids.planned.extend(external_ids(&put.record).map(|id| (key(id), put.id)));
        }
    }

    /// Completes the targets of a story: reports with an external id of a meeting belong to it, and reports that share
    /// an external id belong together. Reports that are stored already have no part in this.
    ///
    /// # Errors
    /// `DuplicateMeeting` if external ids of one report, or of reports that belong together, have two meetings, or
    /// another one than the story names.
    pub fn complete_by_ids(&self, story: &ValidatedStory, targets: &mut [Target<'_>]) -> Result<ById, ServiceError> {
        let mut unread = BTreeSet::new();
        for group in groups(story, targets) {
            // In the order of the ids, so that errors do not depend on the names of the meetings. Two are an error.
            let mut owners: Vec<(Uuid, (&str, &str))> = Vec::new();
            let ids: Vec<(&str, &str)> = group.iter().flat_map(|index| ids_of(&story.reports[*index].report)).collect();
            for &id in &ids {
                if self.ids.planned.contains_key(&key(id)) {
                    return Ok(ById::AfterEarlier);
                }
                let owner = self.ids.stored.get(&key(id)).filter(|_| owners.len() < 2);
                owners
                    .extend(owner.filter(|owner| owners.iter().all(|(of, _)| of != *owner)).map(|owner| (*owner, id)));
            }
            let given: BTreeSet<Uuid> =
                group.iter().filter(|index| targets[**index].is_given).filter_map(|at| targets[*at].meeting).collect();
            let meeting = only_meeting(&owners, &given, ids.first().copied())?;
            // An earlier story of the chunk may write it without its ids.
            if owners.iter().any(|(owner, _)| self.events.planned.contains_key(owner)) {
                return Ok(ById::AfterEarlier);
            }
            let is_read = |id: &&Uuid| !self.meetings.contains_key(id) || !self.inputs.contains_key(id);
            unread.extend(owners.iter().map(|(owner, _)| owner).filter(is_read));
            let first = group[0];
            for index in group {
                targets[index].meeting = targets[index].meeting.or(meeting);
                targets[index].first = first;
            }
        }
        Ok(match unread.is_empty() {
            true => ById::Found,
            false => ById::Missing(unread.into_iter().collect()),
        })
    }
}

/// The meeting of reports that belong together, if one is known: that of their external ids, or the one that the story
/// names.
fn only_meeting(
    owners: &[(Uuid, (&str, &str))],
    given: &BTreeSet<Uuid>,
    shared: Option<(&str, &str)>,
) -> Result<Option<Uuid>, ServiceError> {
    let duplicate = |name: Uuid, (scheme, value): (&str, &str), other: Option<Uuid>| {
        let other = other.map(|other| Collection::Meetings.name(other)).unwrap_or_default();
        let (scheme, value) = key((scheme, value));
        Err(ServiceError::DuplicateMeeting { name: Collection::Meetings.name(name), scheme, value, other })
    };
    let mut given = given.iter().copied();
    let Some(named) = given.next() else {
        return match owners {
            [(first, id), (second, _), ..] => duplicate(*first, *id, Some(*second)),
            _ => Ok(owners.first().map(|(owner, _)| *owner)),
        };
    };
    if let Some((owner, id)) = owners.iter().find(|(owner, _)| *owner != named) {
        return duplicate(*owner, *id, None);
    }
    match (given.next(), shared) {
        (Some(other), Some(id)) => duplicate(named, id, Some(other)),
        _ => Ok(Some(named)),
    }
}

/// The reports of a story that have external ids and are not stored, by their indexes. Those in one group share an id
/// with another one of the group.
fn groups(story: &ValidatedStory, targets: &[Target<'_>]) -> Vec<Vec<usize>> {
    fn root(parents: &[usize], mut index: usize) -> usize {
        while parents[index] != index {
            index = parents[index];
        }
        index
    }
    let mut parents: Vec<usize> = (0..targets.len()).collect();
    let mut first_with: HashMap<(&str, &str), usize> = HashMap::new();
    let reports = || story.reports.iter().zip(targets).enumerate().filter(|(_, (_, target))| target.existing.is_none());
    for (index, (sent, _)) in reports() {
        for id in ids_of(&sent.report) {
            let earlier = root(&parents, *first_with.entry(id).or_insert(index));
            let own = root(&parents, index);
            // The smaller index stays, so that each group is known by its first report.
            parents[earlier.max(own)] = earlier.min(own);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, (sent, _)) in reports() {
        if ids_of(&sent.report).next().is_some() {
            groups.entry(root(&parents, index)).or_default().push(index);
        }
    }
    groups.into_values().collect()
}
