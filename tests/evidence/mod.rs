//! Evidence: a quote that the article text does not contain is refused by every call that takes a report.

mod coverage;
mod offsets;
mod policy;
mod spelling;
mod stale;

use readout::pb::{
    Account, AddReportRequest, Article, CreateArticleRequest, CreateMeetingRequest, DateSpan, ErrorReason, Evidence,
    GetArticleRequest, Meeting, Participation, Report, Story, article::TextRights, evidence::Match,
    ingest_story_response::Outcome, participation::Role,
};
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{article, ingest, named, person, story, talks},
};

/// Has characters of three and four bytes, a character beyond the BMP, and a combining mark.
const TEXT: &str = "🕊 Kərim Vəliyev met Sergey Shoigu in 東京. Shoigu: «Pre\u{301}sident 𝒳 left.»";

fn evidence(field: &str, quote: &str, start: i32, end: i32) -> Evidence {
    Evidence { field: field.into(), quote: quote.into(), start, end, ..Default::default() }
}

/// Evidence as stored, whose quote the text has as it was sent.
fn exact(field: &str, quote: &str, start: i32, end: i32) -> Evidence {
    Evidence { r#match: Match::Exact.into(), ..evidence(field, quote, start, end) }
}

fn account() -> Account {
    let shoigu = Participation { roles: vec![Role::Visitor.into()], ..named("s", "Sergey Shoigu") };
    let date = DateSpan { literal: "on Monday".into(), ..Default::default() };
    Account { participations: vec![named("v", "Kərim Vəliyev"), shoigu], date: Some(date), ..talks("Talks") }
}

/// A service with one article that has this text.
async fn with_text(text: &str) -> (Service, String) {
    let mut service = Service::start().await;
    let article = Article { text: text.into(), ..article("urn:a") };
    let request = CreateArticleRequest { article: Some(article), ..Default::default() };
    let name = service.articles.create_article(request).await.unwrap().into_inner().name;
    (service, name)
}

/// Adds a report with this evidence to a new meeting and returns it as stored.
async fn report(service: &Service, article: &str, evidence: Vec<Evidence>) -> Result<Report, Refused> {
    let report = Report { article: article.into(), account: Some(account()), evidence, ..Default::default() };
    let request = AddReportRequest {
        meeting: format!("meetings/{}", Uuid::now_v7()),
        report: Some(report),
        allow_missing: true,
        ..Default::default()
    };
    Ok(service.meetings.clone().add_report(request).await?.into_inner())
}

/// As `report`, with a single piece of evidence, which is returned as stored.
async fn cite(service: &Service, article: &str, quoted: Evidence) -> Result<Evidence, Refused> {
    Ok(report(service, article, vec![quoted]).await?.evidence.remove(0))
}

fn refused<T>(reason: ErrorReason, fields: [&str; 1]) -> Result<T, Refused> {
    Err(Refused::fields(reason, fields))
}

#[tokio::test]
async fn evidence_at_its_offsets_is_accepted() {
    let (service, article) = with_text(TEXT).await;
    let right = [
        ("participations[0].name_as_written", "Kərim Vəliyev", 2, 15),
        ("participations[1].name_as_written", "Sergey Shoigu", 20, 33),
        ("participations[1]", "Shoigu", 41, 47),
        ("title", "東京", 37, 39),
        ("status", "🕊", 0, 1),
        ("kind", "𝒳 left.»", 60, 68),
        ("date.literal", "met", 16, 19),
        ("participations", "i", 5, 6),
    ];
    let sent: Vec<Evidence> = right.map(|(field, quote, start, end)| evidence(field, quote, start, end)).into();
    let stored = report(&service, &article, sent.clone()).await.unwrap();
    let exact = right.map(|(field, quote, start, end)| exact(field, quote, start, end));
    assert_eq!(stored.evidence, exact);
    assert_eq!(service.reports_of(&article).await, [stored]);
}

#[tokio::test]
async fn evidence_at_wrong_offsets_or_not_in_the_text_is_refused() {
    let (service, article) = with_text(TEXT).await;
    for (quote, start, end) in [
        ("Sergey Lavrov", 0, 0),
        ("Sergey Lavrov", 20, 33),
        ("Sergey Shoigu", 19, 32),
        ("Sergey Shoigu", 23, 36),
        ("Sergey Shoigu", 20, 34),
        ("Sergey Shoigu", 20, 0),
        ("Sergey Shoigu", 33, 20),
        ("left.»", 62, 69),
        ("left.»", 1_000_000, 1_000_006),
        ("left.»", i32::MAX - 1, i32::MAX),
    ] {
        let stored = cite(&service, &article, evidence("title", quote, start, end)).await;
        let expected = refused(ErrorReason::EvidenceNotFound, ["report.evidence[0].quote"]);
        assert_eq!(stored, expected, "{quote} at {start} to {end}");
    }
    let negative = cite(&service, &article, evidence("title", "met", -3, 0)).await;
    assert_eq!(negative, refused(ErrorReason::InvalidField, ["report.evidence[0].start"]));
    assert!(service.contents().await.reports.is_empty());
}

#[tokio::test]
async fn evidence_without_offsets_is_located_in_the_text() {
    let (service, article) = with_text(TEXT).await;
    let found = cite(&service, &article, evidence("title", "東京", 0, 0)).await;
    assert_eq!(found, Ok(exact("title", "東京", 37, 39)));
    let found = cite(&service, &article, evidence("title", "🕊 Kərim", 0, 0)).await;
    assert_eq!(found, Ok(exact("title", "🕊 Kərim", 0, 7)));
    let twice = cite(&service, &article, evidence("title", "Shoigu", 0, 0)).await;
    assert_eq!(twice, refused(ErrorReason::EvidenceAmbiguous, ["report.evidence[0].quote"]));
}

#[tokio::test]
async fn evidence_with_overlapping_occurrences_is_ambiguous() {
    let (service, article) = with_text("ananas").await;
    let twice = cite(&service, &article, evidence("title", "ana", 0, 0)).await;
    assert_eq!(twice, refused(ErrorReason::EvidenceAmbiguous, ["report.evidence[0].quote"]));
    let second = cite(&service, &article, evidence("title", "ana", 2, 5)).await;
    assert_eq!(second, Ok(exact("title", "ana", 2, 5)));
}

#[tokio::test]
async fn evidence_quotes_are_compared_and_stored_in_nfc() {
    for quote in ["Pr\u{e9}sident", "Pre\u{301}sident"] {
        for (start, end) in [(0, 0), (50, 59)] {
            // A new service each time: the same report in another spelling would be a duplicate.
            let (service, article) = with_text(TEXT).await;
            let stored = cite(&service, &article, evidence("title", quote, start, end)).await;
            assert_eq!(stored, Ok(exact("title", "Pr\u{e9}sident", 50, 59)), "{quote} at {start} to {end}");
        }
    }
}

#[tokio::test]
async fn evidence_fields_are_stored_in_proto_names() {
    for (sent, stored) in [
        ("participations[1].nameAsWritten", "participations[1].name_as_written"),
        ("participations[1].name_as_written", "participations[1].name_as_written"),
        ("participations[1].roles[0]", "participations[1].roles[0]"),
        ("date.literal", "date.literal"),
    ] {
        let (service, article) = with_text(TEXT).await;
        let cited = cite(&service, &article, evidence(sent, "met", 0, 0)).await;
        assert_eq!(cited.unwrap().field, stored);
    }
}

#[tokio::test]
async fn evidence_refuses_a_field_that_is_unknown_or_unset() {
    let (service, article) = with_text(TEXT).await;
    for field in [
        "nothing",
        "summary",
        "account.title",
        "title.",
        ".title",
        "title.literal",
        "title[0]",
        "date.end",
        "participations.id",
        "participations[]",
        "participations[-1]",
        "participations[2]",
        "participations[0].roles",
        "participations[0].roles[0]",
        "participations[1].roles[1]",
        "participations[0",
        "Participations[0]",
    ] {
        let stored = cite(&service, &article, evidence(field, "met", 0, 0)).await;
        assert_eq!(stored, refused(ErrorReason::InvalidField, ["report.evidence[0].field"]), "{field}");
    }
    let empty = report(&service, &article, vec![Evidence::default()]).await.unwrap_err();
    assert_eq!(empty.reason, ErrorReason::InvalidField);
    assert!(empty.fields.contains(&"report.evidence[0].field".to_owned()), "{empty:?}");
    assert!(empty.fields.contains(&"report.evidence[0].quote".to_owned()), "{empty:?}");
}

#[tokio::test]
async fn evidence_violations_are_all_reported_with_the_field_paths_of_the_call() {
    let (mut service, article) = with_text(TEXT).await;
    let wrong = vec![
        evidence("title", "nowhere", 0, 0),
        evidence("title", "met", 16, 19),
        evidence("title", "nowhere", 16, 19),
    ];
    let error = report(&service, &article, wrong.clone()).await.unwrap_err();
    let paths = ["report.evidence[0].quote", "report.evidence[2].quote"];
    assert_eq!(error, Refused::fields(ErrorReason::EvidenceNotFound, paths));

    let request = CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(account()), ..Default::default() }),
        source_article: article,
        evidence: wrong.clone(),
        ..Default::default()
    };
    let error = service.meetings.create_meeting(request).await.unwrap_err();
    let paths = ["evidence[0].quote", "evidence[2].quote"];
    assert_eq!(Refused::from(error), Refused::fields(ErrorReason::EvidenceNotFound, paths));

    let mut story = quoting_story(TextRights::FullText, TEXT, evidence("title", "met", 0, 0));
    story.reports.insert(0, story.reports[0].clone());
    story.reports[0].key = "first".into();
    story.reports[1].evidence = wrong;
    let error = service.ingest.ingest_story(ingest(story)).await.unwrap_err();
    let paths = ["story.reports[1].evidence[0].quote", "story.reports[1].evidence[2].quote"];
    assert_eq!(Refused::from(error), Refused::fields(ErrorReason::EvidenceNotFound, paths));
    assert!(service.contents().await.reports.is_empty());
}

