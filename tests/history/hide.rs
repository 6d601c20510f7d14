//! Hidden article texts: an article that becomes WITHHELD shows its texts to nobody until it gets other rights.

use std::fs;

use prost_types::Timestamp;
use readout::pb::{
    AddReportRequest, Article, BatchGetArticlesRequest, Change, CreateArticleRequest, CreateMeetingRequest,
    ErrorReason, Evidence, GetArticleRequest, ListArticlesRequest, ListChangesRequest, Meeting, Origin, Report,
    UpdateArticleRequest, View, WatchChangesRequest,
    article::TextRights,
    change::{Kind, Resource},
    list_changes_request,
};
use tempfile::tempdir;
use tonic::{Code, Response, Status};

use crate::support::{
    Refused, Service,
    calls::of_article,
    follow::{all, now},
    make::{TEXT, article, ingest, talks},
    program::run,
    refused,
};

impl Service {
    pub async fn rights(&self, of: &Article, rights: TextRights) -> Article {
        let sent = Article { name: of.name.clone(), text_rights: rights.into(), ..Default::default() };
        self.update_article(sent, &["text_rights"]).await.expect("an update")
    }

    pub async fn text_at(&self, of: &Article, read_time: Option<Timestamp>) -> String {
        let request = GetArticleRequest { name: of.name.clone(), read_time, ..Default::default() };
        let single = self.articles.clone().get_article(request).await.expect("an article").into_inner().text;
        let request = BatchGetArticlesRequest { names: vec![of.name.clone()], read_time, ..Default::default() };
        let batch = self.articles.clone().batch_get_articles(request).await.expect("articles").into_inner();
        assert_eq!(batch.articles[0].text, single);
        single
    }

    /// The articles that a search finds, with their texts and snippets.
    async fn found(&self, query: &str) -> Vec<(String, String)> {
        let request = ListArticlesRequest { query: query.into(), view: View::Full.into(), ..Default::default() };
        let found = self.articles.clone().list_articles(request).await.expect("a list").into_inner();
        found.articles.into_iter().zip(found.snippets).map(|(article, snippet)| (article.text, snippet.text)).collect()
    }

    async fn cite(&self, article: &Article, meeting: &Meeting, quote: &str) -> Result<Report, Status> {
        let report = Report {
            article: article.name.clone(),
            account: Some(talks(quote)),
            evidence: vec![quoting(quote)],
            ..Default::default()
        };
        let request = AddReportRequest { meeting: meeting.name.clone(), report: Some(report), ..Default::default() };
        self.meetings.clone().add_report(request).await.map(Response::into_inner)
    }
}

fn quoting(quote: &str) -> Evidence {
    Evidence { field: "title".into(), quote: quote.into(), ..Default::default() }
}

/// True if an encoded message has words of the text.
fn has_text(message: &impl prost::Message) -> bool {
    String::from_utf8_lossy(&message.encode_to_vec()).contains("mutual trust")
}

async fn cited(service: &Service, article: &Article, quote: &str) -> Meeting {
    let request = CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(talks("Talks")), ..Default::default() }),
        source_article: article.name.clone(),
        evidence: vec![quoting(quote)],
        ..Default::default()
    };
    service.meetings.clone().create_meeting(request).await.expect("a meeting").into_inner()
}

#[tokio::test]
async fn read_time_before_between_and_after_a_hiding_shows_what_the_rights_allow() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let replaced = Article { name: first.name.clone(), text: "Other words.".into(), ..Default::default() };
    let second = service.update_article(replaced, &["text"]).await.unwrap();
    let hidden = service.rights(&first, TextRights::Withheld).await;
    assert_eq!((hidden.text.as_str(), hidden.text_length, &hidden.text_sha256), ("", 12, &second.text_sha256));
    for time in [None, first.update_time, second.update_time, hidden.update_time] {
        assert_eq!(service.text_at(&first, time).await, "", "{time:?}");
    }

    let shown = service.rights(&first, TextRights::FullText).await;
    assert_eq!(shown.text, "Other words.");
    assert_eq!(service.text_at(&first, first.update_time).await, TEXT);
    assert_eq!(service.text_at(&first, second.update_time).await, "Other words.");
    assert_eq!(service.text_at(&first, hidden.update_time).await, "");
    assert_eq!(service.text_at(&first, shown.update_time).await, "Other words.");
    assert_eq!(service.text_at(&first, None).await, "Other words.");
}

