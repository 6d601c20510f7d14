//! ArticleService: articles with their texts, uris and groups of copies.
//!
//! `list` serves lists and streams, `view` adds texts to articles, `text` hides, shows and erases them. The other writes
//! are here.

pub mod copies;
mod list;
pub mod text;
pub(super) mod view;

use std::{pin::Pin, sync::Arc};

use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::{
    list::{page, parse_query},
    text::{keeps_text, require_may_show},
    view::{in_view, with_hidden_text, with_text},
};
use super::{
    Api,
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
        WritePlan,
        idempotency::WriteCall,
        revise::{
            Update, load_to_delete, load_to_undelete, plan_revision, plan_revision_with, plan_unchanged_with,
            require_acyclic,
        },
        stale_evidence::{load_cited_reports, mark_stale_evidence, replaces_text},
    },
};
use crate::{
    model::{
        article::{TextHash, may_store_text, shows_again, take_next_text, take_text, uris},
        article_copies::{CopyCandidate, FirstCopy, affects_copy_group, text_key},
        canonical::is_same,
        resource::{Collection, Deletable, Resource},
        rules::{ClearOutput, Path},
    },
    pb::{
        Article, BatchGetArticlesRequest, BatchGetArticlesResponse, CreateArticleRequest, DeleteArticleRequest,
        EraseArticleTextRequest, GetArticleRequest, ListArticleRevisionsRequest, ListArticleRevisionsResponse,
        ListArticlesRequest, ListArticlesResponse, UndeleteArticleRequest, UpdateArticleRequest,
        article_service_server::ArticleService,
    },
    store::{
        article, article_copies, change,
        write::{Put, PutArticle, Write, clock},
    },
};

#[tonic::async_trait]
impl ArticleService for Api {
    async fn create_article(&self, request: Request<CreateArticleRequest>) -> Result<Response<Article>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        run_article_write(self, &call, || prepare_create(self, &call, &request)).await
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
        let (request, budget, time) = self.read_query_at(request).await?;
        let (cursor, query, view) = parse_query(self, &request, budget, time).await?;
        Ok(Response::new(page(self.clone(), budget, cursor, query, view).await?.0))
    }

    type StreamArticlesStream = Pin<Box<dyn Stream<Item = Result<ListArticlesResponse, Status>> + Send>>;

    async fn stream_articles(
        &self,
        request: Request<ListArticlesRequest>,
    ) -> Result<Response<Self::StreamArticlesStream>, Status> {
        let (request, time) = self.read_at(request).await?;
        let (api, budget) = (self.clone(), self.question_timeout);
        let (cursor, query, view) = parse_query(self, &request, budget, time).await?;
        let page = move |cursor| page(api.clone(), budget, cursor, query.clone(), view);
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
        let _lock = self.record_locks.lock(id::<Article>(&update.sent.name)?).await;
        run_article_write(self, &call, || prepare_update(self, &call, &update, request.validate_only)).await
    }

    async fn delete_article(&self, request: Request<DeleteArticleRequest>) -> Result<Response<Article>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Article>(&request.name)?).await;
        self.run_write(&call, || prepare_delete(self, &call, &request)).await
    }

    async fn undelete_article(&self, request: Request<UndeleteArticleRequest>) -> Result<Response<Article>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Article>(&request.name)?).await;
        self.run_write(&call, || prepare_undelete(self, &call, &request)).await
    }

    async fn erase_article_text(&self, request: Request<EraseArticleTextRequest>) -> Result<Response<Article>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Article>(&request.name)?).await;
        self.run_write(&call, || text::prepare_erase(self, &call, &request)).await
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

