//! Full-text search: parses queries, folds words and cuts snippets. PostgreSQL matches, ranks and marks. It only gets
//! words that are folded here, and so needs no knowledge of the letters and marks of any script.

mod fold;
mod question;
mod snippet;

pub use self::{
    fold::{MAX_BYTES, fold},
    question::{MAX_WORDS, Question, count_words},
    snippet::{END, FoldedText, START, snippet},
};
