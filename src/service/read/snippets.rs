//! Snippets: excerpts of records that show where a text search matched.

use crate::{
    model::query::search::{FoldedText, SearchQuery, snippet},
    pb::{Snippet, snippet::Source},
    service::error::ServiceError,
    store::query::{
        BoundedQuery,
        search::{HighlightSource, marked},
    },
};

/// A searched text of a record.
#[derive(Debug, Clone, Copy)]
pub struct SearchedText<'a> {
    /// The field that holds the text.
    pub source: Source,
    /// The text.
    pub text: &'a str,
    /// The language code of the text; empty if unknown.
    pub language: &'a str,
}

/// Makes one snippet of each record, of the first of its texts that has a match.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn snippets(
    db: &mut BoundedQuery,
    question: &SearchQuery,
    records: &[Vec<SearchedText<'_>>],
) -> Result<Vec<Snippet>, ServiceError> {
    let texts =
        records.iter().flatten().map(|searched| HighlightSource { text: searched.text, language: searched.language });
    let marked = marked(db, question, &texts.collect::<Vec<_>>()).await?;
    let mut marked = marked.iter();
    let snippet_of = |texts: &Vec<SearchedText<'_>>| {
        let texts = texts.iter().zip(marked.by_ref());
        let texts = texts.map(|(searched, marked)| FoldedText { source: searched.source, text: searched.text, marked });
        snippet(&texts.collect::<Vec<_>>())
    };
    Ok(records.iter().map(snippet_of).collect())
}
