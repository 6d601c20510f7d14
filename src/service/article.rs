//! ArticleService.

use std::{pin::Pin, sync::Arc, time::SystemTime};

use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api, Prepared,
    call::{Call, check},
    id, ids, in_order, must_be_free, new_id,
    page::{Cursor, chunks},
    status::{MESSAGE_BYTES, Refusal},
};
use crate::{
    model::{
        article::{keeps_text, nfc, take_text, uris},
        filter::{self, Filter},
        resource::{Collection, Resource},
        rules::ClearOutput,
    },
    pb::{
        Article, BatchGetArticlesRequest, BatchGetArticlesResponse, CreateArticleRequest, GetArticleRequest,
        ListArticlesRequest, ListArticlesResponse, View, article_service_server::ArticleService,
    },
    store::{
        Doc, article,
        list::list,
        write::{Put, PutArticle, Write},
    },
};

#[tonic::async_trait]
impl ArticleService for Api {
    async fn create_article(&self, request: Request<CreateArticleRequest>) -> Result<Response<Article>, Status> {
        let mut request = request.into_inner();
        let call = Call::new(
            "readout.v1.ArticleService/CreateArticle",
            (&request.request_id, request.validate_only),
            &request,
        );
        if let Some(article) = &mut request.article {
            article.clear_output();
            nfc(&mut article.text);
        }
        check(&request).map_err(Refusal::from)?;
        let prepare = || async {
            match call.once(&self.store, prepare(self, &call, &request)).await? {
                // It was remembered without its text.
                Prepared::Unchanged(answer) => Ok(Prepared::Unchanged(with_texts(self, vec![answer]).await?.remove(0))),
                prepared => Ok(prepared),
            }
        };
        self.respond(prepare).await
    }

    async fn get_article(&self, request: Request<GetArticleRequest>) -> Result<Response<Article>, Status> {
        let request = request.into_inner();
        check(&request).map_err(Refusal::from)?;
        let id = id::<Article>(&request.name)?;
        let doc = self.store.by_id().articles.get(id).await.map_err(Refusal::from)?;
        let Some(doc) = doc else { return Err(Refusal::NotFound(request.name).into()) };
        let mut articles = in_view(self, &[id], &[Arc::unwrap_or_clone(doc)], request.view()).await?;
        articles.pop().map(Response::new).ok_or_else(|| Refusal::NotFound(request.name).into())
    }

    async fn batch_get_articles(
        &self,
        request: Request<BatchGetArticlesRequest>,
    ) -> Result<Response<BatchGetArticlesResponse>, Status> {
        let request = request.into_inner();
        check(&request).map_err(Refusal::from)?;
        let ids = ids::<Article>(&request.names);
        let docs = article::get(self.store.reads(), &ids).await?;
        let articles = in_view(self, &ids, &docs, request.view()).await?;
        Ok(Response::new(BatchGetArticlesResponse { articles }))
    }

    async fn list_articles(
        &self,
        request: Request<ListArticlesRequest>,
    ) -> Result<Response<ListArticlesResponse>, Status> {
        let (cursor, filter, view) = question(self, &request.into_inner())?;
        Ok(Response::new(page(self.clone(), cursor, filter, view).await?.0))
    }

    type StreamArticlesStream = Pin<Box<dyn Stream<Item = Result<ListArticlesResponse, Status>> + Send>>;

    async fn stream_articles(
        &self,
        request: Request<ListArticlesRequest>,
    ) -> Result<Response<Self::StreamArticlesStream>, Status> {
        let (cursor, filter, view) = question(self, &request.into_inner())?;
        let api = self.clone();
        let chunks = chunks(self, cursor, move |cursor| page(api.clone(), cursor, filter.clone(), view));
        Ok(Response::new(Box::pin(chunks)))
    }
}

