//! Readout.

pub mod cli;
pub mod config;
pub mod embedded;
pub mod feed;
pub mod model;
pub mod pb;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