#[tokio::test]
async fn hidden_text_is_in_no_search_snippet_list_change_or_answer() {
    let service = Service::start().await;
    let create = CreateArticleRequest { article: Some(article("urn:a")), request_id: "r".into(), ..Default::default() };
    let first = service.articles.clone().create_article(create.clone()).await.unwrap().into_inner();
    assert_eq!(service.found("trust").await.len(), 1);
    let mut watch = service.watch(WatchChangesRequest { include_resource: true, ..all(now()) }).await;
    watch.caught_up().await;

    service.rights(&first, TextRights::Withheld).await;
    assert_eq!(service.found("trust").await, []);
    let list = ListArticlesRequest { view: View::Full.into(), ..Default::default() };
    let list = || async { service.articles.clone().list_articles(list.clone()).await.unwrap().into_inner() };
    assert!(!has_text(&list().await));
    let again = service.articles.clone().create_article(create.clone()).await.unwrap().into_inner();
    assert!(!has_text(&again));
    let changes: Vec<Change> = watch.changes(1).await;
    assert!(changes.iter().all(|change| !has_text(change)), "{changes:?}");
    let start = Some(list_changes_request::Start::Origin(Origin::Beginning.into()));
    let request = ListChangesRequest { start, include_resource: true, ..Default::default() };
    let changes = service.changes.clone().list_changes(request).await.unwrap().into_inner();
    assert!(!has_text(&changes));
    let is_article = |change: &Change| matches!(change.resource, Some(Resource::Article(_)));
    assert!(changes.changes.len() == 2 && changes.changes.iter().all(is_article), "{changes:?}");
    // A further revision does not bring it back.
    let titled = Article { name: first.name.clone(), title: "Trust".into(), ..Default::default() };
    assert!(!has_text(&service.update_article(titled, &["title"]).await.unwrap()));
    assert_eq!(service.found("mutual").await, []);
    let deleted = service.delete_article(&first.name).await.unwrap();
    assert!(!has_text(&deleted) && !has_text(&service.undelete_article(&first.name).await.unwrap()));
    assert!(!has_text(&service.article(&first.name).await));

    service.rights(&first, TextRights::Excerpt).await;
    let found = service.found("mutual").await;
    assert!(found.len() == 1 && found[0].0 == TEXT && found[0].1.contains("mutual trust"), "{found:?}");
    let again = service.articles.clone().create_article(create).await.unwrap().into_inner();
    assert_eq!(again.text, TEXT);
}

#[tokio::test]
async fn evidence_of_a_hidden_text_stays_and_new_evidence_is_unverifiable() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let meeting = cited(&service, &first, "mutual trust").await;
    let reports = service.reports_of(&first.name).await;
    assert_eq!((reports[0].evidence[0].quote.as_str(), reports[0].evidence[0].stale), ("mutual trust", false));

    service.rights(&first, TextRights::Withheld).await;
    assert_eq!(service.reports_of(&first.name).await, reports);
    // A quote of the text and one that it does not have get the same answer, which has nothing of the text.
    for guess in ["in Baku", "in Bakv"] {
        let status = service.cite(&first, &meeting, guess).await.unwrap_err();
        assert!(!format!("{status:?}").contains("Tsalikov"), "{status:?}");
        let fields = ["report.evidence[0].quote"];
        assert_eq!(Refused::from(status), Refused::fields(ErrorReason::EvidenceUnverifiable, fields));
    }
    service.rights(&first, TextRights::FullText).await;
    assert_eq!(service.reports_of(&first.name).await, reports);
    service.cite(&first, &meeting, "in Baku").await.unwrap();
    let status = service.cite(&first, &meeting, "in Bakv").await.unwrap_err();
    assert_eq!(Refused::from(status).reason, ErrorReason::EvidenceNotFound);
}

