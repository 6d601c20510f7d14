//! Settling: disputes, rulings, retractions, merges and copies of articles.

mod copies;
mod dispute;
mod interleaved;
mod merge;
mod retract;
mod ruling;
mod visit;
