//! ArticleService.

mod list;
mod view;

use std::{pin::Pin, sync::Arc, time::SystemTime};

use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::{
    list::{page, question},
    view::{in_view, with_text},
};
use super::{
    Api, WritePlan,
    error::ServiceError,
    id, ids,
    meeting::retract::{self, Retracted},
    new_id,
    read::{
        history,
        pagination::{Cursor, chunks},
    },
    require_free, require_live,
    write::{
        idempotency::{WriteCall, check},
        revise::{Update, require_acyclic, revised, revised_with, to_delete, to_undelete, unchanged_with},
        stale_evidence::{cited_in, compare, is_another_text},
    },
};
use crate::{
    model::{
        article::{TextHash, keeps_text, take_next_text, take_text, uris},
        canonical::is_same,
        copies::{Copy, regroups, text_key},
        resource::{Collection, Deletable, Resource},
        rules::{ClearOutput, Path},
    },
    pb::{
        Article, BatchGetArticlesRequest, BatchGetArticlesResponse, CreateArticleRequest, DeleteArticleRequest,
        GetArticleRequest, ListArticleRevisionsRequest, ListArticleRevisionsResponse, ListArticlesRequest,
        ListArticlesResponse, UndeleteArticleRequest, UpdateArticleRequest, article_service_server::ArticleService,
    },
    store::{
        article, change, copies,
        write::{Put, PutArticle, Write},
    },
};

#[tonic::async_trait]
impl ArticleService for Api {
    async fn create_article(&self, request: Request<CreateArticleRequest>) -> Result<Response<Article>, Status> {
        let (call, mut request) = WriteCall::read(request)?;
        if let Some(article) = &mut request.article {
            article.clear_output();
        }
        check(&request).map_err(ServiceError::from)?;
        let prepare = || async {
            first_answer(self, call.with_idempotency(&self.store, prepare(self, &call, &request)).await?).await
        };
        self.commit_and_respond(prepare).await
    }

    async fn get_article(&self, request: Request<GetArticleRequest>) -> Result<Response<Article>, Status> {
        let (request, time) = self.read_at(request).await?;
        let id = id::<Article>(&request.name)?;
        if let Some(time) = time {
            let article = view::as_of(self, &[id], request.view(), time).await?.pop();
            return article.map(Response::new).ok_or_else(|| ServiceError::NotThen(request.name).into());
        }
        let doc = self.store.by_id().articles.get(id).await.map_err(ServiceError::from)?;
        let Some(doc) = doc else { return Err(ServiceError::NotFound(request.name).into()) };
        let mut articles = in_view(self, &[id], &[Arc::unwrap_or_clone(doc)], request.view()).await?;
        articles.pop().map(Response::new).ok_or_else(|| ServiceError::NotFound(request.name).into())
    }

    async fn batch_get_articles(
        &self,
        request: Request<BatchGetArticlesRequest>,
    ) -> Result<Response<BatchGetArticlesResponse>, Status> {
        let (request, time) = self.read_at(request).await?;
        let ids = ids::<Article>(&request.names);
        if let Some(time) = time {
            let articles = view::as_of(self, &ids, request.view(), time).await?;
            return Ok(Response::new(BatchGetArticlesResponse { articles }));
        }
        let docs = article::get(self.store.reads(), &ids).await?;
        let articles = in_view(self, &ids, &docs, request.view()).await?;
        Ok(Response::new(BatchGetArticlesResponse { articles }))
    }

    async fn list_articles(
        &self,
        request: Request<ListArticlesRequest>,
    ) -> Result<Response<ListArticlesResponse>, Status> {
        let (request, budget) = self.asked(request).await?;
        let (cursor, wanted, view) = question(self, &request)?;
        Ok(Response::new(page(self.clone(), budget, cursor, wanted, view).await?.0))
    }

    type StreamArticlesStream = Pin<Box<dyn Stream<Item = Result<ListArticlesResponse, Status>> + Send>>;

