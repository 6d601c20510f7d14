//! Quotes in another spelling, with a prefix and suffix, in calls: the article's words are stored, and the report is the
//! same in every spelling.

use readout::pb::{
    AddReportRequest, ErrorReason, Evidence, IngestStoryRequest, OffsetEncoding, Report, article::TextRights,
    evidence::Match, ingest_story_response::Outcome,
};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{account, cite, evidence, exact, quoting_story, refused, report, with_text};
use crate::{
    canonical::upgrade::former_store,
    support::{Refused, Service, make::ingest},
};

const TEXT: &str = "Shoigu met Vəliyev.\r\n“We don’t\u{a0}agree”, Shoigu said – in Baku. Baku, Monday.";

fn repaired(quote: &str, start: i32, end: i32) -> Evidence {
    Evidence { r#match: Match::Repaired.into(), ..evidence("title", quote, start, end) }
}

fn between(prefix: &str, quote: &str, suffix: &str) -> Evidence {
    Evidence { prefix: prefix.into(), suffix: suffix.into(), ..evidence("title", quote, 0, 0) }
}

#[tokio::test]
async fn evidence_in_another_spelling_is_stored_in_the_words_of_the_text() {
    let (service, article) = with_text(TEXT).await;
    let sent = ["we don't agree", "“WE DON'T  AGREE\"", "vəliyev. \"we", "said — in", "m", "BAKU.\nBAKU"];
    let sent: Vec<Evidence> = sent.map(|quote| evidence("title", quote, 0, 0)).into();
    let stored = report(&service, &article, sent).await.unwrap();
    let expected = [
        repaired("We don’t\u{a0}agree", 22, 36),
        repaired("“We don’t\u{a0}agree”", 21, 37),
        repaired("Vəliyev.\r\n“We", 11, 24),
        repaired("said – in", 46, 55),
        exact("title", "m", 7, 8),
        repaired("Baku. Baku", 56, 66),
    ];
    assert_eq!(stored.evidence, expected);
    assert_eq!(service.reports_of(&article).await, [stored]);
}

#[tokio::test]
async fn evidence_of_the_whole_text_and_of_one_character_is_found() {
    let (service, article) = with_text(TEXT).await;
    let length = TEXT.chars().count() as i32;
    let whole = cite(&service, &article, evidence("title", &TEXT.to_uppercase(), 0, 0)).await;
    assert_eq!(whole, Ok(repaired(TEXT, 0, length)));
    let comma = cite(&service, &article, evidence("title", "：", 0, 0)).await;
    assert_eq!(comma, refused(ErrorReason::EvidenceNotFound, ["report.evidence[0].quote"]));
    assert_eq!(cite(&service, &article, evidence("title", "—", 0, 0)).await, Ok(repaired("–", 51, 52)));
}

#[tokio::test]
async fn evidence_with_a_prefix_and_suffix_is_found_between_them() {
    let (service, article) = with_text(TEXT).await;
    for (cited, expected) in [
        (between("", "Shoigu", "met"), exact("title", "Shoigu", 0, 6)),
        (between("agree\",", "Shoigu", ""), exact("title", "Shoigu", 39, 45)),
        (between("IN", "baku", "."), repaired("Baku", 56, 60)),
    ] {
        assert_eq!(cite(&service, &article, cited).await, Ok(expected));
    }
    for (cited, reason) in [
        (between("", "Shoigu", ""), ErrorReason::EvidenceAmbiguous),
        (between("\u{200b}", "Shoigu", ""), ErrorReason::EvidenceAmbiguous),
        (between("General", "Shoigu", ""), ErrorReason::EvidenceNotFound),
        (between("", "Monday", "evening"), ErrorReason::EvidenceNotFound),
    ] {
        assert_eq!(cite(&service, &article, cited).await, refused(reason, ["report.evidence[0].quote"]));
    }
    let (service, article) = with_text("in Baku, in Baku").await;
    let twice = cite(&service, &article, between("in", "Baku", "")).await;
    assert_eq!(twice, refused(ErrorReason::EvidenceAmbiguous, ["report.evidence[0].quote"]));
    let once = cite(&service, &article, between("", "Baku", ",")).await;
    assert_eq!(once, Ok(exact("title", "Baku", 3, 7)));
}

#[tokio::test]
async fn prefix_and_suffix_are_bounded() {
    let (service, article) = with_text(TEXT).await;
    let longest = "x".repeat(256);
    for (cited, field) in
        [(between(&format!("{longest}x"), "met", ""), "prefix"), (between("", "met", &format!("{longest}x")), "suffix")]
    {
        let error = cite(&service, &article, cited).await.unwrap_err();
        assert_eq!(error, Refused::fields(ErrorReason::InvalidField, [format!("report.evidence[0].{field}").as_str()]));
    }
    let error = cite(&service, &article, between(&longest, "met", &longest)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::EvidenceNotFound);
}

#[tokio::test]
async fn refusal_has_the_nearest_passage_in_its_metadata() {
    let (service, article) = with_text(TEXT).await;
    let add = async |cited: Evidence| {
        let sent =
            Report { article: article.clone(), account: Some(account()), evidence: vec![cited], ..Default::default() };
        let meeting = format!("meetings/{}", Uuid::now_v7());
        let request = AddReportRequest { meeting, report: Some(sent), allow_missing: true, ..Default::default() };
        let status = service.meetings.clone().add_report(request).await.unwrap_err();
        (status.message().to_owned(), status.get_details_error_info().unwrap().metadata)
    };
    let (message, metadata) = add(evidence("title", "Shoigu said nothing in Baku", 0, 0)).await;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let expected = [
        pair("field", "report.evidence[0].quote"),
        pair("nearest", "Shoigu said – in Baku"),
        pair("start", "39"),
        pair("end", "60"),
        pair("difference", "it has \"–\" in place of \"nothing\""),
    ];
    assert_eq!(metadata, expected.into());
    let hint = "at 39 to 60 the text has \"Shoigu said – in Baku\": it has \"–\" in place of \"nothing\"";
    assert!(message.ends_with(hint), "{message}");
    let (_, metadata) = add(evidence("title", "Baku", 0, 0)).await;
    let expected = [pair("field", "report.evidence[0].quote"), pair("places", "56 to 60, 62 to 66")];
    assert_eq!(metadata, expected.into());
    let (_, metadata) = add(evidence("title", "Lavrov", 0, 0)).await;
    assert!(metadata.is_empty(), "{metadata:?}");
}

#[tokio::test]
async fn story_is_the_same_in_every_spelling_of_its_evidence() {
    let mut service = Service::start().await;
    let story = |cited: Evidence| quoting_story(TextRights::FullText, TEXT, cited);
    let respelled = evidence("title", "said - in BAKU. baku,", 0, 0);
    let first = service.ingest.ingest_story(ingest(story(respelled))).await.unwrap().into_inner();
    for cited in [
        evidence("title", "said – in Baku. Baku,", 0, 0),
        evidence("title", "said – in Baku. Baku,", 46, 67),
        evidence("title", "SAID – in\u{a0}Baku.\nBaku, ", 46, 67),
        between("shoigu", "said – in Baku. Baku,", "monday."),
    ] {
        let again = service.ingest.ingest_story(ingest(story(cited.clone()))).await.unwrap().into_inner();
        assert_eq!((again.article_outcome(), again.meetings[0].outcome()), (Outcome::Matched, Outcome::Matched));
        assert_eq!(again.meetings[0].report, first.meetings[0].report, "{cited:?}");
    }
    // Offsets that select one of two places are content, and so is the prefix that selects it.
    let mut other = story(between("in", "Baku", ""));
    other.reports[0].key = "other".into();
    let other = service.ingest.ingest_story(ingest(other)).await.unwrap().into_inner();
    assert_eq!(other.meetings[0].outcome(), Outcome::Created);
    let same =
        service.ingest.ingest_story(ingest(story(evidence("title", "Baku", 56, 60)))).await.unwrap().into_inner();
    assert_eq!(same.meetings[0].report, other.meetings[0].report);
    let text = evidence("title", "Baku", TEXT[..TEXT.rfind("Baku. ").unwrap()].len() as i32, 0);
    let bytes = Evidence { end: text.start + 4, ..text };
    let request = IngestStoryRequest { offset_encoding: OffsetEncoding::Byte.into(), ..ingest(story(bytes)) };
    let same = service.ingest.ingest_story(request).await.unwrap().into_inner();
    assert_eq!(same.meetings[0].report, other.meetings[0].report);
    assert_eq!(service.contents().await.reports.len(), 2);

    let mut repeated = story(evidence("title", "Monday", 0, 0));
    let mut twin = repeated.reports[0].clone();
    (twin.key, twin.evidence[0].quote) = ("twin".into(), "MONDAY".into());
    repeated.reports.push(twin);
    let answer = service.ingest.ingest_story(ingest(repeated)).await.unwrap().into_inner();
    assert_eq!(answer.meetings[0].report, answer.meetings[1].report);
    assert_eq!(service.contents().await.reports.len(), 3);
}

#[tokio::test]
async fn report_in_another_spelling_is_a_duplicate() {
    let (service, article) = with_text(TEXT).await;
    let first = report(&service, &article, vec![evidence("title", "we don't agree", 0, 0)]).await.unwrap();
    for cited in [evidence("title", "We don’t\u{a0}agree", 22, 36), between("“", "WE DON’T AGREE", "”")] {
        let again = report(&service, &article, vec![cited]).await.unwrap_err();
        assert_eq!(again.reason, ErrorReason::DuplicateReport);
    }
    assert_eq!(service.reports_of(&article).await, [first]);
}

#[tokio::test]
async fn request_id_compares_evidence_as_sent() {
    let (service, article) = with_text(TEXT).await;
    let request = |quote: &str, offset_encoding: OffsetEncoding| AddReportRequest {
        meeting: "meetings/00000000-0000-4000-8000-000000000001".into(),
        report: Some(Report {
            article: article.clone(),
            account: Some(account()),
            evidence: vec![evidence("title", quote, 0, 0)],
            ..Default::default()
        }),
        request_id: "once".into(),
        allow_missing: true,
        offset_encoding: offset_encoding.into(),
        ..Default::default()
    };
    let add = async |request| service.meetings.clone().add_report(request).await.map(tonic::Response::into_inner);
    let first = add(request("MONDAY", OffsetEncoding::Utf16)).await.unwrap();
    assert_eq!(add(request("MONDAY", OffsetEncoding::Utf16)).await.unwrap(), first);
    for other in [request("Monday", OffsetEncoding::Utf16), request("MONDAY", OffsetEncoding::Byte)] {
        assert_eq!(Refused::from(add(other).await.unwrap_err()).reason, ErrorReason::RequestIdReused);
    }
}

/// Former releases stored no relation.
#[tokio::test]
async fn evidence_of_release_0_1_0_reads_as_exact() {
    let database = former_store().await;
    readout::store::schema::migrate::migrate(&database).await.expect("migrated");
    let service = Service::start_on(database).await;
    let reports = service.contents().await.reports;
    let cited: Vec<&Evidence> = reports.iter().flat_map(|report| &report.evidence).collect();
    assert!(!cited.is_empty());
    assert!(cited.iter().all(|cited| cited.r#match() == Match::Exact));
}
