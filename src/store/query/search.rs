//! The words that articles, meetings and participants are searched by. [`question`](super::question) searches.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    model::{
        article::{TextHash, may_store_text, parse_text_hash},
        query::search::WordVector,
    },
    pb::{Account, Article, Meeting, Participant},
    store::{
        StoreError, Tx,
        write::{PutArticle, provenance::Attributed},
    },
};

/// The words of records, one entry per record: the inputs of the SQL function `search_vector`.
#[derive(Debug, Default)]
pub(in crate::store) struct WordColumns {
    /// `None` for a record whose words do not change.
    pub literals: Vec<Option<String>>,
    /// The words of titles whose stems are searched.
    pub titles: Vec<String>,
    /// The words of other texts whose stems are searched.
    pub texts: Vec<String>,
}

impl WordColumns {
    /// The words of new articles.
    pub fn of_new(articles: &[Attributed<'_, PutArticle>]) -> Self {
        let mut words = Self::default();
        articles.iter().for_each(|article| words.push_article(&article.put.record, article.text.as_deref()));
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
                words.literals.push(None);
                words.titles.push(String::new());
                words.texts.push(String::new());
                continue;
            }
            let stored = || texts.get(&shown_text(&article.put.record)?).map(String::as_str);
            words.push_article(&article.put.record, article.text.as_deref().or_else(stored));
        }
        Ok(words)
    }

    /// Adds an article with the text that it may show.
    pub fn push_article(&mut self, article: &Article, text: Option<&str>) {
        self.push(Some(&article.title), text);
    }

    /// Adds the own texts of a meeting.
    pub fn push_meeting(&mut self, meeting: &Meeting) {
        let account = meeting.account.as_ref();
        let title = account.map(|account| account.title.as_str());
        self.push(title, account.into_iter().flat_map(meeting_texts));
    }

    /// Adds the names of a participant.
    pub fn push_participant(&mut self, participant: &Participant) {
        let names = participant.names.iter().map(|name| name.text.as_str());
        self.push(Some(&participant.display_name), names);
    }

    /// Adds a record with its title and its other texts.
    pub fn push<'a>(&mut self, title: Option<&str>, texts: impl IntoIterator<Item = &'a str>) {
        let mut vector = WordVector::default();
        self.titles.push(title.map(|title| vector.add(title, true)).unwrap_or_default());
        let texts: Vec<String> = texts.into_iter().map(|text| vector.add(text, false)).collect();
        self.texts.push(texts.join(" "));
        self.literals.push(Some(vector.into_literal()));
    }
}

/// The texts of a meeting beside its title: the summary and the topics.
fn meeting_texts(account: &Account) -> impl Iterator<Item = &str> {
    [&account.summary].into_iter().chain(&account.topics).map(String::as_str).filter(|text| !text.is_empty())
}

/// The language of the stems of the own texts of meetings. The contract has no language for these, and this is the
/// default language of queries.
pub const MEETING_LANGUAGE: &str = "en";

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
        let mut words = WordColumns::default();
        words.push_article(article, texts.values().next().map(String::as_str));
        let language = Some(article.language_code.as_str()).filter(|language| !language.is_empty());
        rebuild(&mut *tx, "article", &[*id], &[language], words).await?;
    }
    Ok(())
}

/// Rebuilds the search column of these meetings.
pub(in crate::store) async fn reindex_meetings(tx: Tx<'_>, meetings: &[(Uuid, &Meeting)]) -> Result<(), StoreError> {
    let (mut ids, mut words) = (Vec::new(), WordColumns::default());
    for (id, meeting) in meetings {
        ids.push(*id);
        words.push_meeting(meeting);
    }
    rebuild(tx, "meeting", &ids, &vec![Some(MEETING_LANGUAGE); ids.len()], words).await
}

/// Rebuilds the search column of these participants.
pub(in crate::store) async fn reindex_participants(
    tx: Tx<'_>,
    participants: &[(Uuid, &Participant)],
) -> Result<(), StoreError> {
    let (mut ids, mut words) = (Vec::new(), WordColumns::default());
    for (id, participant) in participants {
        ids.push(*id);
        words.push_participant(participant);
    }
    rebuild(tx, "participant", &ids, &vec![None; ids.len()], words).await
}

async fn rebuild(
    tx: Tx<'_>,
    table: &'static str,
    ids: &[Uuid],
    languages: &[Option<&str>],
    words: WordColumns,
) -> Result<(), StoreError> {
    let statement = format!(
        "update {table}
         set search = rebuilt.search
         from (
             select input.id, search_vector(input.language_code, input.literal, input.title, input.words) as search
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
                      as input (id, language_code, literal, title, words)
         ) as rebuilt
         where {table}.id = rebuilt.id
           and {table}.search <> rebuilt.search"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .bind(languages)
        .bind(words.literals)
        .bind(words.titles)
        .bind(words.texts)
        .execute(tx)
        .await?;
    Ok(())
}