    async fn stream_articles(
        &self,
        request: Request<ListArticlesRequest>,
    ) -> Result<Response<Self::StreamArticlesStream>, Status> {
        let (cursor, wanted, view) = question(self, &self.read(request).await?)?;
        let (api, budget) = (self.clone(), self.question_timeout);
        let page = move |cursor| page(api.clone(), budget, cursor, wanted.clone(), view);
        let chunks = chunks(self, cursor.in_chunks(), page);
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn update_article(&self, request: Request<UpdateArticleRequest>) -> Result<Response<Article>, Status> {
        let (call, mut request) = WriteCall::read(request)?;
        let mut etag = String::new();
        if let Some(article) = &mut request.article {
            etag = std::mem::take(&mut article.etag);
            article.clear_output();
        }
        let update = Update::read(&request, (request.article.as_ref(), etag), request.update_mask.as_ref());
        let update = update.map_err(ServiceError::from)?;
        let _turn = self.record_locks.take(id::<Article>(&update.sent.name)?).await;
        let prepare = || async {
            first_answer(
                self,
                call.with_idempotency(&self.store, prepare_update(self, &call, &update, request.validate_only)).await?,
            )
            .await
        };
        self.commit_and_respond(prepare).await
    }

    async fn delete_article(&self, request: Request<DeleteArticleRequest>) -> Result<Response<Article>, Status> {
        let (call, request) = WriteCall::read(request)?;
        check(&request).map_err(ServiceError::from)?;
        let _turn = self.record_locks.take(id::<Article>(&request.name)?).await;
        self.commit_and_respond(|| call.with_idempotency(&self.store, prepare_delete(self, &call, &request))).await
    }

    async fn undelete_article(&self, request: Request<UndeleteArticleRequest>) -> Result<Response<Article>, Status> {
        let (call, request) = WriteCall::read(request)?;
        check(&request).map_err(ServiceError::from)?;
        let _turn = self.record_locks.take(id::<Article>(&request.name)?).await;
        self.commit_and_respond(|| call.with_idempotency(&self.store, prepare_undelete(self, &call, &request))).await
    }

    async fn list_article_revisions(
        &self,
        request: Request<ListArticleRevisionsRequest>,
    ) -> Result<Response<ListArticleRevisionsResponse>, Status> {
        let request = self.read(request).await?;
        let cursor = Cursor::of(&request, self.token_key, self.feed.head())?;
        let (revisions, next_page_token) = history::revisions::<Article>(self, &request.name, &cursor).await?;
        let as_of = cursor.as_of.to_string();
        Ok(Response::new(ListArticleRevisionsResponse { revisions, next_page_token, as_of }))
    }
}

async fn prepare(
    api: &Api,
    call: &WriteCall,
    request: &CreateArticleRequest,
) -> Result<WritePlan<Article>, ServiceError> {
    let id = new_id(&request.article_id);
    require_free::<Article>(&api.store, &request.article_id, id).await?;
    let mut article = request.article.clone().unwrap_or_default();
    require_own_uris(api, &article, id).await?;
    require_live::<Article>(&api.store, &source(&article)).await?;
    let text = take_text(&mut article);
    let text_key = text_key(&text);
    article.origin = origin(api, &Copy::of(id, &article, text_key)).await?;
    let shown = |mut article: Article| {
        if keeps_text(&article) {
            article.text.clone_from(&text);
        }
        article
    };
    if request.validate_only {
        if article.origin == Collection::Articles.name(id) {
            article.origin.clear();
        }
        article.name.clear();
        return Ok(WritePlan::Validated(shown(article)));
    }
    article.begin(id, SystemTime::now());
    let put = put_new(id, article, (&text, text_key));
    let answer = shown(put.put.record.clone());
    let remembered = call.write(&put.put.record);
    let write = Write { articles: vec![put], ..remembered };
    Ok(WritePlan::Write(answer, vec![write]))
}

/// Gives an answer that was remembered its text again.
async fn first_answer(api: &Api, prepared: WritePlan<Article>) -> Result<WritePlan<Article>, ServiceError> {
    match prepared {
        WritePlan::Unchanged(answer) => Ok(WritePlan::Unchanged(with_text(api, answer).await?)),
        prepared => Ok(prepared),
    }
}

async fn prepare_update(
    api: &Api,
    call: &WriteCall,
    update: &Update<Article>,
    validate_only: bool,
) -> Result<WritePlan<Article>, ServiceError> {
    let at = Path::ROOT.field("article");
    let (former, mut next) = update.merge(api, &at).await?;
    let is_sent = update.mask.replaces("text", !update.sent.text.is_empty());
    let text = take_next_text(&mut next, &former, is_sent);
    if is_same(&next, &former) {
        let answer = with_text(api, former.clone()).await?;
        return Ok(unchanged_with(call.write(&former), validate_only, answer));
    }
    let id = id::<Article>(&former.name)?;
    require_own_uris(api, &next, id).await?;
    if next.syndicated_from != former.syndicated_from {
        require_acyclic::<Article>(api, &source(&next), id, &at.field("syndicated_from")).await?;
    }
    let text_key = text_key(&text);
    next.origin = next_origin(api, &former, &next, text_key).await?;
    let now = SystemTime::now();
    next.succeed(&former, now);
    let cited = match is_another_text(&former, &next, &text) {
        true => Some(cited_in(api, id).await?),
        false => None,
    };
    let answer = match kept(&next, &text) {
        Some(text) => Article { text, ..next.clone() },
        None => with_text(api, next.clone()).await?,
    };
    let remembered = next.clone();
    let put = |write: &mut Write| {
        write.articles.push(put_next((next, former), (&text, text_key), change::Kind::Updated));
        cited.iter().for_each(|reports| compare(write, reports, &text, now));
    };
    Ok(revised_with(call.write(&remembered), validate_only, answer, put))
}

async fn prepare_delete(
    api: &Api,
    call: &WriteCall,
    request: &DeleteArticleRequest,
) -> Result<WritePlan<Article>, ServiceError> {
    let id = id::<Article>(&request.name)?;
    let now = SystemTime::now();
    let retracted = match request.force {
        true => retract::all_of(api, id, "the article was deleted", now).await?,
        false => Retracted::default(),
    };
    let former: Article =
        to_delete(api, &request.name, &request.etag, request.force.then_some(Collection::Reports)).await?;
    let mut next = former.deleted(now);
    next.origin.clone_from(&next.name);
    next.seal();
    let put = |write: &mut Write| {
        write.articles.push(put_next((next.clone(), former), ("", None), change::Kind::Deleted));
        write.reason = retracted.reason;
        (write.reports, write.meetings) = (retracted.reports, retracted.meetings);
    };
    Ok(revised(call, request.validate_only, next.clone(), put))
}

async fn prepare_undelete(
    api: &Api,
    call: &WriteCall,
    request: &UndeleteArticleRequest,
) -> Result<WritePlan<Article>, ServiceError> {
    let former: Article = to_undelete(api, &request.name, &request.etag).await?;
    let id = id::<Article>(&request.name)?;
    require_own_uris(api, &former, id).await?;
    require_live::<Article>(&api.store, &source(&former)).await?;
    let mut next = former.undeleted(SystemTime::now());
    next.origin = next_origin(api, &former, &next, None).await?;
    next.seal();
    let put =
        |write: &mut Write| write.articles.push(put_next((next.clone(), former), ("", None), change::Kind::Undeleted));
    Ok(revised(call, request.validate_only, next.clone(), put))
}

/// A new article with its text, which is kept where it may be, and the key of that.
pub(super) fn put_new(id: Uuid, article: Article, (text, text_key): (&str, Option<TextHash>)) -> PutArticle {
    PutArticle { text: kept(&article, text), text_key, put: Put::new(id, article), former: None, compared: None }
}

/// The next revision of an article, with the text that it was sent with, if it was, and the key of that.
pub(super) fn put_next(
    (article, former): (Article, Article),
    (text, text_key): (&str, Option<TextHash>),
    kind: change::Kind,
) -> PutArticle {
    let id = article.id().unwrap_or_default();
    let (text, put) = (kept(&article, text), Put::next(id, article, kind));
    PutArticle { text, text_key, put, former: Some(former), compared: None }
}

fn kept(article: &Article, text: &str) -> Option<String> {
    (keeps_text(article) && !text.is_empty()).then(|| text.to_owned())
}

/// Refuses uris that another article has.
async fn require_own_uris(api: &Api, article: &Article, id: Uuid) -> Result<(), ServiceError> {
    let asked: Vec<&str> = uris(article).collect();
    let owners = article::find(api.store.reads(), &asked).await?;
    match owners.into_iter().filter(|(_, owner)| *owner != id).min() {
        Some((uri, owner)) => Err(ServiceError::DuplicateArticle { name: Collection::Articles.name(owner), uri }),
        None => Ok(()),
    }
}

/// The article that this one is a copy of.
fn source(article: &Article) -> Vec<Uuid> {
    Collection::Articles.id(&article.syndicated_from).into_iter().collect()
}

/// The first article of the group of copies that this one belongs to, as things stand. Where it joins groups, or leaves
/// one, they have to be looked at as a whole; that is done when it is written.
async fn origin(api: &Api, article: &Copy) -> Result<String, ServiceError> {
    let firsts = copies::firsts(api.store.reads(), std::slice::from_ref(article)).await?;
    let places = firsts.iter().map(|(_, place)| place);
    let first = places.chain([&article.place]).min().unwrap_or(&article.place);
    Ok(Collection::Articles.name(first.id))
}

/// The same for the next revision of an article, which was sent with a text of this key, or without one.
async fn next_origin(
    api: &Api,
    former: &Article,
    next: &Article,
    text_key: Option<TextHash>,
) -> Result<String, ServiceError> {
    let id = id::<Article>(&former.name)?;
    if !regroups(former, next) && !former.origin.is_empty() {
        return Ok(former.origin.clone());
    }
    let text_key = match text_key {
        None if next.text_sha256 == former.text_sha256 => {
            copies::text_keys(api.store.reads(), &[id]).await?.pop().map(|(_, key)| key)
        }
        sent => sent,
    };
    origin(api, &Copy::of(id, next, text_key)).await
}
