//! Records of an export, each written under its own name: participants, then articles, then reports, then
//! rulings, those of a meeting in their order. A sort begins when the one before it is written.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    sync::Arc,
};

use anyhow::Result;
use tokio::{sync::mpsc, task::JoinSet};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{
    lines::{At, Lines},
    tally::Tally,
};
use crate::{
    cli::{
        Clients, EXPORT_RECORD, json,
        retry::{self, repeat},
    },
    pb::{
        AddReportRequest, CreateArticleRequest, CreateParticipantRequest, ExportRecord, GetMeetingRequest, Meeting,
        UpdateMeetingRequest, View, export_record::Record,
    },
};

/// Imports all lines as records, of which `lanes` are on their way at a time.
pub async fn import(mut lines: Lines, clients: &Clients, tally: &Arc<Tally>, lanes: u16) -> Result<()> {
    let writer = Writer { clients: clients.clone(), tally: tally.clone() };
    let mut waiting = Vec::new();
    let mut open: Option<(Sort, Lanes)> = None;
    while let Some(line) = lines.next().await {
        let item = match item(line.at.clone(), line.text) {
            Ok(Some(item)) => item,
            Ok(None) => continue,
            Err(why) => {
                tally.failed(&line.at, &why);
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
        let why = item.missing.as_ref().map(retry::describe);
        tally.failed(&item.at, &why.unwrap_or_default());
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

/// A line as a record, none for a header; or what is wrong with it.
fn item(at: At, text: Result<String, String>) -> Result<Option<Item>, String> {
    let record: ExportRecord = json::parse(EXPORT_RECORD, &text?).map_err(|error| format!("{error:#}"))?;
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
        None => return Err("holds no record".to_owned()),
    };
    let collection = match sort {
        Sort::Participant => "participants",
        Sort::Article => "articles",
        Sort::Report | Sort::Ruling => "reports",
    };
    match id(&name).filter(|_| name.starts_with(&format!("{collection}/"))) {
        Some(_) => Ok(Some(Item { at, sort, key, name, record, missing: None })),
        None => Err(format!("its name must be {collection}/{{uuid}}, not {name:?}")),
    }
}

/// The id in a resource's name.
fn id(name: &str) -> Option<&str> {
    name.split_once('/').map(|(_, id)| id).filter(|id| Uuid::try_parse(id).is_ok())
}

/// Records on their way, each lane one at a time.
struct Lanes {
    lanes: Vec<mpsc::Sender<Item>>,
    workers: JoinSet<Result<Vec<Item>>>,
}

impl Lanes {
    fn open(writer: &Writer, lanes: u16) -> Self {
        let mut workers = JoinSet::new();
        let lanes = (0..lanes)
            .map(|_| {
                let (lane, items) = mpsc::channel(1);
                workers.spawn(writer.clone().write_all(items));
                lane
            })
            .collect();
        Self { lanes, workers }
    }

    /// Gives a record to the lane of its key. `false`: the lane has ended, and `close` says why.
    async fn send(&self, item: Item) -> bool {
        let mut hasher = DefaultHasher::new();
        item.key.hash(&mut hasher);
        let lane = hasher.finish() % self.lanes.len() as u64;
        self.lanes[lane as usize].send(item).await.is_ok()
    }

    /// Waits until all are written; answers those that missed another record.
    async fn close(mut self) -> Result<Vec<Item>> {
        self.lanes.clear();
        let mut waiting = Vec::new();
        while let Some(worker) = self.workers.join_next().await {
            waiting.extend(worker??);
        }
        Ok(waiting)
    }
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
                Ok(Written { created, meeting }) => self.tally.accepted(|totals| {
                    if let Some(created) = meeting {
                        totals.resource(&item.key, created)?;
                    }
                    totals.record(&item.name, created)
                })?,
                Err(status) if status.code() == Code::NotFound => {
                    item.missing = Some(status);
                    waiting.push(item);
                }
                Err(status) if retry::is_hopeless(&status) => return Err(retry::given_up(status)),
                Err(status) => self.tally.failed(&item.at, &retry::describe(&status)),
            }
        }
        Ok(waiting)
    }

    async fn write(&self, item: &Item) -> Result<Written, Status> {
        let id = id(&item.name).unwrap_or_default().to_owned();
        match &item.record {
            Record::Participant(participant) => {
                let request = CreateParticipantRequest {
                    participant: Some(participant.clone()),
                    participant_id: id,
                    ..Default::default()
                };
                let client = &self.clients.participants;
                let answer =
                    repeat(client, &request, async |mut client, request| client.create_participant(request).await);
                written(&item.name, answer.await, None)
            }
            Record::Article(article) => {
                let request =
                    CreateArticleRequest { article: Some(article.clone()), article_id: id, ..Default::default() };
                let client = &self.clients.articles;
                let answer = repeat(client, &request, async |mut client, request| client.create_article(request).await);
                written(&item.name, answer.await, None)
            }
            Record::Report(record) => {
                let meeting = self.is_new(&record.meeting).await?;
                let request = AddReportRequest {
                    meeting: record.meeting.clone(),
                    report: record.report.clone(),
                    report_id: id,
                    allow_missing: true,
                    meeting_labels: record.meeting_labels.clone(),
                    ..Default::default()
                };
                let client = &self.clients.meetings;
                let answer = repeat(client, &request, async |mut client, request| client.add_report(request).await);
                written(&item.name, answer.await, Some(meeting))
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
                let client = &self.clients.meetings;
                let answer = repeat(client, &request, async |mut client, request| client.update_meeting(request).await);
                written(&item.name, answer.await, None)
            }
            Record::Header(_) => Ok(Written { created: false, meeting: None }),
        }
    }

    /// Whether a meeting is not there yet. Only for the first of its reports, as nothing else would tell.
    async fn is_new(&self, meeting: &str) -> Result<bool, Status> {
        if self.tally.knows_meeting(meeting) {
            return Ok(false);
        }
        let request = GetMeetingRequest { name: meeting.to_owned(), view: View::Basic.into(), ..Default::default() };
        let client = &self.clients.meetings;
        let answer = repeat(client, &request, async |mut client, request| client.get_meeting(request).await);
        match answer.await {
            Ok(_) => Ok(false),
            Err(status) if status.code() == Code::NotFound => Ok(true),
            Err(status) => Err(status),
        }
    }
}

