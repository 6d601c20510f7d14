//! Errors as clients see them, and input that is wrong or spelled in another way.

pub mod bad_input;
mod details;
mod messages;
