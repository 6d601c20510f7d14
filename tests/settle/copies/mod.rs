//! Copies of a text count as one source, in whatever order they are written and however they become copies.

mod meetings;
mod near;
mod random;

use std::time::Duration;

use readout::{
    config,
    pb::{
        Article, Change, CreateArticleRequest, Date, IngestStoriesResponse, article::TextRights, change::Kind,
        ingest_stories_response::Outcome,
    },
};

use crate::support::{
    Service, cluster,
    follow::{Watch, all, beginning, matching, now},
    make::{article, ingest, story, streamed},
    raw,
};

/// A text of `length` characters. All share their beginning and differ in their end.
fn text(length: usize) -> String {
    let words = "Ministers met in Baku. They stressed mutual trust, and agreed to meet again. ";
    words.chars().cycle().take(length - 1).chain(['x']).collect()
}

fn on(day: i32) -> Option<Date> {
    Some(Date { year: 2020, month: 8, day })
}

/// An article with a long text, published on this day of August.
fn printed(uri: &str, day: i32) -> Article {
    Article { text: text(600), publish_date: on(day), ..article(uri) }
}

/// A watch of the changes that the settler makes from this point on.
async fn settlings(service: &Service) -> Watch {
    let mut watch = service.watch(matching(now(), "kind = SETTLED")).await;
    assert!(watch.caught_up().await.is_empty());
    watch
}

fn names(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.name.as_str()).collect()
}

impl Service {
    async fn origin(&self, article: &Article) -> String {
        self.article(&article.name).await.origin
    }

    async fn is_settled(&self) -> bool {
        self.count("select count(*) from unsettled where not settled").await == 0
    }
}

/// A service with frequent heartbeats, so that `wait_until_settled` checks often.
async fn fast_heartbeats() -> Service {
    let feed = config::Feed { feed_heartbeat: Duration::from_millis(20), ..config::Feed::default() };
    Service::start_with(cluster::database().await, feed).await
}

