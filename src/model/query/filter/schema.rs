//! The filter schema of a collection: the fields and functions of its filters, with lookup by name.

use super::{FilterError, Values};
use crate::model::text::suggestion::nearest;

/// The fields and functions of the filters of a collection.
pub struct FilterSchema {
    /// The fields that can be compared.
    pub fields: &'static [Field],
    /// The functions, for conditions that no comparison expresses.
    pub functions: &'static [Function],
}

/// A field of a collection.
#[derive(Clone, Copy)]
pub struct Field {
    /// The name in filters.
    pub name: &'static str,
    /// The values that the field can be compared with.
    pub values: Values,
    /// True if a record may have several values. The field then equals each of them, and `:` is the same as `=`.
    pub is_repeated: bool,
    /// An example filter that begins with the name.
    pub example: &'static str,
    /// A description: the meaning, and when the field is unset.
    pub comment: &'static str,
}

impl Field {
    /// A field of which a record has at most one value.
    pub const fn single(name: &'static str, values: Values, example: &'static str, comment: &'static str) -> Self {
        Self { name, values, is_repeated: false, example, comment }
    }

    /// A field of which a record may have several values.
    pub const fn repeated(name: &'static str, values: Values, example: &'static str, comment: &'static str) -> Self {
        Self { name, values, is_repeated: true, example, comment }
    }

    /// The operators of the field.
    pub fn operators(&self) -> &'static [&'static str] {
        match (self.values.have_order(), self.is_repeated) {
            (true, false) => &["=", "!=", "<", "<=", ">", ">="],
            (true, true) => &["=", "!=", "<", "<=", ">", ">=", ":"],
            (false, true) => &["=", "!=", ":"],
            (false, false) => &["=", "!="],
        }
    }
}

/// A field as a filter names it.
#[derive(Clone)]
pub(crate) struct NamedField {
    /// The field.
    pub field: &'static Field,
    /// The key of a label; otherwise empty.
    pub key: String,
}

/// The end of the names of fields that stand for the labels of a record: a filter has a key in its place.
const LABEL_KEY: &str = "KEY";

/// A function of a collection. It is true or false of each record.
#[derive(Clone, Copy)]
pub struct Function {
    /// The name in filters.
    pub name: &'static str,
    /// The form of a call.
    pub signature: &'static str,
    /// The meaning of a call.
    pub call: FunctionCall,
    /// An example filter that begins with the name.
    pub example: &'static str,
    /// A description: when the function is true.
    pub comment: &'static str,
}

/// The meaning of a function, and its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionCall {
    /// Takes conditions in brackets of their own. True if one participation fulfils all of them.
    OneParticipation,
    /// Takes two regions. True if both take part.
    Between,
}

impl FunctionCall {
    /// A description of the arguments, for an error message.
    pub fn expected(self) -> &'static str {
        match self {
            Self::OneParticipation => {
                "conditions on one participation in brackets of their own, such as ((region = \"RU\" AND role = HOST))"
            }
            Self::Between => "two region codes (ISO 3166 alpha-2 in upper case, or XK), such as (\"AZ\", \"RU\")",
        }
    }
}

impl FilterSchema {
    /// The field with the name of these segments. `is_plain` if none of them is quoted: only the key of a label may be.
    pub(crate) fn field(&self, segments: &[&str], is_plain: bool, position: usize) -> Result<NamedField, FilterError> {
        let name = segments.join(".");
        let of_label = |field: &'static Field| {
            let labels = field.name.strip_suffix(LABEL_KEY).filter(|_| matches!(field.values, Values::Label(_)))?;
            let key = name.strip_prefix(labels).filter(|key| !key.is_empty())?;
            Some(NamedField { field, key: key.to_owned() })
        };
        if let Some(field) = self.fields.iter().find_map(of_label) {
            return Ok(field);
        }
        if !is_plain {
            let message = "expected the name of a field, without quotes".to_owned();
            return Err(FilterError::Syntax { position, message });
        }
        let field = self.fields.iter().find(|field| field.name == name);
        field.map(|field| NamedField { field, key: String::new() }).ok_or_else(|| FilterError::UnknownField {
            position,
            field: truncated(&name),
            nearest: self.nearest(&name),
        })
    }

    /// The function with this name.
    pub(crate) fn function(&self, name: &str, position: usize) -> Result<&'static Function, FilterError> {
        self.find_function(name).ok_or_else(|| FilterError::UnknownFunction {
            position,
            function: truncated(name),
            nearest: self.nearest(name),
        })
    }

    /// The function with this name, if it exists.
    pub(crate) fn find_function(&self, name: &str) -> Option<&'static Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// The field or function that was probably meant.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        let fields = self.fields.iter().map(|field| field.name);
        nearest(fields.chain(self.functions.iter().map(|function| function.name)), name)
    }
}

/// The part of a name that an error repeats.
fn truncated(name: &str) -> String {
    name.chars().take(FilterError::MAX_ECHOED).collect()
}
