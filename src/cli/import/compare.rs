//! Compares a record of an export with the stored record of the same name.

use prost::Message;
use tonic::Status;

use crate::{
    cli::{Clients, export::unverifiable_evidence::keep_checkable},
    model::{
        article::{same_content, take_text},
        canonical::is_same,
        evidence::is_respelled,
        mask::diff::{changed_paths, read},
        resource::{Deletable, Resource},
        rules::ClearOutput,
    },
    pb::{
        Article, Evidence, ExportReport, ExportRuling, GetArticleRequest, GetParticipantRequest, GetReportRequest,
        Meeting, Participant, Report, View, report::State,
    },
};

/// Maximum number of fields that are named.
const MAX_FIELDS: usize = 5;

/// The description of a difference; `None` for equal records.
pub type Difference = Option<String>;

/// Compares a participant.
pub async fn participant(clients: &Clients, name: &str, sent: &Participant) -> Result<Difference, Status> {
    let request = GetParticipantRequest { name: name.to_owned(), ..Default::default() };
    let stored = clients
        .repeat(&clients.participants, &request, async |mut client, request| client.get_participant(request).await);
    let mut stored = stored.await?;
    if stored.is_deleted() {
        return Ok(Some(DELETED.to_owned()));
    }
    let sent = as_written(sent);
    stored.clear_output();
    stored.name.clear();
    Ok(if is_same(&sent, &stored) { None } else { fields(&stored, &sent) })
}

/// Compares an article.
pub async fn article(clients: &Clients, name: &str, sent: &Article) -> Result<Difference, Status> {
    let request = GetArticleRequest { name: name.to_owned(), view: View::Basic.into(), ..Default::default() };
    let stored =
        clients.repeat(&clients.articles, &request, async |mut client, request| client.get_article(request).await);
    let stored = stored.await?;
    if stored.is_deleted() {
        return Ok(Some(DELETED.to_owned()));
    }
    let mut sent = as_written(sent);
    take_text(&mut sent);
    if same_content(&sent, &stored) {
        return Ok(None);
    }
    let mut before = stored.clone();
    before.clear_output();
    before.name.clear();
    // These output fields stand for the text, which is not sent back.
    (before.text_length, before.text_sha256) = (stored.text_length, stored.text_sha256);
    Ok(fields(&before, &sent))
}

/// Compares a report of an article, without the evidence that an export omits.
pub async fn report(clients: &Clients, name: &str, record: &ExportReport) -> Result<Difference, Status> {
    let stored = stored_report(clients, name).await?;
    if let Some(difference) = state_difference(&stored, &record.meeting) {
        return Ok(Some(difference));
    }
    let sent = as_written(&record.report.clone().unwrap_or_default());
    let mut exported = stored;
    if !is_same_evidence(&sent.evidence, &exported.evidence) {
        keep_checkable(clients, &mut exported, None).await?;
    }
    exported.clear_output();
    exported.name.clear();
    if is_same_evidence(&sent.evidence, &exported.evidence) {
        exported.evidence.clone_from(&sent.evidence);
    }
    Ok(if is_same(&sent, &exported) { None } else { fields(&exported, &sent) })
}

/// Compares a ruling.
pub async fn ruling(clients: &Clients, name: &str, sent: &ExportRuling) -> Result<Difference, Status> {
    let stored = stored_report(clients, name).await?;
    if let Some(difference) = state_difference(&stored, &sent.meeting) {
        return Ok(Some(difference));
    }
    let part = |account, ruling| Report { account, ruling, ..Default::default() };
    let stored = part(stored.account, stored.ruling);
    let sent = part(sent.account.clone(), sent.ruling.clone());
    Ok(if is_same(&sent, &stored) { None } else { fields(&stored, &sent) })
}

/// Compares the labels of a meeting, the only part of it that an export has.
pub fn meeting(record: &ExportReport, stored: &Meeting) -> Difference {
    if stored.is_deleted() {
        return Some(DELETED.to_owned());
    }
    let part = |labels| Meeting { labels, ..Default::default() };
    let (sent, stored) = (part(record.meeting_labels.clone()), part(stored.labels.clone()));
    if is_same(&sent, &stored) { None } else { fields(&stored, &sent) }
}

const DELETED: &str = "it is deleted here";

