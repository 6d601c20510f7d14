//! The claims of a write: the keys, records and references that it relies on and that no concurrent write may take.

use std::collections::HashSet;

use super::{Claim, Write, reference};
use crate::{
    model::resource::Collection,
    store::{article, participant},
};

impl Write {
    /// What it relies on.
    pub fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        if let Some(answer) = &self.answer {
            claims.push(Claim::Request(self.actor.clone(), answer.method, self.request_id.clone()));
        }
        for one in &self.participants {
            claims.push(Claim::Record(Collection::Participants, one.put.id));
            claims.extend(one.absent.iter().map(|(key, _)| Claim::Name(key.clone())));
            let ids = participant::new_ids(one);
            claims.extend(ids.map(|(scheme, value)| Claim::ExternalId(scheme.to_owned(), value.to_owned())));
            claims.extend(one.moves().then_some(Claim::Line(Collection::Participants)));
        }
        for one in &self.articles {
            claims.push(Claim::Record(Collection::Articles, one.put.id));
            claims.extend(article::new_uris(one).map(|uri| Claim::Uri(uri.to_owned())));
            claims.extend(one.moves().then_some(Claim::Line(Collection::Articles)));
        }
        for one in &self.reports {
            claims.push(Claim::Record(Collection::Reports, one.id));
            if let Some(article) = Collection::Articles.id(&one.record.article).filter(|_| one.replaces.is_none()) {
                claims.push(Claim::Content(article, one.record.content_hash.clone()));
            }
        }
        claims.extend(self.meetings.iter().map(|one| Claim::Record(Collection::Meetings, one.id)));
        claims
    }

    /// Whether it relies on something that was lost: what it claims, or what it names or deletes.
    pub fn has_lost(&self, lost: &HashSet<Claim>) -> bool {
        let is_lost = |claim: &Claim| lost.contains(claim);
        let relies_on = reference::relied_on(self).into_iter().chain(self.groups.map(Claim::Groups));
        self.claims().iter().any(is_lost) || relies_on.into_iter().any(|claim| is_lost(&claim))
    }

    /// Names that participants get or had, whether or not the write relies on their absence: whoever relies on it in
    /// the same batch comes too late.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.participants.iter().flat_map(participant::touched_names)
    }
}
