//! Erasure of article texts: an erased text is removed from every revision, unless another article may keep it.

use readout::pb::{
    Article, CreateArticleRequest, CreateMeetingRequest, Evidence, Meeting, UpdateArticleRequest, article::TextRights,
    article_service_client::ArticleServiceClient, change::Kind,
};
use sqlx::{ConnectOptions, Connection};
use tonic::Response;

use crate::support::{
    Service,
    block_commits::{after, block_commits, waiting},
    calls::of_article,
    data_dir::DataDir,
    make::{TEXT, article, talks},
    program::{Program, Ran, run},
};

fn with_rights(of: &Article, rights: TextRights) -> Article {
    Article { name: of.name.clone(), text_rights: rights.into(), ..Default::default() }
}

fn with_text(of: &Article, text: &str) -> Article {
    Article { text: text.into(), ..with_rights(of, TextRights::FullText) }
}

/// A create request with a request id: repeating it returns the first revision.
fn repeatable(article: Article) -> CreateArticleRequest {
    CreateArticleRequest { request_id: article.uri.clone(), article: Some(article), ..Default::default() }
}

impl Service {
    async fn erase(&self, article: &Article) -> Article {
        self.erase_article_text(&article.name).await.unwrap()
    }

    async fn replace_text(&self, article: &Article, text: &str) -> Article {
        self.update_article(with_text(article, text), &["text", "text_rights"]).await.unwrap()
    }

    /// The text of the first revision, empty if it may not be shown.
    async fn first_text(&self, of: &str) -> String {
        let request = repeatable(article(of));
        self.articles.clone().create_article(request).await.map(Response::into_inner).unwrap().text
    }

    async fn create(&self, uri: &str) -> Article {
        self.articles.clone().create_article(repeatable(article(uri))).await.unwrap().into_inner()
    }

    async fn text_count(&self) -> i64 {
        self.count("select count(*) from article_text").await
    }
}

#[tokio::test]
async fn erased_text_is_removed_from_every_revision() {
    let service = Service::start().await;
    let first = service.create("urn:a").await;
    let update = UpdateArticleRequest {
        request_id: "second".into(),
        ..of_article(with_text(&first, "Second words."), &["text", "text_rights"])
    };
    let update_again = || async { service.articles.clone().update_article(update.clone()).await.unwrap().into_inner() };
    assert_eq!(update_again().await.text, "Second words.");
    assert_eq!((service.text_count().await, service.first_text("urn:a").await.as_str()), (2, TEXT));

    let erased = service.erase(&first).await;
    assert_eq!((service.text_count().await, service.first_text("urn:a").await), (0, String::new()));
    assert_eq!((erased.text_length, update_again().await.text), (13, String::new()));
    let third = service.replace_text(&first, "Third words.").await;
    assert_eq!(third.text, "Third words.");
    assert_eq!((service.text_count().await, service.first_text("urn:a").await), (1, String::new()));
    // A text that is sent again is shown again in every revision that had it.
    service.replace_text(&first, TEXT).await;
    assert_eq!((service.text_count().await, service.first_text("urn:a").await.as_str()), (2, TEXT));
}

#[tokio::test]
async fn text_is_kept_while_another_article_has_it() {
    let service = Service::start().await;
    let [first, second, third] =
        [service.create("urn:1").await, service.create("urn:2").await, service.create("urn:3").await];
    // The second article has the text in a former revision only.
    service.replace_text(&second, "Other words.").await;
    service.erase(&first).await;
    assert_eq!(service.first_text("urn:1").await, "");
    assert_eq!([service.first_text("urn:2").await, service.first_text("urn:3").await], [TEXT, TEXT]);
    assert_eq!(service.article(&third.name).await, third);
    service.erase(&third).await;
    assert_eq!(service.first_text("urn:2").await, TEXT);
    service.erase(&second).await;
    assert_eq!(service.text_count().await, 0);
}

