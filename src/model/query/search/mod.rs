//! Full text: what is searched for, and where it stands in a text. PostgreSQL finds, ranks and marks; it only ever gets
//! words that are folded here, so that it needs to know neither letters nor marks of any script.

mod fold;
mod question;
mod snippet;

pub use self::{
    fold::{MOST_BYTES, fold},
    question::{MOST_WORDS, Question, count_words},
    snippet::{END, FoldedText, START, snippet},
};
