//! What the fields of filters can be compared with, as callers write it.

use uuid::Uuid;

use super::{Comparison, DateRange, Order, TimeRange};
use crate::{
    model::{
        resource::Collection,
        rules::codes::{is_region, nearest_region},
        text::suggestion::nearest,
    },
    pb::filter_field::Type,
};

/// What a field can be compared with, and the comparison that this makes. Dates, times and numbers alone have an order.
#[derive(Clone, Copy)]
pub enum Values {
    /// An enum value by name. Gives the name of a number and the comparison, or `None` if there is none.
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
    Date(fn(Order, DateRange) -> Comparison),
    /// An instant, or a year, month or day in UTC.
    Time(fn(Order, TimeRange) -> Comparison),
    /// A whole number.
    Number(fn(Order, i64) -> Comparison),
    /// True or false.
    Bool(fn(bool) -> Comparison),
}

impl Values {
    /// The comparison with a literal as written, quotes and escapes resolved; `None` if it is none of these values.
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
                Collection::ALL.into_iter().find(|one| one.as_str() == literal).map(comparison)
            }
            Self::Text(comparison) => Some(comparison(literal.to_owned())),
            Self::Date(_) | Self::Time(_) | Self::Number(_) => self.ordered(Order::In, literal),
            Self::Bool(comparison) => literal.parse().ok().map(comparison),
        }
    }

    /// The comparison of dates, times or numbers with a literal; `None` if it is none of these, or not what the field is.
    pub(crate) fn ordered(self, order: Order, literal: &str) -> Option<Comparison> {
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

    /// Whether `<`, `<=`, `>=` and `>` mean anything.
    pub(crate) fn have_order(self) -> bool {
        matches!(self, Self::Date(_) | Self::Time(_) | Self::Number(_))
    }

    /// What a literal has to be, for an error message.
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

    /// The value that was probably meant by a literal that is none of these.
    pub(crate) fn nearest(self, literal: &str) -> Option<String> {
        match self {
            Self::Region(_) => nearest_region(literal),
            values => nearest(values.names().into_iter(), literal).map(str::to_owned),
        }
    }

    /// The values by name, where they are few and fixed; else none.
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Enum(value) => named(value).map(|(name, _)| name).collect(),
            Self::Collection(_) => Collection::ALL.map(Collection::as_str).to_vec(),
            Self::Bool(_) => vec!["true", "false"],
            _ => Vec::new(),
        }
    }

    /// What the contract calls them.
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

/// The values of an enum without the unspecified one, which stands for an unset field.
fn named(value: fn(i32) -> Option<(&'static str, Comparison)>) -> impl Iterator<Item = (&'static str, Comparison)> {
    // Far more than any enum of the contract has; gaps are fine.
    (1..256).filter_map(value)
}
