//! Snippets: excerpts of records that show where a text search matched.

use std::collections::{BTreeSet, HashMap};

use crate::{
    model::query::search::{MatchStems, MatchedText, SearchQuery, SplitText, Stems, snippet, stem_config},
    pb::{Snippet, snippet::Source},
    service::error::ServiceError,
    store::query::{
        BoundedQuery,
        question::{stems_by_config, stems_of},
    },
};

/// Number of texts after which the work on them lets other tasks run.
const TEXTS_AT_ONCE: usize = 16;

/// A searched text of a record.
#[derive(Debug, Clone)]
pub struct SearchedText<'a> {
    /// The field that holds the text.
    pub source: Source,
    /// Its place in its list, from 0.
    pub index: usize,
    /// The id of the statement that has the text, with STATEMENT.
    pub statement: String,
    /// The text.
    pub text: &'a str,
    /// The language code of the text; empty if unknown.
    pub language: &'a str,
}

impl<'a> SearchedText<'a> {
    /// A text that is not in a list.
    pub fn new(source: Source, text: &'a str, language: &'a str) -> Self {
        Self { source, index: 0, statement: String::new(), text, language }
    }
}

/// Makes one snippet of each record, of the first of its texts that has a match.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn snippets(
    db: &mut BoundedQuery,
    query: &SearchQuery,
    records: &[Vec<SearchedText<'_>>],
) -> Result<Vec<Snippet>, ServiceError> {
    let mut split = Vec::new();
    for (number, searched) in records.iter().flatten().enumerate() {
        if number % TEXTS_AT_ONCE == TEXTS_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        split.push((SplitText::of(searched.text), stem_config(searched.language)));
    }
    let mut words: HashMap<&'static str, BTreeSet<&str>> = HashMap::new();
    for (text, config) in &split {
        if let Some(config) = config {
            words.entry(config).or_default().append(&mut text.words());
        }
    }
    let of_texts = stems_by_config(db, words).await?;
    let (of_query, none) = (stems_of(db, query).await?, Stems::new());
    let mut split = split.iter();
    let mut snippets = Vec::with_capacity(records.len());
    for record in records {
        let texts = record.iter().zip(split.by_ref()).map(|(searched, (text, config))| {
            let of_text = config.and_then(|config| of_texts.get(config)).unwrap_or(&none);
            let matches = text.matches(query, MatchStems { query: &of_query, text: of_text });
            MatchedText { source: searched.source, text: searched.text, matches }
        });
        let (mut snippet, number) = snippet(&texts.collect::<Vec<_>>());
        if let Some(searched) = record.get(number) {
            // Lists have at most some thousand items: the number fits.
            snippet.index = searched.index as i32;
            snippet.statement.clone_from(&searched.statement);
        }
        snippets.push(snippet);
        tokio::task::yield_now().await;
    }
    Ok(snippets)
}
