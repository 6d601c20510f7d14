//! Texts that are hidden, shown again and erased.
//!
//! A writer hides the text of an article with the text rights WITHHELD. Only a curator shows it again, and only an admin
//! erases it.

use crate::{
    model::{
        article::{parse_text_hash, shows_again},
        resource::Resource,
        role::Role,
    },
    pb::{Article, EraseArticleTextRequest},
    service::{
        Api,
        error::ServiceError,
        id,
        write::{
            WritePlan,
            idempotency::WriteCall,
            revise::{load_current, plan_revision, with_etag},
        },
    },
    store::{article, article_text, write::clock},
};

/// Rejects a revision with other text rights than WITHHELD after one that is WITHHELD, unless the caller is a curator.
/// This holds whether a text is stored or not, and for a text that is sent again: otherwise a writer could show a hidden
/// text, or replace an erased one.
///
/// # Errors
/// `TextHidden`.
pub fn require_may_show(role: Role, former: &Article, next: &Article) -> Result<(), ServiceError> {
    match role < Role::Curator && shows_again(former, next) {
        true => Err(ServiceError::TextHidden { name: former.name.clone(), role }),
        false => Ok(()),
    }
}

/// True if the text of this revision is stored for its article, shown or hidden.
///
/// # Errors
/// The database fails.
pub(super) async fn keeps_text(api: &Api, article: &Article) -> Result<bool, ServiceError> {
    let Some(key) = article.id().zip(parse_text_hash(&article.text_sha256)) else { return Ok(false) };
    Ok(!article::with_kept_text(api.store.reads(), &[key]).await?.is_empty())
}

/// Prepares the erasure of the texts of all revisions of an article, live or deleted.
///
/// # Errors
/// `NotFound`, `NewerContract`, `EtagMismatch`, and `NoStoredText` if there is nothing to erase.
pub(super) async fn prepare_erase(
    api: &Api,
    call: &WriteCall,
    request: &EraseArticleTextRequest,
) -> Result<WritePlan<Article>, ServiceError> {
    let former: Article = with_etag(load_current(api, &request.name).await?, &request.etag)?;
    if !article_text::is_kept(api.store.reads(), id::<Article>(&request.name)?).await? {
        return Err(ServiceError::NoStoredText(former.name));
    }
    call.scope.require(&former)?;
    let erasure = article_text::erasure(former, clock::now());
    let answer = erasure.put.record.clone();
    Ok(plan_revision(call, request.validate_only, answer, |write| {
        write.articles.push(erasure);
        write.reason.clone_from(&request.reason);
    }))
}
