//! One text and its history: hidden, shown again and erased, with two attempts that were refused.

use readout::{
    model::role::Role,
    pb::{Article, CreateArticleRequest, EraseArticleTextRequest, UpdateArticleRequest, article::TextRights},
};
use tonic::{Code, Status};

use super::events_when;
use crate::{
    access,
    support::{Service, calls::of_article, make},
};

/// Gives the text of an article these rights.
async fn rights(service: &Service, token: &str, name: &str, rights: TextRights) -> Result<(), Status> {
    let sent = Article { name: name.into(), text_rights: rights.into(), ..Default::default() };
    let request: UpdateArticleRequest = of_article(sent, &["text_rights"]);
    service.articles.clone().update_article(access::with(token, request)).await.map(drop)
}

async fn erase(service: &Service, token: &str, name: &str) -> Result<(), Status> {
    let request = EraseArticleTextRequest { name: name.into(), reason: "Claim 7".into(), ..Default::default() };
    service.articles.clone().erase_article_text(access::with(token, request)).await.map(drop)
}

/// `ops/audit.md` shows this history to operators.
#[tokio::test]
async fn auditor_finds_each_act_on_a_text_and_each_attempt_that_was_refused() {
    let service = access::start(access::api_tokens()).await;
    let token = async |name, role| access::token(&service.database, name, role).await.reveal();
    let (desk, editor) = (token("desk", Role::Writer).await, token("editor", Role::Curator).await);
    let (office, auditor) = (token("office", Role::Admin).await, token("auditor", Role::Admin).await);
    let create = CreateArticleRequest { article: Some(make::article("urn:a")), ..Default::default() };
    let article = service.articles.clone().create_article(access::with(&desk, create)).await.unwrap().into_inner().name;

    rights(&service, &desk, &article, TextRights::Withheld).await.unwrap();
    let refused = rights(&service, &desk, &article, TextRights::FullText).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    rights(&service, &editor, &article, TextRights::FullText).await.unwrap();
    let refused = erase(&service, &editor, &article).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    erase(&service, &office, &article).await.unwrap();

    // The acts, and the attempt on this article.
    let found = events_when(&service, Some(&auditor), &format!("name = \"{article}\""), |found| found.len() == 5).await;
    let mut acts: Vec<_> = found
        .iter()
        .map(|event| (event.principal.as_str(), event.method.rsplit('/').next().unwrap(), event.outcome.as_str()))
        .collect();
    // An attempt is stored up to two seconds later.
    let attempt = ("token/desk", "UpdateArticle", "TEXT_HIDDEN");
    acts.retain(|act| *act != attempt);
    assert_eq!(
        acts,
        [
            ("token/desk", "CreateArticle", "OK"),
            ("token/desk", "UpdateArticle", "OK"),
            ("token/editor", "UpdateArticle", "OK"),
            ("token/office", "EraseArticleText", "OK"),
        ]
    );
    assert_eq!(found.iter().find(|event| event.method.ends_with("EraseArticleText")).unwrap().reason, "Claim 7");

    // All attempts: a role that is too low is refused before the message is read, so that event names no record.
    let attempts = events_when(&service, Some(&auditor), "outcome = TEXT_HIDDEN OR outcome = ROLE_TOO_LOW", |found| {
        found.len() == 2
    });
    let mut attempts: Vec<_> = attempts
        .await
        .into_iter()
        .map(|event| (event.principal, event.method.rsplit('/').next().unwrap().to_owned(), event.outcome, event.names))
        .collect();
    attempts.sort();
    let attempt = |principal: &str, method: &str, outcome: &str, names: &[&String]| {
        let names: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
        (principal.to_owned(), method.to_owned(), outcome.to_owned(), names)
    };
    assert_eq!(
        attempts,
        [
            attempt("token/desk", "UpdateArticle", "TEXT_HIDDEN", &[&article]),
            attempt("token/editor", "EraseArticleText", "ROLE_TOO_LOW", &[]),
        ]
    );
}
