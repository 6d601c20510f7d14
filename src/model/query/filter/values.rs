//! The types of filter fields: parses literals into comparisons.

use uuid::Uuid;

use super::{Comparison, ComparisonOp, DateRange, TimeRange};
use crate::{
    model::{
        resource::Collection,
        rules::codes::{is_region, nearest_region},
        text::suggestion::nearest,
    },
    pb::filter_field::Type,
};

/// The type of a field's values, with a function that builds the comparison. Only dates, times and numbers have an
/// order.
#[derive(Clone, Copy)]
pub enum Values {
    /// An enum value by name. The function returns the name of a number and the comparison, or `None` for an unused
    /// number.
    Enum(fn(i32) -> Option<(&'static str, Comparison)>),
    /// An ISO 3166-1 alpha-2 code, or XK.
    Region(fn(String) -> Comparison),
    /// The name of a resource in this collection.
    Resource(Collection, fn(Uuid) -> Comparison),
    /// The name of a resource in any collection.
    AnyResource(fn(Collection, Uuid) -> Comparison),
    /// A collection, as the first part of names.
    Collection(fn(Collection) -> Comparison),
    /// Any text.
    Text(fn(String) -> Comparison),
    /// A year, month or day.
    Date(fn(ComparisonOp, DateRange) -> Comparison),
    /// An instant, or a year, month or day in UTC.
    Time(fn(ComparisonOp, TimeRange) -> Comparison),
    /// A whole number.
    Number(fn(ComparisonOp, i64) -> Comparison),
    /// True or false.
    Bool(fn(bool) -> Comparison),
}

impl Values {
    /// The comparison for equality with a literal, whose quotes and escapes are resolved; `None` if it is not such a
    /// value.
    pub(crate) fn equal(self, literal: &str) -> Option<Comparison> {
        match self {
            Self::Enum(value) => named(value).find(|(name, _)| *name == literal).map(|(_, comparison)| comparison),
            Self::Region(comparison) => is_region(literal).then(|| comparison(literal.to_owned())),
            Self::Resource(collection, comparison) => collection.id(literal).map(comparison),
            Self::AnyResource(comparison) => {
                let (collection, id) = Collection::of(literal)?;
                Some(comparison(collection, id))
            }
            Self::Collection(comparison) => {
                Collection::ALL.into_iter().find(|collection| collection.as_str() == literal).map(comparison)
            }
            Self::Text(comparison) => Some(comparison(literal.to_owned())),
            Self::Date(_) | Self::Time(_) | Self::Number(_) => self.ordered(ComparisonOp::In, literal),
            Self::Bool(comparison) => literal.parse().ok().map(comparison),
        }
    }

    /// The comparison of dates, times or numbers with a literal; `None` if it is not such a value, or the type has no
    /// order.
    pub(crate) fn ordered(self, order: ComparisonOp, literal: &str) -> Option<Comparison> {
        match self {
            Self::Date(comparison) => Some(comparison(order, DateRange::parse(literal)?)),
            Self::Time(comparison) => Some(comparison(order, TimeRange::parse(literal)?)),
            Self::Number(comparison) => {
                let is_number = literal.bytes().all(|byte| byte.is_ascii_digit());
                literal.parse().ok().filter(|_| is_number).map(|number| comparison(order, number))
            }
            _ => None,
        }
    }

    /// True if `<`, `<=`, `>=` and `>` are allowed.
    pub(crate) fn have_order(self) -> bool {
        matches!(self, Self::Date(_) | Self::Time(_) | Self::Number(_))
    }

    /// A description of the allowed literals, for an error message.
    pub fn expected(self) -> String {
        match self {
            Self::Enum(_) | Self::Collection(_) => format!("one of {}", self.names().join(", ")),
            Self::Region(_) => "an ISO 3166-1 alpha-2 code in upper case, or XK".to_owned(),
            Self::Resource(collection, _) => {
                let collection = collection.as_str();
                format!("a resource name such as \"{collection}/0198f2d1-7c0e-7000-8000-0123456789ab\"")
            }
            Self::AnyResource(_) => {
                "a resource name such as \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"".to_owned()
            }
            Self::Text(_) => "a text in quotes".to_owned(),
            Self::Date(_) => "a year, month or day such as \"2020\", \"2020-09\" or \"2020-09-04\"".to_owned(),
            Self::Time(_) => "a time in quotes such as \"2020-09-04T12:00:00Z\", or a year, month or day".to_owned(),
            Self::Number(_) => "a whole number such as 3".to_owned(),
            Self::Bool(_) => "true or false".to_owned(),
        }
    }

    /// The value that an invalid literal probably meant.
    pub(crate) fn nearest(self, literal: &str) -> Option<String> {
        match self {
            Self::Region(_) => nearest_region(literal),
            values => nearest(values.names().into_iter(), literal).map(str::to_owned),
        }
    }

    /// The names of the values of an enumerated type; empty for other types.
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Enum(value) => named(value).map(|(name, _)| name).collect(),
            Self::Collection(_) => Collection::ALL.map(Collection::as_str).to_vec(),
            Self::Bool(_) => vec!["true", "false"],
            _ => Vec::new(),
        }
    }

    /// The type in the contract.
    pub fn type_name(self) -> Type {
        match self {
            Self::Enum(_) | Self::Collection(_) => Type::Enum,
            Self::Region(_) => Type::Region,
            Self::Resource(..) | Self::AnyResource(_) => Type::ResourceName,
            Self::Text(_) => Type::Text,
            Self::Date(_) => Type::Date,
            Self::Time(_) => Type::Time,
            Self::Number(_) => Type::Number,
            Self::Bool(_) => Type::Bool,
        }
    }
}

/// The values of an enum without the unspecified one, which means an unset field.
fn named(value: fn(i32) -> Option<(&'static str, Comparison)>) -> impl Iterator<Item = (&'static str, Comparison)> {
    // A bound above the largest number of any enum of the contract. Gaps are allowed.
    (1..256).filter_map(value)
}
