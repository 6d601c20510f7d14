//! The schema of the database and the data derived from the docs.

pub mod folding;
pub mod migrate;
pub mod reindex;
