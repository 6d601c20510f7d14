//! Texts of articles, deduplicated by SHA-256 in `article_text`. `article_text_use` records which articles keep a text
//! for any of their revisions. An article whose current revision is WITHHELD hides its texts (`article.hides_text`);
//! only an erasure removes them.
//!
//! Transactions cannot deadlock here: to use a stored text, or to erase one, a transaction locks its row, in the order
//! of hashes, after the records that it writes and before the feed's lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use sqlx::PgPool;
use uuid::Uuid;

use super::{
    StoreError, Tx, change,
    write::{Put, PutArticle, provenance::Attributed},
};
use crate::{
    model::{
        article::{TextHash, text_hash},
        resource::Resource,
    },
    pb::{Article, article::TextRights},
};

/// True if a text of the article is stored, of whichever revision, shown or hidden.
///
/// # Errors
/// The database fails.
pub async fn is_kept(pool: &PgPool, article: Uuid) -> Result<bool, StoreError> {
    let statement = "select exists (select from article_text_use where article = $1)";
    Ok(sqlx::query_scalar(statement).bind(article).fetch_one(pool).await?)
}

/// True if a text of the article, of whichever revision, is stored and not hidden.
///
/// # Errors
/// The database fails.
pub async fn is_shown(pool: &PgPool, article: Uuid, text: &TextHash) -> Result<bool, StoreError> {
    let statement = "select exists (
            select
            from article
            join article_text_use on article_text_use.article = article.id
            where article.id = $1
              and not article.hides_text
              and article_text_use.sha256 = $2
        )";
    Ok(sqlx::query_scalar(statement).bind(article).bind(text.as_slice()).fetch_one(pool).await?)
}

/// The write that erases the texts of all revisions of an article: its next revision is WITHHELD.
pub fn erasure(former: Article, now: SystemTime) -> PutArticle {
    let mut next = former.clone();
    next.set_text_rights(TextRights::Withheld);
    next.make_next_revision(&former, now);
    let put = Put::next(former.id().unwrap_or_default(), next, change::Kind::Expunged);
    PutArticle { put, text: None, text_key: None, former: Some(former), compared: None }
}

/// Stores the texts of these articles, and their uses.
pub(super) async fn insert(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<(), StoreError> {
    let text_use = |article: &PutArticle| Some((article.put.id, text_hash(article.text.as_deref()?)));
    let uses: BTreeSet<(Uuid, TextHash)> = articles.iter().filter_map(|article| text_use(article)).collect();
    let mut texts: BTreeMap<TextHash, &str> =
        articles.iter().filter_map(|article| article.text.as_deref()).map(|text| (text_hash(text), text)).collect();
    while !texts.is_empty() {
        let inserted = insert_new(&mut *tx, &texts, &uses).await?;
        texts.retain(|hash, _| !inserted.contains(hash.as_slice()));
        // A stored text may be erased before it is locked: then it is inserted in the next round.
        let shared = hold(&mut *tx, texts.keys().map(TextHash::as_slice).collect()).await?;
        texts.retain(|hash, _| !shared.contains(hash.as_slice()));
    }
    Ok(())
}

/// Inserts all uses and the texts that are not stored yet. Returns the hashes of the inserted texts.
async fn insert_new(
    tx: Tx<'_>,
    texts: &BTreeMap<TextHash, &str>,
    uses: &BTreeSet<(Uuid, TextHash)>,
) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let inserted: Vec<Vec<u8>> = sqlx::query_scalar(
        "with used as (
             insert into article_text_use (article, sha256)
             select input.article, input.sha256
             from unnest($3::uuid[], $4::bytea[]) as input (article, sha256)
             on conflict on constraint article_text_use_pkey do nothing
         )
         insert into article_text (sha256, body)
         select input.sha256, input.body
         from unnest($1::bytea[], $2::text[]) as input (sha256, body)
         on conflict on constraint article_text_pkey do nothing
         returning sha256",
    )
    .bind(texts.keys().map(TextHash::as_slice).collect::<Vec<_>>())
    .bind(texts.values().copied().collect::<Vec<_>>())
    .bind(uses.iter().map(|(article, _)| *article).collect::<Vec<_>>())
    .bind(uses.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// Locks stored texts against erasure until the transaction ends. Returns the hashes of the texts that are stored.
async fn hold(tx: Tx<'_>, hashes: Vec<&[u8]>) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    if hashes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let statement = "select sha256 from article_text where sha256 = any($1) order by sha256 for key share";
    let held: Vec<Vec<u8>> = sqlx::query_scalar(statement).bind(hashes).fetch_all(tx).await?;
    Ok(held.into_iter().collect())
}

/// Erases the texts of all revisions of the articles that are expunged, except texts that other articles use.
pub(super) async fn erase(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<(), StoreError> {
    let expunged = articles.iter().filter(|article| article.put.kind == change::Kind::Expunged);
    let expunged: Vec<Uuid> = expunged.map(|article| article.put.id).collect();
    if expunged.is_empty() {
        return Ok(());
    }
    let unused: Vec<Vec<u8>> =
        sqlx::query_scalar("delete from article_text_use where article = any($1) returning sha256")
            .bind(expunged)
            .fetch_all(&mut *tx)
            .await?;
    if unused.is_empty() {
        return Ok(());
    }
    // Waits for concurrent transactions that use one of the texts. The next statement sees their uses.
    sqlx::query("select from article_text where sha256 = any($1) order by sha256 for update")
        .bind(&unused)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "delete from article_text
         where sha256 = any($1)
           and not exists (
               select
               from article_text_use
               where article_text_use.sha256 = article_text.sha256
           )",
    )
    .bind(&unused)
    .execute(tx)
    .await?;
    Ok(())
}
