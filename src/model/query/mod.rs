//! The language of queries: filters, orders, full text, groups and paths.

pub mod aggregate;
pub mod filter;
pub mod find_path;
pub mod order;
pub mod search;
