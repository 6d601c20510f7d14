//! The records that the stories of a dry run would have written, in memory. The lookup of a later story of the stream
//! sees them in place of the stored ones. Nothing is locked, claimed or stored, so other calls notice nothing.
//!
//! This file keeps the records, `overlay` adds them to what a lookup has read. Docs are kept encoded, as the store has
//! them: decoded records would take several times the memory.

mod overlay;

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use uuid::Uuid;

use crate::{
    model::{
        article::{TextHash, parse_text_hash, uris},
        article_copies::{CopyCandidate, FirstCopy, Precedence},
        identity::door_keys,
        meeting::external_ids,
        participant::Persons,
        report::{Aliases, participants},
        resource::{CONTRACT_VERSION, Collection, Resource},
        time::dates,
    },
    pb::{Article, Meeting},
    service::error::ServiceError,
    store::{
        Doc,
        meeting::ExternalIdKey,
        write::{Put, PutArticle, PutParticipant, Write},
    },
};

/// Maximum bytes of the records of a dry run, with their index entries: about 40,000 stories of one short report.
pub const MAX_DRY_RUN_BYTES: usize = 128 * 1024 * 1024;

/// Number of dry runs at a time. Further ones wait.
pub const DRY_RUNS: usize = 2;

/// The bytes of an entry in a map, with its key and the share of the map that is free.
const ENTRY_BYTES: usize = 96;

/// The records of the earlier stories of a dry run.
#[derive(Debug, Default)]
pub struct PlannedRecords {
    /// Articles by each of their uris.
    uris: HashMap<String, Uuid>,
    articles: HashMap<Uuid, Doc>,
    /// The key of the text of each article that got one.
    text_keys: HashMap<Uuid, Option<TextHash>>,
    /// The hashes of the texts that each article got.
    texts: HashSet<(Uuid, TextHash)>,
    /// The articles of each text key, each with the first article of its group of copies.
    copies: HashMap<TextHash, Vec<(CopyCandidate, FirstCopy)>>,
    /// The sources of the articles that name one, or named one before.
    sources: HashMap<Uuid, Option<Uuid>>,
    participants: HashMap<Uuid, Doc>,
    /// Participants by name key.
    names: HashMap<String, Vec<Uuid>>,
    external_ids: HashMap<(String, String), Uuid>,
    reports: HashMap<Uuid, Doc>,
    /// New reports by article and content hash.
    contents: HashMap<(Uuid, String), Uuid>,
    /// New reports of each article.
    of_articles: HashMap<Uuid, Vec<Uuid>>,
    meetings: HashMap<Uuid, PlannedMeeting>,
    /// Meetings by the external ids that they got. A story takes none from a meeting.
    meeting_ids: HashMap<ExternalIdKey, Uuid>,
    /// Meetings of each participant, by their first day.
    of_participants: HashMap<Uuid, BTreeSet<(NaiveDate, Uuid)>>,
    /// The aliases with which meetings were settled.
    aliases: Aliases,
    /// The facts about participants with which meetings were settled.
    persons: Persons,
    bytes: usize,
}

/// A meeting that a story of a dry run writes.
#[derive(Debug)]
struct PlannedMeeting {
    doc: Doc,
    revision: i64,
    /// False if the meeting is stored, and has other reports.
    is_new: bool,
    /// The reports that the dry run adds to it.
    reports: Vec<Uuid>,
    /// The places in `of_participants`: the first day, and the participants.
    first_day: Option<NaiveDate>,
    participants: BTreeSet<Uuid>,
}

impl PlannedRecords {
    /// Adds the records of planned writes.
    pub fn add(&mut self, writes: Vec<Write>) {
        for write in writes {
            write.articles.iter().for_each(|article| self.add_article(article));
            write.participants.iter().for_each(|participant| self.add_participant(participant));
            self.aliases.extend(write.aliases);
            let known = self.persons.len();
            self.persons.extend(write.persons);
            self.bytes += ENTRY_BYTES * (self.persons.len() - known);
            let mut added: HashMap<&str, Vec<Uuid>> = HashMap::new();
            for put in &write.reports {
                self.take(&put.doc, 0);
                self.reports.insert(put.id, doc(put));
                if let (None, Some(article)) = (put.replaces, Collection::Articles.id(&put.record.article)) {
                    self.take(&[], 3);
                    self.contents.insert((article, put.record.content_hash.clone()), put.id);
                    self.of_articles.entry(article).or_default().push(put.id);
                    added.entry(&put.record.meeting).or_default().push(put.id);
                }
            }
            for put in &write.meetings {
                let reports = added.remove(put.record.name.as_str()).unwrap_or_default();
                self.add_meeting(put, reports);
            }
        }
    }

    /// Checks that the records are within the limit.
    ///
    /// # Errors
    /// `DryRunTooLarge`.
    pub fn check_size(&self) -> Result<(), ServiceError> {
        match self.bytes > MAX_DRY_RUN_BYTES {
            true => Err(ServiceError::DryRunTooLarge),
            false => Ok(()),
        }
    }

    /// Counts a doc, its entry, and further entries.
    fn take(&mut self, doc: &[u8], entries: usize) {
        self.bytes += doc.len() + ENTRY_BYTES * (entries + 1);
    }

