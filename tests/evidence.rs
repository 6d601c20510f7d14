//! Evidence: words that do not stand in the article are refused, through every call that takes a report.

use readout::pb::{
    Account, AddReportRequest, Article, CreateArticleRequest, CreateMeetingRequest, DateSpan, ErrorReason, Evidence,
    GetArticleRequest, GetReportRequest, Meeting, Participation, Report, Story, article::TextRights, change::Kind,
    ingest_story_response::Outcome, participation::Role,
};
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    follow::{matching, now},
    make::{article, ingest, named, person, story, talks},
};

/// As sent: three bytes and more for a character, a character beyond the BMP, a mark apart from its letter.
const TEXT: &str = "🕊 Kərim Vəliyev met Sergey Shoigu in 東京. Shoigu: «Pre\u{301}sident 𝒳 left.»";

fn evidence(field: &str, quote: &str, start: i32, end: i32) -> Evidence {
    Evidence { field: field.into(), quote: quote.into(), start, end, ..Default::default() }
}

fn account() -> Account {
    let shoigu = Participation { roles: vec![Role::Visitor.into()], ..named("s", "Sergey Shoigu") };
    let date = DateSpan { literal: "on Monday".into(), ..Default::default() };
    Account { participations: vec![named("v", "Kərim Vəliyev"), shoigu], date: Some(date), ..talks("Talks") }
}

/// A service with one article, of this text.
async fn with_text(text: &str) -> (Service, String) {
    let mut service = Service::start().await;
    let article = Article { text: text.into(), ..article("urn:a") };
    let request = CreateArticleRequest { article: Some(article), ..Default::default() };
    let name = service.articles.create_article(request).await.unwrap().into_inner().name;
    (service, name)
}

/// Adds a report with this evidence to a new meeting, and answers it as stored.
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

/// The same of one piece of evidence.
async fn told(service: &Service, article: &str, one: Evidence) -> Result<Evidence, Refused> {
    Ok(report(service, article, vec![one]).await?.evidence.remove(0))
}

fn refused<T>(reason: ErrorReason, fields: [&str; 1]) -> Result<T, Refused> {
    Err(Refused::fields(reason, fields))
}

#[tokio::test]
async fn words_at_their_place_are_taken() {
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
    assert_eq!(stored.evidence, sent);
    assert_eq!(service.reports_of(&article).await, [stored]);
}

#[tokio::test]
async fn words_elsewhere_or_nowhere_are_refused() {
    let (service, article) = with_text(TEXT).await;
    for (quote, start, end) in [
        ("Sergey Lavrov", 0, 0),
        ("sergey shoigu", 0, 0),
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
        let told = told(&service, &article, evidence("title", quote, start, end)).await;
        let expected = refused(ErrorReason::EvidenceNotFound, ["report.evidence[0].quote"]);
        assert_eq!(told, expected, "{quote} at {start} to {end}");
    }
    let negative = told(&service, &article, evidence("title", "met", -3, 0)).await;
    assert_eq!(negative, refused(ErrorReason::InvalidField, ["report.evidence[0].start"]));
    assert!(service.contents().await.reports.is_empty());
}

#[tokio::test]
async fn words_without_a_place_are_looked_for() {
    let (service, article) = with_text(TEXT).await;
    let found = told(&service, &article, evidence("title", "東京", 0, 0)).await;
    assert_eq!(found, Ok(evidence("title", "東京", 37, 39)));
    let found = told(&service, &article, evidence("title", "🕊 Kərim", 0, 0)).await;
    assert_eq!(found, Ok(evidence("title", "🕊 Kərim", 0, 7)));
    let twice = told(&service, &article, evidence("title", "Shoigu", 0, 0)).await;
    assert_eq!(twice, refused(ErrorReason::EvidenceAmbiguous, ["report.evidence[0].quote"]));
}

#[tokio::test]
async fn words_that_overlap_themselves_stand_there_twice() {
    let (service, article) = with_text("ananas").await;
    let twice = told(&service, &article, evidence("title", "ana", 0, 0)).await;
    assert_eq!(twice, refused(ErrorReason::EvidenceAmbiguous, ["report.evidence[0].quote"]));
    let second = evidence("title", "ana", 2, 5);
    assert_eq!(told(&service, &article, second.clone()).await, Ok(second));
}

