//! Updates, deletions and races between writes.

mod actor;
mod delete;
mod masks;
mod plans;
mod races;
mod update;
