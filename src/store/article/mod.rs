//! Articles: docs without their texts, the columns that filters read, and uris, which are unique among live articles.
//! `external_ids` indexes the external ids.

mod external_ids;

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::PgPool;
use uuid::Uuid;

pub(super) use self::external_ids::{index_external_ids, reindex_external_ids};
use super::{
    Doc, StoreError, Tx, docs,
    pool::{
        batch_loader::{BATCH_BYTES, BatchResult},
        kept_connections::KeptConnection,
    },
    query::search::WordColumns,
    time,
    write::{
        Claim, PutArticle,
        columns::Columns,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        article::{TextHash, may_store_text, parse_text_hash, publisher_region, uris},
        query::filter::Term,
        resource::{CONTRACT_VERSION, Collection, Deletable},
        time::dates,
    },
    pb::Article,
};

/// The articles with these ids, without texts, in no order. Unknown ids are left out.
///
/// # Errors
/// The database fails.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Articles, ids).await
}

/// An article with the data that its reports are checked against.
#[derive(Debug, Clone)]
pub struct ArticleWithText {
    /// The article, without its text.
    pub doc: Doc,
    /// The origin of its group of copies.
    pub origin: Uuid,
    /// Its text, if one is stored.
    pub text: Option<String>,
}

/// The articles with these ids, with origin and text, for a batch loader: those past `BATCH_BYTES` are left for a later
/// batch.
pub(super) async fn sources(
    mut connection: KeptConnection,
    ids: Vec<Uuid>,
) -> Result<BatchResult<Uuid, ArticleWithText>, StoreError> {
    type SourceRow = (Uuid, i16, Option<Vec<u8>>, Uuid, Option<String>);
    // The subqueries count bytes without fetching any TOASTed value.
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
             ) as source
         ) as counted",
    )
    .bind(ids)
    .bind(BATCH_BYTES)
    .fetch_all(&mut *connection)
    .await?;
    connection.keep();
    let source = |(id, contract, bytes, origin, text): SourceRow| {
        let doc = bytes.map(|bytes| Doc { id, contract, bytes });
        (id, doc.map(|doc| ArticleWithText { doc, origin, text }))
    };
    Ok(rows.into_iter().map(source).collect())
}