#[tokio::test]
async fn words_are_compared_and_kept_in_nfc() {
    for quote in ["Pr\u{e9}sident", "Pre\u{301}sident"] {
        for (start, end) in [(0, 0), (50, 59)] {
            // The same report in another spelling would be a duplicate.
            let (service, article) = with_text(TEXT).await;
            let told = told(&service, &article, evidence("title", quote, start, end)).await;
            assert_eq!(told, Ok(evidence("title", "Pr\u{e9}sident", 50, 59)), "{quote} at {start} to {end}");
        }
    }
}

#[tokio::test]
async fn fields_are_kept_in_proto_names() {
    for (sent, stored) in [
        ("participations[1].nameAsWritten", "participations[1].name_as_written"),
        ("participations[1].name_as_written", "participations[1].name_as_written"),
        ("participations[1].roles[0]", "participations[1].roles[0]"),
        ("date.literal", "date.literal"),
    ] {
        let (service, article) = with_text(TEXT).await;
        let told = told(&service, &article, evidence(sent, "met", 0, 0)).await;
        assert_eq!(told.unwrap().field, stored);
    }
}

#[tokio::test]
async fn a_field_must_be_there_and_set() {
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
        let told = told(&service, &article, evidence(field, "met", 0, 0)).await;
        assert_eq!(told, refused(ErrorReason::InvalidField, ["report.evidence[0].field"]), "{field}");
    }
    let empty = report(&service, &article, vec![Evidence::default()]).await.unwrap_err();
    assert_eq!(empty.reason, ErrorReason::InvalidField);
    assert!(empty.fields.contains(&"report.evidence[0].field".to_owned()), "{empty:?}");
    assert!(empty.fields.contains(&"report.evidence[0].quote".to_owned()), "{empty:?}");
}

#[tokio::test]
async fn all_that_is_wrong_is_told_by_the_path_of_the_call() {
    let (mut service, article) = with_text(TEXT).await;
    let wrong = vec![
        evidence("title", "nowhere", 0, 0),
        evidence("title", "met", 16, 19),
        evidence("title", "nowhere", 16, 19),
    ];
    let told = report(&service, &article, wrong.clone()).await;
    let paths = ["report.evidence[0].quote", "report.evidence[2].quote"];
    assert_eq!(told.unwrap_err(), Refused::fields(ErrorReason::EvidenceNotFound, paths));

    let request = CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(account()), ..Default::default() }),
        source_article: article,
        evidence: wrong.clone(),
        ..Default::default()
    };
    let told = service.meetings.create_meeting(request).await.unwrap_err();
    let paths = ["evidence[0].quote", "evidence[2].quote"];
    assert_eq!(Refused::from(told), Refused::fields(ErrorReason::EvidenceNotFound, paths));

    let mut story = a_story(TextRights::FullText, TEXT, evidence("title", "met", 0, 0));
    story.reports.insert(0, story.reports[0].clone());
    story.reports[0].key = "first".into();
    story.reports[1].evidence = wrong;
    let told = service.ingest.ingest_story(ingest(story)).await.unwrap_err();
    let paths = ["story.reports[1].evidence[0].quote", "story.reports[1].evidence[2].quote"];
    assert_eq!(Refused::from(told), Refused::fields(ErrorReason::EvidenceNotFound, paths));
    assert!(service.contents().await.reports.is_empty());
}

fn a_story(rights: TextRights, text: &str, evidence: Evidence) -> Story {
    let mut story = story("urn:story", &[person("Kərim Vəliyev", "AZ")]);
    let article = story.article.as_mut().unwrap();
    article.text = text.into();
    article.set_text_rights(rights);
    story.reports[0].evidence = vec![evidence];
    story
}

