//! The meetings that the reports of a chunk of stories may describe or that have their external ids, and the warnings that
//! name them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use uuid::Uuid;

use crate::{
    model::{
        meeting::matching::{EventComparison, EventFacts, Level, Principal, compare, require_unique},
        resource::Collection,
    },
    store::{
        Doc,
        meeting::ExternalIdKey,
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

/// The meetings that have external ids of the reports of a chunk.
#[derive(Debug, Default)]
pub struct KnownIds {
    /// Live stored meetings.
    pub stored: HashMap<ExternalIdKey, Uuid>,
    /// Meetings that earlier stories of the chunk write.
    pub planned: HashMap<ExternalIdKey, Uuid>,
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
    /// The known meetings by principal, without the `own` ones of a story.
    pub fn by_principal<'a>(&'a self, own: &BTreeSet<Uuid>) -> EventsByPrincipal<'a> {
        let stored = self.candidates.iter().filter(|(id, _)| !self.planned.contains_key(id));
        let mut by_principal: BTreeMap<&Principal, Vec<(Uuid, &EventFacts)>> = BTreeMap::new();
        for (id, facts) in stored.chain(&self.planned).filter(|(id, _)| !own.contains(id)) {
            for principal in &facts.principals {
                by_principal.entry(principal).or_default().push((*id, facts));
            }
        }
        EventsByPrincipal(by_principal)
    }
}

/// Known meetings, by principal: each report of a story is compared with those of its principals only.
pub struct EventsByPrincipal<'a>(BTreeMap<&'a Principal, Vec<(Uuid, &'a EventFacts)>>);

impl EventsByPrincipal<'_> {
    /// The meetings that may be the event: those that share a principal. Of several principals two are needed, so the
    /// one of most meetings is left out: in a register that is the one whose register it is.
    fn candidates(&self, event: &EventFacts) -> BTreeMap<Uuid, &EventFacts> {
        let mut lists: Vec<_> = event.principals.iter().filter_map(|principal| self.0.get(principal)).collect();
        lists.sort_by_key(|list| list.len());
        if event.principals.len() > 1 && lists.len() == event.principals.len() {
            lists.pop();
        }
        let candidates = lists.into_iter().flatten().copied();
        candidates.filter(|(_, facts)| event.may_share_days(facts)).collect()
    }

    /// The warning that names the meetings which may be the event of a report.
    pub fn warning(&self, key: &str, event: &EventFacts) -> Option<String> {
        let candidates = self.candidates(event).into_iter();
        let mut found: Vec<(Uuid, EventComparison)> = candidates
            .map(|(id, facts)| (id, compare(event, facts)))
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
