//! Articles in the requested view: with or without their texts, current or as of a time.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    fairness::heavy,
    model::{
        article::{may_store_text, parse_text_hash},
        resource::{Collection, Resource},
    },
    pb::{Article, View},
    service::{Api, FIELD_BYTES, error::ServiceError, in_order, read::history::records},
    store::{Doc, article},
};

/// Decodes articles in the order of the ids. The FULL view adds their texts.
pub async fn in_view(api: &Api, ids: &[Uuid], docs: &[Doc], view: View) -> Result<Vec<Article>, ServiceError> {
    let articles = in_order(ids, docs)?;
    if view == View::Basic {
        api.require_docs_fit(Collection::Articles, ids, docs)?;
        return Ok(articles);
    }
    let sizes = article::text_sizes(api.store.reads(), ids).await?;
    let bytes = |id: &Uuid| {
        // The text has a tag and a length, too.
        let text = sizes.get(id).map_or(0, |bytes| bytes + FIELD_BYTES);
        text + docs.iter().find(|doc| doc.id == *id).map_or(0, |doc| doc.bytes.len())
    };
    api.require_all_fit(ids.iter().map(|id| (Collection::Articles.name(*id), bytes(id))))?;
    heavy::begin(ids.iter().map(bytes).sum()).await;
    with_texts(api, articles).await
}

/// Adds the stored text to an article.
pub async fn with_text(api: &Api, article: Article) -> Result<Article, ServiceError> {
    Ok(with_texts(api, vec![article]).await?.remove(0))
}

/// Adds the stored text to a revision that is about to show it again, after it was hidden.
pub async fn with_hidden_text(api: &Api, mut article: Article) -> Result<Article, ServiceError> {
    if let Some(key) = article.id().zip(parse_text_hash(&article.text_sha256)) {
        article.text = article::hidden_text(api.store.reads(), key).await?.unwrap_or_default();
    }
    Ok(article)
}

/// Adds their stored texts to articles. Those of articles that hide their text stay without.
pub async fn with_texts(api: &Api, mut articles: Vec<Article>) -> Result<Vec<Article>, ServiceError> {
    let key = |article: &Article| Some((article.id()?, parse_text_hash(&article.text_sha256)?));
    let keys: Vec<_> = articles.iter().filter(|article| may_store_text(article)).filter_map(key).collect();
    if keys.is_empty() {
        return Ok(articles);
    }
    let texts = article::texts(api.store.reads(), &keys).await?;
    for article in articles.iter_mut().filter(|article| may_store_text(article)) {
        if let Some(text) = article.id().and_then(|id| texts.get(&id)) {
            article.text.clone_from(text);
        }
    }
    Ok(articles)
}

/// Reads articles as of a time, in the order of the ids.
pub async fn as_of(api: &Api, ids: &[Uuid], view: View, time: DateTime<Utc>) -> Result<Vec<Article>, ServiceError> {
    let articles: Vec<Article> = records(api, ids, time).await?;
    if view == View::Basic {
        return Ok(articles);
    }
    // A text has at least as many bytes as characters: this check avoids reading most texts that would not fit.
    let characters = |article: &Article| usize::try_from(article.text_length).unwrap_or(0);
    let with_text = articles.iter().filter(|article| may_store_text(article));
    api.require_all_fit(with_text.map(|article| (article.name.clone(), characters(article))))?;
    let articles = with_texts(api, articles).await?;
    api.require_records_fit(&articles)?;
    Ok(articles)
}
