//! Full-text search: the words that articles are indexed by, the condition and the rank of a search, and the
//! highlighted matches in texts.

use std::collections::HashMap;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::BoundedQuery;
use crate::{
    model::{
        article::{TextHash, may_store_text, parse_text_hash},
        query::search::{END, MAX_BYTES, START, SearchQuery, fold},
    },
    pb::Article,
    store::{
        StoreError, Tx,
        write::{PutArticle, provenance::Attributed},
    },
};

/// Folded titles and texts, one entry per article; `None` for an article whose words do not change.
#[derive(Default)]
pub(in crate::store) struct SearchColumns {
    pub titles: Vec<Option<String>>,
    pub texts: Vec<Option<String>>,
}

impl SearchColumns {
    /// The words of new articles.
    pub fn of_new(articles: &[Attributed<'_, PutArticle>]) -> Self {
        let mut words = Self::default();
        articles.iter().for_each(|article| words.push(&article.put.record, article.text.as_deref()));
        words
    }

    /// The words of the next revisions of articles. A text that was not sent again is read from its table.
    pub async fn of_next(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<Self, StoreError> {
        let unsent = articles.iter().filter(|article| article.text.is_none() && changes_words(article));
        let unsent: Vec<TextHash> = unsent.filter_map(|article| shown_text(&article.put.record)).collect();
        let texts = bodies(tx, &unsent).await?;
        let mut words = Self::default();
        for article in articles {
            if !changes_words(article) {
                words.titles.push(None);
                words.texts.push(None);
                continue;
            }
            let stored = || texts.get(&shown_text(&article.put.record)?).map(String::as_str);
            words.push(&article.put.record, article.text.as_deref().or_else(stored));
        }
        Ok(words)
    }

    fn push(&mut self, article: &Article, text: Option<&str>) {
        let title = fold(&article.title, MAX_BYTES);
        self.texts.push(text.map(|text| fold(text, MAX_BYTES - title.len())));
        self.titles.push(Some(title));
    }
}

/// The hash of the text that an article may show, if there is one.
fn shown_text(article: &Article) -> Option<TextHash> {
    parse_text_hash(&article.text_sha256).filter(|_| may_store_text(article))
}

fn changes_words(article: &PutArticle) -> bool {
    fn sources(article: &Article) -> (&str, &str, Option<TextHash>) {
        (&article.title, &article.language_code, shown_text(article))
    }
    article.former.as_ref().is_none_or(|former| sources(former) != sources(&article.put.record))
}

async fn bodies(tx: Tx<'_>, hashes: &[TextHash]) -> Result<HashMap<TextHash, String>, StoreError> {
    if hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(Vec<u8>, String)> = sqlx::query_as("select sha256, body from article_text where sha256 = any($1)")
        .bind(hashes.iter().map(TextHash::as_slice).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    Ok(found.into_iter().filter_map(|(hash, body)| Some((hash.try_into().ok()?, body))).collect())
}

/// Rebuilds the search column of these articles. Rows whose words do not change are not written.
pub(in crate::store) async fn reindex(tx: Tx<'_>, articles: &[(Uuid, &Article)]) -> Result<(), StoreError> {
    // One at a time: texts are large, and those of a whole batch may not fit into memory.
    for (id, article) in articles {
        let texts = bodies(&mut *tx, &shown_text(article).into_iter().collect::<Vec<_>>()).await?;
        let mut words = SearchColumns::default();
        words.push(article, texts.values().next().map(String::as_str));
        sqlx::query(
            "update article
             set search = rebuilt.search
             from (select search_article(language_code, $2, $3) as search from article where id = $1) as rebuilt
             where article.id = $1
               and article.search <> rebuilt.search",
        )
        .bind(id)
        .bind(words.titles.pop().flatten())
        .bind(words.texts.pop().flatten())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Appends the condition that a row of this table matches the question.
pub fn push_condition(query: &mut QueryBuilder<Postgres>, table: &'static str, question: &SearchQuery) {
    query.push(table).push(".search @@ ");
    push_question(query, question);
}

/// Appends the rank of a row: a better match has a greater rank.
pub fn push_rank(query: &mut QueryBuilder<Postgres>, table: &'static str, question: &SearchQuery) {
    query.push("ts_rank(").push(table).push(".search, ");
    push_question(query, question);
    query.push(")");
}

fn push_question(query: &mut QueryBuilder<Postgres>, question: &SearchQuery) {
    query.push("search_question(").push_bind(question.language.clone());
    query.push(", ").push_bind(question.words.clone()).push(")");
}

/// A text in which matches are to be marked.
#[derive(Debug, Clone, Copy)]
pub struct HighlightSource<'a> {
    pub text: &'a str,
    /// The language of the text; may be empty.
    pub language: &'a str,
}

/// The folded forms of each text with marks around the matches: once by whole words, and once by stems in the language
/// of the text if it has a stemmer.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn marked(
    bounded: &mut BoundedQuery,
    question: &SearchQuery,
    texts: &[HighlightSource<'_>],
) -> Result<Vec<Vec<String>>, StoreError> {
    let marked = sqlx::query_as(
        "select ts_headline('pg_catalog.simple', source.words, search.question, $5),
                ts_headline(search_config(source.language), source.words, search.question, $5)
         from unnest($1::text[], $2::text[]) with ordinality as source (language, words, number)
         cross join (select search_question($3, $4) as question) as search
         order by source.number",
    )
    .bind(texts.iter().map(|source| source.language).collect::<Vec<_>>())
    .bind(texts.iter().map(|source| fold(source.text, MAX_BYTES)).collect::<Vec<_>>())
    .bind(&question.language)
    .bind(&question.words)
    .bind(format!("HighlightAll=true, StartSel={START}, StopSel={END}"));
    let rows: Vec<(String, Option<String>)> = bounded.fetch_all(marked).await?;
    Ok(rows.into_iter().map(|(words, stems)| [Some(words), stems].into_iter().flatten().collect()).collect())
}
