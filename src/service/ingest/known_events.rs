//! The meetings that the reports of a chunk of stories may describe, and the warnings that name them.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use uuid::Uuid;

use crate::{
    model::{
        meeting::matching::{EventComparison, EventFacts, Level, compare, require_unique},
        resource::Collection,
    },
    store::{
        Doc,
        write::meeting_search::{MeetingSearch, SearchKey},
    },
};

/// Maximum number of meetings that a warning names.
const MAX_NAMED: usize = 10;
/// The meetings that the reports of a chunk may describe.
#[derive(Debug, Default)]
pub struct KnownEvents {
    /// Stored meetings, for warnings.
    pub candidates: HashMap<Uuid, EventFacts>,
    /// Results of searches for the meetings that reports are added to.
    pub searches: HashMap<SearchKey, FoundMeetings>,
    /// Meetings that earlier stories of the chunk write.
    pub planned: HashMap<Uuid, EventFacts>,
}

/// The result of a search.
#[derive(Debug)]
pub struct FoundMeetings {
    /// The search and what it found.
    pub search: MeetingSearch,
    /// The meetings, with their facts.
    pub meetings: HashMap<Uuid, (EventFacts, Doc)>,
}

impl KnownEvents {
    /// The warning that names the meetings which may be the event of a report, besides the `own` ones of its story.
    pub fn warning(&self, key: &str, event: &EventFacts, own: &BTreeSet<Uuid>) -> Option<String> {
        let stored = self.candidates.iter().filter(|(id, _)| !self.planned.contains_key(id));
        let known = stored.chain(&self.planned).filter(|(id, _)| !own.contains(id));
        let mut found: Vec<(Uuid, EventComparison)> = known
            .map(|(id, facts)| (*id, compare(event, facts)))
            .filter(|(_, comparison)| comparison.level > Level::No)
            .collect();
        require_unique(found.iter_mut().map(|(_, comparison)| comparison));
        found.sort_by(|(a_id, a), (b_id, b)| {
            Reverse(a.level).cmp(&Reverse(b.level)).then(b.score.total_cmp(&a.score)).then(a_id.cmp(b_id))
        });
        let named = found.iter().take(MAX_NAMED).map(|(id, comparison)| {
            let level = if comparison.level == Level::Same { "SAME" } else { "CANDIDATE" };
            format!("{} ({level})", Collection::Meetings.name(*id))
        });
        let named: Vec<String> = named.collect();
        (!named.is_empty()).then(|| format!("report {key:?}: may be the same event as {}", named.join(", ")))
    }
}
