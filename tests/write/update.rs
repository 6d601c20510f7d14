//! `UpdateArticle` and `UpdateParticipant`.

use readout::pb::{
    Article, CreateArticleRequest, ErrorReason, IngestStoryRequest, Participant, ParticipantName, Publisher,
    UpdateArticleRequest, UpdateParticipantRequest, article::TextRights, ingest_story_response::Outcome,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    calls::{mask, of_article, of_participant},
    make::{TEXT, article, ingest, labels, person, story, wikidata},
    metadata_of, refused,
};

#[tokio::test]
async fn update_article_replaces_only_the_masked_fields() {
    let mut service = Service::start().await;
    let publisher = Some(Publisher { display_name: "Azernews".into(), region_code: "AZ".into() });
    let first = Article {
        title: "Talks".into(),
        section: "Politics".into(),
        publisher,
        labels: labels(&[("desk", "home"), ("kept", "yes")]),
        ..article("urn:a")
    };
    let first = service.create_article(first).await;
    let sent = Article {
        name: first.name.clone(),
        title: "A visit".into(),
        uri: "urn:ignored".into(),
        publisher: Some(Publisher { display_name: "Trend".into(), region_code: "nowhere".into() }),
        labels: labels(&[("desk", "foreign")]),
        ..Default::default()
    };
    let request = of_article(sent, &["title", "publisher.display_name", "labels.desk", "section"]);
    let updated = service.articles.update_article(request).await.unwrap();
    assert!(updated.metadata().contains_key("readout-position"));
    let updated = updated.into_inner();
    let expected = Article {
        title: "A visit".into(),
        section: String::new(),
        publisher: Some(Publisher { display_name: "Trend".into(), region_code: "AZ".into() }),
        labels: labels(&[("desk", "foreign"), ("kept", "yes")]),
        revision: 2,
        etag: updated.etag.clone(),
        update_time: updated.update_time,
        ..first.clone()
    };
    assert_eq!(updated, expected);
    assert_eq!(updated.text, TEXT);
    assert_ne!(updated.etag, first.etag);
    assert_eq!(service.article(&first.name).await, updated);
    assert_eq!(service.count("select count(*) from change where kind = 2").await, 1);
    assert_eq!(service.count("select count(*) from superseded").await, 1);
}

#[tokio::test]
async fn update_participant_replaces_the_set_fields_without_a_mask_and_all_with_a_star() {
    let mut service = Service::start().await;
    let first = Participant { note: "A remark.".into(), external_ids: wikidata("Q1"), ..person("K. Veliyev", "AZ") };
    let first = service.create_participant(first).await;
    let sent = Participant { name: first.name.clone(), display_name: "Kerim Veliyev".into(), ..Default::default() };
    let request = UpdateParticipantRequest { participant: Some(sent), ..Default::default() };
    let second = service.participants.update_participant(request).await.unwrap().into_inner();
    assert_eq!((second.display_name.as_str(), second.note.as_str()), ("Kerim Veliyev", "A remark."));
    assert_eq!((second.region_code.as_str(), second.kind), ("AZ", first.kind));

    let sent = Participant { name: first.name.clone(), ..person("Karim Valiyev", "") };
    let third = service.update_participant(sent.clone(), &["*"]).await.unwrap();
    let expected = Participant {
        etag: third.etag.clone(),
        revision: 3,
        create_time: first.create_time,
        update_time: third.update_time,
        ..sent
    };
    assert_eq!(third, expected);
}

