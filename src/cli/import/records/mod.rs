//! Imports the records of an export, each under its own name: participants, judgements and merges (in order), articles,
//! reports, bindings, rulings (in order within a meeting) and reviews. A kind begins once all records of the kind before
//! it are written.

mod item;
mod keyed_workers;

use std::sync::Arc;

use anyhow::Result;
use prost_types::FieldMask;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use self::{
    item::{Item, RecordKind, id, item},
    keyed_workers::KeyedWorkers,
};
use super::{
    compare::{self, Difference},
    fault::Fault,
    reader::Reader,
    tally::ImportSummary,
};
use crate::{
    cli::{Clients, retry},
    pb::{
        AddReportRequest, BindParticipationRequest, CreateArticleRequest, CreateParticipantRequest, GetMeetingRequest,
        JudgeParticipantsRequest, Meeting, MergeParticipantsRequest, UpdateMeetingRequest, View, export_record::Record,
    },
};

/// Imports all messages as records, of which at most `worker_count` are written concurrently.
///
/// # Errors
/// If the service is unreachable or refuses every call.
pub async fn import(
    mut messages: Reader,
    clients: &Clients,
    tally: &Arc<ImportSummary>,
    worker_count: u16,
) -> Result<()> {
    let writer = Writer { clients: clients.clone(), tally: tally.clone() };
    let mut waiting = Vec::new();
    let mut open: Option<(RecordKind, KeyedWorkers)> = None;
    while let Some(message) = messages.next().await {
        let item = match item(message.location.clone(), message.text) {
            Ok(Some(item)) => item,
            Ok(None) => continue,
            Err(fault) => {
                tally.failed(&message.location, &fault);
                continue;
            }
        };
        if let Some((_, before)) = open.take_if(|(kind, _)| *kind != item.kind) {
            waiting.extend(before.close().await?);
            waiting = retry_waiting(waiting, &writer, worker_count).await?;
        }
        let (_, workers) = open.get_or_insert_with(|| (item.kind, KeyedWorkers::open(&writer, worker_count)));
        if !workers.send(item).await {
            break;
        }
    }
    if let Some((_, last)) = open {
        waiting.extend(last.close().await?);
    }
    for item in retry_waiting(waiting, &writer, worker_count).await? {
        if let Some(status) = &item.missing {
            tally.failed(&item.location, &item.fault(status));
        }
    }
    Ok(())
}

/// Writes records whose references were missing, repeatedly while there is progress. Returns those that still fail.
async fn retry_waiting(mut waiting: Vec<Item>, writer: &Writer, worker_count: u16) -> Result<Vec<Item>> {
    loop {
        let before = waiting.len();
        if before == 0 {
            return Ok(waiting);
        }
        let workers = KeyedWorkers::open(writer, worker_count);
        for item in waiting {
            if !workers.send(item).await {
                break;
            }
        }
        waiting = workers.close().await?;
        if waiting.len() == before {
            return Ok(waiting);
        }
    }
}

#[derive(Clone)]
struct Writer {
    clients: Clients,
    tally: Arc<ImportSummary>,
}

impl Writer {
    /// Writes the records of a worker. Returns those that refer to a missing record.
    async fn write_all(self, mut items: mpsc::Receiver<Item>) -> Result<Vec<Item>> {
        let mut waiting = Vec::new();
        while let Some(mut item) = items.recv().await {
            match self.write(&item).await {
                Ok(written) => self.count(&item, written)?,
                Err(status) if status.code() == Code::NotFound => {
                    item.missing = Some(status);
                    waiting.push(item);
                }
                Err(status) if item.ends_import(&status) => return Err(retry::given_up(status)),
                Err(status) => self.tally.failed(&item.location, &item.fault(&status)),
            }
        }
        Ok(waiting)
    }

    /// Counts the outcome of a record.
    fn count(&self, item: &Item, written: RecordOutcome) -> Result<()> {
        let RecordOutcome { created, meeting, difference } = written;
        if let Some(MeetingOutcome { created, difference }) = meeting {
            let name = item.key.as_str();
            self.tally.accepted_part(|totals| totals.resource(name, created))?;
            if let Some(difference) = difference {
                self.tally.part_differs(&item.location, &other_content(name, name, &difference));
            }
        }
        match difference {
            None => self.tally.accepted(|totals| totals.record(&item.name, created)),
            Some(difference) => {
                self.tally.differs(&item.location, &other_content(item.subject(), &item.name, &difference));
                Ok(())
            }
        }
    }

