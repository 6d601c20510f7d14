//! Offsets in UTF-16 code units and in bytes, in every call that takes evidence.

use readout::pb::{
    AddReportRequest, CreateMeetingRequest, ErrorReason, Evidence, IngestStoriesRequest, IngestStoryRequest, Meeting,
    OffsetEncoding, Report, Story, article::TextRights,
};
use uuid::Uuid;

use super::{account, evidence, exact, quoting_story, with_text};
use crate::support::{
    Refused, Service,
    make::{ingest, streamed},
    story_stream::ingest_all,
};

/// The dove has two UTF-16 code units and four bytes.
const TEXT: &str = "🕊 Vəliyev met 🕊🕊 Shoigu.";

/// Adds a report with offsets in a unit. Returns its evidence as stored.
async fn add(service: &Service, article: &str, cited: Evidence, unit: i32) -> Result<Evidence, Refused> {
    let sent =
        Report { article: article.into(), account: Some(account()), evidence: vec![cited], ..Default::default() };
    let request = AddReportRequest {
        meeting: format!("meetings/{}", Uuid::now_v7()),
        report: Some(sent),
        allow_missing: true,
        offset_encoding: unit,
        ..Default::default()
    };
    Ok(service.meetings.clone().add_report(request).await?.into_inner().evidence.remove(0))
}

#[tokio::test]
async fn offsets_count_in_the_unit_of_the_request_and_are_stored_in_code_points() {
    let (service, article) = with_text(TEXT).await;
    for (unit, quote, start, end, stored) in [
        (OffsetEncoding::Unspecified, "🕊 Shoigu", 15, 23, 15),
        (OffsetEncoding::CodePoint, "🕊🕊", 14, 16, 14),
        (OffsetEncoding::Utf16, "🕊", 17, 19, 15),
        (OffsetEncoding::Byte, "Shoigu", 27, 33, 17),
        (OffsetEncoding::Byte, "Vəliyev", 5, 13, 2),
    ] {
        let cited = add(&service, &article, evidence("title", quote, start, end), unit.into()).await;
        let end = stored + quote.chars().count() as i32;
        assert_eq!(cited, Ok(exact("title", quote, stored, end)), "{unit:?}");
    }
}

#[tokio::test]
async fn offsets_that_do_not_fit_the_unit_are_refused() {
    let (service, article) = with_text(TEXT).await;
    for (unit, start, end, reason, field) in [
        (OffsetEncoding::Utf16, 1, 3, ErrorReason::InvalidField, "start"),
        (OffsetEncoding::Utf16, 15, 18, ErrorReason::InvalidField, "end"),
        (OffsetEncoding::Byte, 0, 3, ErrorReason::InvalidField, "end"),
        (OffsetEncoding::Byte, 7, 13, ErrorReason::InvalidField, "start"),
        (OffsetEncoding::Byte, 27, 37, ErrorReason::EvidenceNotFound, "quote"),
        (OffsetEncoding::Utf16, 20, 28, ErrorReason::EvidenceNotFound, "quote"),
        (OffsetEncoding::Utf16, i32::MAX - 1, i32::MAX, ErrorReason::EvidenceNotFound, "quote"),
        // Offsets of another unit.
        (OffsetEncoding::CodePoint, 27, 33, ErrorReason::EvidenceNotFound, "quote"),
        (OffsetEncoding::Utf16, 27, 33, ErrorReason::EvidenceNotFound, "quote"),
        (OffsetEncoding::Byte, 17, 22, ErrorReason::EvidenceNotFound, "quote"),
    ] {
        let error = add(&service, &article, evidence("title", "Shoigu", start, end), unit.into()).await.unwrap_err();
        let expected = Refused::fields(reason, [format!("report.evidence[0].{field}").as_str()]);
        assert_eq!(error, expected, "{unit:?} {start} to {end}");
    }
    let error = add(&service, &article, evidence("title", "Shoigu", 17, 23), 4).await.unwrap_err();
    assert_eq!(error, Refused::fields(ErrorReason::InvalidField, ["offset_encoding"]));
    assert!(service.contents().await.reports.is_empty());
}

#[tokio::test]
async fn every_call_with_evidence_reads_its_unit() {
    let (mut service, article) = with_text(TEXT).await;
    let bytes = evidence("title", "Shoigu", 27, 33);
    let request = CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(account()), ..Default::default() }),
        source_article: article,
        evidence: vec![bytes.clone()],
        offset_encoding: OffsetEncoding::Byte.into(),
        ..Default::default()
    };
    service.meetings.create_meeting(request).await.unwrap();
    let story = |uri: &str| {
        let mut story = quoting_story(TextRights::FullText, TEXT, bytes.clone());
        story.article.as_mut().unwrap().uri = uri.into();
        story
    };
    let offset_encoding = OffsetEncoding::Byte.into();
    let request = IngestStoryRequest { offset_encoding, ..ingest(story("urn:one")) };
    service.ingest.ingest_story(request).await.unwrap();
    let request = IngestStoriesRequest { offset_encoding, ..streamed(story("urn:streamed")) };
    let answers = ingest_all(&service.ingest, vec![request]).await;
    assert_eq!(answers.len(), 1);
    let reports = service.contents().await.reports;
    let stored: Vec<_> = reports.iter().flat_map(|report| report.evidence.clone()).collect();
    assert_eq!(stored, vec![exact("title", "Shoigu", 17, 23); 3]);
}

/// A text in another normal form than NFC, and the offsets of its words as the caller counts them.
#[tokio::test]
async fn offsets_count_in_a_text_as_it_was_sent() {
    let sent = "Pre\u{301}sident Ke\u{301}rim met Ke\u{301}rim 🕊.";
    for unit in [OffsetEncoding::CodePoint, OffsetEncoding::Utf16, OffsetEncoding::Byte] {
        let count = |text: &str| match unit {
            OffsetEncoding::Byte => text.len() as i32,
            OffsetEncoding::Utf16 => text.encode_utf16().count() as i32,
            _ => text.chars().count() as i32,
        };
        let quote = "Ke\u{301}rim 🕊";
        let at = sent.find(quote).unwrap();
        let cited = evidence("title", quote, count(&sent[..at]), count(&sent[..at + quote.len()]));
        let story: Story = quoting_story(TextRights::FullText, sent, cited);
        let mut service = Service::start().await;
        let request = IngestStoryRequest { offset_encoding: unit.into(), ..ingest(story) };
        service.ingest.ingest_story(request).await.unwrap();
        let contents = service.contents().await;
        assert_eq!(contents.reports[0].evidence, [exact("title", "Kérim 🕊", 20, 27)], "{unit:?}");
        // A later report counts in the stored text.
        let again = add(&service, &contents.articles[0].name, evidence("title", "Kérim", 10, 15), 0).await;
        assert_eq!(again, Ok(exact("title", "Kérim", 10, 15)));
    }
}
