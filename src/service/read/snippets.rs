//! What a question has found, as it is shown.

use crate::{
    model::query::search::{Question, Text, snippet},
    pb::{Snippet, snippet::Source},
    service::error::Refusal,
    store::query::{
        Ask,
        search::{Found, marked},
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
pub async fn snippets(ask: &mut Ask, question: &Question, records: &[Vec<Shown<'_>>]) -> Result<Vec<Snippet>, Refusal> {
    let texts = records.iter().flatten().map(|one| Found { text: one.text, language: one.language });
    let marked = marked(ask, question, &texts.collect::<Vec<_>>()).await?;
    let mut marked = marked.iter();
    let of_record = |shown: &Vec<Shown<'_>>| {
        let texts = shown.iter().zip(marked.by_ref());
        let texts = texts.map(|(one, marked)| Text { source: one.source, text: one.text, marked });
        snippet(&texts.collect::<Vec<_>>())
    };
    Ok(records.iter().map(of_record).collect())
}
