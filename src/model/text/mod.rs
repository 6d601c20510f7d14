//! Rules on short texts: letters, names, markup, suggestions and quoted values.

pub mod letters;
pub mod markup;
pub mod names;
pub mod quoted;
pub mod suggestion;