async fn prepare(api: &Api, call: &Call, request: &CreateArticleRequest) -> Result<Prepared<Article>, Refusal> {
    let id = new_id(&request.article_id);
    must_be_free::<Article>(&api.store, &request.article_id, id).await?;
    let mut article = request.article.clone().unwrap_or_default();
    let asked: Vec<&str> = uris(&article).collect();
    if let Some((uri, owner)) = article::find(api.store.reads(), &asked).await?.into_iter().min() {
        return Err(Refusal::DuplicateArticle { name: Collection::Articles.name(owner), uri });
    }
    let origin = origin(api, &article, id).await?;
    let text = take_text(&mut article);
    let shown = |mut article: Article| {
        if keeps_text(&article) {
            article.text.clone_from(&text);
        }
        article
    };
    if request.validate_only {
        article.name.clear();
        return Ok(Prepared::Validated(shown(article)));
    }
    article.begin(id, SystemTime::now());
    let put = put_new(id, article, origin, &text);
    let answer = shown(put.put.record.clone());
    let write = Write {
        actor: call.actor.clone(),
        request_id: call.request_id.clone(),
        answer: call.remember(&put.put.record),
        articles: vec![put],
        ..Default::default()
    };
    Ok(Prepared::Write(answer, vec![write]))
}

/// A new article with its text, which is kept where it may be.
pub(super) fn put_new(id: Uuid, article: Article, origin: Uuid, text: &str) -> PutArticle {
    let keep = keeps_text(&article) && !text.is_empty();
    PutArticle { text: keep.then(|| text.to_owned()), put: Put::new(id, article), origin, former_uris: Vec::new() }
}

/// The first article of the group of copies that this one belongs to: that of the article it was copied from, which
/// must be there, or itself.
pub(super) async fn origin(api: &Api, article: &Article, id: Uuid) -> Result<Uuid, Refusal> {
    let Some(source) = Collection::Articles.id(&article.syndicated_from) else { return Ok(id) };
    let origins = article::origins(api.store.reads(), &[source]).await?;
    origins.get(&source).copied().ok_or_else(|| Refusal::NotFound(article.syndicated_from.clone()))
}

/// The articles of these ids, in this order, of which these are the docs.
async fn in_view(api: &Api, ids: &[Uuid], docs: &[Doc], view: View) -> Result<Vec<Article>, Refusal> {
    let articles = in_order(ids, docs)?;
    if view == View::Basic {
        return Ok(articles);
    }
    let sizes = article::text_sizes(api.store.reads(), ids).await?;
    let bytes = |id: &Uuid| {
        sizes.get(id).unwrap_or(&0) + docs.iter().find(|doc| doc.id == *id).map_or(0, |doc| doc.bytes.len() + 16)
    };
    if ids.iter().map(bytes).sum::<usize>() > MESSAGE_BYTES {
        return Err(Refusal::TooLarge);
    }
    with_texts(api, articles).await
}

async fn with_texts(api: &Api, mut articles: Vec<Article>) -> Result<Vec<Article>, Refusal> {
    let ids: Vec<Uuid> = articles.iter().filter_map(Resource::id).collect();
    let texts = article::texts(api.store.reads(), &ids).await?;
    for article in &mut articles {
        if let Some(text) = article.id().and_then(|id| texts.get(&id)) {
            article.text.clone_from(text);
        }
    }
    Ok(articles)
}

fn question(api: &Api, request: &ListArticlesRequest) -> Result<(Cursor, Filter, View), Refusal> {
    check(request)?;
    let filter = filter::parse(filter::ARTICLES, &request.filter).map_err(Refusal::Filter)?;
    Ok((Cursor::of(request, api.token_key)?, filter, request.view()))
}

/// A page, and after which id the next one begins, if there is one.
async fn page(
    api: Api,
    cursor: Cursor,
    filter: Filter,
    view: View,
) -> Result<(ListArticlesResponse, Option<Uuid>), Refusal> {
    let mut page = list(api.store.reads(), Collection::Articles, &filter, cursor.after, cursor.size).await?;
    if view == View::Full {
        let ids: Vec<Uuid> = page.docs.iter().map(|doc| doc.id).collect();
        let sizes = article::text_sizes(api.store.reads(), &ids).await?;
        page.cut(|doc| sizes.get(&doc.id).copied().unwrap_or(0));
    }
    let next = page.next();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let mut articles: Vec<Article> = page.docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    if view == View::Full {
        articles = with_texts(&api, articles).await?;
    }
    Ok((ListArticlesResponse { articles, next_page_token }, next))
}
