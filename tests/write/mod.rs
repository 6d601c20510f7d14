//! Updates, deletions and races between writes.

mod actor;
mod delete;
mod masks;
mod races;
mod update;
