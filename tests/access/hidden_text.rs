//! Roles of those who hide, show and erase texts: a writer hides, a curator shows again, an admin erases.

use readout::{
    model::role::Role,
    pb::{
        Article, CreateArticleRequest, EraseArticleTextRequest, ErrorReason, GetArticleRequest, IngestStoryRequest,
        Story, UpdateArticleRequest, article::TextRights, ingest_stories_response::Outcome,
    },
};
use tonic::{Code, Response, Status};

use super::{api_tokens, start, token, with};
use crate::support::{
    Service,
    calls::of_article,
    make::{TEXT, article, ingest, streamed},
    metadata_of, reason_of, refused,
};

/// A service with an article of another writer, and a token for each role from writer on.
async fn with_article() -> (Service, Article, [String; 3]) {
    let service = start(api_tokens()).await;
    let author = token(&service.database, "author", Role::Writer).await.reveal();
    let create = CreateArticleRequest { article: Some(article("urn:a")), ..Default::default() };
    let article = service.articles.clone().create_article(with(&author, create)).await.unwrap().into_inner();
    let mut tokens = Vec::new();
    for role in [Role::Writer, Role::Curator, Role::Admin] {
        tokens.push(token(&service.database, role.as_str(), role).await.reveal().to_string());
    }
    (service, article, tokens.try_into().unwrap())
}

async fn update(service: &Service, token: &str, request: UpdateArticleRequest) -> Result<Article, Status> {
    service.articles.clone().update_article(with(token, request)).await.map(Response::into_inner)
}

fn rights(of: &Article, rights: TextRights) -> UpdateArticleRequest {
    let sent = Article { name: of.name.clone(), text_rights: rights.into(), ..Default::default() };
    of_article(sent, &["text_rights"])
}

async fn text(service: &Service, token: &str, of: &Article) -> String {
    let request = GetArticleRequest { name: of.name.clone(), ..Default::default() };
    service.articles.clone().get_article(with(token, request)).await.unwrap().into_inner().text
}

fn erase(of: &Article) -> EraseArticleTextRequest {
    EraseArticleTextRequest { name: of.name.clone(), reason: "Claim 7".into(), ..Default::default() }
}

#[track_caller]
fn hidden(status: Status, of: &Article) {
    assert_eq!((metadata_of(&status, "required"), metadata_of(&status, "role")), ("CURATOR".into(), "WRITER".into()));
    refused(status, Code::PermissionDenied, ErrorReason::TextHidden, &of.name);
}

#[tokio::test]
async fn writer_hides_a_text_that_only_a_curator_shows_and_an_admin_erases() {
    let (service, article, [writer, curator, admin]) = with_article().await;
    update(&service, &writer, rights(&article, TextRights::Withheld)).await.unwrap();
    for token in [&writer, &curator, &admin] {
        assert_eq!(text(&service, token, &article).await, "");
    }
    for wanted in [TextRights::FullText, TextRights::Excerpt, TextRights::Unspecified] {
        hidden(update(&service, &writer, rights(&article, wanted)).await.unwrap_err(), &article);
        let validated = UpdateArticleRequest { validate_only: true, ..rights(&article, wanted) };
        hidden(update(&service, &writer, validated).await.unwrap_err(), &article);
    }
    // Sending the text, this one or another, does not help.
    for own in [TEXT, "Own words."] {
        let sent = Article {
            name: article.name.clone(),
            text: own.into(),
            text_rights: TextRights::FullText.into(),
            ..Default::default()
        };
        let request = of_article(sent, &["text", "text_rights"]);
        hidden(update(&service, &writer, request).await.unwrap_err(), &article);
    }
    // Other fields are still a writer's, and hiding again changes nothing.
    let titled = Article { name: article.name.clone(), title: "Talks".into(), ..Default::default() };
    update(&service, &writer, of_article(titled, &["title"])).await.unwrap();
    let again = update(&service, &writer, rights(&article, TextRights::Withheld)).await.unwrap();
    assert_eq!(again.revision, 3);

    let shown = update(&service, &curator, rights(&article, TextRights::FullText)).await.unwrap();
    assert_eq!((shown.text.as_str(), text(&service, &writer, &article).await.as_str()), (TEXT, TEXT));
    for token in [&writer, &curator] {
        let status = service.articles.clone().erase_article_text(with(token, erase(&article))).await.unwrap_err();
        assert_eq!((status.code(), reason_of(&status)), (Code::PermissionDenied, ErrorReason::RoleTooLow));
    }
    assert_eq!(text(&service, &writer, &article).await, TEXT);
    service.articles.clone().erase_article_text(with(&admin, erase(&article))).await.unwrap();
    assert_eq!(text(&service, &admin, &article).await, "");
    hidden(update(&service, &writer, rights(&article, TextRights::FullText)).await.unwrap_err(), &article);
}

#[tokio::test]
async fn stories_of_a_writer_do_not_show_a_hidden_text() {
    let (service, hidden_article, [writer, curator, _]) = with_article().await;
    let story = |text: &str, rights: TextRights| {
        let article = Article { text: text.into(), text_rights: rights.into(), ..article("urn:a") };
        Story { article: Some(article), ..Default::default() }
    };
    let send = |token: &str, story: Story| {
        let request = with(token, IngestStoryRequest { allow_update: true, ..ingest(story) });
        let mut client = service.ingest.clone();
        async move { client.ingest_story(request).await.map(Response::into_inner) }
    };
    send(&writer, story("", TextRights::Withheld)).await.unwrap();
    assert_eq!(text(&service, &curator, &hidden_article).await, "");
    let attempts = [("", TextRights::FullText), (TEXT, TextRights::FullText), (TEXT, TextRights::Unspecified)];
    for (text, rights) in attempts {
        hidden(send(&writer, story(text, rights)).await.unwrap_err(), &hidden_article);
    }
    // In a stream, only the story is refused.
    let streamed_story = |story| readout::pb::IngestStoriesRequest { allow_update: true, ..streamed(story) };
    let other = Story { article: Some(article("urn:other")), ..Default::default() };
    let stories = tokio_stream::iter([streamed_story(story(TEXT, TextRights::FullText)), streamed_story(other)]);
    let mut outcomes = service.ingest.clone().ingest_stories(with(&writer, stories)).await.unwrap().into_inner();
    let first = outcomes.message().await.unwrap().unwrap().outcome.unwrap();
    assert!(matches!(first, Outcome::Status(status) if status.code == Code::PermissionDenied as i32));
    let second = outcomes.message().await.unwrap().unwrap().outcome.unwrap();
    assert!(matches!(second, Outcome::Result(_)), "{second:?}");
    assert_eq!(text(&service, &curator, &hidden_article).await, "");

    send(&curator, story("", TextRights::FullText)).await.unwrap();
    assert_eq!(text(&service, &writer, &hidden_article).await, TEXT);
}