#[tokio::test]
async fn update_article_without_a_change_makes_no_revision_but_records_its_request_id() {
    let mut service = Service::start().await;
    let first = service.create_article(Article { title: "Talks".into(), ..article("urn:a") }).await;
    let before = service.contents().await;
    let sent = Article { name: first.name.clone(), title: "Talks".into(), text: TEXT.into(), ..Default::default() };
    let request = UpdateArticleRequest { request_id: "r".into(), ..of_article(sent, &["title", "text"]) };
    let same = service.articles.update_article(request.clone()).await.unwrap();
    assert!(same.metadata().contains_key("readout-position"));
    assert_eq!(same.into_inner(), first);
    assert_eq!(service.update_article(first.clone(), &["*"]).await.unwrap(), first);
    assert_eq!(service.contents().await, before);

    let other = Article { name: first.name.clone(), title: "A visit".into(), ..Default::default() };
    service.update_article(other, &["title"]).await.unwrap();
    assert_eq!(service.articles.update_article(request).await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn update_article_writes_nothing_when_validate_only() {
    let mut service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let before = service.contents().await;
    let sent = Article { title: "A visit".into(), ..first.clone() };
    let request = UpdateArticleRequest { validate_only: true, ..of_article(sent, &["title"]) };
    let checked = service.articles.update_article(request).await.unwrap();
    assert!(!checked.metadata().contains_key("readout-position"));
    let checked = checked.into_inner();
    assert_eq!((checked.title.as_str(), checked.etag.as_str(), checked.text.as_str()), ("A visit", "", TEXT));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn update_article_refuses_an_outdated_etag_and_returns_the_current_one() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let other = service.create_article(article("urn:b")).await;
    let title = |etag: &str, title: &str| Article {
        name: first.name.clone(),
        etag: etag.into(),
        title: title.into(),
        ..Default::default()
    };
    let second = service.update_article(title(&first.etag, "A visit"), &["title"]).await.unwrap();
    for outdated in [&first.etag, &other.etag, "x"] {
        // An outdated etag is refused even if the update would change nothing.
        for value in ["A visit", "Talks"] {
            let status = service.update_article(title(outdated, value), &["title"]).await.unwrap_err();
            assert_eq!(metadata_of(&status, "etag"), second.etag);
            refused(status, Code::Aborted, ErrorReason::EtagMismatch, &first.name);
        }
    }
    service.update_article(title(&second.etag, "Talks"), &["title"]).await.unwrap();
}

#[tokio::test]
async fn update_refuses_a_record_that_is_deleted_or_missing() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    service.delete_article(&first.name).await.unwrap();
    service.delete_participant(&veliyev.name).await.unwrap();
    let (code, reason) = (Code::FailedPrecondition, ErrorReason::ResourceDeleted);
    let sent = Article { name: first.name.clone(), title: "A visit".into(), ..Default::default() };
    refused(service.update_article(sent, &["title"]).await.unwrap_err(), code, reason, &first.name);
    let sent = Participant { name: veliyev.name.clone(), note: "x".into(), ..Default::default() };
    refused(service.update_participant(sent, &["note"]).await.unwrap_err(), code, reason, &veliyev.name);
    let name = format!("articles/{}", Uuid::nil());
    let status = service.update_article(Article { name: name.clone(), ..Default::default() }, &["title"]).await;
    refused(status.unwrap_err(), Code::NotFound, ErrorReason::ResourceNotFound, &name);
}

#[tokio::test]
async fn update_participant_reports_all_violations_at_once() {
    let mut service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let sent = Participant { name: veliyev.name.clone(), region_code: "nowhere".into(), ..Default::default() };
    // Fields outside of the mask are not validated.
    service.update_participant(sent.clone(), &["note"]).await.unwrap();
    let wrong = service.update_participant(sent.clone(), &["display_name", "kind", "region_code"]).await.unwrap_err();
    let fields = ["participant.kind", "participant.display_name", "participant.region_code", "participant.region_code"];
    assert_eq!(Refused::from(wrong), Refused::invalid(fields));

    let paths = ["note", "nte", "names.text", "create_time", "labels.", "name"];
    let request = UpdateParticipantRequest { request_id: "r".repeat(65), ..of_participant(sent.clone(), &paths) };
    let wrong = service.participants.update_participant(request).await.unwrap_err();
    let fields = [
        "request_id",
        "update_mask.paths[1]",
        "update_mask.paths[2]",
        "update_mask.paths[3]",
        "update_mask.paths[4]",
        "update_mask.paths[5]",
    ];
    assert_eq!(Refused::from(wrong), Refused::invalid(fields));

    let wrong = service.participants.update_participant(UpdateParticipantRequest::default()).await.unwrap_err();
    assert_eq!(Refused::from(wrong), Refused::invalid(["participant"]));
    for name in [String::new(), veliyev.name.replace("participants", "meetings")] {
        let wrong = service.update_participant(Participant { name, ..sent.clone() }, &["note"]).await.unwrap_err();
        assert_eq!(Refused::from(wrong), Refused::invalid(["participant.name"]));
    }
}

#[tokio::test]
async fn update_article_claims_new_uris_and_releases_old_ones() {
    let service = Service::start().await;
    let first = Article { alternate_uris: vec!["urn:b".into()], ..article("urn:a") };
    let first = service.create_article(first).await;
    let other = service.create_article(article("urn:other")).await;
    let uri = |uri: &str| Article { name: first.name.clone(), uri: uri.into(), ..Default::default() };
    let status = service.update_article(uri("urn:other"), &["uri"]).await.unwrap_err();
    assert_eq!(metadata_of(&status, "uri"), "urn:other");
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateArticle, &other.name);

    service.update_article(uri("urn:c"), &["uri"]).await.unwrap();
    service.create_article(article("urn:a")).await;
    for taken in ["urn:b", "urn:c"] {
        let request = CreateArticleRequest { article: Some(article(taken)), ..Default::default() };
        let status = service.articles.clone().create_article(request).await.unwrap_err();
        refused(status, Code::AlreadyExists, ErrorReason::DuplicateArticle, &first.name);
    }
}

