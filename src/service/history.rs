//! What was: the revisions of a record, and records as of a time.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use tonic::Request;
use uuid::Uuid;

use super::{
    Api,
    article::with_texts,
    change::timestamp,
    id, in_order,
    meeting::united,
    must_fit,
    page::{Cursor, RevisionNumber},
    refusal::Refusal,
    report::Tellings,
    status::MESSAGE_BYTES,
};
use crate::{
    model::{
        article::keeps_text,
        changed,
        meeting::basic,
        resource::Resource,
        rules::{Check, Path, Violations},
    },
    pb::{
        self, Article, BatchGetArticlesRequest, BatchGetMeetingsRequest, BatchGetParticipantsRequest,
        GetArticleRequest, GetMeetingRequest, GetParticipantRequest, GetReportRequest, ListReportsRequest, Meeting,
        Report, View, report::State,
    },
    store::{StoreError, change::Kind, history},
};

/// A request that may ask for what was.
pub trait AtTime: Check {
    /// As of when; none for what is.
    fn read_time(&self) -> Option<&Timestamp>;
}

macro_rules! at_time {
    ($($request:ident),+) => {
        $(impl AtTime for $request {
            fn read_time(&self) -> Option<&Timestamp> {
                self.read_time.as_ref()
            }
        })+
    };
}

at_time!(GetArticleRequest, BatchGetArticlesRequest, GetParticipantRequest, BatchGetParticipantsRequest);
at_time!(GetMeetingRequest, BatchGetMeetingsRequest, GetReportRequest, ListReportsRequest);

impl Api {
    /// The request of a read, as `read` has it, and the time that it asks for, if it does.
    pub async fn read_at<R: AtTime>(&self, request: Request<R>) -> Result<(R, Option<DateTime<Utc>>), Refusal> {
        let request = self.reached(request).await?;
        let mut violations = request.violations();
        let time = request.read_time().and_then(|asked| time(asked, Utc::now(), &mut violations));
        violations.into_result()?;
        Ok((request, time))
    }
}

/// The time that was asked for, which must not be later than now. What is no time is refused by the rules.
fn time(asked: &Timestamp, now: DateTime<Utc>, out: &mut Violations) -> Option<DateTime<Utc>> {
    let time = DateTime::from_timestamp(asked.seconds, u32::try_from(asked.nanos).ok()?)?;
    if time > now {
        let sent = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        out.add(&Path::ROOT.field("read_time"), format!("must not be in the future, not {sent}"));
    }
    Some(time)
}

/// A record as of a time.
pub async fn record<R: Resource>(api: &Api, id: Uuid, time: DateTime<Utc>) -> Result<R, Refusal> {
    let records = records(api, &[id], time).await?;
    records.into_iter().next().ok_or_else(|| Refusal::NotThen(R::COLLECTION.name(id)))
}

/// Records as of a time, in this order.
pub async fn records<R: Resource>(api: &Api, ids: &[Uuid], time: DateTime<Utc>) -> Result<Vec<R>, Refusal> {
    let docs = history::docs(api.store.reads(), R::COLLECTION, ids, time).await?;
    let sizes: HashMap<Uuid, usize> = docs.iter().map(|doc| (doc.id, doc.bytes.len() + 16)).collect();
    if let Some(missing) = ids.iter().find(|id| !sizes.contains_key(id)) {
        return Err(Refusal::NotThen(R::COLLECTION.name(*missing)));
    }
    must_fit(ids.iter().map(|id| sizes[id]).sum())?;
    in_order(ids, &docs)
}

/// Articles as of a time, in this order.
pub async fn articles(api: &Api, ids: &[Uuid], view: View, time: DateTime<Utc>) -> Result<Vec<Article>, Refusal> {
    let articles: Vec<Article> = records(api, ids, time).await?;
    if view == View::Basic {
        return Ok(articles);
    }
    // A text has no fewer bytes than characters: most that would not fit is not even read.
    let characters = |one: &Article| usize::try_from(one.text_length).unwrap_or(0);
    must_fit(articles.iter().filter(|one| keeps_text(one)).map(characters).sum())?;
    let articles = with_texts(api, articles).await?;
    must_fit(bytes(&articles))?;
    Ok(articles)
}

