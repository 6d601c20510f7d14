//! Articles: docs without their texts, the columns that filters ask about, and the uris that tell one from another.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx, docs,
    pool::batch_loader::{BATCH_BYTES, BatchResult},
    query::search::Words,
    time,
    write::{
        Claim, PutArticle,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        article::{TextHash, keeps_text, parse_text_hash, publisher_region, uris},
        resource::{CONTRACT, Collection, Deletable},
        time::dates,
    },
    pb::Article,
};

/// The articles of these ids, without texts, in no order; those that are not there are left out.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Articles, ids).await
}

/// An article with what its reports need of it.
#[derive(Debug, Clone)]
pub struct ArticleSource {
    /// The article, without its text.
    pub doc: Doc,
    /// The first article of its group of copies.
    pub origin: Uuid,
    /// Its text, where there is one to check evidence against.
    pub text: Option<String>,
}

/// The articles of these ids with what their reports need of them, as many as a batch may have bytes.
pub(super) async fn sources(pool: PgPool, ids: Vec<Uuid>) -> Result<BatchResult<Uuid, ArticleSource>, StoreError> {
    type SourceRow = (Uuid, i16, Option<Vec<u8>>, Uuid, Option<String>);
    // Bytes are counted before anything is fetched from where large values are kept apart.
    let rows: Vec<SourceRow> = sqlx::query_as(
        "select id, contract, case when bytes_before < $2 then doc end, origin, case when bytes_before < $2 then body end
         from (
             select id, contract, doc, origin, body, sum(bytes) over (order by id) - bytes as bytes_before
             from (
                 select article.id, article.contract, article.doc, article.origin, article_text.body,
                        octet_length(article.doc) + coalesce(octet_length(article_text.body), 0) as bytes
                 from article
                 left join article_text on article_text.sha256 = article.text_sha256
                 where article.id = any($1)
             ) as one
         ) as one",
    )
    .bind(ids)
    .bind(BATCH_BYTES)
    .fetch_all(&pool)
    .await?;
    let source = |(id, contract, bytes, origin, text): SourceRow| {
        let doc = bytes.map(|bytes| Doc { id, contract, bytes });
        (id, doc.map(|doc| ArticleSource { doc, origin, text }))
    };
    Ok(rows.into_iter().map(source).collect())
}

