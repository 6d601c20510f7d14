//! Records of an export, each written under its own name: participants, then articles, then reports, then rulings,
//! those of a meeting in their order, then reviews. A sort begins when the one before it is written.

mod lanes;

use std::{mem, sync::Arc};

use anyhow::Result;
use prost_types::FieldMask;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use self::lanes::Lanes;
use super::{
    compare::{self, Difference},
    fault::{Fault, uri_in},
    reader::{At, Reader},
    tally::Tally,
};
use crate::{
    cli::{Clients, EXPORT_RECORD, json, retry},
    pb::{
        AddReportRequest, CreateArticleRequest, CreateParticipantRequest, ExportRecord, GetMeetingRequest, Meeting,
        UpdateMeetingRequest, View, export_record::Record,
    },
};

/// Imports all messages as records, of which `lanes` are on their way at a time.
pub async fn import(mut messages: Reader, clients: &Clients, tally: &Arc<Tally>, lanes: u16) -> Result<()> {
    let writer = Writer { clients: clients.clone(), tally: tally.clone() };
    let mut waiting = Vec::new();
    let mut open: Option<(Sort, Lanes)> = None;
    while let Some(message) = messages.next().await {
        let item = match item(message.at.clone(), message.text) {
            Ok(Some(item)) => item,
            Ok(None) => continue,
            Err(fault) => {
                tally.failed(&message.at, &fault);
                continue;
            }
        };
        if let Some((_, before)) = open.take_if(|(sort, _)| *sort != item.sort) {
            waiting.extend(before.close().await?);
            waiting = again(waiting, &writer, lanes).await?;
        }
        let (_, lanes) = open.get_or_insert_with(|| (item.sort, Lanes::open(&writer, lanes)));
        if !lanes.send(item).await {
            break;
        }
    }
    if let Some((_, last)) = open {
        waiting.extend(last.close().await?);
    }
    for item in again(waiting, &writer, lanes).await? {
        if let Some(status) = &item.missing {
            tally.failed(&item.at, &item.fault(status));
        }
    }
    Ok(())
}

