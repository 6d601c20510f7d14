//! Texts of articles, each once, by its SHA-256.

use std::collections::BTreeMap;

use super::{StoreError, Tx, signed::Signed, write::PutArticle};
use crate::model::article::{TextHash, text_hash};

/// Keeps the texts that the articles come with.
pub(super) async fn insert(tx: Tx<'_>, articles: &[Signed<'_, PutArticle>]) -> Result<(), StoreError> {
    let texts: BTreeMap<TextHash, &str> =
        articles.iter().filter_map(|one| one.text.as_deref()).map(|text| (text_hash(text), text)).collect();
    if texts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into article_text (sha256, body)
         select one.sha256, one.body
         from unnest($1::bytea[], $2::text[]) as one (sha256, body)
         on conflict on constraint article_text_pkey do nothing",
    )
    .bind(texts.keys().map(TextHash::as_slice).collect::<Vec<_>>())
    .bind(texts.values().copied().collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    Ok(())
}
