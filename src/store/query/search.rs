//! Full text: what articles are searched by, which rows a question finds, and where their texts have it.

use std::collections::HashMap;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::BoundedQuery;
use crate::{
    model::{
        article::{TextHash, keeps_text, parse_text_hash},
        query::search::{END, MOST_BYTES, Question, START, fold},
    },
    pb::Article,
    store::{
        StoreError, Tx,
        write::{PutArticle, provenance::Attributed},
    },
};

/// Folded titles and texts, one entry an article; null of one that is searched by the same as before.
#[derive(Default)]
pub(in crate::store) struct Words {
    pub titles: Vec<Option<String>>,
    pub texts: Vec<Option<String>>,
}

impl Words {
    /// Those of new articles.
    pub fn of_new(articles: &[Attributed<'_, PutArticle>]) -> Self {
        let mut words = Self::default();
        articles.iter().for_each(|one| words.push(&one.put.record, one.text.as_deref()));
        words
    }

    /// Those of the next revisions of articles. A text that was not sent again is read: it is there already.
    pub async fn of_next(tx: Tx<'_>, articles: &[Attributed<'_, PutArticle>]) -> Result<Self, StoreError> {
        let unsent = articles.iter().filter(|one| one.text.is_none() && is_searched_otherwise(one));
        let unsent: Vec<TextHash> = unsent.filter_map(|one| shown_text(&one.put.record)).collect();
        let texts = bodies(tx, &unsent).await?;
        let mut words = Self::default();
        for one in articles {
            if !is_searched_otherwise(one) {
                words.titles.push(None);
                words.texts.push(None);
                continue;
            }
            let there = || texts.get(&shown_text(&one.put.record)?).map(String::as_str);
            words.push(&one.put.record, one.text.as_deref().or_else(there));
        }
        Ok(words)
    }

    fn push(&mut self, article: &Article, text: Option<&str>) {
        let title = fold(&article.title, MOST_BYTES);
        self.texts.push(text.map(|text| fold(text, MOST_BYTES - title.len())));
        self.titles.push(Some(title));
    }
}

/// The text that an article may show, if there is one.
fn shown_text(article: &Article) -> Option<TextHash> {
    parse_text_hash(&article.text_sha256).filter(|_| keeps_text(article))
}

fn is_searched_otherwise(one: &PutArticle) -> bool {
    fn by(article: &Article) -> (&str, &str, Option<TextHash>) {
        (&article.title, &article.language_code, shown_text(article))
    }
    one.former.as_ref().is_none_or(|former| by(former) != by(&one.put.record))
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

/// Makes again the words that these articles are searched by. Where they are the same, nothing is written.
pub(in crate::store) async fn reindex(tx: Tx<'_>, articles: &[(Uuid, &Article)]) -> Result<(), StoreError> {
    // One at a time: texts are large, and all of a batch may be too much.
    for (id, article) in articles {
        let texts = bodies(&mut *tx, &shown_text(article).into_iter().collect::<Vec<_>>()).await?;
        let mut words = Words::default();
        words.push(article, texts.values().next().map(String::as_str));
        sqlx::query(
            "update article
             set search = made.search
             from (select search_article(language_code, $2, $3) as search from article where id = $1) as made
             where article.id = $1
               and article.search <> made.search",
        )
        .bind(id)
        .bind(words.titles.pop().flatten())
        .bind(words.texts.pop().flatten())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Appends whether a row of this table has what the question asks for.
pub fn push_condition(query: &mut QueryBuilder<Postgres>, table: &'static str, question: &Question) {
    query.push(table).push(".search @@ ");
    push_question(query, question);
}

/// Appends how well a row has it: the more, the better.
pub fn push_rank(query: &mut QueryBuilder<Postgres>, table: &'static str, question: &Question) {
    query.push("ts_rank(").push(table).push(".search, ");
    push_question(query, question);
    query.push(")");
}

fn push_question(query: &mut QueryBuilder<Postgres>, question: &Question) {
    query.push("search_question(").push_bind(question.language.clone());
    query.push(", ").push_bind(question.words.clone()).push(")");
}

/// A text in which what was found is to be marked.
#[derive(Debug, Clone, Copy)]
pub struct HighlightSource<'a> {
    /// The text.
    pub text: &'a str,
    /// Its language; may be empty.
    pub language: &'a str,
}

/// The folded forms of texts in which the question finds something, with marks around that: by the words as they stand,
/// and by their stems in the language of the text.
pub async fn marked(
    ask: &mut BoundedQuery,
    question: &Question,
    texts: &[HighlightSource<'_>],
) -> Result<Vec<Vec<String>>, StoreError> {
    let marked = sqlx::query_as(
        "select ts_headline('pg_catalog.simple', one.words, asked.question, $5),
                ts_headline(search_config(one.language), one.words, asked.question, $5)
         from unnest($1::text[], $2::text[]) with ordinality as one (language, words, number)
         cross join (select search_question($3, $4) as question) as asked
         order by one.number",
    )
    .bind(texts.iter().map(|one| one.language).collect::<Vec<_>>())
    .bind(texts.iter().map(|one| fold(one.text, MOST_BYTES)).collect::<Vec<_>>())
    .bind(&question.language)
    .bind(&question.words)
    .bind(format!("HighlightAll=true, StartSel={START}, StopSel={END}"));
    let rows: Vec<(String, Option<String>)> = ask.all(marked).await?;
    Ok(rows.into_iter().map(|(words, stems)| [Some(words), stems].into_iter().flatten().collect()).collect())
}
