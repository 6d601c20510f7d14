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
    #[error("at byte {position}: there is no field {field:?}{}", did_you_mean(.field, "function", *.nearest))]
    UnknownField {
        /// Where the field's name begins.
        position: usize,
        /// The name as written, cut after [`FilterError::MOST_ECHOED`] characters.
        field: String,
        /// The field or function that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The collection has no such function.
    #[error("at byte {position}: there is no function {function:?}{}", did_you_mean(.function, "field", *.nearest))]
    UnknownFunction {
        /// Where the function's name begins.
        position: usize,
        /// The name as written, cut after [`FilterError::MOST_ECHOED`] characters.
        function: String,
        /// The function or field that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A function is called with what it does not take.
    #[error("at byte {position}: {function} takes {expected}{sent}")]
    BadCall {
        /// Where the argument begins or, if it is about all of them, the function's name.
        position: usize,
        /// The function.
        function: &'static str,
        /// What the function takes.
        expected: &'static str,
        /// The end of the sentence: what it is called with, where that is one value.
        sent: String,
    },
    /// A field is compared with what it can never be.
    #[error("at byte {position}: {field} must be compared with {expected}{sent}")]
    BadValue {
        /// Where the value begins.
        position: usize,
        /// The field.
        field: &'static str,
        /// What the field can be compared with.
        expected: String,
        /// The end of the sentence: what it is compared with and, if there is one, the nearest name.
        sent: String,
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
    /// How much of an unknown name is repeated.
    pub const MOST_ECHOED: usize = 64;

    /// Where in the text it is; `None` if it is about the whole.
    pub fn position(&self) -> Option<usize> {
        match *self {
            Self::Syntax { position, .. }
            | Self::UnknownField { position, .. }
            | Self::UnknownFunction { position, .. }
            | Self::BadCall { position, .. }
            | Self::BadValue { position, .. }
            | Self::UnsupportedOperator { position, .. } => Some(position),
            Self::TooComplex { .. } => None,
        }
    }

    /// If it is about a name that the collection does not have: whether that is a `field` or a `function`, the name, and
    /// the nearest one.
    pub fn unknown(&self) -> Option<(&'static str, &str, Option<&'static str>)> {
        match self {
            Self::UnknownField { field, nearest, .. } => Some(("field", field, *nearest)),
            Self::UnknownFunction { function, nearest, .. } => Some(("function", function, *nearest)),
            _ => None,
        }
    }
}

/// What was probably meant by `name`, if it is not what it is written as but the `other`.
fn did_you_mean(name: &str, other: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) if nearest == name => format!("; it is a {other}"),
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None => String::new(),
    }
}