#[tokio::test]
async fn update_article_keeps_the_text_until_another_is_sent() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let text = |text: &str| Article { name: first.name.clone(), text: text.into(), ..Default::default() };
    let second = service.update_article(Article { title: "x".into(), ..text("") }, &["title"]).await.unwrap();
    assert_eq!((&second.text, &second.text_sha256), (&first.text, &first.text_sha256));
    let third = service.update_article(text("Cafe\u{301}"), &["text"]).await.unwrap();
    assert_eq!((third.text.as_str(), third.text_length), ("Caf\u{e9}", 4));
    assert_eq!(service.article(&first.name).await, third);
    let fourth = service.update_article(text(""), &["text"]).await.unwrap();
    assert_eq!((fourth.text.as_str(), fourth.text_length, fourth.text_sha256.as_str()), ("", 0, ""));
    assert_eq!(service.article(&first.name).await, fourth);
    let long = service.update_article(text(&"x".repeat(1024 * 1024 + 1)), &["text"]).await.unwrap_err();
    assert_eq!(Refused::from(long), Refused::invalid(["article.text"]));
}

#[tokio::test]
async fn update_article_to_withheld_hides_the_text_and_keeps_its_digest() {
    let mut service = Service::start().await;
    let request =
        CreateArticleRequest { article: Some(article("urn:a")), request_id: "r".into(), ..Default::default() };
    let first = service.articles.create_article(request.clone()).await.unwrap().into_inner();
    let rights = |rights: TextRights| Article {
        name: first.name.clone(),
        text_rights: rights.into(),
        title: "Talks".into(),
        ..Default::default()
    };
    let second = service.update_article(rights(TextRights::Withheld), &["text_rights"]).await.unwrap();
    assert_eq!((second.text.as_str(), &second.text_sha256), ("", &first.text_sha256));
    assert_eq!(service.article(&first.name).await, second);
    // The repeated response to the create request does not show the text either.
    assert_eq!(service.articles.create_article(request).await.unwrap().into_inner().text, "");
    // A replacement of all fields keeps the digest of the withheld text.
    let sent = Article { uri: "urn:a".into(), ..rights(TextRights::Withheld) };
    let third = service.update_article(sent, &["*"]).await.unwrap();
    assert_eq!((third.title.as_str(), &third.text_sha256), ("Talks", &first.text_sha256));
    let fourth = service.update_article(rights(TextRights::FullText), &["text_rights"]).await.unwrap();
    assert_eq!((&fourth.text, &fourth.text_sha256), (&first.text, &first.text_sha256));
    assert_eq!(service.article(&first.name).await, fourth);
}

#[tokio::test]
async fn repeated_request_returns_the_text_of_its_own_revision() {
    let mut service = Service::start().await;
    let request =
        CreateArticleRequest { article: Some(article("urn:a")), request_id: "r".into(), ..Default::default() };
    let first = service.articles.create_article(request.clone()).await.unwrap().into_inner();
    let sent = Article { name: first.name.clone(), text: "Other words.".into(), ..Default::default() };
    let update = UpdateArticleRequest { request_id: "r".into(), ..of_article(sent, &["text"]) };
    let second = service.articles.update_article(update.clone()).await.unwrap().into_inner();
    assert_eq!(second.text, "Other words.");
    assert_eq!(service.articles.create_article(request).await.unwrap().into_inner(), first);
    assert_eq!(service.articles.update_article(update.clone()).await.unwrap().into_inner(), second);
    let other = UpdateArticleRequest { update_mask: mask(&["title"]), ..update };
    let status = service.articles.update_article(other).await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));
}