async fn stored_report(clients: &Clients, name: &str) -> Result<Report, Status> {
    let request = GetReportRequest { name: name.to_owned(), ..Default::default() };
    clients.repeat(&clients.meetings, &request, async |mut client, request| client.get_report(request).await).await
}

/// Describes the state or the meeting of a stored report if it differs from the export.
fn state_difference(stored: &Report, meeting: &str) -> Difference {
    match stored.state() {
        State::Retracted => Some("it is retracted here".to_owned()),
        _ if stored.meeting != meeting => Some(format!("it belongs to {} here", stored.meeting)),
        _ => None,
    }
}

/// Returns a record without output fields, as a call writes it.
fn as_written<M: ClearOutput + Clone>(sent: &M) -> M {
    let mut sent = sent.clone();
    sent.clear_output();
    sent
}

/// Returns `true` for equal evidence. Sent evidence without offsets matches any: the service fills them in. So does
/// evidence whose quote has another spelling: the service replaces it.
fn is_same_evidence(sent: &[Evidence], stored: &[Evidence]) -> bool {
    let is_same = |(sent, stored): (&Evidence, &Evidence)| {
        let offsets = match (sent.start, sent.end) {
            (0, 0) => (stored.start, stored.end),
            offsets => offsets,
        };
        let is_same_place = (&sent.field, offsets) == (&stored.field, (stored.start, stored.end));
        is_same_place && is_respelled(&sent.quote, &stored.quote)
    };
    sent.len() == stored.len() && sent.iter().zip(stored).all(is_same)
}

/// Lists the fields that differ: "title, labels.desk".
fn fields<R: Resource + Message>(stored: &R, sent: &R) -> Difference {
    let decoded = |record: &R| read::<R>(&record.encode_to_vec());
    let Ok((stored, sent)) = decoded(stored).and_then(|stored| Ok((stored, decoded(sent)?))) else {
        return Some("its content".to_owned());
    };
    let paths = changed_paths(&stored, &sent);
    let more = paths.len().saturating_sub(MAX_FIELDS);
    let named = paths[..paths.len() - more].join(", ");
    Some(if more > 0 { format!("{named} and {more} more") } else { named })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_without_offsets_equals_evidence_with_offsets() {
        let evidence =
            |start, end| Evidence { field: "title".into(), quote: "met".into(), start, end, ..Default::default() };
        assert!(is_same_evidence(&[evidence(0, 0)], &[evidence(5, 8)]));
        assert!(is_same_evidence(&[evidence(5, 8)], &[evidence(5, 8)]));
        assert!(!is_same_evidence(&[evidence(6, 9)], &[evidence(5, 8)]));
        assert!(!is_same_evidence(&[], &[evidence(5, 8)]));
        let respelled = Evidence { quote: "Met ".into(), ..evidence(0, 0) };
        assert!(is_same_evidence(&[respelled], &[evidence(5, 8)]));
        let other = Evidence { quote: "mét".into(), ..evidence(0, 0) };
        assert!(!is_same_evidence(&[other], &[evidence(5, 8)]));
    }

    #[test]
    fn meeting_differs_by_its_labels_or_its_deletion() {
        let labels = |value: &str| [("desk".to_owned(), value.to_owned())].into();
        let record = ExportReport { meeting_labels: labels("a"), ..Default::default() };
        let stored = |value| Meeting { labels: labels(value), ..Default::default() };
        assert_eq!(meeting(&record, &stored("a")), None);
        assert_eq!(meeting(&record, &stored("b")).as_deref(), Some("labels.desk"));
        let deleted = Meeting { delete_time: Some(Default::default()), ..stored("a") };
        assert_eq!(meeting(&record, &deleted).as_deref(), Some(DELETED));
    }

    #[test]
    fn difference_names_the_first_fields_only() {
        let sent = Article {
            title: "A".into(),
            section: "B".into(),
            text: "C".into(),
            language_code: "en".into(),
            authors: vec!["D".into()],
            uri: "urn:x".into(),
            alternate_uris: vec!["urn:y".into()],
            ..Default::default()
        };
        let difference = fields(&Article::default(), &sent).expect("a difference");
        assert!(
            difference.starts_with("uri, alternate_uris, title") && difference.ends_with(" and 2 more"),
            "{difference}"
        );
    }
}
