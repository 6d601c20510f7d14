//! The classes of extractions: each is a message of the contract.

use super::json_node::fault;
use crate::{
    cli::import::fault::Fault,
    model::text::{
        quoted::quoted,
        suggestion::{did_you_mean, nearest},
    },
};

/// A class of extractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtractionClass {
    Meeting,
    Participant,
    Date,
    Place,
    Statement,
    Outcome,
}

const CLASSES: [(&str, ExtractionClass); 6] = [
    ("meeting", ExtractionClass::Meeting),
    ("participant", ExtractionClass::Participant),
    ("date", ExtractionClass::Date),
    ("place", ExtractionClass::Place),
    ("statement", ExtractionClass::Statement),
    ("outcome", ExtractionClass::Outcome),
];

impl ExtractionClass {
    /// The class with a name, in any case, also in the plural.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        let is_named = |class: &str| name == class || name.strip_suffix('s') == Some(class);
        CLASSES.iter().find(|(class, _)| is_named(class)).map(|(_, class)| *class)
    }

    /// As [`Self::of`].
    ///
    /// # Errors
    /// For an unknown name, which is at `at` in the message.
    pub fn parse(name: &str, at: &str) -> Result<Self, Fault> {
        Self::of(name).ok_or_else(|| {
            let known = CLASSES.map(|(class, _)| class);
            let nearest = nearest(known.iter().copied(), &name.to_lowercase());
            let classes = known.join(", ");
            fault(at, &format!("must be one of {classes}, not {}{}", quoted(name), did_you_mean(nearest)))
        })
    }

    /// The message whose fields the attributes are.
    pub fn message(self) -> &'static str {
        match self {
            Self::Meeting => "readout.v1.Account",
            Self::Participant => "readout.v1.Participation",
            Self::Date => "readout.v1.DateSpan",
            Self::Place => "readout.v1.Place",
            Self::Statement => "readout.v1.Statement",
            Self::Outcome => "readout.v1.Outcome",
        }
    }

    /// The field that the words of an extraction are; for a place only if no attribute says more.
    pub fn main_field(self) -> &'static str {
        match self {
            Self::Meeting | Self::Outcome => "title",
            Self::Participant => "name_as_written",
            Self::Date => "literal",
            Self::Place => "locality",
            Self::Statement => "text",
        }
    }
}
