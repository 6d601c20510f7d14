//! Rules on short texts: letters, names, suggestions and quoted values.

pub mod letters;
pub mod names;
pub mod quoted;
pub mod suggestion;
