//! Dates, times in RFC 3339, spans of time and time zones.

pub mod dates;
pub mod rfc3339;
pub mod spans;
pub mod zones;
