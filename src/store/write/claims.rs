//! The claims of a write: the keys, records and references that it relies on and that no concurrent write may take.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

use super::{Claim, Write, provenance::Puts, reference};
use crate::{
    model::resource::{Collection, Resource},
    store::{self, article, meeting, participant},
};

impl Write {
    /// The exclusive claims. No two writes of a batch may have the same.
    pub fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        if let Some(answer) = &self.answer {
            claims.push(Claim::Request(self.actor.clone(), answer.method, self.request_id.clone()));
        }
        for participant in &self.participants {
            claims.push(Claim::Record(Collection::Participants, participant.put.id));
            claims.extend(participant.absent.iter().map(|(key, _)| Claim::Name(key.clone())));
            let ids = participant::new_ids(participant);
            claims.extend(ids.map(|(scheme, value)| Claim::ExternalId(scheme.to_owned(), value.to_owned())));
            claims.extend(participant.changes_parent().then_some(Claim::Ancestry(Collection::Participants)));
        }
        for article in &self.articles {
            claims.push(Claim::Record(Collection::Articles, article.put.id));
            claims.extend(article::new_uris(article).map(|uri| Claim::Uri(uri.to_owned())));
            claims.extend(article.changes_parent().then_some(Claim::Ancestry(Collection::Articles)));
        }
        for report in &self.reports {
            claims.push(Claim::Record(Collection::Reports, report.id));
            let article = Collection::Articles.id(&report.record.article).filter(|_| report.replaces.is_none());
            claims.extend(article.map(|article| Claim::Content(article, report.record.content_hash.clone())));
        }
        claims.extend(self.meeting_searches.iter().flat_map(|search| search.key.claims()));
        for meeting in &self.meetings {
            claims.push(Claim::Record(Collection::Meetings, meeting.id));
            claims.extend(meeting::external_id_claims(meeting));
        }
        claims
    }

    /// True if any claim of this write was lost, exclusive or shared.
    pub fn has_lost(&self, lost: &HashSet<Claim>) -> bool {
        let is_lost = |claim: &Claim| lost.contains(claim);
        let shared = reference::shared_claims(self).into_iter().chain(self.groups.map(Claim::Groups));
        self.claims().iter().any(is_lost) || shared.into_iter().any(|claim| is_lost(&claim))
    }

    /// The claims on the records whose next revisions are not later than `time`.
    pub fn claims_until(&self, time: DateTime<Utc>) -> impl Iterator<Item = Claim> {
        fn written<'a, P: Puts + 'a>(puts: &'a [P]) -> impl Iterator<Item = (Collection, Uuid, Option<&'a Timestamp>)>
        where
            P::Record: 'a,
        {
            puts.iter().map(|put| (P::Record::COLLECTION, put.put().id, put.put().record.update_time()))
        }
        let written = written(&self.participants)
            .chain(written(&self.articles))
            .chain(written(&self.reports))
            .chain(written(&self.meetings));
        let until = written.filter(move |(.., update_time)| store::time(*update_time) <= Some(time));
        until.map(|(of, id, _)| Claim::Record(of, id))
    }

    /// The name keys that participants of this write get or had. A later write of the same batch that relies on
    /// the absence of any of them is stale.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.participants.iter().flat_map(participant::touched_names)
    }
}
