//! The formats of extractors, and the stories that their messages mean. `docs/extraction.md` has the mapping.
//!
//! Each format reads a message into items: a class, words, quotes and attributes. `draft` makes a story of them, and
//! `attributes` sets the fields of the contract. A message that cannot be mapped in full is refused: a report is never
//! edited, so that half of one would stay.

mod articles;
mod attributes;
mod citations;
mod class;
mod converted;
mod draft;
mod instructor;
mod json_node;
mod langextract;
mod text_units;
mod web_annotations;

pub use self::{
    articles::Articles,
    converted::{Converted, Stories},
};
use self::{converted::Documents, web_annotations::Annotations};
use super::{fault::Fault, reader::Location};
use crate::config::{OffsetUnit, StoryFormat};

/// Reads the messages of one format.
#[derive(Debug)]
pub struct Converter {
    format: StoryFormat,
    documents: Documents,
    /// Annotations whose article may have further ones.
    annotations: Annotations,
}

impl Converter {
    pub fn new(format: StoryFormat, articles: Articles, unit: OffsetUnit) -> Self {
        Self { format, documents: Documents { articles, unit }, annotations: Annotations::default() }
    }

    /// The stories of a message. Those of annotations follow at the end of the input.
    pub fn convert(&mut self, location: &Location, text: &str) -> Stories {
        let value: serde_json::Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                let fault = Fault::new("malformed JSON", format!("malformed JSON: {error}"));
                return vec![(location.clone(), Err(fault))];
            }
        };
        let stories = match self.format {
            StoryFormat::Langextract => vec![langextract::story(&value, &self.documents)],
            StoryFormat::Instructor => vec![instructor::story(&value, &self.documents)],
            StoryFormat::Citations => citations::stories(&value, &self.documents),
            StoryFormat::WebAnnotations => return self.annotations.add(&value, location),
            // Stories are read as they are.
            StoryFormat::Story => Vec::new(),
        };
        stories.into_iter().map(|story| (location.clone(), story)).collect()
    }

    /// The stories that were complete only at the end of the input.
    pub fn finish(&mut self) -> Stories {
        std::mem::take(&mut self.annotations).stories(&self.documents)
    }
}

#[cfg(test)]
mod tests;
