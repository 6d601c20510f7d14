//! The database schema: `migrate` applies the migrations at start, `reindex` rebuilds the columns and index tables that
//! are derived from docs, and `folding` tracks which version of letter folding made the stored search words.

pub mod folding;
pub mod migrate;
pub mod reindex;
