//! Tests through the front door: gRPC to a real service on a real PostgreSQL. One binary, one private cluster for all
//! tests, a database of its own for each.

mod support;

mod article;
mod cli;
mod crash;
mod embedded;
mod export;
mod memory;
mod migrate;
mod recovery;
mod serve;
mod azernews;
mod evidence;
mod ingest;
mod ingest_stream;
mod matching;
mod meeting;
mod participant;
mod report;
mod stories;
