//! Tests through the front door: gRPC to a real service on a real PostgreSQL. One binary, one private cluster for all
//! tests, a database of its own for each.

mod support;

mod actor;
mod article;
mod azernews;
mod bad_input;
mod change;
mod cli;
mod connections;
mod contract;
mod copies;
mod crash;
mod deadline;
mod delete;
mod dispute;
mod embedded;
mod erase;
mod evidence;
mod export;
mod faults;
mod filter;
mod history;
mod ingest;
mod ingest_stream;
mod interleaved;
mod list;
mod matching;
mod meeting;
mod memory;
mod merge;
mod migrate;
mod order;
mod participant;
mod races;
mod read_time;
mod recovery;
mod reindex;
mod report;
mod retract;
mod ruling;
mod serve;
mod stories;
mod update;
mod visit;
mod watch;