#[tokio::test]
async fn update_article_refuses_a_syndication_source_that_is_deleted_or_a_cycle() {
    let service = Service::start().await;
    let mut names = Vec::new();
    for uri in ["urn:0", "urn:1", "urn:2", "urn:3"] {
        names.push(service.create_article(article(uri)).await.name);
    }
    let copy =
        |at: usize, of: &str| Article { name: names[at].clone(), syndicated_from: of.into(), ..Default::default() };
    let update = async |at: usize, of: &str| service.update_article(copy(at, of), &["syndicated_from"]).await;
    update(1, &names[0]).await.unwrap();
    update(2, &names[1]).await.unwrap();
    for of in [0, 1, 2] {
        let status = update(0, &names[of]).await.unwrap_err();
        assert_eq!(Refused::from(status), Refused::invalid(["article.syndicated_from"]), "{of}");
    }
    service.delete_article(&names[3]).await.unwrap();
    let status = update(0, &names[3]).await.unwrap_err();
    refused(status, Code::FailedPrecondition, ErrorReason::ResourceDeleted, &names[3]);
    let missing = format!("articles/{}", Uuid::nil());
    refused(update(0, &missing).await.unwrap_err(), Code::NotFound, ErrorReason::ResourceNotFound, &missing);

    let mut cyclic = story("urn:0", &[person("V", "AZ")]);
    cyclic.article.as_mut().unwrap().syndicated_from.clone_from(&names[2]);
    let request = IngestStoryRequest { allow_update: true, ..ingest(cyclic) };
    let status = service.ingest.clone().ingest_story(request).await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::invalid(["story.article.syndicated_from"]));
    update(2, "").await.unwrap();
    update(0, &names[2]).await.unwrap();
}

#[tokio::test]
async fn updated_participant_is_matched_by_its_new_names_only() {
    let mut service = Service::start().await;
    let first = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let alias = ParticipantName { text: "Керим Велиев".into(), ..Default::default() };
    let sent = Participant {
        name: first.name.clone(),
        display_name: "Karim Valiyev".into(),
        region_code: "TR".into(),
        names: vec![alias],
        ..Default::default()
    };
    service.update_participant(sent, &["display_name", "region_code", "names"]).await.unwrap();
    assert_eq!(service.participants_where("region = TR").await, ["Karim Valiyev"]);
    assert_eq!(service.participants_where("name = \"керим велиев\"").await, ["Karim Valiyev"]);
    assert!(service.participants_where("name = \"Kerim Veliyev\" OR region = AZ").await.is_empty());

    let ingested = async |service: &mut Service, uri: &str, name: &str, region: &str| {
        let answer = service.ingest.ingest_story(ingest(story(uri, &[person(name, region)]))).await.unwrap();
        answer.into_inner().participants.remove(0)
    };
    assert_eq!(ingested(&mut service, "urn:a", "Karim Valiyev", "TR").await.name, first.name);
    assert_eq!(ingested(&mut service, "urn:b", "Керим Велиев", "TR").await.name, first.name);
    assert_eq!(ingested(&mut service, "urn:c", "Karim Valiyev", "AZ").await.outcome(), Outcome::Created);
    assert_eq!(ingested(&mut service, "urn:d", "Kerim Veliyev", "TR").await.outcome(), Outcome::Created);
}

#[tokio::test]
async fn update_participant_claims_new_external_ids_and_releases_old_ones() {
    let service = Service::start().await;
    let first = service.create_participant(Participant { external_ids: wikidata("Q1"), ..person("A", "") }).await;
    let other = service.create_participant(Participant { external_ids: wikidata("Q2"), ..person("B", "") }).await;
    let ids = |id: &str| Participant { name: first.name.clone(), external_ids: wikidata(id), ..Default::default() };
    let status = service.update_participant(ids("Q2"), &["external_ids"]).await.unwrap_err();
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateExternalId, &other.name);
    service.update_participant(ids("Q3"), &["external_ids"]).await.unwrap();
    let sent = Participant { name: other.name.clone(), external_ids: wikidata("Q1"), ..Default::default() };
    service.update_participant(sent.clone(), &["external_ids"]).await.unwrap();
    let sent = Participant { external_ids: wikidata("Q3"), ..sent };
    let status = service.update_participant(sent, &["external_ids"]).await.unwrap_err();
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateExternalId, &first.name);
}
