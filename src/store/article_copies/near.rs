//! Near copies: the sketches of stored texts (`text_sketch`), and the pairs found with them (`near_copy`).
//!
//! A write of an article adds its text to those to compare, in its transaction. The settler compares it, and stores the
//! pairs under the feed's lock together with the tasks of the groups that they join.

use std::collections::BTreeSet;

use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::{
        article::{TextHash, parse_text_hash},
        article_copies::{affects_copy_group, near::NearCopy},
    },
    pb::Article,
    store::{Doc, StoreError, Tx, change, write::PutArticle},
};

/// Maximum number of texts that one text is compared with: those that share most keys.
const MAX_CANDIDATES: i64 = 32;

/// A text that is to be compared with those of about the same week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// The key of the text.
    pub text_key: Vec<u8>,
    /// Weeks since 1970-01-01.
    pub week: i32,
}

/// The texts that are to be compared next.
///
/// # Errors
/// The database fails.
pub async fn to_compare(pool: &PgPool, limit: usize) -> Result<Vec<Sketch>, StoreError> {
    let rows: Vec<(Vec<u8>, i32)> = sqlx::query_as(
        "select text_key, week
         from text_sketch
         where not compared
         order by week, text_key
         limit $1",
    )
    .bind(limit as i64) // a small constant: no overflow
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(text_key, week)| Sketch { text_key, week }).collect())
}

/// Stores the keys of a text, by which others find it from now on.
///
/// # Errors
/// The database fails.
pub async fn store_keys(pool: &PgPool, sketch: &Sketch, keys: &[i64]) -> Result<(), StoreError> {
    sqlx::query("update text_sketch set keys = $3 where text_key = $1 and week = $2")
        .bind(&sketch.text_key)
        .bind(sketch.week)
        .bind(keys)
        .execute(pool)
        .await?;
    Ok(())
}

/// The keys of the texts that share most of these keys and are not known as near copies.
///
/// # Errors
/// The database fails.
pub async fn candidates(pool: &PgPool, sketch: &Sketch, sought: &[i64]) -> Result<Vec<Vec<u8>>, StoreError> {
    let candidates = sqlx::query_scalar(
        "select other.text_key
         from text_sketch as other
         cross join lateral (
             select count(*) as shared from unnest(other.keys) as key where key = any($2)
         ) as counted
         where other.keys && $2
           and other.text_key <> $1
           and not exists (
               select from near_copy where near_copy.text_key = $1 and near_copy.other = other.text_key
           )
         group by other.text_key
         order by max(counted.shared) desc, other.text_key
         limit $3",
    )
    .bind(&sketch.text_key)
    .bind(sought)
    .bind(MAX_CANDIDATES)
    .fetch_all(pool)
    .await?;
    Ok(candidates)
}

/// A stored text with this key, shown or hidden; `None` if it was erased or replaced.
///
/// # Errors
/// `Damaged` for an article that cannot be decoded, or the database fails.
pub async fn text(pool: &PgPool, text_key: &[u8]) -> Result<Option<String>, StoreError> {
    let found: Option<(Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select id, contract, doc
         from article
         where text_key = $1
           and delete_time is null
           and publish_from = publish_to
           and exists (select from article_text_use where article_text_use.article = article.id)
         limit 1",
    )
    .bind(text_key)
    .fetch_optional(pool)
    .await?;
    let Some((id, contract, bytes)) = found else { return Ok(None) };
    let article: Article = Doc { id, contract, bytes }.decode()?;
    let Some(hash) = parse_text_hash(&article.text_sha256) else { return Ok(None) };
    let statement = "select body from article_text where sha256 = $1";
    Ok(sqlx::query_scalar(statement).bind(hash.as_slice()).fetch_optional(pool).await?)
}

