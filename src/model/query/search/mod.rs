//! Full-text search: parses queries, makes the words that records are searched by, finds them in texts and cuts
//! snippets. PostgreSQL stores the words, finds records by them and ranks these. It also finds stems. It gets words
//! that are folded here, and so needs no knowledge of the letters and marks of any script.

mod fold;
mod language;
mod matching;
mod pieces;
mod script;
mod search_query;
mod snippet;
mod tsquery;
mod word_vector;

pub use self::{
    fold::fold,
    language::{is_query_language, language_names, stem_config},
    matching::{MatchStems, SplitText},
    search_query::{MAX_WORDS, QueryError, SearchQuery, check},
    snippet::{MatchedText, snippet},
    tsquery::{Stems, TermQueries},
    word_vector::{MAX_BYTES, WordVector},
};
