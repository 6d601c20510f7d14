//! The parts that write calls share.

pub mod idempotency;
pub mod revise;
pub mod stale_evidence;
