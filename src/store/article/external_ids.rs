//! The index of the external ids of articles, for filters. Several articles can have one id.

use uuid::Uuid;

use crate::{
    pb::Article,
    store::{
        StoreError, Tx,
        write::{PutArticle, provenance::Attributed},
    },
};

/// Writes the rows of new articles and of next revisions.
pub(in crate::store) async fn index_external_ids(
    tx: Tx<'_>,
    articles: &[Attributed<'_, PutArticle>],
) -> Result<(), StoreError> {
    let changed = articles.iter().filter(|article| {
        let former = article.former.as_ref().map(|former| former.external_ids.as_slice()).unwrap_or_default();
        former != article.put.record.external_ids.as_slice()
    });
    let changed: Vec<(Uuid, &Article)> = changed.map(|article| (article.put.id, &article.put.record)).collect();
    reindex_external_ids(tx, &changed).await
}

/// Replaces the rows of these articles.
pub(in crate::store) async fn reindex_external_ids(
    tx: Tx<'_>,
    articles: &[(Uuid, &Article)],
) -> Result<(), StoreError> {
    if articles.is_empty() {
        return Ok(());
    }
    let (mut schemes, mut values, mut ids): (Vec<&str>, Vec<&str>, Vec<Uuid>) = Default::default();
    for (id, article) in articles {
        for external in &article.external_ids {
            schemes.push(&external.scheme);
            values.push(&external.value);
            ids.push(*id);
        }
    }
    let all: Vec<Uuid> = articles.iter().map(|(id, _)| *id).collect();
    sqlx::query("delete from article_external_id where article = any($1)").bind(all).execute(&mut *tx).await?;
    if ids.is_empty() {
        return Ok(());
    }
    // Release 0.1.0 stored ids as they were sent, perhaps one twice.
    sqlx::query(
        "insert into article_external_id (scheme, value, article)
         select input.scheme, input.value, input.article
         from unnest($1::text[], $2::text[], $3::uuid[]) as input (scheme, value, article)
         on conflict on constraint article_external_id_pkey do nothing",
    )
    .bind(schemes)
    .bind(values)
    .bind(ids)
    .execute(tx)
    .await?;
    Ok(())
}