#[tokio::test]
async fn a_withheld_text_is_checked_against_and_dropped() {
    let mut service = Service::start().await;
    let wrong = a_story(TextRights::Withheld, TEXT, evidence("title", "nowhere", 0, 0));
    let told = service.ingest.ingest_story(ingest(wrong)).await.unwrap_err();
    let path = ["story.reports[0].evidence[0].quote"];
    assert_eq!(Refused::from(told), Refused::fields(ErrorReason::EvidenceNotFound, path));
    assert_eq!(service.contents().await.changes, 0);

    let right = a_story(TextRights::Withheld, TEXT, evidence("title", "東京", 0, 0));
    let told = service.ingest.ingest_story(ingest(right.clone())).await.unwrap().into_inner();
    let contents = service.contents().await;
    let article = &contents.articles[0];
    assert_eq!((article.text.as_str(), article.text_length), ("", 68));
    assert_eq!(contents.reports[0].evidence, [evidence("title", "東京", 37, 39)]);
    assert_eq!(service.count("select count(*) from article_text").await, 0);
    let has_it = "select count(*) from article, report
                  where position('Sergey'::bytea in article.doc || report.doc) > 0";
    assert_eq!(service.count(has_it).await, 0);

    // Sent again it is the same, and later there is nothing to check against.
    let again = service.ingest.ingest_story(ingest(right)).await.unwrap().into_inner();
    assert_eq!((again.article_outcome(), &again.article), (Outcome::Matched, &told.article));
    let later = self::told(&service, &told.article, evidence("title", "東京", 37, 39)).await;
    assert_eq!(later, refused(ErrorReason::EvidenceUnverifiable, ["report.evidence[0].quote"]));
    assert_eq!(service.contents().await, contents);
}

#[tokio::test]
async fn without_a_text_nothing_can_be_quoted() {
    let (mut service, article) = with_text("").await;
    let told = told(&service, &article, evidence("title", "met", 0, 0)).await;
    assert_eq!(told, refused(ErrorReason::EvidenceUnverifiable, ["report.evidence[0].quote"]));
    for rights in [TextRights::Withheld, TextRights::FullText, TextRights::Unspecified] {
        let story = a_story(rights, "", evidence("title", "met", 16, 19));
        let told = service.ingest.ingest_story(ingest(story)).await.unwrap_err();
        let path = ["story.reports[0].evidence[0].quote"];
        assert_eq!(Refused::from(told), Refused::fields(ErrorReason::EvidenceUnverifiable, path));
    }
    assert_eq!(service.contents().await.changes, 1);
}

#[tokio::test]
async fn later_reports_are_checked_against_the_text_as_it_is_then() {
    let (mut service, name) = with_text("Old words.").await;
    let mut story = Story { article: Some(article("urn:a")), ..Default::default() };
    story.article.as_mut().unwrap().text = "New words.".into();
    let mut request = ingest(story);
    request.allow_update = true;
    service.ingest.ingest_story(request).await.unwrap();
    let old = told(&service, &name, evidence("title", "Old", 0, 3)).await;
    assert_eq!(old, refused(ErrorReason::EvidenceNotFound, ["report.evidence[0].quote"]));
    let new = report(&service, &name, vec![evidence("title", "New", 0, 3)]).await.unwrap();
    assert_eq!(new.article_revision, 2);
    let read = GetArticleRequest { name, ..Default::default() };
    assert_eq!(service.articles.get_article(read).await.unwrap().into_inner().text, "New words.");
}

impl Service {
    async fn with_another_text(&self, name: &str, text: &str) -> Article {
        let sent = Article { name: name.into(), text: text.into(), ..Default::default() };
        self.update_article(sent, &["text"]).await.unwrap()
    }

    async fn reread(&self, report: &Report) -> Report {
        let request = GetReportRequest { name: report.name.clone(), ..Default::default() };
        self.meetings.clone().get_report(request).await.expect("it is there").into_inner()
    }
}

fn stale(report: &Report) -> Vec<bool> {
    report.evidence.iter().map(|one| one.stale).collect()
}

