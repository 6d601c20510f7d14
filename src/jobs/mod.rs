//! Background jobs. Every instance runs all of them.
//!
//! - `settler` settles the meetings and groups of copies that a change has made uncertain, after `near_copies` has
//!   compared new texts. It writes through the same path as calls do, so two instances that settle the same record
//!   conflict harmlessly.
//! - `identity` settles who is one person: it follows the change feed, and aliases participants. One instance at a time
//!   does the work, under a lease.
//! - `maintenance` deletes expired rows: stored answers to requests, and ranges of the change log. It renews the
//!   planner's statistics of tables that have grown.
//!
//! Jobs run until their task is aborted. An error is logged, and the work is tried again later.

pub mod identity;
pub mod maintenance;
mod near_copies;
pub mod settler;