/// The texts of these articles, each with the hash of its text: the current one or one of a former revision. Erased
/// texts are left out, and so are those of articles whose current revision hides them.
///
/// # Errors
/// The database fails.
pub async fn texts(pool: &PgPool, articles: &[(Uuid, TextHash)]) -> Result<HashMap<Uuid, String>, StoreError> {
    let texts: Vec<(Uuid, String)> = sqlx::query_as(
        "select input.id, article_text.body
         from unnest($1::uuid[], $2::bytea[]) as input (id, sha256)
         join article
             on article.id = input.id
            and not article.hides_text
         join article_text_use
             on article_text_use.article = input.id
            and article_text_use.sha256 = input.sha256
         join article_text on article_text.sha256 = article_text_use.sha256",
    )
    .bind(articles.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(articles.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    Ok(texts.into_iter().collect())
}

/// The text of an article with this hash, even if the article hides it.
///
/// # Errors
/// The database fails.
pub async fn hidden_text(pool: &PgPool, (id, hash): (Uuid, TextHash)) -> Result<Option<String>, StoreError> {
    let text = sqlx::query_scalar(
        "select article_text.body
         from article_text_use
         join article_text on article_text.sha256 = article_text_use.sha256
         where article_text_use.article = $1
           and article_text_use.sha256 = $2",
    );
    Ok(text.bind(id).bind(hash.as_slice()).fetch_optional(pool).await?)
}

/// The articles among these that have a stored text with this hash, shown or hidden.
///
/// # Errors
/// The database fails.
pub async fn with_kept_text(pool: &PgPool, articles: &[(Uuid, TextHash)]) -> Result<HashSet<Uuid>, StoreError> {
    let kept: Vec<Uuid> = sqlx::query_scalar(
        "select article_text_use.article
         from unnest($1::uuid[], $2::bytea[]) as input (id, sha256)
         join article_text_use
             on article_text_use.article = input.id
            and article_text_use.sha256 = input.sha256",
    )
    .bind(articles.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(articles.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    Ok(kept.into_iter().collect())
}

/// The size of each article's text in bytes. Articles without a stored text are left out.
///
/// # Errors
/// The database fails.
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

/// The live articles with these uris.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, uris: &[&str]) -> Result<HashMap<String, Uuid>, StoreError> {
    let found: Vec<(String, Uuid)> =
        sqlx::query_as("select uri, article from article_uri where uri = any($1)").bind(uris).fetch_all(pool).await?;
    Ok(found.into_iter().collect())
}

/// The origin of each article's group of copies.
///
/// # Errors
/// The database fails.
pub async fn origins(pool: &PgPool, ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>, StoreError> {
    let found: Vec<(Uuid, Uuid)> =
        sqlx::query_as("select id, origin from article where id = any($1)").bind(ids).fetch_all(pool).await?;
    Ok(found.into_iter().collect())
}

/// The uris that an article holds exclusively: all of them while it is live.
fn held_uris(article: &Article) -> BTreeSet<&str> {
    if article.is_deleted() { BTreeSet::new() } else { uris(article).collect() }
}

fn former_uris(article: &PutArticle) -> BTreeSet<&str> {
    article.former.as_ref().map(held_uris).unwrap_or_default()
}

/// The uris that an article gets and did not hold before.
pub(super) fn new_uris(article: &PutArticle) -> impl Iterator<Item = &str> {
    let former = former_uris(article);
    held_uris(&article.put.record).into_iter().filter(move |uri| !former.contains(uri))
}

/// Frees the uris that revisions no longer have, then claims the new ones.
pub(super) async fn claim_uris(
    tx: Tx<'_>,
    articles: &[Attributed<'_, PutArticle>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let freed = articles.iter().flat_map(|article| {
        let kept = held_uris(&article.put.record);
        former_uris(article).into_iter().filter(move |uri| !kept.contains(uri))
    });
    let freed: BTreeSet<&str> = freed.collect();
    if !freed.is_empty() {
        let freed: Vec<&str> = freed.into_iter().collect();
        sqlx::query("delete from article_uri where uri = any($1)").bind(freed).execute(&mut *tx).await?;
    }

    let mut claims: Vec<(&str, Uuid)> =
        articles.iter().flat_map(|article| new_uris(article).map(|uri| (uri, article.put.id))).collect();
    if claims.is_empty() {
        return Ok(());
    }
    claims.sort_unstable();
    let (uris, ids): (Vec<&str>, Vec<Uuid>) = claims.into_iter().unzip();
    let claimed: HashSet<String> = sqlx::query_scalar(
        "insert into article_uri (uri, article)
         select input.uri, input.article
         from unnest($1::text[], $2::uuid[]) as input (uri, article)
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

/// Inserts the new articles, and locks those that are to be replaced.
pub(super) async fn claim(
    tx: Tx<'_>,
    articles: &[Attributed<'_, PutArticle>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let new: Vec<_> = articles.iter().copied().filter(|article| article.put.replaces.is_none()).collect();
    if !new.is_empty() {
        let rows = columns(&new)?.with("text_key", "bytea", text_keys(&new))?;
        let rows = with_words(rows, WordColumns::of_new(&new))?.expression("search", SEARCH);
        let inserted: HashSet<Uuid> = rows.insert(&mut *tx).await?.into_iter().collect();
        let taken = new.iter().map(|article| article.put.id).filter(|id| !inserted.contains(id));
        lost.extend(taken.map(|id| Claim::Record(Collection::Articles, id)));
    }

    let replaced = articles.iter().filter_map(|article| Some((article.put.id, article.put.replaces?))).collect();
    revision::claim(tx, Collection::Articles, &replaced, lost).await
}

/// Replaces the locked revisions by the next ones, and keeps the former ones as superseded.
pub(super) async fn update(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<(), StoreError> {
    let next: Vec<_> = articles.iter().copied().filter(|article| article.put.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let words = WordColumns::of_next(tx, &next).await?;
    revision::supersede(tx, Collection::Articles, &ids(&next)).await?;
    let rows = columns(&next)?
        .input("text_key", "bytea", text_keys(&next))?
        .input("has_same_text", "boolean", next.iter().map(|article| has_same_text(article)).collect())?
        .expression("text_key", "coalesce(input.text_key, case when input.has_same_text then article.text_key end)");
    let search = format!("case when input.literal is null then article.search else {SEARCH} end");
    with_words(rows, words)?.expression("search", search).update(tx).await
}

/// The value of the column `search`, from the inputs of [`with_words`].
const SEARCH: &str = "search_vector(input.language_code, input.literal, input.title, input.words)";

fn with_words(rows: Columns, words: WordColumns) -> Result<Columns, StoreError> {
    rows.input("literal", "text", words.literals)?.input("title", "text", words.titles)?.input(
        "words",
        "text",
        words.texts,
    )
}

/// The columns that an insert and an update set in the same way.
fn columns(articles: &[Attributed<'_, PutArticle>]) -> Result<Columns, StoreError> {
    fn column<'a, T>(articles: &'a [Attributed<'_, PutArticle>], of: impl Fn(&'a Article) -> T) -> Vec<T> {
        articles.iter().map(|article| of(&article.put.record)).collect()
    }
    fn set(text: &str) -> Option<&str> {
        Some(text).filter(|text| !text.is_empty())
    }
    let text_hash = |article: &Article| {
        let hash = parse_text_hash(&article.text_sha256).filter(|_| may_store_text(article));
        hash.map(|hash| hash.to_vec())
    };
    let rows = Columns::of("article", &ids(articles))?
        .with("revision", "bigint", column(articles, |article| article.revision))?
        .with("contract", "smallint", vec![CONTRACT_VERSION; articles.len()])?
        .with("doc", "bytea", articles.iter().map(|article| article.put.doc.as_slice()).collect())?
        .with("origin", "uuid", articles.iter().map(|article| origin(article)).collect())?
        .with("text_sha256", "bytea", column(articles, text_hash))?
        .with("hides_text", "boolean", column(articles, |article| !may_store_text(article)))?
        .with("publisher_region", "text", column(articles, publisher_region))?
        .with("language_code", "text", column(articles, |article| set(&article.language_code)))?
        .with_arrays("terms", "bigint", articles.iter().map(|article| Some(terms(&article.put.record))))?
        .with("section", "text", column(articles, |article| set(&article.section)))?
        .with(
            "publish_from",
            "date",
            column(articles, |article| article.publish_date.as_ref().and_then(dates::first_day)),
        )?
        .with(
            "publish_to",
            "date",
            column(articles, |article| article.publish_date.as_ref().and_then(dates::last_day)),
        )?
        .with("syndicated_from", "uuid", column(articles, |article| Collection::Articles.id(&article.syndicated_from)))?
        .with(
            "create_time",
            "timestamptz",
            column(articles, |article| time(article.create_time.as_ref()).unwrap_or_default()),
        )?
        .with("delete_time", "timestamptz", column(articles, |article| time(article.delete_time.as_ref())))?;
    Attributions::of(articles).columns(rows)
}

/// The column `terms`.
pub(super) fn terms(article: &Article) -> Vec<i64> {
    Term::of_article(article).iter().flat_map(|term| [term.hash(), term.field_hash()]).collect()
}

fn ids(articles: &[Attributed<'_, PutArticle>]) -> Vec<Uuid> {
    articles.iter().map(|article| article.put.id).collect()
}

fn text_keys<'a>(articles: &'a [Attributed<'_, PutArticle>]) -> Vec<Option<&'a [u8]>> {
    articles.iter().map(|article| article.text_key.as_ref().map(TextHash::as_slice)).collect()
}

/// The origin of the article's group of copies; itself if it has none.
fn origin(article: &PutArticle) -> Uuid {
    Collection::Articles.id(&article.put.record.origin).unwrap_or(article.put.id)
}

/// True if the text is the former one, which need not have been sent again.
fn has_same_text(article: &PutArticle) -> bool {
    article.former.as_ref().is_some_and(|former| former.text_sha256 == article.put.record.text_sha256)
}