#[tokio::test]
async fn words_that_another_text_does_not_have_are_stale_until_they_are_back() {
    let (service, name) = with_text("They met on Monday in Baku.").await;
    let quotes = || vec![evidence("date.literal", "on Monday", 0, 0), evidence("title", "Baku", 0, 0)];
    let first = report(&service, &name, quotes()).await.unwrap();
    let second = report(&service, &name, vec![evidence("title", "Baku", 0, 0)]).await.unwrap();
    let mut watch = service.watch(matching(now(), "")).await;
    watch.caught_up().await;

    let article = service.with_another_text(&name, "In Baku they met on Tuesday.").await;
    let after = service.reread(&first).await;
    assert_eq!((after.revision, stale(&after)), (2, vec![true, false]));
    // All else is as it was, and so are the offsets in the text that was cited.
    let mut expected =
        Report { revision: 2, etag: after.etag.clone(), update_time: after.update_time, ..first.clone() };
    expected.evidence[0].stale = true;
    assert_eq!(after, expected);
    assert_eq!((after.article_revision, article.revision), (1, 2));
    assert_eq!(service.reread(&second).await, second);
    let changes = watch.changes(2).await;
    let told: Vec<_> = changes.iter().map(|one| (one.name.as_str(), one.kind(), one.last)).collect();
    assert_eq!(told, [(name.as_str(), Kind::Updated, false), (first.name.as_str(), Kind::Updated, true)]);

    // It is the same report still, and a text without these words is no other to it.
    let refused = report(&service, &name, quotes()).await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::EvidenceNotFound);
    service.with_another_text(&name, "In Baku they met on Wednesday.").await;
    assert_eq!(service.reread(&first).await, after);

    // Nothing to compare with.
    service.with_another_text(&name, "").await;
    let mut withheld = Article { name: name.clone(), text: "Nobody met.".into(), ..Default::default() };
    withheld.set_text_rights(TextRights::Withheld);
    service.update_article(withheld, &["text", "text_rights"]).await.unwrap();
    assert_eq!(service.reread(&first).await, after);
    assert_eq!(service.reread(&second).await, second);

    let mut back = Article { name: name.clone(), text: "It was on Monday.".into(), ..Default::default() };
    back.set_text_rights(TextRights::FullText);
    service.update_article(back, &["text", "text_rights"]).await.unwrap();
    assert_eq!(stale(&service.reread(&first).await), [false, true]);
    assert_eq!(stale(&service.reread(&second).await), [true]);
}

#[tokio::test]
async fn a_story_that_updates_its_article_says_which_words_are_stale() {
    let mut service = Service::start().await;
    let first = ingest(a_story(TextRights::FullText, "They met in Baku.", evidence("title", "Baku", 0, 0)));
    service.ingest.ingest_story(first).await.unwrap();
    let mut story = a_story(TextRights::FullText, "They met in Ganja.", evidence("title", "Ganja", 0, 0));
    story.reports[0].key = "other".into();
    let mut request = ingest(story);
    request.allow_update = true;
    service.ingest.ingest_story(request).await.unwrap();
    let reports = service.contents().await.reports;
    let told: Vec<_> = reports.iter().map(|one| (one.revision, one.article_revision, stale(one))).collect();
    assert_eq!(told, [(2, 1, vec![true]), (1, 2, vec![false])]);
}

#[tokio::test]
async fn a_report_that_was_retracted_is_left_as_it_is() {
    let (service, name) = with_text("They met in Baku.").await;
    let told = report(&service, &name, vec![evidence("title", "Baku", 0, 0)]).await.unwrap();
    let force = readout::pb::DeleteArticleRequest { name: name.clone(), force: true, ..Default::default() };
    service.articles.clone().delete_article(force).await.unwrap();
    service.undelete_article(&name).await.unwrap();
    let retracted = service.reread(&told).await;
    service.with_another_text(&name, "They met in Ganja.").await;
    assert_eq!(service.reread(&told).await, retracted);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_report_is_checked_against_one_text_and_stored_with_another() {
    let (service, name) = with_text("Round 0.").await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 1..=16 {
        let (before, after) = (format!("Round {}.", round - 1), format!("Round {round}."));
        let title = talks(&format!("talks {round}"));
        let add = |service: &'static str| {
            let report = Report {
                article: name.clone(),
                account: Some(Account { summary: service.into(), ..title.clone() }),
                evidence: vec![evidence("title", &before, 0, 0)],
                ..Default::default()
            };
            let meeting = format!("meetings/{}", Uuid::now_v7());
            AddReportRequest { meeting, report: Some(report), allow_missing: true, ..Default::default() }
        };
        let (mut one, mut two) = (service.meetings.clone(), other.meetings.clone());
        // Through the instance that changes the text, and so perhaps in one transaction, and through another.
        let (article, here, there) = tokio::join!(
            service.with_another_text(&name, &after),
            one.add_report(add("here")),
            two.add_report(add("there")),
        );
        for told in [here, there] {
            match told {
                Ok(told) => {
                    let told = service.reread(told.get_ref()).await;
                    assert_eq!((told.article_revision, stale(&told)), (article.revision - 1, vec![true]));
                }
                Err(status) => assert_eq!(Refused::from(status).reason, ErrorReason::EvidenceNotFound),
            }
        }
    }
}