/// What a record led to: whether it, and the meeting of a report, was created.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    created: bool,
    meeting: Option<bool>,
}

/// What a create call answered for a record of this name. A record that is there already is no error.
fn written<T>(name: &str, answer: Result<T, Status>, meeting: Option<bool>) -> Result<Written, Status> {
    let Err(status) = answer else { return Ok(Written { created: true, meeting }) };
    let taken_by = status.get_details_error_info().and_then(|mut info| info.metadata.remove("name"));
    match status.code() == Code::AlreadyExists && taken_by.as_deref() == Some(name) {
        true => Ok(Written { created: false, meeting }),
        false => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    const ID: &str = "00000000-0000-7000-8000-000000000001";

    fn parse(line: &str) -> Result<Option<Item>, String> {
        item(At::default(), Ok(line.replace("ID", ID)))
    }

    #[test]
    fn a_record_is_written_under_its_own_name_and_a_report_in_the_lane_of_its_meeting() {
        let report = r#"{"report":{"meeting":"meetings/ID","report":{"name":"reports/ID","account":{}}}}"#;
        let item = parse(report).expect("well formed").expect("a record");
        assert_eq!((item.sort, item.key), (Sort::Report, format!("meetings/{ID}")));
        assert_eq!(item.name, format!("reports/{ID}"));

        let article = r#"{"article":{"name":"articles/ID","uri":"urn:x"}}"#;
        let item = parse(article).expect("well formed").expect("a record");
        assert_eq!((item.sort, item.key), (Sort::Article, format!("articles/{ID}")));
    }

    #[test]
    fn a_header_may_stand_anywhere() {
        assert!(parse(r#"{"header":{"format":"readout.v1"}}"#).expect("well formed").is_none());
    }

    #[test]
    fn a_record_without_a_name_of_its_sort_is_refused() {
        for line in [
            r#"{"article":{"uri":"urn:x"}}"#,
            r#"{"article":{"name":"articles/7","uri":"urn:x"}}"#,
            r#"{"participant":{"name":"articles/ID"}}"#,
            r#"{"report":{"meeting":"meetings/ID"}}"#,
        ] {
            assert!(parse(line).unwrap_err().starts_with("its name must be"), "{line}");
        }
        assert_eq!(parse("{}").unwrap_err(), "holds no record");
    }

    #[test]
    fn a_record_that_is_there_is_matched_and_a_conflict_with_another_is_an_error() {
        let taken = |by: &str| {
            let metadata = HashMap::from([("name".to_owned(), by.to_owned())]);
            let details = ErrorDetails::with_error_info("DUPLICATE_ARTICLE", "readout.v1", metadata);
            Err::<(), _>(Status::with_error_details(Code::AlreadyExists, "taken", details))
        };
        let matched = Written { created: false, meeting: None };
        assert_eq!(written("articles/1", taken("articles/1"), None).expect("is written"), matched);
        assert_eq!(written("articles/1", taken("articles/2"), None).unwrap_err().code(), Code::AlreadyExists);
    }
}
