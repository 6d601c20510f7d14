//! Integration tests: gRPC calls to a real service on a real PostgreSQL. One test binary starts one private cluster;
//! each test has its own database.

mod support;

mod access;
mod article;
mod audit;
mod canonical;
mod change;
mod commands;
mod database;
mod effects;
mod errors;
mod evidence;
mod external_ids;
mod fairness;
mod faults;
mod fuzz;
mod history;
mod house;
mod identity;
mod ingest;
mod load;
mod meeting;
mod operations;
mod participant;
mod protocols;
mod query;
mod report;
mod settle;
mod size;
mod statement;
mod transport;
mod write;