/// Waits until all texts are compared and the settle queue is empty.
async fn wait_until_settled(service: &Service) {
    let mut watch = service.watch(all(now())).await;
    while service.count("select count(*) from text_sketch where not compared").await > 0 || !service.is_settled().await
    {
        watch.next().await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_gets_the_origin_of_its_group_when_it_is_created() {
    let service = Service::start().await;
    let first = service.create_article(printed("urn:first", 3)).await;
    assert_eq!(first.origin, first.name);
    let copy = service.create_article(printed("urn:copy", 5)).await;
    assert_eq!(copy.origin, first.name);
    assert_eq!(service.article(&copy.name).await, copy);
    // Within a week of the copy only, not of the first article.
    let next = service.create_article(printed("urn:next", 11)).await;
    assert_eq!(next.origin, first.name);
    assert!(service.is_settled().await);

    let request =
        CreateArticleRequest { article: Some(printed("urn:checked", 3)), validate_only: true, ..Default::default() };
    let checked = service.articles.clone().create_article(request).await.unwrap().into_inner();
    assert_eq!(checked.origin, "");
    let changes = service.all_changes().await;
    assert!(changes.iter().all(|change| change.kind() == Kind::Created), "{changes:?}");
}

#[tokio::test]
async fn a_hidden_text_still_counts_as_a_copy() {
    let service = fast_heartbeats().await;
    let first = service.create_article(printed("urn:first", 3)).await;
    let hidden = Article { name: first.name.clone(), text_rights: TextRights::Withheld.into(), ..Default::default() };
    service.update_article(hidden, &["text_rights"]).await.unwrap();
    let copy = service.create_article(printed("urn:copy", 5)).await;
    assert_eq!(copy.origin, first.name);
    // Neither does a copy leave its group when its own text is hidden, shown, or erased.
    for rights in [TextRights::Withheld, TextRights::FullText] {
        let sent = Article { name: copy.name.clone(), text_rights: rights.into(), ..Default::default() };
        service.update_article(sent, &["text_rights"]).await.unwrap();
        wait_until_settled(&service).await;
        assert_eq!(service.origin(&copy).await, first.name, "{rights:?}");
    }
    for of in [&copy, &first] {
        service.erase_article_text(&of.name).await.unwrap();
        wait_until_settled(&service).await;
        assert_eq!(
            [service.origin(&first).await, service.origin(&copy).await],
            [first.name.clone(), first.name.clone()]
        );
    }
}

#[tokio::test]
async fn only_long_equal_texts_published_within_a_week_are_copies() {
    let service = Service::start().await;
    let first = service.create_article(printed("urn:first", 3)).await;
    let spaced = text(600).to_uppercase().replace(' ', " \n\u{a0}\t");
    let other = text(600).replace("Baku", "Moscow");
    let sent = |uri: &str, text: &str, day| Article { text: text.into(), ..printed(uri, day) };
    let mut withheld = printed("urn:withheld", 4);
    withheld.set_text_rights(TextRights::Withheld);
    for (article, is_copy) in [
        (sent("urn:spaced", &spaced, 4), true),
        (withheld, true),
        (sent("urn:other", &other, 4), false),
        (printed("urn:same-day", 3), true),
        (Article { publish_date: on(0), ..printed("urn:month", 4) }, false),
        (Article { publish_date: None, ..printed("urn:undated", 4) }, false),
    ] {
        let uri = article.uri.clone();
        let created = service.create_article(article).await;
        let expected = if is_copy { &first.name } else { &created.name };
        // On the same day the smallest URI is the origin: "urn:first".
        assert_eq!(&created.origin, expected, "{uri}");
    }

    for (length, is_copy) in [(399, false), (400, true)] {
        // Fewer than 40 words.
        let letters: String = text(600).chars().filter(|letter| *letter != ' ').take(length).collect();
        let short = |uri: String, day| Article { text: letters.clone(), ..printed(&uri, day) };
        let first = service.create_article(short(format!("urn:{length}"), 3)).await;
        let second = service.create_article(short(format!("urn:{length}:copy"), 4)).await;
        assert_eq!(second.origin == first.name, is_copy, "{length} characters");
    }
    for (days, is_copy) in [(7, true), (8, false)] {
        let far = |uri: &str, day| sent(&format!("urn:{days}:{uri}"), &format!("{}{days}", text(600)), day);
        let first = service.create_article(far("first", 3)).await;
        let second = service.create_article(far("second", 3 + days)).await;
        assert_eq!(second.origin == first.name, is_copy, "{days} days");
    }
    assert!(service.is_settled().await);
}

#[tokio::test]
async fn an_earlier_copy_that_is_written_later_becomes_the_origin() {
    let service = Service::start().await;
    let mut settlings = settlings(&service).await;
    let late = service.create_article(printed("urn:late", 9)).await;
    let later = service.create_article(printed("urn:later", 10)).await;
    let early = service.create_article(printed("urn:early", 4)).await;
    assert_eq!((later.origin.as_str(), &early.origin), (late.name.as_str(), &early.name));
    let changes = settlings.changes(2).await;
    for (change, before) in changes.iter().zip([&late, &later]) {
        assert_eq!((&change.name, change.revision, change.actor.as_str()), (&before.name, 2, "readout"));
        assert!(change.last);
        let after = service.article(&before.name).await;
        let expected = Article {
            origin: early.name.clone(),
            origin_overlap: 1.0,
            revision: 2,
            etag: after.etag.clone(),
            update_time: after.update_time,
            ..before.clone()
        };
        assert_eq!(after, expected);
    }
    assert!(service.is_settled().await);
}

#[tokio::test]
async fn a_syndicated_article_is_a_copy_whatever_its_text() {
    let service = Service::start().await;
    let mut settlings = settlings(&service).await;
    let agency = service.create_article(Article { publish_date: on(20), ..article("urn:agency") }).await;
    let syndicated = |uri: &str, source: &Article, day| Article {
        syndicated_from: source.name.clone(),
        publish_date: on(day),
        ..article(uri)
    };
    let paper = service.create_article(syndicated("urn:paper", &agency, 21)).await;
    assert_eq!(paper.origin, agency.name);
    // Published before the date of the agency.
    let blog = service.create_article(syndicated("urn:blog", &paper, 2)).await;
    assert_eq!(blog.origin, blog.name);
    assert_eq!(names(&settlings.changes(2).await).len(), 2);
    assert_eq!([service.origin(&agency).await, service.origin(&paper).await], [blog.name.clone(), blog.name.clone()]);

    // The agency is linked to the blog only through the paper.
    let alone = Article { name: paper.name.clone(), ..Default::default() };
    let alone = service.update_article(alone, &["syndicated_from"]).await.unwrap();
    let change = settlings.change().await;
    assert_eq!(change.name, agency.name);
    assert_eq!(service.origin(&agency).await, agency.name);
    wait_until_settled(&service).await;
    // The blog is syndicated from the paper, which is syndicated from no article.
    assert_eq!([service.origin(&alone).await, service.origin(&blog).await], [blog.name.clone(), blog.name.clone()]);
}

#[tokio::test]
async fn a_group_of_copies_splits_without_its_connecting_article() {
    let service = Service::start().await;
    let mut settlings = settlings(&service).await;
    let first = service.create_article(printed("urn:a", 1)).await;
    let between = service.create_article(printed("urn:b", 7)).await;
    let last = service.create_article(printed("urn:c", 13)).await;
    assert_eq!(last.origin, first.name);
    let other = Article { name: between.name.clone(), text: text(500), ..Default::default() };
    let other = service.update_article(other, &["text"]).await.unwrap();
    assert_eq!(other.origin, between.name);
    assert_eq!(settlings.change().await.name, last.name);
    assert_eq!(service.origin(&last).await, last.name);

    // The group is whole again with it.
    let again = Article { name: between.name.clone(), text: text(600), ..Default::default() };
    let again = service.update_article(again, &["text"]).await.unwrap();
    assert_eq!(again.origin, first.name);
    assert_eq!(settlings.change().await.name, last.name);
    assert_eq!(service.origin(&last).await, first.name);
}

#[tokio::test]
async fn copies_get_another_origin_when_theirs_is_deleted() {
    let service = Service::start().await;
    let mut settlings = settlings(&service).await;
    let first = service.create_article(printed("urn:a", 1)).await;
    let second = service.create_article(printed("urn:b", 2)).await;
    let third = service.create_article(printed("urn:c", 3)).await;
    service.delete_article(&first.name).await.unwrap();
    let changes = settlings.changes(2).await;
    assert_eq!(names(&changes), [second.name.as_str(), &third.name]);
    assert_eq!([service.origin(&second).await, service.origin(&third).await], [&*second.name, &second.name]);
    service.undelete_article(&first.name).await.unwrap();
    let changes = settlings.changes(2).await;
    assert_eq!(names(&changes), [second.name.as_str(), &third.name]);
    assert_eq!([service.origin(&second).await, service.origin(&third).await], [&*first.name, &first.name]);
}

#[tokio::test]
async fn ingested_stories_get_the_origin_of_their_copies_also_within_one_stream() {
    let mut service = Service::start().await;
    let copy_story = |uri: &str, day| {
        let mut story = story(uri, &[]);
        story.article = Some(printed(uri, day));
        story
    };
    let first = service.ingest.ingest_story(ingest(copy_story("urn:a", 1))).await.unwrap().into_inner().article;
    let stories = [copy_story("urn:b", 2), copy_story("urn:c", 8), copy_story("urn:d", 14)].map(streamed);
    let mut answers = service.ingest.ingest_stories(tokio_stream::iter(stories)).await.unwrap().into_inner();
    while let Some(IngestStoriesResponse { outcome: Some(Outcome::Result(result)), .. }) =
        answers.message().await.unwrap()
    {
        assert_eq!(service.article(&result.article).await.origin, first);
    }
    assert!(service.is_settled().await);
    assert!(service.all_changes().await.iter().all(|change| change.kind() == Kind::Created));

    let mut changed = ingest(copy_story("urn:d", 14));
    changed.allow_update = true;
    changed.story.as_mut().unwrap().article.as_mut().unwrap().text = text(500);
    let changed = service.ingest.ingest_story(changed).await.unwrap().into_inner().article;
    assert_eq!(service.article(&changed).await.origin, changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_are_written_concurrently_end_in_one_group() {
    let service = fast_heartbeats().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..8 {
        let text = format!("{}{round}", text(600));
        let printed = |number: i32| Article { text: text.clone(), ..printed(&format!("urn:{round}:{number}"), number) };
        let create = |number| [&service, &other][number as usize % 2].create_article(printed(number));
        let mut articles = futures_util::future::join_all((1..=6).map(create)).await;
        wait_until_settled(&service).await;
        articles.sort_by(|a, b| a.uri.cmp(&b.uri));
        for article in &articles {
            assert_eq!(service.origin(article).await, articles[0].name, "round {round}, {}", article.uri);
        }
    }
}

#[tokio::test]
async fn a_service_settles_the_queue_of_a_stopped_one() {
    let service = fast_heartbeats().await;
    let database = service.database.clone();
    let late = service.create_article(printed("urn:late", 9)).await;
    let early = service.create_article(printed("urn:early", 4)).await;
    service.stop().await;
    let service = Service::start_on(database).await;
    let mut watch = service.watch(matching(beginning(), "kind = SETTLED")).await;
    assert_eq!(watch.change().await.name, late.name);
    assert_eq!(service.origin(&late).await, early.name);
}

#[tokio::test]
async fn an_article_that_cannot_be_settled_does_not_block_others() {
    let service = Service::start().await;
    let mut settlings = settlings(&service).await;
    service.create_article(printed("urn:newer", 9)).await;
    // As during a rolling upgrade.
    service.execute("update article set contract = 9999").await;
    service.create_article(printed("urn:early", 4)).await;
    let settleable = |uri: &str, day| Article { text: text(700), ..printed(uri, day) };
    let late = service.create_article(settleable("urn:settleable:late", 9)).await;
    service.create_article(settleable("urn:settleable:early", 4)).await;
    assert_eq!(settlings.change().await.name, late.name);
    assert!(!service.is_settled().await);
}

#[tokio::test]
async fn callers_cannot_set_the_origin_of_an_article() {
    let service = Service::start().await;
    let first = service.create_article(printed("urn:a", 1)).await;
    let sent = Article { origin: first.name.clone(), ..article("urn:b") };
    let second = service.create_article(sent).await;
    assert_eq!(second.origin, second.name);
    let sent = Article { name: second.name.clone(), origin: first.name.clone(), ..article("urn:b") };
    assert_eq!(service.update_article(sent, &["*"]).await.unwrap(), second);
    let request = prost::Message::encode_to_vec(&crate::support::calls::of_article(second, &["origin"]));
    let refused = raw::unary(&service.channel().await, "readout.v1.ArticleService/UpdateArticle", request).await;
    assert!(refused.is_err());
}
