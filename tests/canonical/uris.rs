//! A story that matches an article by one of its URIs removes none of the others.

use readout::pb::{
    Article, ErrorReason, ExternalId, IngestStoriesRequest, Story, StoryReport, ingest_story_response::Outcome,
};
use tonic::Code;

use super::matched;
use crate::support::{
    Refused, Service,
    make::{streamed, talks},
    story_stream::{ingest_all, outcome},
};

fn titled(title: &str, uri: &str, others: &[&str]) -> Story {
    let alternate_uris = others.iter().map(|uri| (*uri).to_owned()).collect();
    let article = Article { uri: uri.into(), alternate_uris, title: title.into(), ..Default::default() };
    Story { article: Some(article), ..Default::default() }
}

fn identified(uri: &str, ids: &[&str]) -> Story {
    let mut story = titled("T", uri, &[]);
    let id = |value: &&str| ExternalId { scheme: "isni".into(), value: (*value).into() };
    story.article.as_mut().unwrap().external_ids = ids.iter().map(id).collect();
    story
}

fn reported(title: &str, story: Story) -> Story {
    let report = StoryReport { key: "r".into(), account: Some(talks(title)), ..Default::default() };
    Story { reports: vec![report], ..story }
}

#[tokio::test]
async fn an_article_is_matched_by_any_of_its_uris() {
    let service = Service::start().await;
    let first = service.ingest_one(titled("T", "urn:a", &["urn:m", "urn:n"])).await.unwrap();
    let before = service.contents().await;
    for story in [
        titled("T", "urn:m", &[]),
        titled("T", "urn:a", &[]),
        titled("T", "urn:n", &["urn:a"]),
        titled("T", "urn:m", &["urn:n", "urn:a", "urn:m"]),
    ] {
        assert_eq!(service.ingest_one(story.clone()).await.unwrap(), matched(first.clone()), "{story:?}");
        assert_eq!(service.ingest_update(story.clone()).await.unwrap(), matched(first.clone()), "{story:?}");
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn ingest_with_allow_update_keeps_all_uris_and_adds_new_ones() {
    let service = Service::start().await;
    let first = service.ingest_one(titled("T", "urn:a", &["urn:m"])).await.unwrap().article;
    let updated = service.ingest_update(titled("Other", "urn:m", &["urn:x"])).await.unwrap();
    assert_eq!((updated.article_outcome(), &updated.article), (Outcome::Updated, &first));
    let stored = service.article(&first).await;
    assert_eq!((stored.uri.as_str(), stored.title.as_str()), ("urn:a", "Other"));
    assert_eq!(stored.alternate_uris, ["urn:m", "urn:x"]);
    for uri in ["urn:a", "urn:m", "urn:x"] {
        let again = service.ingest_one(titled("Other", uri, &[])).await.unwrap();
        assert_eq!((again.article_outcome(), &again.article), (Outcome::Matched, &first), "{uri}");
    }
    // A new URI alone adds a revision.
    let extended = service.ingest_update(titled("Other", "urn:y", &["urn:x"])).await.unwrap();
    assert_eq!((extended.article_outcome(), &extended.article), (Outcome::Updated, &first));
    assert_eq!(service.article(&first).await.alternate_uris, ["urn:m", "urn:x", "urn:y"]);
    assert_eq!(service.contents().await.articles.len(), 1);
}

#[tokio::test]
async fn a_new_uri_is_other_content_without_allow_update() {
    let service = Service::start().await;
    service.ingest_one(titled("T", "urn:a", &["urn:m"])).await.unwrap();
    let before = service.contents().await;
    for story in [titled("T", "urn:m", &["urn:x"]), titled("T", "urn:x", &["urn:a"])] {
        let refused = service.ingest_one(story).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::ArticleDiffers));
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn a_story_with_uris_of_two_articles_is_refused() {
    let service = Service::start().await;
    service.ingest_one(titled("T", "urn:a", &[])).await.unwrap();
    service.ingest_one(titled("U", "urn:b", &[])).await.unwrap();
    for story in [titled("T", "urn:a", &["urn:b"]), titled("T", "urn:x", &["urn:b", "urn:a"])] {
        let refused = service.ingest_update(story).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateArticle));
    }
}

#[tokio::test]
async fn ingest_with_allow_update_keeps_all_external_ids_and_adds_new_ones() {
    let service = Service::start().await;
    let first = service.ingest_one(identified("urn:a", &["2", "1"])).await.unwrap();
    for ids in [&["1"][..], &[], &["1", "2"]] {
        assert_eq!(service.ingest_one(identified("urn:a", ids)).await.unwrap(), matched(first.clone()));
    }
    let refused = service.ingest_one(identified("urn:a", &["3"])).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::ArticleDiffers));
    service.ingest_update(identified("urn:a", &["3"])).await.unwrap();
    let ids = service.article(&first.article).await.external_ids;
    assert_eq!(ids.iter().map(|id| id.value.as_str()).collect::<Vec<_>>(), ["2", "1", "3"]);
}

#[tokio::test]
async fn ingest_with_allow_update_refuses_too_many_uris_in_total() {
    let service = Service::start().await;
    let many: Vec<String> = (0..100).map(|at| format!("urn:{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    service.ingest_one(titled("T", "urn:a", &many)).await.unwrap();
    let refused = service.ingest_update(titled("T", "urn:0", &["urn:x"])).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["story.article.alternate_uris"]));
}

#[tokio::test]
async fn update_article_removes_uris() {
    let service = Service::start().await;
    let first = service.ingest_one(titled("T", "urn:a", &["urn:m"])).await.unwrap().article;
    let without = Article { name: first.clone(), uri: "urn:a".into(), ..Default::default() };
    service.update_article(without, &["alternate_uris"]).await.unwrap();
    let other = service.ingest_one(titled("T", "urn:m", &[])).await.unwrap();
    assert_eq!(other.article_outcome(), Outcome::Created);
    assert_ne!(other.article, first);
}

#[tokio::test]
async fn stories_of_one_stream_may_match_one_article_by_different_uris() {
    let service = Service::start().await;
    let first = service.ingest_one(titled("T", "urn:a", &["urn:m", "urn:n"])).await.unwrap().article;
    let update = |story: Story| IngestStoriesRequest { allow_update: true, ..streamed(story) };
    let stories = vec![
        update(reported("Talks", titled("Second", "urn:m", &["urn:x"]))),
        update(reported("Talks", titled("Third", "urn:n", &["urn:y"]))),
        streamed(titled("Second", "urn:a", &[])),
        streamed(titled("Third", "urn:x", &[])),
        streamed(titled("T", "urn:unknown", &[])),
    ];
    let answers: Vec<_> = ingest_all(&service.ingest, stories).await.into_iter().map(outcome).collect();
    let outcomes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map(|answer| answer.article_outcome()).ok()).collect();
    let expected =
        [Some(Outcome::Updated), Some(Outcome::Updated), None, Some(Outcome::Matched), Some(Outcome::Created)];
    assert_eq!(outcomes, expected);
    let outcomes = [0, 1].map(|at| answers[at].as_ref().unwrap().meetings[0].outcome());
    assert_eq!(outcomes, [Outcome::Created, Outcome::Matched]);
    let stored = service.article(&first).await;
    assert_eq!((stored.title.as_str(), stored.revision), ("Third", 3));
    assert_eq!(stored.alternate_uris, ["urn:m", "urn:n", "urn:x", "urn:y"]);
}