fn quoting_story(rights: TextRights, text: &str, evidence: Evidence) -> Story {
    let mut story = story("urn:story", &[person("Kərim Vəliyev", "AZ")]);
    let article = story.article.as_mut().unwrap();
    article.text = text.into();
    article.set_text_rights(rights);
    story.reports[0].evidence = vec![evidence];
    story
}

#[tokio::test]
async fn evidence_is_checked_against_a_withheld_text_before_it_is_dropped() {
    let mut service = Service::start().await;
    let wrong = quoting_story(TextRights::Withheld, TEXT, evidence("title", "nowhere", 0, 0));
    let error = service.ingest.ingest_story(ingest(wrong)).await.unwrap_err();
    let path = "story.reports[0].evidence[0].quote";
    assert_eq!(Refused::from(error), Refused::fields(ErrorReason::EvidenceNotFound, [path]));
    assert_eq!(service.contents().await.changes, 0);

    let right = quoting_story(TextRights::Withheld, TEXT, evidence("title", "東京", 0, 0));
    let first = service.ingest.ingest_story(ingest(right.clone())).await.unwrap().into_inner();
    let contents = service.contents().await;
    let article = &contents.articles[0];
    assert_eq!((article.text.as_str(), article.text_length), ("", 68));
    assert_eq!(contents.reports[0].evidence, [exact("title", "東京", 37, 39)]);
    assert_eq!(service.count("select count(*) from article_text").await, 0);
    let occurrences = "select count(*) from article, report
                  where position('Sergey'::bytea in article.doc || report.doc) > 0";
    assert_eq!(service.count(occurrences).await, 0);

    // The same story matches; a later report has no text to check against.
    let again = service.ingest.ingest_story(ingest(right)).await.unwrap().into_inner();
    assert_eq!((again.article_outcome(), &again.article), (Outcome::Matched, &first.article));
    let later = cite(&service, &first.article, evidence("title", "東京", 37, 39)).await;
    assert_eq!(later, refused(ErrorReason::EvidenceUnverifiable, ["report.evidence[0].quote"]));
    assert_eq!(service.contents().await, contents);
}

