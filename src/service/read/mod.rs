//! The parts that read calls share.

pub mod history;
pub mod pagination;
pub mod snippets;
pub mod stream_lifetime;
