//! Dates, spans of time and time zones.

pub mod dates;
pub mod spans;
pub mod zones;
