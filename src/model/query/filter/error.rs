//! Errors in the text of a filter, with their position.

use thiserror::Error;

/// The first syntax error of a filter or, if there is none, the first error in its fields and values. Positions are
/// byte offsets from the start of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// The text does not follow the grammar.
    #[error("at byte {position}: {message}")]
    Syntax {
        /// The first byte that does not fit.
        position: usize,
        /// A description of the input expected there.
        message: String,
    },
    /// The collection has no such field.
    #[error("at byte {position}: there is no field {field:?}{}", did_you_mean(.field, "function", *.nearest))]
    UnknownField {
        /// The start of the field's name.
        position: usize,
        /// The name as written, cut after [`FilterError::MAX_ECHOED`] characters.
        field: String,
        /// The field or function that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The collection has no such function.
    #[error("at byte {position}: there is no function {function:?}{}", did_you_mean(.function, "field", *.nearest))]
    UnknownFunction {
        /// The start of the function's name.
        position: usize,
        /// The name as written, cut after [`FilterError::MAX_ECHOED`] characters.
        function: String,
        /// The function or field that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A function is called with wrong arguments.
    #[error("at byte {position}: {function} takes {expected}{sent}")]
    BadCall {
        /// The start of the argument or, if all of them are wrong, of the function's name.
        position: usize,
        /// The function.
        function: &'static str,
        /// The arguments that the function takes.
        expected: &'static str,
        /// The end of the sentence: the argument as sent, if it is one value.
        sent: String,
    },
    /// A field is compared with a value that it can never have.
    #[error("at byte {position}: {field} must be compared with {expected}{sent}")]
    BadValue {
        /// The start of the value.
        position: usize,
        /// The field.
        field: &'static str,
        /// A description of the values that the field can be compared with.
        expected: String,
        /// The end of the sentence: the value as sent and, if there is one, the nearest name.
        sent: String,
    },
    /// The grammar allows the construct, but this field or place does not.
    #[error("at byte {position}: {operator} cannot be used here; use {expected}")]
    UnsupportedOperator {
        /// The start of the construct.
        position: usize,
        /// The operator, or the name of the construct.
        operator: &'static str,
        /// A description of a replacement.
        expected: &'static str,
    },
    /// The filter exceeds a limit.
    #[error("a filter has at most {most} {what}")]
    TooComplex {
        /// The counted unit, in the plural.
        what: &'static str,
        /// The limit.
        most: usize,
    },
}

impl FilterError {
    /// Maximum number of characters of an unknown name that an error repeats.
    pub const MAX_ECHOED: usize = 64;

    /// The byte offset of the error; `None` if it is about the whole filter.
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

    /// For an unknown name: its sort, `field` or `function`, the name, and the nearest existing name.
    pub fn unknown(&self) -> Option<(&'static str, &str, Option<&'static str>)> {
        match self {
            Self::UnknownField { field, nearest, .. } => Some(("field", field, *nearest)),
            Self::UnknownFunction { function, nearest, .. } => Some(("function", function, *nearest)),
            _ => None,
        }
    }
}

/// The suggestion for an unknown name. `other` is the other sort of name: a field used as a function, or the reverse.
fn did_you_mean(name: &str, other: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) if nearest == name => format!("; it is a {other}"),
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None => String::new(),
    }
}
