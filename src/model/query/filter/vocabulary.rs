//! The fields and functions that filters of a collection are made of, and how one is found by its name.

use super::{FilterError, Values};
use crate::model::text::suggestion::nearest;

/// What the filters of a collection can speak of.
pub struct Vocabulary {
    /// What can be compared.
    pub fields: &'static [Field],
    /// What says more than a comparison can.
    pub functions: &'static [Function],
}

/// A field of a collection.
#[derive(Clone, Copy)]
pub struct Field {
    /// Its name in filters.
    pub name: &'static str,
    /// What it can be compared with.
    pub values: Values,
    /// Whether a record may have several values: it is equal to each of them, and `:` says the same as `=`.
    pub is_repeated: bool,
    /// A filter that asks for it, and begins with its name.
    pub example: &'static str,
    /// What it is, and when it is unset.
    pub comment: &'static str,
}

impl Field {
    /// A field of which a record has at most one value.
    pub const fn one(name: &'static str, values: Values, example: &'static str, comment: &'static str) -> Self {
        Self { name, values, is_repeated: false, example, comment }
    }

    /// A field of which a record may have several values.
    pub const fn many(name: &'static str, values: Values, example: &'static str, comment: &'static str) -> Self {
        Self { name, values, is_repeated: true, example, comment }
    }

    /// The operators that it can be compared by.
    pub fn operators(&self) -> &'static [&'static str] {
        match (self.values.have_order(), self.is_repeated) {
            (true, _) => &["=", "!=", "<", "<=", ">", ">="],
            (false, true) => &["=", "!=", ":"],
            (false, false) => &["=", "!="],
        }
    }
}

/// A function of a collection: true or false of each record.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name in filters.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// What it asks.
    pub call: FunctionCall,
    /// A filter that calls it, and begins with its name.
    pub example: &'static str,
    /// When it is true.
    pub comment: &'static str,
}

/// What a function asks, and which arguments it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionCall {
    /// Conditions in brackets of their own: one participation fulfils all of them.
    OneParticipation,
    /// Two regions: both take part.
    Between,
}

impl FunctionCall {
    /// What the arguments have to be, for an error message.
    pub fn expected(self) -> &'static str {
        match self {
            Self::OneParticipation => {
                "conditions on one participation in brackets of their own, such as ((region = \"RU\" AND role = HOST))"
            }
            Self::Between => "two region codes (ISO 3166-1 alpha-2 in upper case, or XK), such as (\"AZ\", \"RU\")",
        }
    }
}

impl Vocabulary {
    /// The field of that name.
    pub(crate) fn field(&self, name: &str, position: usize) -> Result<&'static Field, FilterError> {
        self.fields.iter().find(|field| field.name == name).ok_or_else(|| FilterError::UnknownField {
            position,
            field: echoed(name),
            nearest: self.nearest(name),
        })
    }

    /// The function of that name.
    pub(crate) fn function(&self, name: &str, position: usize) -> Result<&'static Function, FilterError> {
        self.find_function(name).ok_or_else(|| FilterError::UnknownFunction {
            position,
            function: echoed(name),
            nearest: self.nearest(name),
        })
    }

    /// The function of that name, if there is one.
    pub(crate) fn find_function(&self, name: &str) -> Option<&'static Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// The field or function that was probably meant.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        let fields = self.fields.iter().map(|field| field.name);
        nearest(fields.chain(self.functions.iter().map(|function| function.name)), name)
    }
}

/// As much of a name as an error repeats.
fn echoed(name: &str) -> String {
    name.chars().take(FilterError::MOST_ECHOED).collect()
}