#[tokio::test]
async fn validated_showing_does_not_return_the_hidden_text() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    service.rights(&first, TextRights::Withheld).await;
    let sent = Article { name: first.name.clone(), text_rights: TextRights::FullText.into(), ..Default::default() };
    let request = UpdateArticleRequest { validate_only: true, ..of_article(sent, &["text_rights"]) };
    let validated = service.articles.clone().update_article(request).await.unwrap().into_inner();
    assert_eq!((validated.text_rights(), validated.text.as_str()), (TextRights::FullText, ""));
    assert_eq!(service.text_at(&first, None).await, "");
}

#[tokio::test]
async fn text_sent_with_withheld_is_not_stored_and_leaves_the_hidden_ones() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let sent = Article {
        name: first.name.clone(),
        text: "Never stored.".into(),
        text_rights: TextRights::Withheld.into(),
        ..Default::default()
    };
    service.update_article(sent, &["text", "text_rights"]).await.unwrap();
    assert_eq!(service.count("select count(*) from article_text").await, 1);
    let shown = service.rights(&first, TextRights::FullText).await;
    assert_eq!((shown.text.as_str(), shown.text_length, shown.text_sha256.as_str()), ("", 0, ""));
    assert_eq!(service.text_at(&first, first.update_time).await, TEXT);
}

#[tokio::test]
async fn text_of_another_article_is_not_shown_by_an_article_that_never_stored_it() {
    let service = Service::start().await;
    service.create_article(article("urn:other")).await;
    let withheld = Article { text_rights: TextRights::Withheld.into(), ..article("urn:withheld") };
    let withheld = service.create_article(withheld).await;
    let shown = service.rights(&withheld, TextRights::FullText).await;
    assert_eq!((shown.text.as_str(), shown.text_sha256.as_str()), ("", ""));
    assert_eq!(service.found("trust").await.len(), 1);
}

#[tokio::test]
async fn story_hides_and_shows_the_text_of_its_article() {
    let mut service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let story = |text: &str, rights: TextRights| {
        let article = Article { text: text.into(), text_rights: rights.into(), ..article("urn:a") };
        let story = readout::pb::Story { article: Some(article), ..Default::default() };
        readout::pb::IngestStoryRequest { allow_update: true, ..ingest(story) }
    };
    for text in [TEXT, ""] {
        service.ingest.ingest_story(story(text, TextRights::Withheld)).await.unwrap();
        assert_eq!(service.text_at(&first, None).await, "");
        // Neither text nor rights: the article stays as it is.
        service.ingest.ingest_story(story("", TextRights::Unspecified)).await.unwrap();
        assert_eq!(service.article(&first.name).await.text_rights(), TextRights::Withheld);
        service.ingest.ingest_story(story(text, TextRights::FullText)).await.unwrap();
        assert_eq!(service.text_at(&first, None).await, TEXT, "{text}");
    }
    assert_eq!(service.article(&first.name).await.revision, 5);
}

#[tokio::test]
async fn export_of_a_hidden_text_is_imported_as_a_withheld_article() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    cited(&service, &first, "in Baku").await;
    service.rights(&first, TextRights::Withheld).await;
    let exported = run(["export", "--server", &service.address.to_string()]).await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(!exported.stdout.contains("mutual trust") && exported.stdout.contains("WITHHELD"), "{}", exported.stdout);

    let copy = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("export.ndjson");
    fs::write(&file, &exported.stdout).unwrap();
    let imported = run(["import", "--server", &copy.address.to_string(), file.to_str().unwrap()]).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let article = copy.article(&first.name).await;
    assert_eq!((article.text_rights(), article.text.as_str()), (TextRights::Withheld, ""));
    assert_eq!(copy.count("select count(*) from article_text").await, 0);
}

