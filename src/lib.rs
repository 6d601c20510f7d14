//! Readout keeps structured records of diplomatic and governmental meetings as news articles report them: who met whom,
//! when, where, in which office, and what was said, each fact traced to the words that support it.
//!
//! The library holds the whole service; the binary `readout` only calls [`program::main`]. In the repository,
//! `ARCHITECTURE.md` has the map of the modules, the path of each call and how to add things, and `docs/concepts.md` the
//! glossary. Start with [`model`] for the rules, [`service`] for the calls, [`store`] for the SQL and [`feed`] for the
//! write path and the change feed.

pub mod access;
pub mod admin;
pub mod audit;
pub mod cli;
pub mod config;
pub mod database;
pub mod embedded;
pub mod error_chain;
pub mod fairness;
pub mod feed;
pub mod jobs;
pub mod json;
pub mod model;
pub mod pb;
pub mod program;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod url_redaction;