/// Runs a write whose stored answer lacks the article's text, and adds the text to such an answer.
async fn run_article_write<F>(
    api: &Api,
    call: &WriteCall,
    mut prepare: impl FnMut() -> F,
) -> Result<Response<Article>, Status>
where
    F: Future<Output = Result<WritePlan<Article>, ServiceError>>,
{
    let prepare = || {
        let prepared = call.with_idempotency(&api.store, prepare());
        async move {
            match prepared.await? {
                WritePlan::Unchanged(answer) => Ok(WritePlan::Unchanged(with_text(api, answer).await?)),
                plan => Ok(plan),
            }
        }
    };
    api.commit_and_respond(prepare).await
}

async fn prepare_create(
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
    origin(api, &CopyCandidate::of(id, &article, text_key)).await?.set(&mut article);
    let with_kept_text = |mut article: Article| {
        if may_store_text(&article) {
            article.text.clone_from(&text);
        }
        article
    };
    if request.validate_only {
        if article.origin == Collection::Articles.name(id) {
            article.origin.clear();
        }
        article.name.clear();
        return Ok(WritePlan::Validated(with_kept_text(article), Vec::new()));
    }
    article.make_first_revision(id, clock::now());
    let put = put_new(id, article, (&text, text_key));
    let answer = with_kept_text(put.put.record.clone());
    let stored_answer = call.write(&put.put.record);
    let write = Write { articles: vec![put], ..stored_answer };
    Ok(WritePlan::Write(answer, vec![write]))
}

async fn prepare_update(
    api: &Api,
    call: &WriteCall,
    update: &Update<Article>,
    validate_only: bool,
) -> Result<WritePlan<Article>, ServiceError> {
    let at = Path::ROOT.field("article");
    let (former, mut next) = update.merge(api, &at).await?;
    call.scope.require(&next)?;
    let is_sent = update.mask.replaces("text", !update.sent.text.is_empty());
    require_may_show(call.scope.role, &former, &next)?;
    let is_kept = is_sent || !shows_again(&former, &next) || keeps_text(api, &former).await?;
    let text = take_next_text(&mut next, &former, is_sent, is_kept);
    if is_same(&next, &former) {
        let answer = with_text(api, former.clone()).await?;
        return Ok(plan_unchanged_with(call.write(&former), validate_only, answer));
    }
    let id = id::<Article>(&former.name)?;
    require_own_uris(api, &next, id).await?;
    if next.syndicated_from != former.syndicated_from {
        require_acyclic::<Article>(api, &source(&next), id, &at.field("syndicated_from")).await?;
    }
    let text_key = text_key(&text);
    set_next_origin(api, &former, &mut next, text_key).await?;
    let now = clock::now();
    next.make_next_revision(&former, now);
    let cited = match replaces_text(&former, &next, &text) {
        true => Some(load_cited_reports(api, id).await?),
        false => None,
    };
    let answer = match text_to_keep(&next, &text) {
        Some(text) => Article { text, ..next.clone() },
        None if shows_again(&former, &next) && !validate_only => with_hidden_text(api, next.clone()).await?,
        None => with_text(api, next.clone()).await?,
    };
    let stored_answer = next.clone();
    let put = |write: &mut Write| {
        write.articles.push(put_next((next, former), (&text, text_key), change::Kind::Updated));
        cited.iter().for_each(|reports| mark_stale_evidence(write, reports, &text, now));
    };
    Ok(plan_revision_with(call.write(&stored_answer), validate_only, answer, put))
}

async fn prepare_delete(
    api: &Api,
    call: &WriteCall,
    request: &DeleteArticleRequest,
) -> Result<WritePlan<Article>, ServiceError> {
    let id = id::<Article>(&request.name)?;
    let now = clock::now();
    let retracted = match request.force {
        true => retract::all_of(api, id, "the article was deleted", now).await?,
        false => Retracted::default(),
    };
    let former: Article =
        load_to_delete(api, &request.name, &request.etag, request.force.then_some(Collection::Reports)).await?;
    let mut next = former.deleted(now);
    next.origin.clone_from(&next.name);
    next.origin_overlap = 0.0;
    next.set_etag();
    let put = |write: &mut Write| {
        write.articles.push(put_next((next.clone(), former), ("", None), change::Kind::Deleted));
        write.reason = retracted.reason;
        (write.reports, write.meetings) = (retracted.reports, retracted.meetings);
    };
    Ok(plan_revision(call, request.validate_only, next.clone(), put))
}

