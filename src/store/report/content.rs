//! Reports by content: an article has a report with one content once.

use std::collections::HashMap;

use sqlx::PgPool;
use uuid::Uuid;

use super::content_hash;
use crate::{
    model::report::CONTENT_VERSION,
    store::{
        Doc, StoreError,
        pool::{batch_loader::BatchResult, kept_connections::KeptConnection},
    },
};

/// The reports of articles with this content, by article and `content_hash`.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, contents: &[(Uuid, &str)]) -> Result<HashMap<(Uuid, String), Doc>, StoreError> {
    let (articles, hashes): (Vec<Uuid>, Vec<Vec<u8>>) =
        contents.iter().map(|(article, hash)| (*article, content_hash(hash))).unzip();
    let rows: Vec<(Uuid, String, Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select input.article, encode(input.content_hash, 'hex'), report.id, report.contract, report.doc
         from unnest($1::uuid[], $2::bytea[]) as input (article, content_hash)
         cross join lateral (
             select *
             from report
             where report.article = input.article
               and report.content_hash = input.content_hash
             limit 1
         ) as report",
    )
    .bind(articles)
    .bind(hashes)
    .fetch_all(pool)
    .await?;
    let entry = |(article, hash, id, contract, bytes)| ((article, hash), Doc { id, contract, bytes });
    Ok(rows.into_iter().map(entry).collect())
}

/// The reports of these articles whose `content_hash` has an older version, in the order of ids. Each has its article.
///
/// # Errors
/// The database fails.
pub async fn hashed_before(pool: &PgPool, articles: &[Uuid]) -> Result<Vec<(Uuid, Doc)>, StoreError> {
    let rows: Vec<(Uuid, Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select article, id, contract, doc
         from report
         where article = any($1)
           and content_version < $2
         order by id",
    )
    .bind(articles)
    .bind(CONTENT_VERSION)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(article, id, contract, bytes)| (article, Doc { id, contract, bytes })).collect())
}

/// The result of looking up a report by its article and `content_hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingReport {
    /// The report with this content.
    Same(Uuid),
    /// No report has this hash, but the article has reports whose hashes have an older version: these must be compared
    /// by content.
    Former,
}

/// Looks up reports by article and `content_hash`.
pub(in crate::store) async fn existing(
    mut connection: KeptConnection,
    contents: Vec<(Uuid, String)>,
) -> Result<BatchResult<(Uuid, String), ExistingReport>, StoreError> {
    let (articles, hashes): (Vec<Uuid>, Vec<Vec<u8>>) =
        contents.iter().map(|(article, hash)| (*article, content_hash(hash))).unzip();
    // Scalar subqueries look each report up by its key. A plan cached while the table is small scans it, and becomes
    // slow as the table grows.
    let rows: Vec<(Uuid, String, Option<Uuid>, bool)> = sqlx::query_as(
        "select input.article, encode(input.content_hash, 'hex'),
                (select id
                 from report
                 where report.article = input.article
                   and report.content_hash = input.content_hash),
                exists (
                    select
                    from report
                    where report.article = input.article
                      and report.content_version < $3
                )
         from unnest($1::uuid[], $2::bytea[]) as input (article, content_hash)",
    )
    .bind(articles)
    .bind(hashes)
    .bind(CONTENT_VERSION)
    .fetch_all(&mut *connection)
    .await?;
    connection.keep();
    let existing = |id: Option<Uuid>, has_former: bool| {
        id.map(ExistingReport::Same).or(has_former.then_some(ExistingReport::Former))
    };
    let entry = |(article, hash, id, has_former)| Some(((article, hash), Some(existing(id, has_former)?)));
    Ok(rows.into_iter().filter_map(entry).collect())
}
