//! Settling: disputes, rulings, retractions, merges and copies of articles.

mod copies;
mod defaults;
mod dispute;
mod fragile;
mod interleaved;
mod merge;
mod retract;
mod ruling;
mod stops;
mod visit;
