//! The way into the database. Handlers prepare writes; the `committer` puts them into transactions, many at a time, and
//! gives each its position in the change log.

pub mod committer;
pub mod turns;

pub use self::{committer::Committer, turns::Turns};