#[tokio::test]
async fn evidence_without_an_article_text_is_unverifiable() {
    let (mut service, article) = with_text("").await;
    let stored = cite(&service, &article, evidence("title", "met", 0, 0)).await;
    assert_eq!(stored, refused(ErrorReason::EvidenceUnverifiable, ["report.evidence[0].quote"]));
    for rights in [TextRights::Withheld, TextRights::FullText, TextRights::Unspecified] {
        let story = quoting_story(rights, "", evidence("title", "met", 16, 19));
        let error = service.ingest.ingest_story(ingest(story)).await.unwrap_err();
        let path = ["story.reports[0].evidence[0].quote"];
        assert_eq!(Refused::from(error), Refused::fields(ErrorReason::EvidenceUnverifiable, path));
    }
    assert_eq!(service.contents().await.changes, 1);
}

#[tokio::test]
async fn evidence_of_a_later_report_is_checked_against_the_current_text() {
    let (mut service, name) = with_text("Old words.").await;
    let mut story = Story { article: Some(article("urn:a")), ..Default::default() };
    story.article.as_mut().unwrap().text = "New words.".into();
    let mut request = ingest(story);
    request.allow_update = true;
    service.ingest.ingest_story(request).await.unwrap();
    let old = cite(&service, &name, evidence("title", "Old", 0, 3)).await;
    assert_eq!(old, refused(ErrorReason::EvidenceNotFound, ["report.evidence[0].quote"]));
    let new = report(&service, &name, vec![evidence("title", "New", 0, 3)]).await.unwrap();
    assert_eq!(new.article_revision, 2);
    let read = GetArticleRequest { name, ..Default::default() };
    assert_eq!(service.articles.get_article(read).await.unwrap().into_inner().text, "New words.");
}
