//! Parsing and evaluation of queries: filters, sort orders, full-text search, aggregation groups and paths.

pub mod aggregate;
pub mod filter;
pub mod group_values;
pub mod order;
pub mod path_frontier;
pub mod search;
