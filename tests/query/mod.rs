//! Queries: lists, filters, orders, full text, counts and paths.

mod duplicate_meetings;
mod example_filters;
mod filter;
mod letters;
mod list;
mod match_meetings;
mod oracle;
mod order;
mod people;
mod plan;
mod register;
mod search;
mod statement_counts;
mod statistics;
mod words;