    fn add_article(&mut self, article: &PutArticle) {
        let (id, record) = (article.put.id, &article.put.record);
        self.take(&article.put.doc, 2);
        for uri in uris(record) {
            self.bytes += uri.len();
            self.uris.insert(uri.to_owned(), id);
        }
        if article.text.is_some() || article.text_key.is_some() {
            self.text_keys.insert(id, article.text_key);
        }
        let text = article.text.as_ref().and_then(|_| parse_text_hash(&record.text_sha256));
        self.texts.extend(text.map(|hash| (id, hash)));
        let source = Collection::Articles.id(&record.syndicated_from);
        if source.is_some() || article.former.as_ref().is_some_and(|former| !former.syndicated_from.is_empty()) {
            self.sources.insert(id, source);
        }
        let copy = CopyCandidate::of(id, record, article.text_key);
        if let Some(key) = copy.text_key {
            let first = FirstCopy { place: self.place_of_origin(record, &copy), overlap: Some(1.0) };
            let copies = self.copies.entry(key).or_default();
            copies.retain(|(other, _)| other.place.id != id);
            copies.push((copy, first));
        }
        self.articles.insert(id, doc(&article.put));
    }

    /// The place of the first article of an article's group of copies. A stored one is found in the store again, so the
    /// article's own place stands for it.
    fn place_of_origin(&self, article: &Article, copy: &CopyCandidate) -> Precedence {
        let origin = Collection::Articles.id(&article.origin).filter(|origin| *origin != copy.place.id);
        let first = origin.and_then(|id| Some((id, self.articles.get(&id)?.decode::<Article>().ok()?)));
        first.map_or_else(|| copy.place.clone(), |(id, first)| Precedence::of(id, &first))
    }

    fn add_participant(&mut self, PutParticipant { put, .. }: &PutParticipant) {
        self.take(&put.doc, 0);
        for key in door_keys(&put.record) {
            self.take(key.as_bytes(), 0);
            let ids = self.names.entry(key).or_default();
            if !ids.contains(&put.id) {
                ids.push(put.id);
            }
        }
        for id in &put.record.external_ids {
            self.take(id.value.as_bytes(), 0);
            self.external_ids.insert((id.scheme.clone(), id.value.clone()), put.id);
        }
        self.participants.insert(put.id, doc(put));
    }

    fn add_meeting(&mut self, put: &Put<Meeting>, reports: Vec<Uuid>) {
        let mut reports = reports;
        let mut is_new = put.replaces.is_none();
        if let Some(former) = self.meetings.remove(&put.id) {
            for participant in &former.participants {
                let meetings = self.of_participants.get_mut(participant);
                meetings.zip(former.first_day).map(|(meetings, day)| meetings.remove(&(day, put.id)));
            }
            reports.splice(0..0, former.reports);
            is_new = former.is_new;
        }
        let account = put.record.account.clone().unwrap_or_default();
        let first_day = account.date.as_ref().and_then(dates::span).map(|(first, _)| first);
        let left_out = put.left_out.iter().flatten().copied();
        let participants: BTreeSet<Uuid> = participants(&account).chain(left_out).collect();
        self.take(&put.doc, 2 * participants.len());
        for (scheme, value) in external_ids(&put.record) {
            if self.meeting_ids.insert((scheme.to_owned(), value.to_owned()), put.id).is_none() {
                self.bytes += scheme.len() + value.len() + ENTRY_BYTES;
            }
        }
        for participant in &participants {
            let meetings = self.of_participants.entry(*participant).or_default();
            meetings.extend(first_day.map(|day| (day, put.id)));
        }
        let revision = put.record.revision;
        let meeting = PlannedMeeting { doc: doc(put), revision, is_new, reports, first_day, participants };
        self.meetings.insert(put.id, meeting);
    }
}

/// The doc of a record to be written.
fn doc<R: Resource>(put: &Put<R>) -> Doc {
    Doc { id: put.id, contract: CONTRACT_VERSION, bytes: put.doc.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pb::Report, store::change};

    /// A write of a report with a doc of this size.
    fn write(bytes: usize) -> Vec<Write> {
        let id = Uuid::now_v7();
        let mut put = Put::next(id, Report::default(), change::Kind::Moved);
        put.doc = vec![0; bytes];
        vec![Write { reports: vec![put], ..Default::default() }]
    }

    #[test]
    fn writes_are_added_up_to_the_limit_and_not_beyond() {
        // Half of the limit less a byte, a doc that reaches the limit, and the smallest further one.
        let mut planned = PlannedRecords::default();
        planned.add(write(MAX_DRY_RUN_BYTES / 2 - ENTRY_BYTES - 1));
        assert!(planned.check_size().is_ok());
        planned.add(write(MAX_DRY_RUN_BYTES / 2 - ENTRY_BYTES + 1));
        assert_eq!(planned.bytes, MAX_DRY_RUN_BYTES);
        assert!(planned.check_size().is_ok());
        planned.add(write(0));
        assert!(matches!(planned.check_size(), Err(ServiceError::DryRunTooLarge)));
    }
}
