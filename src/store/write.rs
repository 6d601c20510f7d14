//! The one way in: a batch of writes as one transaction.
//!
//! A write is prepared outside of any transaction, from what its handler has read. What it relies on (an id, a uri, a
//! name is free; a record still has the revision that was read) it *claims*. A batch first claims, in an order that all
//! instances share, then writes its rows, and last takes the feed's lock, looks at what it names (see `reference`),
//! positions and commits. A claim that fails rolls everything back, and says whose it was: those are prepared anew.

use std::collections::{BTreeMap, HashSet};

use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    BATCH_TIMEOUT, StoreError, article, change, meeting, participant, reference, report, request,
    signed::signed,
    statement, text,
    unsettled::{self, Unsettled},
};
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
    pub settles: Option<Unsettled>,
    /// The state of the groups of copies that it relies on, where it does.
    pub groups: Option<i64>,
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
        reference::moves(former, &self.put.record.syndicated_from)
    }
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
        reference::moves(self.former.as_ref().map(|former| former.parent.as_str()), &self.put.record.parent)
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

/// Writes a batch. No two of its writes may claim the same.
pub async fn commit(pool: &PgPool, batch: &[&Write]) -> Result<Outcome, StoreError> {
    timeout(BATCH_TIMEOUT, commit_in_time(pool, batch)).await.unwrap_or_else(|elapsed| {
        // It may have been its commit that was not answered.
        Err(StoreError::Unknown(sqlx::Error::Io(elapsed.into())))
    })
}

async fn commit_in_time(pool: &PgPool, batch: &[&Write]) -> Result<Outcome, StoreError> {
    let mut connection = pool.acquire().await?;
    let committed = commit_on(&mut connection, batch).await;
    if matches!(committed, Err(StoreError::ReadOnly(_))) {
        // Another database may have taken over, and only a new connection finds it.
        connection.close_on_drop();
    }
    committed
}

async fn commit_on(connection: &mut PgConnection, batch: &[&Write]) -> Result<Outcome, StoreError> {
    let mut tx = connection.begin().await?;
    let mut lost = claim(&mut tx, batch).await?;
    if !lost.is_empty() {
        tx.rollback().await?;
        return Ok(Outcome::Lost(lost));
    }

    let participants = signed(batch, |write| &write.participants);
    let articles = signed(batch, |write| &write.articles);
    let reports = signed(batch, |write| &write.reports);
    let meetings = signed(batch, |write| &write.meetings);
    text::insert(&mut tx, &articles).await?;
    text::erase(&mut tx, &articles).await?;
    article::update(&mut tx, &articles).await?;
    participant::update(&mut tx, &participants).await?;
    participant::index(&mut tx, &participants).await?;
    report::update(&mut tx, &reports).await?;
    meeting::update(&mut tx, &meetings).await?;
    meeting::index(&mut tx, &meetings).await?;
    statement::index(&mut tx, &reports).await?;

    let changes: Vec<_> = batch
        .iter()
        .map(|write| change::OfWrite {
            actor: &write.actor,
            request_id: &write.request_id,
            entries: write.changes().collect(),
        })
        .collect();
    change::lock(&mut tx).await?;
    reference::check(&mut tx, batch, &mut lost).await?;
    report::check_compared(&mut tx, batch, &mut lost).await?;
    unsettled::check(&mut tx, batch, &mut lost).await?;
    if !lost.is_empty() {
        tx.rollback().await?;
        return Ok(Outcome::Lost(lost));
    }
    let is_unsettled = unsettled::keep(&mut tx, batch).await?;
    let positions = change::append(&mut tx, &changes).await?;
    tx.commit().await.map_err(StoreError::of_commit)?;
    Ok(Outcome::Committed(positions, is_unsettled))
}

/// Claims everything, each kind in sorted order and the kinds in this one, so that two instances cannot wait for each
/// other. Answers what could not be claimed.
async fn claim(tx: super::Tx<'_>, batch: &[&Write]) -> Result<HashSet<Claim>, StoreError> {
    let mut lost = HashSet::new();

    let requests: BTreeMap<_, _> = batch
        .iter()
        .filter_map(|write| {
            let answer = write.answer.as_ref()?;
            Some(((write.actor.as_str(), answer.method, write.request_id.as_str()), answer))
        })
        .collect();
    request::claim(tx, &requests, &mut lost).await?;

    let mut articles = signed(batch, |write| &write.articles);
    articles.sort_by_key(|one| one.put.id);
    article::claim_uris(tx, &articles, &mut lost).await?;

    let mut participants = signed(batch, |write| &write.participants);
    participants.sort_by_key(|one| one.put.id);
    participant::claim_external_ids(tx, &participants, &mut lost).await?;
    participant::claim_names(tx, &participants, &mut lost).await?;
    participant::claim(tx, &participants, &mut lost).await?;

    article::claim(tx, &articles, &mut lost).await?;

    let mut meetings = signed(batch, |write| &write.meetings);
    meetings.sort_by_key(|one| one.id);
    meeting::claim(tx, &meetings, &mut lost).await?;

    let mut reports = signed(batch, |write| &write.reports);
    reports
        .sort_by(|a, b| (&a.record.article, &a.record.content_hash).cmp(&(&b.record.article, &b.record.content_hash)));
    report::claim(tx, &reports, &mut lost).await?;
    Ok(lost)
}
