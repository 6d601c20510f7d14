//! A record of an export, as it is to be written.

use std::mem;

use tonic::{Code, Status};
use uuid::Uuid;

use super::super::{
    fault::{Fault, uri_in},
    reader::Location,
};
use crate::{
    cli::{EXPORT_RECORD, json, retry},
    pb::{ExportRecord, export_record::Record},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    Participant,
    /// A merge or a judgement.
    Decision,
    Article,
    Report,
    Binding,
    Ruling,
    Review,
}

/// A record to write.
#[derive(Debug)]
pub struct Item {
    pub location: Location,
    pub kind: RecordKind,
    /// Records of one key are written one after another. The key of a report is its meeting, as concurrent writes to
    /// one meeting would only wait for each other.
    pub key: String,
    pub name: String,
    pub record: Record,
    /// The status of the last attempt, if a record that this one refers to was missing.
    pub missing: Option<Status>,
}

impl Item {
    /// The subject in messages: the uri of an article, the name of any other record.
    pub fn subject(&self) -> &str {
        match &self.record {
            Record::Article(article) => &article.uri,
            _ => &self.name,
        }
    }

    /// Returns `true` if every other record would fail for the same reason. The role writer may not make decisions, such
    /// as rulings, but may write all other records.
    pub fn ends_import(&self, status: &Status) -> bool {
        let is_decision =
            matches!(self.kind, RecordKind::Decision | RecordKind::Binding | RecordKind::Ruling | RecordKind::Review);
        retry::is_fatal(status) && !(is_decision && status.code() == Code::PermissionDenied)
    }

    /// The fault that the service reports.
    pub fn fault(&self, status: &Status) -> Fault {
        // Requests and records have the same field paths: `article.uri`, `report.account.kind`.
        let value = |path: &str| match &self.record {
            Record::Report(record) => json::at_path("readout.v1.ExportReport", record, path),
            record => json::at_path(EXPORT_RECORD, &ExportRecord { record: Some(record.clone()) }, path),
        };
        Fault::from_status(status, value).about(self.subject())
    }
}

/// Parses a message as a record; `None` for a header.
pub fn item(location: Location, text: Result<String, Fault>) -> Result<Option<Item>, Fault> {
    let text = text?;
    let subject = || uri_in(text.as_bytes()).unwrap_or_default();
    let record = json::parse::<ExportRecord>(EXPORT_RECORD, &text);
    let record = record.map_err(|mismatch| Fault::from_mismatch(&mismatch).about(subject()))?;
    // The request has the id of the resource in a field of its own: the name is removed from the record.
    let (kind, key, name, record) = match record.record {
        Some(Record::Header(_)) => return Ok(None),
        Some(Record::Participant(mut participant)) => {
            let name = mem::take(&mut participant.name);
            (RecordKind::Participant, name.clone(), name, Record::Participant(participant))
        }
        Some(Record::Article(mut article)) => {
            let name = mem::take(&mut article.name);
            (RecordKind::Article, name.clone(), name, Record::Article(article))
        }
        Some(Record::Report(mut record)) => {
            let name = record.report.as_mut().map(|report| mem::take(&mut report.name));
            (RecordKind::Report, record.meeting.clone(), name.unwrap_or_default(), Record::Report(record))
        }
        // A later decision may rely on an earlier one: one worker makes all of them.
        Some(Record::Merge(merge)) => {
            (RecordKind::Decision, String::new(), merge.participant.clone(), Record::Merge(merge))
        }
        Some(Record::Judgement(judgement)) => {
            (RecordKind::Decision, String::new(), judgement.participant.clone(), Record::Judgement(judgement))
        }
        Some(Record::Binding(binding)) => {
            (RecordKind::Binding, binding.report.clone(), binding.report.clone(), Record::Binding(binding))
        }
        Some(Record::Ruling(mut ruling)) => {
            let name = mem::take(&mut ruling.name);
            (RecordKind::Ruling, ruling.meeting.clone(), name, Record::Ruling(ruling))
        }
        Some(Record::Review(review)) => {
            (RecordKind::Review, review.meeting.clone(), review.meeting.clone(), Record::Review(review))
        }
        None => {
            let problem = "holds no record: one of participant, merge, judgement, article, report, binding, ruling, review is \
                           required";
            return Err(Fault::new("no record", problem));
        }
    };
    let collection = match kind {
        RecordKind::Participant | RecordKind::Decision => "participants",
        RecordKind::Article => "articles",
        RecordKind::Report | RecordKind::Binding | RecordKind::Ruling => "reports",
        RecordKind::Review => "meetings",
    };
    match id(&name).filter(|_| name.starts_with(&format!("{collection}/"))) {
        Some(_) => Ok(Some(Item { location, kind, key, name, record, missing: None })),
        None => {
            let problem = format!("its name must be {collection}/{{uuid}}, not {name:?}");
            Err(Fault::new("an invalid resource name", problem).about(subject()))
        }
    }
}

/// Returns the id in the name of a resource.
pub fn id(name: &str) -> Option<&str> {
    name.split_once('/').map(|(_, id)| id).filter(|id| Uuid::try_parse(id).is_ok())
}