/// Writes the records that missed another one, again while there is progress; answers those that still do.
async fn again(mut waiting: Vec<Item>, writer: &Writer, lanes: u16) -> Result<Vec<Item>> {
    loop {
        let before = waiting.len();
        if before == 0 {
            return Ok(waiting);
        }
        let lanes = Lanes::open(writer, lanes);
        for item in waiting {
            if !lanes.send(item).await {
                break;
            }
        }
        waiting = lanes.close().await?;
        if waiting.len() == before {
            return Ok(waiting);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Participant,
    Article,
    Report,
    Ruling,
    Review,
}

/// A record to write.
#[derive(Debug)]
struct Item {
    at: At,
    sort: Sort,
    /// Records of one key are written one after another: a report's is its meeting, as writes to one meeting would
    /// only wait for each other.
    key: String,
    /// Its name.
    name: String,
    record: Record,
    /// The answer to it, when it missed another record.
    missing: Option<Status>,
}

impl Item {
    /// The words by which people know the record: the uri of an article, the name of another.
    fn subject(&self) -> &str {
        match &self.record {
            Record::Article(article) => &article.uri,
            _ => &self.name,
        }
    }

    /// Returns `true` if every other record would fail alike. A writer may not decide on meetings, but write all else.
    fn ends_import(&self, status: &Status) -> bool {
        let is_decision = matches!(self.sort, Sort::Ruling | Sort::Review);
        retry::is_hopeless(status) && !(is_decision && status.code() == Code::PermissionDenied)
    }

    /// The fault that a service answered.
    fn fault(&self, status: &Status) -> Fault {
        // Requests name the parts of a record as the record does: `article.uri`, `report.account.kind`.
        let value = |path: &str| match &self.record {
            Record::Report(record) => json::at_path("readout.v1.ExportReport", record, path),
            record => json::at_path(EXPORT_RECORD, &ExportRecord { record: Some(record.clone()) }, path),
        };
        Fault::of_status(status, value).about(self.subject())
    }
}

/// A message as a record, none for a header; or what is wrong with it.
fn item(at: At, text: Result<String, Fault>) -> Result<Option<Item>, Fault> {
    let text = text?;
    let subject = || uri_in(text.as_bytes()).unwrap_or_default();
    let record = json::parse::<ExportRecord>(EXPORT_RECORD, &text);
    let record = record.map_err(|misfit| Fault::of_misfit(&misfit).about(subject()))?;
    // The name goes into the request as the id to create the resource under.
    let (sort, key, name, record) = match record.record {
        Some(Record::Header(_)) => return Ok(None),
        Some(Record::Participant(mut participant)) => {
            let name = mem::take(&mut participant.name);
            (Sort::Participant, name.clone(), name, Record::Participant(participant))
        }
        Some(Record::Article(mut article)) => {
            let name = mem::take(&mut article.name);
            (Sort::Article, name.clone(), name, Record::Article(article))
        }
        Some(Record::Report(mut record)) => {
            let name = record.report.as_mut().map(|report| mem::take(&mut report.name));
            (Sort::Report, record.meeting.clone(), name.unwrap_or_default(), Record::Report(record))
        }
        Some(Record::Ruling(mut ruling)) => {
            let name = mem::take(&mut ruling.name);
            (Sort::Ruling, ruling.meeting.clone(), name, Record::Ruling(ruling))
        }
        Some(Record::Review(review)) => {
            (Sort::Review, review.meeting.clone(), review.meeting.clone(), Record::Review(review))
        }
        None => {
            let problem = "holds no record: one of participant, article, report, ruling, review is required";
            return Err(Fault::new("no record", problem));
        }
    };
    let collection = match sort {
        Sort::Participant => "participants",
        Sort::Article => "articles",
        Sort::Report | Sort::Ruling => "reports",
        Sort::Review => "meetings",
    };
    match id(&name).filter(|_| name.starts_with(&format!("{collection}/"))) {
        Some(_) => Ok(Some(Item { at, sort, key, name, record, missing: None })),
        None => {
            let problem = format!("its name must be {collection}/{{uuid}}, not {name:?}");
            Err(Fault::new("a name that is none", problem).about(subject()))
        }
    }
}

/// The id in a resource's name.
fn id(name: &str) -> Option<&str> {
    name.split_once('/').map(|(_, id)| id).filter(|id| Uuid::try_parse(id).is_ok())
}

#[derive(Clone)]
struct Writer {
    clients: Clients,
    tally: Arc<Tally>,
}

impl Writer {
    /// Writes the records of a lane; answers those that missed another one.
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
                Err(status) => self.tally.failed(&item.at, &item.fault(&status)),
            }
        }
        Ok(waiting)
    }

    /// Counts what a record led to.
    fn count(&self, item: &Item, written: RecordOutcome) -> Result<()> {
        let RecordOutcome { created, meeting, difference } = written;
        if let Some(OfMeeting { created, difference }) = meeting {
            let name = item.key.as_str();
            self.tally.accepted_part(|totals| totals.resource(name, created))?;
            if let Some(difference) = difference {
                self.tally.part_differs(&item.at, &other_content(name, name, &difference));
            }
        }
        match difference {
            None => self.tally.accepted(|totals| totals.record(&item.name, created)),
            Some(difference) => {
                self.tally.differs(&item.at, &other_content(item.subject(), &item.name, &difference));
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
            Record::Header(_) => Ok(RecordOutcome::default()),
        }
    }

    async fn update_meeting(&self, request: UpdateMeetingRequest) -> Result<Meeting, Status> {
        let client = &self.clients.meetings;
        self.clients.repeat(client, &request, async |mut client, request| client.update_meeting(request).await).await
    }

    /// Looks for a meeting, and compares it. Only for the first of its reports: after that the answer is known.
    async fn meeting(&self, name: &str, compare: impl Fn(&Meeting) -> Difference) -> Result<OfMeeting, Status> {
        if self.tally.knows_meeting(name) {
            return Ok(OfMeeting::default());
        }
        let request = GetMeetingRequest { name: name.to_owned(), view: View::Basic.into(), ..Default::default() };
        let client = &self.clients.meetings;
        let answer =
            self.clients.repeat(client, &request, async |mut client, request| client.get_meeting(request).await);
        match answer.await {
            Ok(stored) => Ok(OfMeeting { created: false, difference: compare(&stored) }),
            Err(status) if status.code() == Code::NotFound => Ok(OfMeeting { created: true, difference: None }),
            Err(status) => Err(status),
        }
    }
}

/// Says of a record that it is there with other content.
fn other_content(subject: &str, name: &str, difference: &str) -> Fault {
    let stored = if subject == name { "the record that is there" } else { name };
    let text = format!("differs from {stored}, which was left as it is: {difference}");
    Fault::new("differs from the record that is there", text).about(subject)
}

/// The outcome of a record: it was created, or the one that is there has this difference; and its meeting, of a report.
#[derive(Debug, Default, PartialEq, Eq)]
struct RecordOutcome {
    created: bool,
    difference: Difference,
    meeting: Option<OfMeeting>,
}

/// The outcome of a report for its meeting: it was created, or the one that is there has this difference.
#[derive(Debug, Default, PartialEq, Eq)]
struct OfMeeting {
    created: bool,
    difference: Difference,
}

impl RecordOutcome {
    /// The outcome of a create call for a record of this name. A record that is there already is no error, but compared.
    async fn of<T>(
        name: &str,
        answer: Result<T, Status>,
        compare: impl AsyncFnOnce() -> Result<Difference, Status>,
    ) -> Result<Self, Status> {
        let Err(status) = answer else { return Ok(Self { created: true, ..Self::default() }) };
        let taken_by = status.get_details_error_info().and_then(|mut info| info.metadata.remove("name"));
        match status.code() == Code::AlreadyExists && taken_by.as_deref() == Some(name) {
            true => Ok(Self { difference: compare().await?, ..Self::default() }),
            false => Err(status),
        }
    }
}

#[cfg(test)]
mod tests;
