//! Texts of articles, each once, by its SHA-256, and which articles may show them in any of their revisions.
//!
//! Two transactions never wait for each other here: whoever uses a text that is there, and whoever erases one, locks its
//! row, in the order of hashes, after the records that they write and before the feed's lock.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{
    StoreError, Tx,
    write::{PutArticle, provenance::Attributed},
};
use crate::model::article::{TextHash, keeps_text, text_hash};

/// Keeps the texts that the articles come with, and what they may show.
pub(super) async fn insert(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<(), StoreError> {
    let of = |one: &PutArticle| Some((one.put.id, text_hash(one.text.as_deref()?)));
    let uses: BTreeSet<(Uuid, TextHash)> = articles.iter().filter_map(|one| of(one)).collect();
    let mut texts: BTreeMap<TextHash, &str> =
        articles.iter().filter_map(|one| one.text.as_deref()).map(|text| (text_hash(text), text)).collect();
    while !texts.is_empty() {
        let inserted = insert_new(&mut *tx, &texts, &uses).await?;
        texts.retain(|hash, _| !inserted.contains(hash.as_slice()));
        // One that was there may be erased just then: it is not found, and inserted again.
        let shared = hold(&mut *tx, texts.keys().map(TextHash::as_slice).collect()).await?;
        texts.retain(|hash, _| !shared.contains(hash.as_slice()));
    }
    Ok(())
}

/// Inserts the texts that are not there, and all uses. Answers which texts these were.
async fn insert_new(
    tx: Tx<'_>,
    texts: &BTreeMap<TextHash, &str>,
    uses: &BTreeSet<(Uuid, TextHash)>,
) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let inserted: Vec<Vec<u8>> = sqlx::query_scalar(
        "with used as (
             insert into article_text_use (article, sha256)
             select one.article, one.sha256
             from unnest($3::uuid[], $4::bytea[]) as one (article, sha256)
             on conflict on constraint article_text_use_pkey do nothing
         )
         insert into article_text (sha256, body)
         select one.sha256, one.body
         from unnest($1::bytea[], $2::text[]) as one (sha256, body)
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

/// Keeps texts from being erased until the transaction ends. Answers which of them are there.
async fn hold(tx: Tx<'_>, hashes: Vec<&[u8]>) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    if hashes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let statement = "select sha256 from article_text where sha256 = any($1) order by sha256 for key share";
    let held: Vec<Vec<u8>> = sqlx::query_scalar(statement).bind(hashes).fetch_all(tx).await?;
    Ok(held.into_iter().collect())
}

/// Erases the texts of all revisions of those articles that may not show one any more, but for what others may show.
pub(super) async fn erase(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<(), StoreError> {
    let withheld = articles.iter().filter(|one| one.former.is_some() && !keeps_text(&one.put.record));
    let withheld: Vec<Uuid> = withheld.map(|one| one.put.id).collect();
    if withheld.is_empty() {
        return Ok(());
    }
    let unused: Vec<Vec<u8>> =
        sqlx::query_scalar("delete from article_text_use where article = any($1) returning sha256")
            .bind(withheld)
            .fetch_all(&mut *tx)
            .await?;
    if unused.is_empty() {
        return Ok(());
    }
    // Whoever has come to use one meanwhile is waited for, and seen by the statement that follows.
    sqlx::query("select from article_text where sha256 = any($1) order by sha256 for update")
        .bind(&unused)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "delete from article_text
         where sha256 = any($1)
           and not exists (select from article_text_use as used where used.sha256 = article_text.sha256)",
    )
    .bind(&unused)
    .execute(tx)
    .await?;
    Ok(())
}