/// Meetings as of a time, in this order, with what their reports said then.
pub async fn meetings(api: &Api, ids: &[Uuid], view: View, time: DateTime<Utc>) -> Result<Vec<Meeting>, Refusal> {
    // Retracted reports are read and left out, so that there may be more than fit.
    const MOST_READ: i64 = 4 * MESSAGE_BYTES as i64;
    let meetings: Vec<Meeting> = records(api, ids, time).await?;
    if view == View::Basic {
        return Ok(meetings.into_iter().map(basic).collect());
    }
    let each: Vec<Uuid> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let told = history::reports_of(api.store.reads(), &each, time, MOST_READ).await?.ok_or(Refusal::TooLarge)?;
    let mut tellings: HashMap<Uuid, Tellings> = HashMap::new();
    let mut sizes: HashMap<Uuid, usize> = HashMap::new();
    for row in told {
        let report: Report = row.doc.decode()?;
        if report.state() != State::Retracted {
            tellings.entry(row.meeting).or_default().push_as_of(report, &row)?;
            *sizes.entry(row.meeting).or_default() += row.doc.bytes.len();
        }
    }
    // A meeting that is asked for twice is answered twice.
    must_fit(bytes(&meetings) + ids.iter().filter_map(|id| sizes.get(id)).sum::<usize>())?;
    Ok(united(meetings, &tellings))
}

/// How many bytes records have in an answer.
fn bytes(records: &[impl Message]) -> usize {
    records.iter().map(|one| one.encoded_len() + 16).sum()
}

/// A page of the revisions of a record, and the token of the next one.
pub async fn revisions<R: Resource>(
    api: &Api,
    name: &str,
    cursor: &Cursor<RevisionNumber>,
) -> Result<(Vec<pb::Revision>, String), Refusal> {
    let (id, below) = (id::<R>(name)?, cursor.after.map_or(i64::MAX, |RevisionNumber(last)| last));
    let read = history::revisions(api.store.reads(), R::COLLECTION, id, below, cursor.size).await?;
    let Some(last) = read.last() else { return Err(Refusal::NotFound(name.to_owned())) };

    // The last one says what is different in the one after it, and is told only if there is none before it.
    let complete = if last.revision == 1 { read.len() } else { read.len() - 1 };
    let damaged = |_| StoreError::Damaged(name.to_owned());
    let records: Vec<DynamicMessage> =
        read.iter().map(|one| changed::read::<R>(&one.doc).map_err(damaged)).collect::<Result<_, _>>()?;
    let told = read.iter().zip(&records).enumerate().take(complete.min(cursor.size));
    let revisions: Vec<pb::Revision> = told
        .map(|(index, (one, record))| {
            let before = records.get(index + 1);
            revision(one, before.map(|before| changed::changed(before, record)).unwrap_or_default())
        })
        .collect();
    let next = revisions.last().map(|last| last.revision).filter(|last| *last > 1);
    let next_page_token = next.map(|last| cursor.token(RevisionNumber(last))).unwrap_or_default();
    Ok((revisions, next_page_token))
}

fn revision(read: &history::Revision, changed_fields: Vec<String>) -> pb::Revision {
    pb::Revision {
        revision: read.revision,
        update_time: Some(timestamp(read.update_time)),
        // A kind of a newer release is told as unspecified rather than not at all.
        kind: Kind::try_from(i32::from(read.change_kind)).unwrap_or(Kind::Unspecified).into(),
        actor: read.actor.clone(),
        request_id: read.request_id.clone(),
        reason: read.reason.clone(),
        changed_fields,
    }
}
