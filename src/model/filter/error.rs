//! What is wrong with a filter, and where.

use thiserror::Error;

/// Why a filter was refused: the first thing against the grammar or, if there is none, the first against the fields.
/// Positions are bytes from the start of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// It does not follow the grammar.
    #[error("at byte {position}: {message}")]
    Syntax {
        /// Where the text stops making sense.
        position: usize,
        /// What was expected there.
        message: String,
    },
    /// The collection has no such field.
    #[error("at byte {position}: there is no field {field:?}{}", did_you_mean(*.nearest))]
    UnknownField {
        /// Where the field's name begins.
        position: usize,
        /// The name as written, cut after [`FilterError::MOST_ECHOED`] characters.
        field: String,
        /// The field that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A field is compared with what it can never be.
    #[error("at byte {position}: {field} must be compared with {expected}")]
    BadValue {
        /// Where the value begins.
        position: usize,
        /// The field.
        field: &'static str,
        /// What the field can be compared with.
        expected: String,
    },
    /// The grammar has it, but not here.
    #[error("at byte {position}: {operator} cannot be used here; use {expected}")]
    UnsupportedOperator {
        /// Where it stands.
        position: usize,
        /// The operator, or the name of the construct.
        operator: &'static str,
        /// What can be written in its place.
        expected: &'static str,
    },
    /// It is larger than a filter may be.
    #[error("a filter has at most {most} {what}")]
    TooComplex {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
}

impl FilterError {
    /// How much of an unknown field's name is repeated.
    pub const MOST_ECHOED: usize = 64;

    /// Where in the text it is; `None` if it is about the whole.
    pub fn position(&self) -> Option<usize> {
        match *self {
            Self::Syntax { position, .. }
            | Self::UnknownField { position, .. }
            | Self::BadValue { position, .. }
            | Self::UnsupportedOperator { position, .. } => Some(position),
            Self::TooComplex { .. } => None,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |field| format!("; did you mean {field:?}?"))
}
