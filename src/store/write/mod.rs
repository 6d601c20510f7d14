//! Writes: the types of a write, and `commit`, which stores a batch of writes in one transaction.
//!
//! A handler prepares a write outside of any transaction, from the records that it has read. It *claims* what it relies
//! on: that an id, a uri or a name is free, and that a record still has the revision that was read. `commit` takes the
//! claims of a batch in an order that all instances share, writes the rows, takes the feed's lock, checks the
//! references (see `reference`), assigns the positions and commits. A lost claim rolls the batch back, and its writes
//! are prepared again.

pub mod append;
pub mod claims;
pub mod clock;
pub mod columns;
pub mod commit;
pub mod idempotency;
pub mod meeting_search;
pub mod provenance;
pub mod reference;
pub mod revision;
pub mod settle_queue;

use std::{collections::HashSet, sync::OnceLock};

use chrono::NaiveDate;
use uuid::Uuid;

use self::meeting_search::MeetingSearch;
use super::{
    account_index::ParticipationTerms,
    change,
    origin::{NewEvent, Origin},
};
use crate::{
    model::{
        article::TextHash,
        participant::{PersonFacts, Persons},
        report::Aliases,
        resource::{Collection, Resource},
    },
    pb::{Article, Meeting, Participant, Report},
};

/// Everything that one call writes, atomically: records, or only a stored response.
#[derive(Debug, Default)]
pub struct Write {
    /// The caller.
    pub actor: String,
    /// The origin of the write in the audit log. `None` for writes of the service itself, which are not audited.
    pub audit: Option<Origin>,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    /// The caller's reason; empty if none was given.
    pub reason: String,
    /// The response to a repetition of the request; only with a `request_id`.
    pub answer: Option<Answer>,
    /// Participants, new or replaced.
    pub participants: Vec<PutParticipant>,
    /// Articles, new or replaced.
    pub articles: Vec<PutArticle>,
    /// Reports, new or replaced.
    pub reports: Vec<Put<Report>>,
    /// Meetings, new or replaced.
    pub meetings: Vec<Put<Meeting>>,
    /// The settle task that this write completes, unless it was enqueued again meanwhile.
    pub settles: Option<SettleTask>,
    /// The version of the groups of copies that this write relies on, if it does.
    pub groups: Option<i64>,
    /// The aliases among the participants that its new reports name, with which its meetings were settled.
    pub aliases: Aliases,
    /// The facts about participants with which its meetings were settled.
    pub persons: Persons,
    /// Articles that this write relies on, with the revision that was read, besides those that its new reports cite.
    pub read_articles: Vec<(Uuid, i64)>,
    /// The searches for meetings of the same event that this write relies on.
    pub meeting_searches: Vec<MeetingSearch>,
}

/// An article or a meeting that must be settled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleTask {
    pub collection: Collection,
    pub id: Uuid,
    /// The version of the groups of copies when the task was enqueued. It differs after another enqueue.
    pub version: i64,
}

/// The response to a request, for callers who repeat it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The method's full name.
    pub method: &'static str,
    /// The hash of the request's body: a repeated request must have the same body.
    pub body_hash: [u8; 32],
    /// The encoded response.
    pub bytes: Vec<u8>,
}

/// A record to be written, in both forms.
#[derive(Debug)]
pub struct Put<R> {
    pub id: Uuid,
    pub record: R,
    /// The encoded record.
    pub doc: Vec<u8>,
    /// The revision that it replaces; `None` for a new record.
    pub replaces: Option<i64>,
    /// The kind of its change in the feed.
    pub kind: change::Kind,
    /// For a settled meeting: the participants that its reports name and that a ruling keeps out of its account. `None`
    /// if the meeting was not settled: the stored ones stay.
    pub left_out: Option<Vec<Uuid>>,
    /// For a settled meeting: the participants that its account names and to which no report or ruling refers: the
    /// persons of aliases.
    pub unreported: Vec<Uuid>,
    /// For a settled meeting: the version of the groups of copies when its reports were read.
    pub settled_at: Option<i64>,
    /// For a meeting: the terms of its participations. They are made before the transaction.
    terms: OnceLock<ParticipationTerms>,
}

impl Put<Meeting> {
    /// The terms of the participations.
    pub(in crate::store) fn terms(&self) -> &ParticipationTerms {
        self.terms.get_or_init(|| ParticipationTerms::of(&self.record))
    }
}

impl<R: Resource> Put<R> {
    /// A new record, on which `make_first_revision` was called.
    pub fn new(id: Uuid, record: R) -> Self {
        Self {
            id,
            doc: record.encode_to_vec(),
            record,
            replaces: None,
            kind: change::Kind::Created,
            left_out: None,
            unreported: Vec::new(),
            settled_at: None,
            terms: OnceLock::new(),
        }
    }

    /// The next revision of a record, on which `make_next_revision` was called.
    pub fn next(id: Uuid, record: R, kind: change::Kind) -> Self {
        Self {
            id,
            doc: record.encode_to_vec(),
            replaces: Some(record.revision() - 1),
            record,
            kind,
            left_out: None,
            unreported: Vec::new(),
            settled_at: None,
            terms: OnceLock::new(),
        }
    }

