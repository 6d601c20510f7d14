//! An update that changes no content adds no revision, and a repeated request is recognised by its content.

use readout::pb::{
    Account, Article, CreateArticleRequest, Date, ErrorReason, ExternalId, IngestStoryRequest, LatLng, Meeting,
    OfficeTerm, Participant, ParticipantName, Place, Publisher, UpdateArticleRequest,
};
use tonic::{Code, Response};

use crate::support::{
    Refused, Service,
    calls::{mask, of_article},
    make::{article, ingest, labels, person, story, talks},
};

fn id(value: &str) -> ExternalId {
    ExternalId { scheme: "isni".into(), value: value.into() }
}

fn full_article() -> Article {
    Article {
        alternate_uris: vec!["urn:b".into(), "urn:a".into()],
        title: "Véliyev reçoit".into(),
        external_ids: vec![id("é"), id("1")],
        labels: labels(&[("clé", "été")]),
        ..article("urn:full")
    }
}

#[tokio::test]
async fn an_article_gets_no_revision_for_another_spelling() {
    let service = Service::start().await;
    let stored = service.create_article(full_article()).await;
    let before = service.contents().await;
    let place = Place { location: Some(LatLng::default()), ..Default::default() };
    let sent = Article { name: stored.name.clone(), ..Default::default() };
    for (changed, path) in [
        (Article { publisher: Some(Publisher::default()), ..sent.clone() }, "publisher"),
        (sent.clone(), "publisher.display_name"),
        (Article { publisher: Some(Publisher::default()), ..sent.clone() }, "publisher.region_code"),
        (Article { dateline: Some(place), ..sent.clone() }, "dateline"),
        (Article { publish_date: Some(Date::default()), ..sent.clone() }, "publish_date"),
        (Article { title: "Ve\u{301}liyev rec\u{327}oit".into(), ..sent.clone() }, "title"),
        (Article { alternate_uris: vec!["urn:a".into(), "urn:b".into()], ..sent.clone() }, "alternate_uris"),
        (Article { external_ids: vec![id("1"), id("e\u{301}")], ..sent.clone() }, "external_ids"),
        (Article { labels: labels(&[("cle\u{301}", "e\u{301}te\u{301}")]), ..sent.clone() }, "labels"),
        (Article { labels: labels(&[("cle\u{301}", "été")]), ..sent.clone() }, "labels.cle\u{301}"),
        (Article { publisher: Some(Publisher::default()), text: stored.text.clone(), ..sent.clone() }, ""),
    ] {
        let paths: Vec<&str> = Some(path).filter(|path| !path.is_empty()).into_iter().collect();
        assert_eq!(service.update_article(changed, &paths).await.unwrap(), stored, "{path}");
    }
    let all = Article { name: stored.name.clone(), publisher: Some(Publisher::default()), ..full_article() };
    assert_eq!(service.update_article(all, &["*"]).await.unwrap(), service.article(&stored.name).await);
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn an_article_gets_a_revision_for_other_content() {
    let service = Service::start().await;
    let stored = service.create_article(Article { authors: vec!["A".into(), "B".into()], ..full_article() }).await;
    let sent = Article { name: stored.name.clone(), ..Default::default() };
    let mut revision = 1;
    for (changed, path) in [
        (Article { authors: vec!["B".into(), "A".into()], ..sent.clone() }, "authors"),
        (Article { alternate_uris: vec!["urn:A\u{301}".into()], ..sent.clone() }, "alternate_uris"),
        // URIs are compared as given.
        (Article { alternate_uris: vec!["urn:\u{c1}".into()], ..sent.clone() }, "alternate_uris"),
        (Article { external_ids: vec![id("1")], ..sent.clone() }, "external_ids"),
        (sent.clone(), "labels.clé"),
    ] {
        revision += 1;
        assert_eq!(service.update_article(changed, &[path]).await.unwrap().revision, revision, "{path}");
    }
    assert_eq!(service.article(&stored.name).await.labels, labels(&[]));
}

#[tokio::test]
async fn a_participant_gets_no_revision_for_another_spelling() {
    let service = Service::start().await;
    let name = |text: &str| ParticipantName { text: text.into(), ..Default::default() };
    let stored = Participant {
        names: vec![name("Ké"), name("B")],
        external_ids: vec![id("1"), id("é")],
        ..person("Kérim", "AZ")
    };
    let stored = service.create_participant(stored).await;
    let before = service.contents().await;
    let sent = Participant { name: stored.name.clone(), ..Default::default() };
    for (changed, path) in [
        (Participant { display_name: "Ke\u{301}rim".into(), ..sent.clone() }, "display_name"),
        (Participant { names: vec![name("B"), name("Ke\u{301}"), name("B")], ..sent.clone() }, "names"),
        (Participant { external_ids: vec![id("e\u{301}"), id("1")], ..sent.clone() }, "external_ids"),
        (Participant { offices: vec![OfficeTerm::default()], ..sent.clone() }, "offices"),
    ] {
        assert_eq!(service.update_participant(changed, &[path]).await.unwrap(), stored, "{path}");
    }
    assert_eq!(service.contents().await, before);
    // An external id is found in every spelling.
    let twin = Participant { external_ids: vec![id("e\u{301}")], ..person("Somebody", "AZ") };
    let request = readout::pb::CreateParticipantRequest { participant: Some(twin), ..Default::default() };
    let refused = service.participants.clone().create_participant(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateExternalId));
}