async fn prepare_undelete(
    api: &Api,
    call: &WriteCall,
    request: &UndeleteArticleRequest,
) -> Result<WritePlan<Article>, ServiceError> {
    let former: Article = load_to_undelete(api, &request.name, &request.etag).await?;
    let id = id::<Article>(&request.name)?;
    require_own_uris(api, &former, id).await?;
    require_live::<Article>(&api.store, &source(&former)).await?;
    let mut next = former.undeleted(clock::now());
    set_next_origin(api, &former, &mut next, None).await?;
    next.set_etag();
    let put =
        |write: &mut Write| write.articles.push(put_next((next.clone(), former), ("", None), change::Kind::Undeleted));
    Ok(plan_revision(call, request.validate_only, next.clone(), put))
}

/// The write of a new article. Its text is stored if its text rights allow; `text_key` is what copies have in common.
pub(super) fn put_new(id: Uuid, article: Article, (text, text_key): (&str, Option<TextHash>)) -> PutArticle {
    PutArticle {
        text: text_to_keep(&article, text),
        text_key,
        put: Put::new(id, article),
        former: None,
        compared: None,
    }
}

/// The write of an article's next revision. `text` is the text that it was sent with, empty if none was sent.
pub(super) fn put_next(
    (article, former): (Article, Article),
    (text, text_key): (&str, Option<TextHash>),
    kind: change::Kind,
) -> PutArticle {
    let id = article.id().unwrap_or_default();
    let (text, put) = (text_to_keep(&article, text), Put::next(id, article, kind));
    PutArticle { text, text_key, put, former: Some(former), compared: None }
}

fn text_to_keep(article: &Article, text: &str) -> Option<String> {
    (may_store_text(article) && !text.is_empty()).then(|| text.to_owned())
}

/// Rejects uris that another article has.
async fn require_own_uris(api: &Api, article: &Article, id: Uuid) -> Result<(), ServiceError> {
    let uris: Vec<&str> = uris(article).collect();
    let owners = article::find(api.store.reads(), &uris).await?;
    match owners.into_iter().filter(|(_, owner)| *owner != id).min() {
        Some((uri, owner)) => Err(ServiceError::DuplicateArticle { name: Collection::Articles.name(owner), uri }),
        None => Ok(()),
    }
}

/// The article that this one is a copy of.
fn source(article: &Article) -> Vec<Uuid> {
    Collection::Articles.id(&article.syndicated_from).into_iter().collect()
}

/// The first article of the group of copies that this one belongs to, by the stored groups. If it joins several groups
/// or leaves one, these are recomputed as a whole once it is written.
async fn origin(api: &Api, article: &CopyCandidate) -> Result<FirstCopy, ServiceError> {
    let firsts = article_copies::firsts(api.store.reads(), std::slice::from_ref(article)).await?;
    Ok(article.first_of(firsts.into_iter().map(|(_, first)| first)))
}

/// Sets the origin of the next revision of an article. `text_key` is that of the text that was sent, if any.
async fn set_next_origin(
    api: &Api,
    former: &Article,
    next: &mut Article,
    text_key: Option<TextHash>,
) -> Result<(), ServiceError> {
    let id = id::<Article>(&former.name)?;
    if !affects_copy_group(former, next) && !former.origin.is_empty() {
        next.origin.clone_from(&former.origin);
        return Ok(());
    }
    let text_key = match text_key {
        None if next.text_sha256 == former.text_sha256 => {
            article_copies::text_keys(api.store.reads(), &[id]).await?.pop().map(|(_, key)| key)
        }
        sent => sent,
    };
    origin(api, &CopyCandidate::of(id, next, text_key)).await?.set(next);
    Ok(())
}
