//! What a question has found, as it is shown.

use crate::{
    model::query::search::{FoldedText, Question, snippet},
    pb::{Snippet, snippet::Source},
    service::error::ServiceError,
    store::query::{
        BoundedQuery,
        search::{HighlightSource, marked},
    },
};

/// A text of a record, in a language that may not be known.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Which of its texts.
    pub source: Source,
    /// The text.
    pub text: &'a str,
    /// Its language.
    pub language: &'a str,
}

/// A snippet of each record, of the first of its texts that has what was found.
pub async fn snippets(
    ask: &mut BoundedQuery,
    question: &Question,
    records: &[Vec<Shown<'_>>],
) -> Result<Vec<Snippet>, ServiceError> {
    let texts = records.iter().flatten().map(|one| HighlightSource { text: one.text, language: one.language });
    let marked = marked(ask, question, &texts.collect::<Vec<_>>()).await?;
    let mut marked = marked.iter();
    let of_record = |shown: &Vec<Shown<'_>>| {
        let texts = shown.iter().zip(marked.by_ref());
        let texts = texts.map(|(one, marked)| FoldedText { source: one.source, text: one.text, marked });
        snippet(&texts.collect::<Vec<_>>())
    };
    Ok(records.iter().map(of_record).collect())
}
