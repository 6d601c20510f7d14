//! The participants that the stories of a chunk may match: those with one of their names or external ids.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    lookup::{ChunkLookup, KnownParticipant, canonical},
    planned::PlannedRecords,
    validated::ValidatedStory,
};
use crate::{
    model::{
        identity::door_keys,
        report::participants,
        resource::{Collection, Resource},
    },
    pb::Participant,
    service::{Api, error::ServiceError, states},
    store::{
        Doc, StoreError,
        participant::{self, Description},
    },
};

impl ChunkLookup {
    /// Reads the participants that these stories name or may match.
    pub async fn find_participants(
        &mut self,
        api: &Api,
        stories: &[ValidatedStory],
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        let pool = api.store.reads();
        let unnamed = || stories.iter().flat_map(ValidatedStory::unnamed_participants);

        let descriptions = |sent: &Participant| {
            let (kind, region) = (sent.kind as i16, sent.region_code.clone()); // the rules allow only known kinds
            door_keys(sent).into_iter().map(move |key| Description { key, kind, region: region.clone() })
        };
        let sought: HashSet<Description> = unnamed().flat_map(descriptions).collect();
        if !sought.is_empty() {
            for (key, namesakes) in participant::find_by_names(pool, &sought).await? {
                let ids = namesakes.docs.iter().map(|doc| doc.id).collect();
                self.names.insert(key, (namesakes.version, ids));
                namesakes.docs.into_iter().try_for_each(|doc| self.add_candidate(doc, planned))?;
            }
            for description in sought {
                for doc in planned.described(&description)? {
                    let ids = &mut self.names.entry(description.key.clone()).or_default().1;
                    if !ids.contains(&doc.id) {
                        ids.push(doc.id);
                    }
                    self.add_candidate(doc, planned)?;
                }
            }
        }
        let external_ids = unnamed().flat_map(|participant| &participant.external_ids);
        let ids: Vec<(&str, &str)> = external_ids.map(|id| (id.scheme.as_str(), id.value.as_str())).collect();
        if !ids.is_empty() {
            for (id, doc) in participant::find_by_external_ids(pool, &ids).await? {
                self.external_ids.insert(id, doc.id);
                self.add_candidate(doc, planned)?;
            }
            for id in ids.iter().map(|(scheme, value)| ((*scheme).to_owned(), (*value).to_owned())) {
                if let Some(doc) = planned.with_external_id(&id) {
                    self.external_ids.insert(id, doc.id);
                    self.add_candidate(doc.clone(), planned)?;
                }
            }
        }

        let in_accounts = stories
            .iter()
            .flat_map(|story| story.reports.iter().filter_map(|sent| sent.report.account.as_ref()))
            .flat_map(participants);
        let given = stories.iter().flat_map(|story| &story.participants);
        let given = given.filter_map(|(_, participant)| participant.id());
        let parents = unnamed().filter_map(|participant| Collection::Participants.id(&participant.parent));
        // Candidates can be aliases of participants that are none.
        let persons = self.candidates.values().map(|candidate| &candidate.record.merged_into);
        let persons = persons.filter_map(|name| Collection::Participants.id(name));
        let named: Vec<Uuid> = in_accounts.chain(given).chain(parents).chain(persons).collect();
        if !named.is_empty() {
            self.participants = states::<Participant>(&api.store, &named).await?;
            planned.add_states(&named, &mut self.participants)?;
        }
        Ok(())
    }

    fn add_candidate(&mut self, doc: Doc, planned: &PlannedRecords) -> Result<(), StoreError> {
        let doc = planned.participant(doc.id).cloned().unwrap_or(doc);
        let record = canonical(&doc)?;
        self.candidates.insert(doc.id, KnownParticipant { record, doc: Some(doc) });
        Ok(())
    }
}