    async fn write(&self, item: &Item) -> Result<RecordOutcome, Status> {
        let (clients, name) = (&self.clients, item.name.as_str());
        let id = id(name).unwrap_or_default().to_owned();
        match &item.record {
            Record::Participant(participant) => {
                let request = CreateParticipantRequest {
                    participant: Some(participant.clone()),
                    participant_id: id,
                    ..Default::default()
                };
                let answer = clients.repeat(&clients.participants, &request, async |mut client, request| {
                    client.create_participant(request).await
                });
                RecordOutcome::of(name, answer.await, async || compare::participant(clients, name, participant).await)
                    .await
            }
            Record::Article(article) => {
                let request =
                    CreateArticleRequest { article: Some(article.clone()), article_id: id, ..Default::default() };
                let answer = clients.repeat(&clients.articles, &request, async |mut client, request| {
                    client.create_article(request).await
                });
                RecordOutcome::of(name, answer.await, async || compare::article(clients, name, article).await).await
            }
            Record::Report(record) => {
                let meeting = self.meeting(&item.key, |stored| compare::meeting(record, stored)).await?;
                let request = AddReportRequest {
                    meeting: record.meeting.clone(),
                    report: record.report.clone(),
                    report_id: id,
                    allow_missing: true,
                    meeting_labels: record.meeting_labels.clone(),
                    ..Default::default()
                };
                let answer = clients
                    .repeat(&clients.meetings, &request, async |mut client, request| client.add_report(request).await);
                let written =
                    RecordOutcome::of(name, answer.await, async || compare::report(clients, name, record).await);
                Ok(RecordOutcome { meeting: Some(meeting), ..written.await? })
            }
            Record::Ruling(record) => {
                let ruling = record.ruling.clone().unwrap_or_default();
                let meeting =
                    Meeting { name: record.meeting.clone(), account: record.account.clone(), ..Default::default() };
                let request = UpdateMeetingRequest {
                    meeting: Some(meeting),
                    update_mask: ruling.mask,
                    reason: ruling.reason,
                    report_id: id,
                    ..Default::default()
                };
                let answer = self.update_meeting(request).await;
                RecordOutcome::of(name, answer, async || compare::ruling(clients, name, record).await).await
            }
            Record::Review(record) => {
                let meeting = Meeting { name: name.to_owned(), review: record.review, ..Default::default() };
                let request = UpdateMeetingRequest {
                    meeting: Some(meeting),
                    update_mask: Some(FieldMask { paths: vec!["review".to_owned()] }),
                    ..Default::default()
                };
                self.update_meeting(request).await?;
                Ok(RecordOutcome::default())
            }
            Record::Merge(record) => {
                let request = MergeParticipantsRequest {
                    name: record.into.clone(),
                    sources: vec![record.participant.clone()],
                    reason: record.reason.clone(),
                    ..Default::default()
                };
                let answer = clients.repeat(&clients.participants, &request, async |mut client, request| {
                    client.merge_participants(request).await
                });
                match answer.await {
                    Err(status) if survivor(&status).as_ref() != Some(&record.into) => Err(status),
                    _ => Ok(RecordOutcome::default()),
                }
            }
            Record::Judgement(record) => {
                let request = JudgeParticipantsRequest {
                    participant: record.participant.clone(),
                    other: record.other.clone(),
                    verdict: record.verdict,
                    reason: record.reason.clone(),
                    ..Default::default()
                };
                let answer = clients.repeat(&clients.participants, &request, async |mut client, request| {
                    client.judge_participants(request).await
                });
                answer.await?;
                Ok(RecordOutcome::default())
            }
            Record::Binding(record) => {
                let request = BindParticipationRequest {
                    report: record.report.clone(),
                    participation: record.participation.clone(),
                    participant: record.participant.clone(),
                    reason: record.reason.clone(),
                    ..Default::default()
                };
                let answer = clients.repeat(&clients.meetings, &request, async |mut client, request| {
                    client.bind_participation(request).await
                });
                answer.await?;
                Ok(RecordOutcome::default())
            }
            Record::Header(_) => Ok(RecordOutcome::default()),
        }
    }

    async fn update_meeting(&self, request: UpdateMeetingRequest) -> Result<Meeting, Status> {
        let client = &self.clients.meetings;
        self.clients.repeat(client, &request, async |mut client, request| client.update_meeting(request).await).await
    }

    /// Looks up the meeting of a report, and compares it. Does so only for the first report of a meeting.
    async fn meeting(&self, name: &str, compare: impl Fn(&Meeting) -> Difference) -> Result<MeetingOutcome, Status> {
        if self.tally.knows_meeting(name) {
            return Ok(MeetingOutcome::default());
        }
        let request = GetMeetingRequest { name: name.to_owned(), view: View::Basic.into(), ..Default::default() };
        let client = &self.clients.meetings;
        let answer =
            self.clients.repeat(client, &request, async |mut client, request| client.get_meeting(request).await);
        match answer.await {
            Ok(stored) => Ok(MeetingOutcome { created: false, difference: compare(&stored) }),
            Err(status) if status.code() == Code::NotFound => Ok(MeetingOutcome { created: true, difference: None }),
            Err(status) => Err(status),
        }
    }
}

/// The participant that one was merged into already, if that is why a merge was refused.
fn survivor(status: &Status) -> Option<String> {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove("survivor"))
}

/// The fault of a record that exists with other content.
fn other_content(subject: &str, name: &str, difference: &str) -> Fault {
    let stored = if subject == name { "the record that is there" } else { name };
    let text = format!("differs from {stored}, which was left as it is: {difference}");
    Fault::new("differs from the record that is there", text).about(subject)
}

/// The outcome of a record: it was created, or the stored record has this difference. For a report, also the outcome
/// for its meeting.
#[derive(Debug, Default, PartialEq, Eq)]
struct RecordOutcome {
    created: bool,
    difference: Difference,
    meeting: Option<MeetingOutcome>,
}

/// The outcome of a report for its meeting: the meeting was created, or the stored one has this difference.
#[derive(Debug, Default, PartialEq, Eq)]
struct MeetingOutcome {
    created: bool,
    difference: Difference,
}

impl RecordOutcome {
    /// The outcome of a create call for a record of this name. A record that already exists is not an error: it is
    /// compared.
    async fn of<T>(
        name: &str,
        answer: Result<T, Status>,
        compare: impl AsyncFnOnce() -> Result<Difference, Status>,
    ) -> Result<Self, Status> {
        let Err(status) = answer else { return Ok(Self { created: true, ..Self::default() }) };
        let existing_name = status.get_details_error_info().and_then(|mut info| info.metadata.remove("name"));
        match status.code() == Code::AlreadyExists && existing_name.as_deref() == Some(name) {
            true => Ok(Self { difference: compare().await?, ..Self::default() }),
            false => Err(status),
        }
    }
}

#[cfg(test)]
mod tests;
