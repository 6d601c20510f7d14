//! Full-text search: parses queries, folds words and cuts snippets. PostgreSQL matches, ranks and marks. It only gets
//! words that are folded here, and so needs no knowledge of the letters and marks of any script.

mod fold;
mod search_query;
mod snippet;

pub use self::{
    fold::{MAX_BYTES, fold},
    search_query::{MAX_WORDS, SearchQuery, count_words},
    snippet::{END, FoldedText, START, snippet},
};