/// The texts with these hashes of these articles, where they may show them: also of a former revision, unless the text was
/// erased.
pub async fn texts(pool: &PgPool, wanted: &[(Uuid, TextHash)]) -> Result<HashMap<Uuid, String>, StoreError> {
    let texts: Vec<(Uuid, String)> = sqlx::query_as(
        "select wanted.id, article_text.body
         from unnest($1::uuid[], $2::bytea[]) as wanted (id, sha256)
         join article_text_use as used on used.article = wanted.id and used.sha256 = wanted.sha256
         join article_text on article_text.sha256 = used.sha256",
    )
    .bind(wanted.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    Ok(texts.into_iter().collect())
}

/// How many bytes the texts of these articles have, where there is one to show.
pub async fn text_sizes(pool: &PgPool, ids: &[Uuid]) -> Result<HashMap<Uuid, usize>, StoreError> {
    let sizes: Vec<(Uuid, i32)> = sqlx::query_as(
        "select article.id, octet_length(article_text.body)
         from article
         join article_text on article_text.sha256 = article.text_sha256
         where article.id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(sizes.into_iter().map(|(id, size)| (id, usize::try_from(size).unwrap_or(0))).collect())
}

/// The articles that have these uris.
pub async fn find(pool: &PgPool, uris: &[&str]) -> Result<HashMap<String, Uuid>, StoreError> {
    let found: Vec<(String, Uuid)> =
        sqlx::query_as("select uri, article from article_uri where uri = any($1)").bind(uris).fetch_all(pool).await?;
    Ok(found.into_iter().collect())
}

/// The first articles of the groups of copies that these belong to.
pub async fn origins(pool: &PgPool, ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>, StoreError> {
    let found: Vec<(Uuid, Uuid)> =
        sqlx::query_as("select id, origin from article where id = any($1)").bind(ids).fetch_all(pool).await?;
    Ok(found.into_iter().collect())
}

/// The uris that an article has for itself: all of them while it is live.
fn held_uris(article: &Article) -> BTreeSet<&str> {
    if article.is_deleted() { BTreeSet::new() } else { uris(article).collect() }
}

fn former_uris(one: &PutArticle) -> BTreeSet<&str> {
    one.former.as_ref().map(held_uris).unwrap_or_default()
}

/// The uris that an article gets and did not have.
pub(super) fn new_uris(one: &PutArticle) -> impl Iterator<Item = &str> {
    let former = former_uris(one);
    held_uris(&one.put.record).into_iter().filter(move |uri| !former.contains(uri))
}

/// Claims uris; those that a revision no longer has become free first.
pub(super) async fn claim_uris(
    tx: Tx<'_>,
    articles: &[Attributed<'_, PutArticle>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let freed = articles.iter().flat_map(|one| {
        let kept = held_uris(&one.put.record);
        former_uris(one).into_iter().filter(move |uri| !kept.contains(uri))
    });
    let freed: BTreeSet<&str> = freed.collect();
    if !freed.is_empty() {
        let freed: Vec<&str> = freed.into_iter().collect();
        sqlx::query("delete from article_uri where uri = any($1)").bind(freed).execute(&mut *tx).await?;
    }

    let mut claims: Vec<(&str, Uuid)> =
        articles.iter().flat_map(|one| new_uris(one).map(|uri| (uri, one.put.id))).collect();
    if claims.is_empty() {
        return Ok(());
    }
    claims.sort_unstable();
    let (uris, ids): (Vec<&str>, Vec<Uuid>) = claims.into_iter().unzip();
    let claimed: HashSet<String> = sqlx::query_scalar(
        "insert into article_uri (uri, article)
         select one.uri, one.article
         from unnest($1::text[], $2::uuid[]) as one (uri, article)
         on conflict on constraint article_uri_pkey do nothing
         returning uri",
    )
    .bind(&uris)
    .bind(ids)
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();
    lost.extend(uris.iter().filter(|uri| !claimed.contains(**uri)).map(|uri| Claim::Uri((*uri).to_owned())));
    Ok(())
}

/// Inserts the new articles and locks those that are to be replaced.
pub(super) async fn claim(
    tx: Tx<'_>,
    articles: &[Attributed<'_, PutArticle>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let new: Vec<_> = articles.iter().copied().filter(|one| one.put.replaces.is_none()).collect();
    if !new.is_empty() {
        let (rows, by, words) = (ArticleColumns::of(&new), Attributions::of(&new), Words::of_new(&new));
        let claimed: HashSet<Uuid> = sqlx::query_scalar(
            "insert into article (id, revision, contract, doc, origin, text_sha256, publisher_region, language_code,
                                  section, publish_from, publish_to, syndicated_from, text_key, create_time, update_time,
                                  change_kind, actor, request_id, reason, search)
             select one.id, one.revision, one.contract, one.doc, one.origin, one.text_sha256, one.publisher_region,
                    one.language_code, one.section, one.publish_from, one.publish_to, one.syndicated_from, one.text_key,
                    one.create_time, one.update_time, one.change_kind, one.actor, one.request_id, one.reason,
                    search_article(one.language_code, one.title, one.words)
             from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::uuid[], $6::bytea[], $7::text[],
                         $8::text[], $9::text[], $10::date[], $11::date[], $12::uuid[], $13::bytea[],
                         $14::timestamptz[], $15::timestamptz[], $16::smallint[], $17::text[], $18::text[],
                         $19::text[], $20::text[], $21::text[])
                      as one (id, revision, contract, doc, origin, text_sha256, publisher_region, language_code,
                              section, publish_from, publish_to, syndicated_from, text_key, create_time, update_time,
                              change_kind, actor, request_id, reason, title, words)
             on conflict on constraint article_pkey do nothing
             returning id",
        )
        .bind(&rows.ids)
        .bind(rows.revisions)
        .bind(rows.contracts)
        .bind(rows.docs)
        .bind(rows.origins)
        .bind(rows.text_hashes)
        .bind(rows.regions)
        .bind(rows.languages)
        .bind(rows.sections)
        .bind(rows.publish_from)
        .bind(rows.publish_to)
        .bind(rows.sources)
        .bind(rows.text_keys)
        .bind(rows.create_times)
        .bind(by.update_times)
        .bind(by.kinds)
        .bind(by.actors)
        .bind(by.request_ids)
        .bind(by.reasons)
        .bind(words.titles)
        .bind(words.texts)
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        let taken = rows.ids.iter().filter(|id| !claimed.contains(id));
        lost.extend(taken.map(|id| Claim::Record(Collection::Articles, *id)));
    }

    let old = articles.iter().filter_map(|one| Some((one.put.id, one.put.replaces?))).collect();
    revision::claim(tx, Collection::Articles, &old, lost).await
}

/// Puts the next revisions in the place of those that were locked, which are kept as superseded.
pub(super) async fn update(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<(), StoreError> {
    let next: Vec<_> = articles.iter().copied().filter(|one| one.put.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let (rows, by, words) = (ArticleColumns::of(&next), Attributions::of(&next), Words::of_next(tx, &next).await?);
    revision::supersede(tx, Collection::Articles, &rows.ids).await?;
    sqlx::query(
        "update article
         set revision = one.revision,
             contract = one.contract,
             doc = one.doc,
             origin = one.origin,
             text_sha256 = one.text_sha256,
             publisher_region = one.publisher_region,
             language_code = one.language_code,
             section = one.section,
             publish_from = one.publish_from,
             publish_to = one.publish_to,
             syndicated_from = one.syndicated_from,
             delete_time = one.delete_time,
             text_key = coalesce(one.text_key, case when one.has_same_text then article.text_key end),
             update_time = one.update_time,
             change_kind = one.change_kind,
             actor = one.actor,
             request_id = one.request_id,
             reason = one.reason,
             search = case
                 when one.title is null then article.search
                 else search_article(one.language_code, one.title, one.words)
             end
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::uuid[], $6::bytea[], $7::text[],
                     $8::text[], $9::text[], $10::date[], $11::date[], $12::uuid[], $13::timestamptz[], $14::bytea[],
                     $15::boolean[], $16::timestamptz[], $17::smallint[], $18::text[], $19::text[], $20::text[],
                     $21::text[], $22::text[])
                  as one (id, revision, contract, doc, origin, text_sha256, publisher_region, language_code, section,
                          publish_from, publish_to, syndicated_from, delete_time, text_key, has_same_text, update_time,
                          change_kind, actor, request_id, reason, title, words)
         where article.id = one.id",
    )
    .bind(rows.ids)
    .bind(rows.revisions)
    .bind(rows.contracts)
    .bind(rows.docs)
    .bind(rows.origins)
    .bind(rows.text_hashes)
    .bind(rows.regions)
    .bind(rows.languages)
    .bind(rows.sections)
    .bind(rows.publish_from)
    .bind(rows.publish_to)
    .bind(rows.sources)
    .bind(rows.delete_times)
    .bind(rows.text_keys)
    .bind(rows.have_same_text)
    .bind(by.update_times)
    .bind(by.kinds)
    .bind(by.actors)
    .bind(by.request_ids)
    .bind(by.reasons)
    .bind(words.titles)
    .bind(words.texts)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Columns of `article`, one entry an article.
struct ArticleColumns<'a> {
    ids: Vec<Uuid>,
    revisions: Vec<i64>,
    contracts: Vec<i16>,
    docs: Vec<&'a [u8]>,
    origins: Vec<Uuid>,
    text_hashes: Vec<Option<Vec<u8>>>,
    regions: Vec<Option<&'a str>>,
    languages: Vec<Option<&'a str>>,
    sections: Vec<Option<&'a str>>,
    publish_from: Vec<Option<NaiveDate>>,
    publish_to: Vec<Option<NaiveDate>>,
    sources: Vec<Option<Uuid>>,
    create_times: Vec<DateTime<Utc>>,
    delete_times: Vec<Option<DateTime<Utc>>>,
    text_keys: Vec<Option<&'a [u8]>>,
    have_same_text: Vec<bool>,
}

impl<'a> ArticleColumns<'a> {
    fn of(articles: &'a [Attributed<'a, PutArticle>]) -> Self {
        fn column<'a, T>(articles: &'a [Attributed<'a, PutArticle>], of: impl Fn(&'a Article) -> T) -> Vec<T> {
            articles.iter().map(|one| of(&one.put.record)).collect()
        }
        fn set(text: &str) -> Option<&str> {
            Some(text).filter(|text| !text.is_empty())
        }
        Self {
            ids: articles.iter().map(|one| one.put.id).collect(),
            revisions: column(articles, |article| article.revision),
            contracts: vec![CONTRACT; articles.len()],
            docs: articles.iter().map(|one| one.put.doc.as_slice()).collect(),
            origins: articles.iter().map(|one| origin(one)).collect(),
            text_hashes: column(articles, |article| {
                let hash = parse_text_hash(&article.text_sha256).filter(|_| keeps_text(article));
                hash.map(|hash| hash.to_vec())
            }),
            regions: column(articles, publisher_region),
            languages: column(articles, |article| set(&article.language_code)),
            sections: column(articles, |article| set(&article.section)),
            publish_from: column(articles, |article| article.publish_date.as_ref().and_then(dates::first_day)),
            publish_to: column(articles, |article| article.publish_date.as_ref().and_then(dates::last_day)),
            sources: column(articles, |article| Collection::Articles.id(&article.syndicated_from)),
            create_times: column(articles, |article| time(article.create_time.as_ref()).unwrap_or_default()),
            delete_times: column(articles, |article| time(article.delete_time.as_ref())),
            text_keys: articles.iter().map(|one| one.text_key.as_ref().map(TextHash::as_slice)).collect(),
            have_same_text: articles.iter().map(|one| has_same_text(one)).collect(),
        }
    }
}

/// The first article of its group of copies.
fn origin(one: &PutArticle) -> Uuid {
    Collection::Articles.id(&one.put.record.origin).unwrap_or(one.put.id)
}

/// Whether it has the text that it had, which need not have been sent again.
fn has_same_text(one: &PutArticle) -> bool {
    one.former.as_ref().is_some_and(|former| former.text_sha256 == one.put.record.text_sha256)
}