#[tokio::test]
async fn erase_article_text_erases_shown_hidden_and_deleted_texts_once() {
    let service = Service::start().await;
    let nothing = |status, of: &Article| {
        refused(status, Code::FailedPrecondition, ErrorReason::NoStoredText, &of.name);
    };
    let shown = service.create_article(article("urn:shown")).await;
    let hidden = service.create_article(article("urn:hidden")).await;
    service.rights(&hidden, TextRights::Withheld).await;
    let deleted = service.create_article(article("urn:deleted")).await;
    service.delete_article(&deleted.name).await.unwrap();
    // A text that is shared stays while one article has it, hidden or not.
    for (of, left) in [(&shown, 1), (&deleted, 1), (&hidden, 0)] {
        let erased = service.erase_article_text(&of.name).await.unwrap();
        assert_eq!((erased.text_rights(), erased.text.as_str()), (TextRights::Withheld, ""));
        assert_eq!((erased.text_length, &erased.text_sha256), (of.text_length, &of.text_sha256));
        assert_eq!(service.article(&of.name).await, erased);
        let newest = service.article_revisions(&of.name).await.swap_remove(0);
        assert_eq!((newest.kind(), newest.reason.as_str()), (Kind::Expunged, "Claim 7"));
        assert_eq!(service.count("select count(*) from article_text").await, left);
        nothing(service.erase_article_text(&of.name).await.unwrap_err(), of);
        assert_eq!(service.article(&of.name).await, erased);
    }
    // It does not return with the rights.
    let granted = service.rights(&shown, TextRights::FullText).await;
    assert_eq!((granted.text.as_str(), granted.text_sha256.as_str()), ("", ""));
    assert_eq!(service.text_at(&shown, shown.update_time).await, "");

    let never = service.create_article(Article { text: String::new(), ..article("urn:never") }).await;
    let arrived = Article { text_rights: TextRights::Withheld.into(), ..article("urn:arrived") };
    let arrived = service.create_article(arrived).await;
    for of in [&never, &arrived] {
        nothing(service.erase_article_text(&of.name).await.unwrap_err(), of);
    }
    let unknown = "articles/00000000-0000-7000-8000-000000000001";
    let status = service.erase_article_text(unknown).await.unwrap_err();
    refused(status, Code::NotFound, ErrorReason::ResourceNotFound, unknown);
}

#[tokio::test]
async fn erase_article_text_checks_reason_etag_and_repetition() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let request = |reason: &str, etag: &str, validate_only| readout::pb::EraseArticleTextRequest {
        name: first.name.clone(),
        etag: etag.into(),
        request_id: "erase".into(),
        validate_only,
        reason: reason.into(),
    };
    let erase =
        |request| async { service.articles.clone().erase_article_text(request).await.map(Response::into_inner) };
    for wrong in ["", " \n", &"é".repeat(1001)] {
        assert_eq!(Refused::from(erase(request(wrong, "", false)).await.unwrap_err()), Refused::invalid(["reason"]));
    }
    let status = erase(request("Claim 7", "stale", false)).await.unwrap_err();
    assert_eq!(Refused::from(status).reason, ErrorReason::EtagMismatch);
    let validated = erase(request(&"é".repeat(1000), &first.etag, true)).await.unwrap();
    assert_eq!((validated.text_rights(), validated.etag.as_str()), (TextRights::Withheld, ""));
    assert_eq!(service.article(&first.name).await, first);
    let erased = erase(request("Claim 7", &first.etag, false)).await.unwrap();
    assert_eq!(erase(request("Claim 7", &first.etag, false)).await.unwrap(), erased);
    assert_eq!(service.article(&first.name).await.revision, 2);
}
