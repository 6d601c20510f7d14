//! ArticleService.ListArticles and StreamArticles: pages of articles, with snippets of the search matches.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::view::with_texts;
use crate::{
    model::{
        query::{filter, order, search::SearchQuery},
        resource::Collection,
    },
    pb::{Article, ListArticlesRequest, ListArticlesResponse, View, snippet::Source},
    service::{
        Api,
        error::ServiceError,
        read::{
            as_of::with_former,
            pagination::Cursor,
            snippets::{SearchedText, snippets},
        },
    },
    store::{
        article,
        query::{
            QueryClass,
            list::{Keyset, ListQuery, list},
        },
    },
};

/// Parses a request into the start of its page, the query and the view.
pub(super) async fn parse_query(
    api: &Api,
    request: &ListArticlesRequest,
    budget: Duration,
    time: Option<DateTime<Utc>>,
) -> Result<(Cursor, ListQuery, View), ServiceError> {
    let filter = filter::parse(filter::ARTICLES, &request.filter).map_err(ServiceError::Filter)?;
    let question = SearchQuery::read(&request.query, &request.query_language);
    let order = order::parse_with_query(order::ARTICLES, &request.order_by, question.is_some());
    let order = order.map_err(ServiceError::Order)?;
    let cursor = Cursor::of(request, api.token_key, api.feed.head())?;
    let mut query = ListQuery { filter, question, show_deleted: request.show_deleted, order, former: None };
    if let Some(time) = time {
        let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
        let _permit = api.begin_former().await;
        query = with_former(api, &mut db, Collection::Articles, query, time).await?;
    }
    Ok((cursor, query, request.view()))
}

/// Reads a page, and returns it with the keyset of its last record if there are more.
pub(super) async fn page(
    api: Api,
    budget: Duration,
    cursor: Cursor,
    query: ListQuery,
    view: View,
) -> Result<(ListArticlesResponse, Option<Keyset>), ServiceError> {
    let mut db = api.store.bounded_query(cursor.class, budget).await?;
    let mut page = list(&mut db, Collection::Articles, &query, cursor.after, cursor.size).await?;
    let has_texts = view == View::Full || query.question.is_some();
    if has_texts {
        let ids: Vec<Uuid> = page.docs.iter().map(|doc| doc.id).collect();
        let sizes = article::text_sizes(api.store.reads(), &ids).await?;
        page.cut(|doc| sizes.get(&doc.id).copied().unwrap_or(0));
    }
    let next = page.next();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let as_of = cursor.as_of.to_string();
    let mut articles: Vec<Article> = page.docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    if has_texts {
        articles = with_texts(&api, articles).await?;
    }
    let snippets = match &query.question {
        Some(question) => snippets(&mut db, question, &articles.iter().map(searched_texts).collect::<Vec<_>>()).await?,
        None => Vec::new(),
    };
    if view != View::Full {
        articles.iter_mut().for_each(|article| article.text.clear());
    }
    Ok((ListArticlesResponse { articles, next_page_token, as_of, snippets }, next))
}

/// The texts of an article that are searched.
fn searched_texts(article: &Article) -> Vec<SearchedText<'_>> {
    let texts = [(Source::Text, &article.text), (Source::Title, &article.title)];
    texts.map(|(source, text)| SearchedText::new(source, text, &article.language_code)).into()
}