#[tokio::test]
async fn emptied_text_is_kept_in_former_revisions() {
    let service = Service::start().await;
    let first = service.create("urn:a").await;
    assert_eq!(service.replace_text(&first, "").await.text, "");
    assert_eq!(service.first_text("urn:a").await, TEXT);
}

#[tokio::test(flavor = "multi_thread")]
async fn article_created_during_an_erasure_of_its_text_keeps_the_text() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..24 {
        let text = format!("Words of round {round}.");
        let sent = |of: &str| Article { text: text.clone(), ..article(&format!("urn:{of}:{round}")) };
        let (first, second) = (service.create_article(sent("1")).await, service.create_article(sent("2")).await);
        let (_, _, local, remote) = tokio::join!(
            service.erase(&first),
            other.erase(&second),
            service.create_article(sent("here")),
            other.create_article(sent("there")),
        );
        for created in [local, remote] {
            assert_eq!(service.article(&created.name).await, created, "round {round}");
            assert_eq!(created.text, text);
        }
    }
    assert_eq!(service.text_count().await, 24);
    assert_eq!(service.count("select count(*) from article_text_use").await, 48);
}

#[tokio::test]
async fn text_is_not_erased_while_another_article_is_being_created_with_it() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for is_erased_first in [true, false] {
        let sent = |of: &str| Article { text: "The words.".into(), ..article(&format!("urn:{of}:{is_erased_first}")) };
        let first = service.create_article(sent("one")).await;
        let held_up = block_commits(&service).await;
        let erase = service.erase(&first);
        let create = other.create_article(sent("two"));
        let in_turn = async {
            waiting(&service, 2).await;
            held_up.close().await.unwrap();
        };
        let (_, second, ()) = match is_erased_first {
            true => tokio::join!(erase, after(&service, create), in_turn),
            false => tokio::join!(after(&service, erase), create, in_turn),
        };
        assert_eq!(other.article(&second.name).await, second);
        assert_eq!(second.text, "The words.");
        service.erase(&second).await;
        assert_eq!(service.text_count().await, 0);
    }
}

async fn expunge(service: &Service, names: &[&str]) -> Ran {
    let url = service.database.to_url_lossy().to_string();
    let args = ["admin", "expunge"].iter().chain(names).copied().map(str::to_owned);
    run(args.chain(["--reason", "Claim 7", "--database-url", &url].map(str::to_owned))).await
}

#[tokio::test]
async fn admin_expunge_erases_texts_while_a_service_runs() {
    let service = Service::start().await;
    let first = service.create("urn:a").await;
    let second = service.replace_text(&first, "They met in Baku.").await;
    let quote = Evidence { field: "title".into(), quote: "in Baku".into(), ..Default::default() };
    let request = CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(talks("Talks")), ..Default::default() }),
        source_article: first.name.clone(),
        evidence: vec![quote],
        ..Default::default()
    };
    service.meetings.clone().create_meeting(request).await.unwrap();
    let reports = service.reports_of(&first.name).await;
    let deleted = service.create_article(Article { text: "Others met.".into(), ..article("urn:deleted") }).await;
    service.delete_article(&deleted.name).await.unwrap();

    let ran = expunge(&service, &[&first.name, &deleted.name]).await;
    let lines = format!("{}: erased\n{}: erased\n", first.name, deleted.name);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), lines.as_str()), "{}", ran.stderr);
    assert_eq!((service.text_count().await, service.first_text("urn:a").await), (0, String::new()));
    let after = service.article(&first.name).await;
    let expected = Article {
        text: String::new(),
        text_rights: TextRights::Withheld.into(),
        revision: 3,
        etag: after.etag.clone(),
        update_time: after.update_time,
        ..second
    };
    assert_eq!(after, expected);
    assert!(service.article(&deleted.name).await.delete_time.is_some());
    // The quotation is kept.
    assert_eq!(service.reports_of(&first.name).await, reports);
    assert_eq!(reports[0].evidence[0].quote, "in Baku");
    let changes = service.all_changes().await;
    let recorded: Vec<_> =
        changes.iter().rev().take(2).map(|change| (change.kind(), change.actor.as_str(), change.last)).collect();
    assert_eq!(recorded, [(Kind::Expunged, "admin", true), (Kind::Expunged, "admin", true)]);
    let newest = service.article_revisions(&first.name).await.swap_remove(0);
    assert_eq!((newest.kind(), newest.reason.as_str()), (Kind::Expunged, "Claim 7"));

    let ran = expunge(&service, &[&first.name]).await;
    let line = format!("{}: no text is stored, there is nothing to erase\n", first.name);
    assert_eq!((ran.code, ran.stdout), (Some(0), line));
    assert_eq!(service.article(&first.name).await, after);
    assert_eq!(service.all_changes().await, changes);
}