    fn change(&self) -> append::NewChange {
        append::NewChange { collection: R::COLLECTION, id: self.id, kind: self.kind, revision: self.record.revision() }
    }
}

/// An article to be written, with the parts that are stored outside its doc.
#[derive(Debug)]
pub struct PutArticle {
    /// The article, without its text.
    pub put: Put<Article>,
    /// Its text, if that is to be stored.
    pub text: Option<String>,
    /// The key of the text in the request, even if the text is not to be stored.
    pub text_key: Option<TextHash>,
    /// The revision that it replaces.
    pub former: Option<Article>,
    /// If the text changes: the reports whose evidence was compared with the new text. The article must have no other
    /// active reports.
    pub compared: Option<Vec<Uuid>>,
}

impl PutArticle {
    /// True if `syndicated_from` changes to another article.
    pub(super) fn changes_parent(&self) -> bool {
        let former = self.former.as_ref().map(|former| former.syndicated_from.as_str());
        has_other_parent(former, &self.put.record.syndicated_from)
    }
}

/// True if an existing record gets another parent, so that its ancestry must be checked.
fn has_other_parent(former_parent: Option<&str>, parent: &str) -> bool {
    !parent.is_empty() && former_parent.is_some_and(|former| former != parent)
}

/// A participant to be written, with the lookups that its preparation relied on.
#[derive(Debug)]
pub struct PutParticipant {
    pub put: Put<Participant>,
    /// The name keys that no participant had, with the version of each at that time. Empty if namesakes do not
    /// matter.
    pub absent: Vec<(String, i64)>,
    /// The revision that it replaces.
    pub former: Option<Participant>,
}

impl PutParticipant {
    /// True if `parent` changes to another participant.
    pub(super) fn changes_parent(&self) -> bool {
        has_other_parent(self.former.as_ref().map(|former| former.parent.as_str()), &self.put.record.parent)
    }

    /// True if the participant is settled as another one than before, so that its meetings must be settled again.
    pub fn changes_person(&self) -> bool {
        self.former.as_ref().is_some_and(|former| former.merged_into != self.put.record.merged_into)
    }

    /// True if the meetings of the participant must be settled again: it is settled as another one, or a fact that
    /// settling reads has changed.
    pub fn affects_settling(&self) -> bool {
        let facts = |former: &Participant| PersonFacts::of(former) != PersonFacts::of(&self.put.record);
        self.changes_person() || self.former.as_ref().is_some_and(facts)
    }
}

/// A condition that a write relies on and that a concurrent write may have changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A request is the first with its actor, method and request id.
    Request(String, &'static str, String),
    /// No other article has the uri.
    Uri(String),
    /// No other participant has the external id, by scheme and value.
    ExternalId(String, String),
    /// No other live meeting has the external id, by scheme and value.
    MeetingId(String, String),
    /// No participant has the name key.
    Name(String),
    /// A record does not exist yet, or still has the revision that was read.
    Record(Collection, Uuid),
    /// An article has no report with this `content_hash` yet.
    Content(Uuid, String),
    /// No other meeting has the participant on the day since a search for one.
    Meeting(Uuid, NaiveDate),
    /// No record of the collection becomes its own ancestor.
    Ancestry(Collection),
    /// A referenced record is live.
    Live(Collection, Uuid),
    /// No record references a record that is to be deleted.
    Unreferenced(Collection, Uuid),
    /// The groups of copies still have this version.
    Groups(i64),
    /// A participant that a new report or a binding names is still settled as the same one, and the person of an alias
    /// stands for itself.
    Person(Uuid),
    /// No other participant has the new alias as its person.
    Alias(Uuid),
}

impl Write {
    /// True if there is nothing to be written.
    pub fn is_empty(&self) -> bool {
        self.answer.is_none() && self.changes().next().is_none()
    }

    /// The approximate number of bytes that it sends to the database.
    pub fn weight(&self) -> usize {
        let text = |article: &PutArticle| article.text.as_ref().map_or(0, String::len);
        let participants = self.participants.iter().map(|participant| participant.put.doc.len());
        let articles = self.articles.iter().map(|article| article.put.doc.len() + text(article));
        let reports = self.reports.iter().map(|report| report.doc.len());
        let meetings = self.meetings.iter().map(|meeting| meeting.doc.len());
        participants.chain(articles).chain(reports).chain(meetings).sum()
    }

    /// The number of positions that it takes in the feed.
    pub fn change_count(&self) -> usize {
        self.changes().count()
    }

    fn changes(&self) -> impl Iterator<Item = append::NewChange> {
        let participants = self.participants.iter().map(|participant| participant.put.change());
        let articles = self.articles.iter().map(|article| article.put.change());
        let reports = self.reports.iter().map(Put::change);
        let meetings = self.meetings.iter().map(Put::change);
        participants.chain(articles).chain(reports).chain(meetings)
    }
}

/// The result of a batch.
#[derive(Debug)]
pub enum BatchOutcome {
    /// The batch is durable. Has the position of each write's last change, true if settle tasks were enqueued, and the
    /// events of the audit log, which the caller prints.
    Committed(Vec<change::Position>, bool, Vec<NewEvent>),
    /// Nothing was written: these claims are lost.
    Lost(HashSet<Claim>),
}
