//! The stories that messages mean, and the articles and offsets that all formats share.

use super::articles::Articles;
use crate::{
    cli::import::{fault::Fault, reader::Location},
    config::OffsetUnit,
    pb::Story,
};

/// A story that a message means.
#[derive(Debug)]
pub struct Converted {
    pub story: Story,
    /// Parts of the message that are not in the story.
    pub warnings: Vec<String>,
}

/// The stories of a message, each with its location.
pub type Stories = Vec<(Location, Result<Converted, Fault>)>;

/// The articles that messages refer to, and the unit of their offsets.
#[derive(Debug)]
pub struct Documents {
    pub articles: Articles,
    pub unit: OffsetUnit,
}