#[tokio::test]
async fn admin_expunge_erases_nothing_if_one_article_does_not_exist() {
    let service = Service::start().await;
    let first = service.create("urn:a").await;
    let unknown = "articles/00000000-0000-7000-8000-000000000001";
    let ran = expunge(&service, &[&first.name, unknown]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains(&format!("there is no {unknown}: nothing was erased")), "{}", ran.stderr);
    let ran = expunge(&service, &[&first.name, "meetings/1"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("must be the name of an article"), "{}", ran.stderr);
    assert_eq!(service.article(&first.name).await, first);
}

#[tokio::test]
async fn admin_expunge_erases_hidden_texts() {
    let service = Service::start().await;
    let first = service.create("urn:a").await;
    service.update_article(with_rights(&first, TextRights::Withheld), &["text_rights"]).await.unwrap();
    assert_eq!(service.text_count().await, 1);
    let ran = expunge(&service, &[&first.name]).await;
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{}: erased\n", first.name)), "{}", ran.stderr);
    assert_eq!(service.text_count().await, 0);
}

#[tokio::test]
async fn admin_expunge_requires_a_reason_within_its_bounds() {
    let service = Service::start().await;
    let first = service.create("urn:a").await;
    let url = service.database.to_url_lossy().to_string();
    let ran = run(["admin", "expunge", &first.name, "--database-url", &url]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for (reason, code) in [("", 2), (" \t", 2), (&*"é".repeat(1001), 2), (&*"é".repeat(1000), 0)] {
        let ran = run(["admin", "expunge", &first.name, "--reason", reason, "--database-url", &url]).await;
        assert_eq!(ran.code, Some(code), "{} {ran:?}", reason.len());
    }
    assert_eq!(service.text_count().await, 0);
}

#[tokio::test]
async fn admin_expunge_erases_texts_while_no_service_runs() {
    let service = Service::start().await;
    let first = service.create("urn:a").await;
    let database = service.database.clone();
    let url = database.to_url_lossy().to_string();
    service.stop().await;
    let ran = run(["admin", "expunge", &first.name, "--reason", "Claim 7", "--database-url", &url]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let service = Service::start_on(database).await;
    assert_eq!((service.text_count().await, service.first_text("urn:a").await), (0, String::new()));
}

#[tokio::test]
async fn admin_expunge_reaches_the_private_database_of_a_running_service() {
    let dir = DataDir::new();
    let program = Program::serve(&dir).await;
    let mut articles = ArticleServiceClient::new(program.channel().await);
    let first = articles.create_article(repeatable(article("urn:a"))).await.unwrap().into_inner();
    let url = program.logged("the embedded database runs").await["url"].as_str().unwrap().to_owned();
    let ran = run(["admin", "expunge", &first.name, "--reason", "Claim 7", "--database-url", &url]).await;
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{}: erased\n", first.name)), "{}", ran.stderr);
    assert_eq!(articles.create_article(repeatable(article("urn:a"))).await.unwrap().into_inner().text, "");
    program.stop().await;
}
