//! The one way in: a batch of writes as one transaction.
//!
//! A write is prepared outside of any transaction, from what its handler has read. What it relies on (an id, a uri, a
//! name is free; a record still has the revision that was read) it *claims*. A batch first claims, in an order that all
//! instances share, then writes its rows, and last takes the feed's lock, looks at what it names (see `reference`),
//! positions and commits. A claim that fails rolls everything back, and says whose it was: those are prepared anew.

pub mod claims;
pub mod columns;
pub mod commit;
pub mod idempotency;
pub mod provenance;
pub mod reference;
pub mod revision;
pub mod settle_queue;

use std::collections::HashSet;

use uuid::Uuid;

use super::change;
use crate::{
    model::{
        article::TextHash,
        resource::{Collection, Resource},
    },
    pb::{Article, Meeting, Participant, Report},
};

/// All that one call writes: records, or only the answer to remember. Atomic.
#[derive(Debug, Default)]
pub struct Write {
    /// Who asked for it.
    pub actor: String,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    /// Why; empty where no reason was given.
    pub reason: String,
    /// What a repeated request is answered; only with a `request_id`.
    pub answer: Option<Answer>,
    /// Participants, new or replaced.
    pub participants: Vec<PutParticipant>,
    /// Articles, new or replaced.
    pub articles: Vec<PutArticle>,
    /// Reports, new or replaced.
    pub reports: Vec<Put<Report>>,
    /// Meetings, new or replaced.
    pub meetings: Vec<Put<Meeting>>,
    /// What is settled with it, unless that was made uncertain again meanwhile.
    pub settles: Option<SettleTask>,
    /// The state of the groups of copies that it relies on, where it does.
    pub groups: Option<i64>,
}

/// An article or a meeting that is to be settled anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleTask {
    /// Its collection.
    pub collection: Collection,
    /// Its id.
    pub id: Uuid,
    /// Tells whether it was made uncertain again meanwhile.
    pub version: i64,
}

/// The answer to a request, for callers who repeat it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Full name of the method.
    pub method: &'static str,
    /// Tells the same body from another.
    pub body_hash: [u8; 32],
    /// The answer's bytes.
    pub bytes: Vec<u8>,
}

/// A record to be written, with its bytes.
#[derive(Debug)]
pub struct Put<R> {
    /// Its id.
    pub id: Uuid,
    /// The record.
    pub record: R,
    /// The record's bytes.
    pub doc: Vec<u8>,
    /// The revision that it replaces; `None` for a new record.
    pub replaces: Option<i64>,
    /// What the feed says of it.
    pub kind: change::Kind,
    /// Of a meeting that was settled: the participants whom its reports name and its account does not, under a ruling.
    /// `None` where it was not, and they are as before.
    pub left_out: Option<Vec<Uuid>>,
    /// Of a meeting that was settled anew: the state of all groups of copies when its reports were read.
    pub settled_at: Option<i64>,
}

impl<R: Resource> Put<R> {
    /// A new record, which `begin` was called on.
    pub fn new(id: Uuid, record: R) -> Self {
        Self {
            id,
            doc: record.encode_to_vec(),
            record,
            replaces: None,
            kind: change::Kind::Created,
            left_out: None,
            settled_at: None,
        }
    }

    /// The next revision of a record, which `succeed` was called on.
    pub fn next(id: Uuid, record: R, kind: change::Kind) -> Self {
        Self {
            id,
            doc: record.encode_to_vec(),
            replaces: Some(record.revision() - 1),
            record,
            kind,
            left_out: None,
            settled_at: None,
        }
    }

    fn change(&self) -> change::Entry {
        change::Entry { collection: R::COLLECTION, id: self.id, kind: self.kind, revision: self.record.revision() }
    }
}

/// An article to be written, with what stands outside of its doc.
#[derive(Debug)]
pub struct PutArticle {
    /// The article, without its text.
    pub put: Put<Article>,
    /// Its text, where that is to be kept.
    pub text: Option<String>,
    /// The key of the text that it was sent with, also of one that is not to be kept.
    pub text_key: Option<TextHash>,
    /// The revision that it replaces.
    pub former: Option<Article>,
    /// With another text than before: its reports, whose evidence was compared with that. There may be no others.
    pub compared: Option<Vec<Uuid>>,
}

impl PutArticle {
    /// Whether it becomes a copy of another article than before.
    pub(super) fn moves(&self) -> bool {
        let former = self.former.as_ref().map(|former| former.syndicated_from.as_str());
        moves(former, &self.put.record.syndicated_from)
    }
}

/// Whether a put gives a record another place in a line: a parent, or what it is a copy of.
fn moves(former: Option<&str>, place: &str) -> bool {
    !place.is_empty() && former.is_some_and(|former| former != place)
}

/// A participant to be written, with what its preparation relied on.
#[derive(Debug)]
pub struct PutParticipant {
    /// The participant.
    pub put: Put<Participant>,
    /// The normalised names of which no participant was found, with the version at which that was so; empty where
    /// it does not matter who else has the name.
    pub absent: Vec<(String, i64)>,
    /// The revision that it replaces.
    pub former: Option<Participant>,
}

impl PutParticipant {
    /// Whether it becomes part of another participant than before.
    pub(super) fn moves(&self) -> bool {
        moves(self.former.as_ref().map(|former| former.parent.as_str()), &self.put.record.parent)
    }
}

/// Something that a write relies on, and that no other may have taken meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// Actor, method and request id.
    Request(String, &'static str, String),
    /// The uri of an article.
    Uri(String),
    /// Scheme and value of a participant's external id.
    ExternalId(String, String),
    /// A normalised name that nobody had.
    Name(String),
    /// A record, as new or at a revision.
    Record(Collection, Uuid),
    /// The content of an article's report.
    Content(Uuid, String),
    /// The lines of parents, or of copies, of which one is made longer.
    Line(Collection),
    /// A record that is named, and live.
    Live(Collection, Uuid),
    /// A record that is to be deleted, and that nobody names.
    Unnamed(Collection, Uuid),
    /// The groups of copies in a state.
    Groups(i64),
}

impl Write {
    /// Whether there is nothing to be written.
    pub fn is_empty(&self) -> bool {
        self.answer.is_none() && self.changes().next().is_none()
    }

    /// Bytes that it brings to the database, roughly.
    pub fn weight(&self) -> usize {
        let participants = self.participants.iter().map(|one| one.put.doc.len());
        let articles = self.articles.iter().map(|one| one.put.doc.len() + one.text.as_ref().map_or(0, String::len));
        let reports = self.reports.iter().map(|one| one.doc.len());
        let meetings = self.meetings.iter().map(|one| one.doc.len());
        participants.chain(articles).chain(reports).chain(meetings).sum()
    }

    /// How many positions it takes.
    pub fn change_count(&self) -> usize {
        self.changes().count()
    }

    fn changes(&self) -> impl Iterator<Item = change::Entry> {
        let participants = self.participants.iter().map(|one| one.put.change());
        let articles = self.articles.iter().map(|one| one.put.change());
        let reports = self.reports.iter().map(Put::change);
        let meetings = self.meetings.iter().map(Put::change);
        participants.chain(articles).chain(reports).chain(meetings)
    }
}

/// What became of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// All of it is durable; the position of each write's last change, and whether something is to be settled anew.
    Committed(Vec<change::Position>, bool),
    /// None of it was written, since these were taken or have changed.
    Lost(HashSet<Claim>),
}
