//! The filter of a watch or of a page of changes, which names participants. A list with the same filter replaces them
//! by the persons that they are settled as, and finds a person by the names and external ids of its aliases. A filter of changes does
//! the same, with the aliases as of each change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    entry::{FeedEntry, Records},
    head::Feed,
};
use crate::{
    fairness::Call,
    model::{
        query::filter::{Filter, Named, PersonKey},
        resource::{Collection, Deletable, Record},
    },
    pb::Participant,
    store::{
        Doc, StoreError, change,
        participant::{find_by_keys, identity::as_of},
    },
};

/// Maximum number of participants with the names and external ids in a filter whose persons are known when a watch begins: of those that
/// have the names at that time. The persons of others are known from their next change on.
const MAX_NAMED: i64 = 1_000;

/// A filter of changes, with the aliases as of the last change that it was compared with.
///
/// A write is atomic: its changes are compared with the aliases before the write and after it. The changes of new
/// aliases come before those of their persons.
#[derive(Debug)]
pub struct PersonFilter {
    written: Filter,
    named: Named,
    /// The persons of the participants that the filter names.
    persons: HashMap<Uuid, Uuid>,
    /// The persons of the aliases with a name or an external id that the filter names, by that key and alias.
    persons_with: BTreeMap<(PersonKey, Uuid), Uuid>,
    /// `written` with these aliases.
    resolved: Filter,
    /// `written` with the aliases before the write of the last change.
    before_write: Filter,
    has_begun: bool,
}

impl PersonFilter {
    /// A filter of which no alias is known.
    pub fn of(filter: Filter) -> Self {
        let named = filter.named();
        Self {
            resolved: filter.clone(),
            before_write: filter.clone(),
            written: filter,
            has_begun: named == Named::default(),
            named,
            persons: HashMap::new(),
            persons_with: BTreeMap::new(),
        }
    }

    /// True if the filter compares more than the change's own fields.
    pub fn needs_record(&self) -> bool {
        self.written.needs_record()
    }

    /// True if every change matches.
    pub fn is_everything(&self) -> bool {
        self.written == Filter::EVERYTHING
    }

    /// Reads the aliases as of a position, unless they are known. To be called before the first change after the
    /// position is compared.
    ///
    /// # Errors
    /// `Damaged` for a participant that cannot be decoded, or the database fails.
    pub async fn begin(&mut self, feed: &Feed, position: i64) -> Result<(), StoreError> {
        if self.has_begun {
            return Ok(());
        }
        let _permit = feed.0.catch_up_reads.acquire_patiently(Call::current().caller(), 1).await;
        let pool = feed.0.store.reads();
        let before_write = change::before_write(pool, position).await?;
        let mut ids = self.named.participants.clone();
        ids.extend(find_by_keys(pool, &self.named.keys, before_write, MAX_NAMED).await?);
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let mut states = vec![as_of(pool, &ids, before_write).await?];
        if before_write != position {
            states.push(as_of(pool, &ids, position).await?);
        }
        let decoded = |doc: &Doc| Ok((doc.id, doc.decode()?));
        let states: Vec<Vec<(Uuid, Participant)>> =
            states.iter().map(|docs| docs.iter().map(decoded).collect()).collect::<Result<_, StoreError>>()?;
        for (number, participants) in states.into_iter().enumerate() {
            for (id, participant) in participants {
                self.learn(id, &participant);
            }
            self.resolve();
            if number == 0 {
                self.before_write = self.resolved.clone();
            }
        }
        self.has_begun = true;
        Ok(())
    }

    /// True if the resource of the change matches before or after it. Changes are to be compared in their order.
    pub fn matches(&mut self, entry: &FeedEntry) -> bool {
        if self.is_everything() {
            return true;
        }
        let matched_before = entry.matches_before(&self.before_write);
        if entry.change.collection == Collection::Participants
            && let Some(Records { after: Record::Participant(after), .. }) = &entry.records
            && self.learn(entry.change.id, after)
        {
            self.resolve();
        }
        let matches = matched_before || entry.matches_after(&self.resolved);
        if entry.change.last && self.before_write != self.resolved {
            self.before_write = self.resolved.clone();
        }
        matches
    }

    /// Learns the person of a participant. True if it was another one before.
    fn learn(&mut self, id: Uuid, participant: &Participant) -> bool {
        let person = Collection::Participants.id(&participant.merged_into).filter(|_| !participant.is_deleted());
        let mut is_other = false;
        if self.named.participants.contains(&id) {
            let known = match person {
                Some(person) => self.persons.insert(id, person),
                None => self.persons.remove(&id),
            };
            is_other = known != person;
        }
        if !self.named.keys.is_empty() {
            let own = if person.is_some() { PersonKey::of(participant) } else { BTreeSet::new() };
            for key in &self.named.keys {
                let of_alias = (key.clone(), id);
                let next = person.filter(|_| own.contains(key));
                let known = match next {
                    Some(person) => self.persons_with.insert(of_alias, person),
                    None => self.persons_with.remove(&of_alias),
                };
                is_other |= known != next;
            }
        }
        is_other
    }

    fn resolve(&mut self) {
        let person = |id: Uuid| self.persons.get(&id).copied().unwrap_or(id);
        let persons_with = |key: &PersonKey| {
            let of_key = self.persons_with.iter().filter(|((known, _), _)| known == key);
            of_key.map(|(_, person)| *person).collect()
        };
        self.resolved = self.written.with_persons(&person, &persons_with);
    }
}