/// Marks a text with these stored keys as compared, and stores its near copies. Enqueues the articles with these texts, whose groups they join.
///
/// # Errors
/// The database fails.
pub async fn store(pool: &PgPool, sketch: &Sketch, keys: &[i64], near: &[(Vec<u8>, f32)]) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    if !near.is_empty() {
        let (others, overlaps): (Vec<&[u8]>, Vec<f32>) =
            near.iter().map(|(other, overlap)| (other.as_slice(), *overlap)).unzip();
        // Every transaction that changes groups of copies holds the feed's lock.
        change::lock(&mut tx).await?;
        sqlx::query(
            "insert into near_copy (text_key, other, overlap)
             select $1, other, overlap from unnest($2::bytea[], $3::real[]) as input (other, overlap)
             union all
             select other, $1, overlap from unnest($2::bytea[], $3::real[]) as input (other, overlap)
             on conflict on constraint near_copy_pkey do nothing",
        )
        .bind(&sketch.text_key)
        .bind(&others)
        .bind(overlaps)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "with counted as (
                 update grouping set version = version + 1 returning version
             )
             insert into unsettled (collection, id, version, settled)
             select 2, article.id, counted.version, false
             from article, counted
             where (article.text_key = $1 or article.text_key = any($2))
               and article.delete_time is null
               and article.publish_from = article.publish_to
             on conflict on constraint unsettled_pkey do update
             set version = excluded.version,
                 settled = false",
        )
        .bind(&sketch.text_key)
        .bind(&others)
        .execute(&mut *tx)
        .await?;
    }
    // A row that was removed and added again meanwhile lacks the keys, and is compared again.
    sqlx::query("update text_sketch set compared = true where text_key = $1 and week = $2 and keys = $3")
        .bind(&sketch.text_key)
        .bind(sketch.week)
        .bind(keys)
        .execute(&mut *tx)
        .await?;
    tx.commit().await.map_err(StoreError::of_commit)
}

/// The pairs among these texts.
///
/// # Errors
/// The database fails.
pub async fn among(pool: &PgPool, texts: &BTreeSet<TextHash>) -> Result<Vec<NearCopy>, StoreError> {
    if texts.len() < 2 {
        return Ok(Vec::new());
    }
    let rows: Vec<(Vec<u8>, Vec<u8>, f32)> = sqlx::query_as(
        "select text_key, other, overlap
         from near_copy
         where text_key = any($1)
           and other = any($1)
           and text_key < other",
    )
    .bind(texts.iter().map(TextHash::as_slice).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let near = |(text, other, overlap): (Vec<u8>, Vec<u8>, f32)| {
        Some(NearCopy { texts: [text.try_into().ok()?, other.try_into().ok()?], overlap })
    };
    Ok(rows.into_iter().filter_map(near).collect())
}

/// The keys of the texts that a batch may take from an article: those of the articles that it replaces.
pub(in crate::store) async fn former_keys(
    tx: Tx<'_>,
    articles: impl Iterator<Item = &PutArticle>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let changed: Vec<Uuid> = articles
        .filter(|article| may_change_sketches(article))
        .filter(|article| article.former.is_some())
        .map(|article| article.put.id)
        .collect();
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let statement = "select text_key from article where id = any($1) and text_key is not null";
    Ok(sqlx::query_scalar(statement).bind(changed).fetch_all(tx).await?)
}

/// Adds the texts of a batch to those to compare, and removes those that no live article keeps any more. Returns true if
/// there are texts to compare. The transaction has written all rows and holds the feed's lock, so that it sees what
/// others keep.
pub(in crate::store) async fn update(
    tx: Tx<'_>,
    articles: impl Iterator<Item = &PutArticle>,
    former_keys: &[Vec<u8>],
) -> Result<bool, StoreError> {
    let changed: Vec<Uuid> =
        articles.filter(|article| may_change_sketches(article)).map(|article| article.put.id).collect();
    if changed.is_empty() {
        return Ok(false);
    }
    let added = sqlx::query(
        "with affected as (
             select unnest($1::bytea[]) as text_key
             union
             select text_key from article where id = any($2) and text_key is not null
         ),
         kept as (
             select distinct article.text_key, (article.publish_from - date '1970-01-01') / 7 as week
             from affected
             join article on article.text_key = affected.text_key
             where article.delete_time is null
               and article.publish_from = article.publish_to
               and exists (select from article_text_use where article_text_use.article = article.id)
         ),
         removed as (
             delete from text_sketch
             using affected
             where text_sketch.text_key = affected.text_key
               and (text_sketch.text_key, text_sketch.week) not in (select text_key, week from kept)
         )
         insert into text_sketch (text_key, week)
         select text_key, week
         from kept
         on conflict on constraint text_sketch_pkey do nothing",
    )
    .bind(former_keys)
    .bind(changed)
    .execute(tx)
    .await?;
    Ok(added.rows_affected() > 0)
}

/// True if the write of an article may add or remove the sketch of a text.
fn may_change_sketches(article: &PutArticle) -> bool {
    let is_expunged = article.put.kind == change::Kind::Expunged;
    match &article.former {
        None => article.text_key.is_some() && article.text.is_some(),
        Some(former) => is_expunged || affects_copy_group(former, &article.put.record),
    }
}