#[tokio::test]
async fn a_meeting_gets_no_revision_for_another_spelling() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    let label =
        |key: &str| Meeting { name: meeting.name.clone(), labels: labels(&[(key, "é")]), ..Default::default() };
    let labelled = service.update_meeting(label("clé"), &["labels"]).await.unwrap();
    assert_eq!(service.update_meeting(label("cle\u{301}"), &["labels"]).await.unwrap(), labelled);

    let ruled = |summary: &str, topics: [&str; 2], place| Account {
        summary: summary.into(),
        topics: topics.map(str::to_owned).into(),
        place,
        ..Default::default()
    };
    let paths = ["account.summary", "account.topics", "account.place"];
    let first = service.rule(&meeting.name, ruled("été", ["a", "b"], None), &paths).await.unwrap();
    let before = service.contents().await;
    let again = service
        .rule(
            &meeting.name,
            ruled("e\u{301}te\u{301}", ["b", "a"], Some(Place::default())),
            &[paths[2], paths[0], paths[1]],
        )
        .await;
    assert_eq!(again.unwrap(), first);
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn labels_whose_keys_differ_only_in_normal_form_are_refused() {
    let service = Service::start().await;
    let twice = Article { labels: labels(&[("é", "1"), ("e\u{301}", "2")]), ..article("urn:a") };
    let request = CreateArticleRequest { article: Some(twice), ..Default::default() };
    let refused = service.articles.clone().create_article(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["article.labels[\"e\\u{301}\"]"]));
    let same = Article { labels: labels(&[("é", "1"), ("e\u{301}", "1")]), ..article("urn:a") };
    assert_eq!(service.create_article(same).await.labels, labels(&[("é", "1")]));
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_in_another_spelling() {
    let service = Service::start().await;
    let mut articles = service.articles.clone();
    let create = |article: Article| CreateArticleRequest {
        article: Some(article),
        request_id: "r-1".into(),
        ..Default::default()
    };
    let first = articles.create_article(create(full_article())).await.unwrap().into_inner();
    let respelled = Article {
        alternate_uris: vec!["urn:a".into(), "urn:b".into()],
        title: "Ve\u{301}liyev rec\u{327}oit".into(),
        publisher: Some(Publisher::default()),
        ..full_article()
    };
    let again = articles.create_article(create(respelled)).await.unwrap().into_inner();
    assert_eq!(again, first);
    let other = Article { title: "Veliyev".into(), ..full_article() };
    let refused = articles.create_article(create(other)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));

    let update = |title: &str, paths: &[&str]| UpdateArticleRequest {
        request_id: "r-2".into(),
        update_mask: mask(paths),
        ..of_article(Article { name: first.name.clone(), title: title.into(), ..Default::default() }, &[])
    };
    let mut updated =
        async |title, paths| articles.update_article(update(title, paths)).await.map(Response::into_inner);
    let title = updated("Été", &["title", "section"]).await.unwrap();
    assert_eq!(updated("E\u{301}te\u{301}", &["section", "title"]).await.unwrap(), title);
    assert_eq!(title.revision, 2);

    let story = story("urn:story", &[person("Kérim", "AZ")]);
    let mut respelled = story.clone();
    respelled.reports[0].account.as_mut().unwrap().place = Some(Place::default());
    respelled.participants[0].participant.as_mut().unwrap().display_name = "Ke\u{301}rim".into();
    let mut ingest_service = service.ingest.clone();
    let mut repeat = async |story| {
        let request = IngestStoryRequest { request_id: "r-3".into(), ..ingest(story) };
        ingest_service.ingest_story(request).await.map(Response::into_inner)
    };
    let first = repeat(story).await.unwrap();
    assert_eq!(repeat(respelled).await.unwrap(), first, "the first answer is returned: CREATED");
}
