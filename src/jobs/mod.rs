//! Background jobs of an instance.

pub mod maintenance;
pub mod settler;
