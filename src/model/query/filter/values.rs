//! The types of filter fields: parses literals into comparisons.

use uuid::Uuid;

use super::{Comparison, ComparisonOp, DateRange, TimeRange};
use crate::{
    model::{
        canonical::composed,
        resource::Collection,
        rules::codes::{REGION_RULE, is_region, nearest_region},
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
    /// An ISO 3166 alpha-2 code, or XK.
    Region(fn(String) -> Comparison),
    /// The name of a resource in this collection.
    Resource(Collection, fn(Uuid) -> Comparison),
    /// The name of a resource in any collection.
    AnyResource(fn(Collection, Uuid) -> Comparison),
    /// A collection, as the first part of names.
    Collection(fn(Collection) -> Comparison),
    /// Any text.
    Text(fn(String) -> Comparison),
    /// Any text, of the label with a key.
    Label(fn(&str, &str) -> Comparison),
    /// An external id: its scheme, a colon and its value.
    ExternalId(fn(String, String) -> Comparison),
    /// A year, month or day.
    Date(fn(ComparisonOp, DateRange) -> Comparison),
    /// An instant, or a year, month or day in UTC.
    Time(fn(ComparisonOp, TimeRange) -> Comparison),
    /// A whole number.
    Number(fn(ComparisonOp, i64) -> Comparison),
    /// A share from 0 to 1, in thousandths.
    Share(fn(ComparisonOp, i64) -> Comparison),
    /// True or false.
    Bool(fn(bool) -> Comparison),
}

impl Values {
    /// The comparison for equality with a literal, whose quotes and escapes are resolved; `None` if it is not such a
    /// value. `key` is the key of a label.
    pub(crate) fn equal(self, key: &str, literal: &str) -> Option<Comparison> {
        match self {
            Self::Label(comparison) => Some(comparison(key, literal)),
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
            Self::ExternalId(comparison) => {
                // A scheme has no colon.
                let (scheme, value) =
                    literal.split_once(':').filter(|(scheme, value)| !scheme.is_empty() && !value.is_empty())?;
                Some(comparison(scheme.to_owned(), composed(value).into_owned()))
            }
            Self::Date(_) | Self::Time(_) | Self::Number(_) | Self::Share(_) => self.ordered(ComparisonOp::In, literal),
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
            Self::Share(comparison) => share(literal).map(|share| comparison(order, share)),
            _ => None,
        }
    }

    /// A comparison with any value.
    pub(crate) fn any(self, key: &str) -> Option<Comparison> {
        match self {
            Self::Enum(value) => named(value).next().map(|(_, comparison)| comparison),
            Self::Region(comparison) | Self::Text(comparison) => Some(comparison(String::new())),
            Self::Label(comparison) => Some(comparison(key, "")),
            Self::ExternalId(comparison) => Some(comparison(String::new(), String::new())),
            Self::Resource(_, comparison) => Some(comparison(Uuid::nil())),
            Self::AnyResource(comparison) => Some(comparison(Collection::Meetings, Uuid::nil())),
            Self::Collection(comparison) => Some(comparison(Collection::Meetings)),
            Self::Bool(comparison) => Some(comparison(true)),
            Self::Date(_) | Self::Time(_) => self.ordered(ComparisonOp::In, "2000"),
            Self::Number(_) | Self::Share(_) => self.ordered(ComparisonOp::In, "0"),
        }
    }

    /// True if `<`, `<=`, `>=` and `>` are allowed.
    pub(crate) fn have_order(self) -> bool {
        matches!(self, Self::Date(_) | Self::Time(_) | Self::Number(_) | Self::Share(_))
    }

    /// A description of the allowed literals, for an error message.
    pub fn expected(self) -> String {
        match self {
            Self::Enum(_) | Self::Collection(_) => format!("one of {}", self.names().join(", ")),
            Self::Region(_) => REGION_RULE.to_owned(),
            Self::Resource(collection, _) => {
                let collection = collection.as_str();
                format!("a resource name such as \"{collection}/0198f2d1-7c0e-7000-8000-0123456789ab\"")
            }
            Self::AnyResource(_) => {
                "a resource name such as \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"".to_owned()
            }
            Self::Text(_) | Self::Label(_) => "a text in quotes".to_owned(),
            Self::ExternalId(_) => "a scheme and a value in quotes, such as \"wikidata:Q11806\"".to_owned(),
            Self::Date(_) => "a year, month or day such as \"2020\", \"2020-09\" or \"2020-09-04\"".to_owned(),
            Self::Time(_) => "a time in quotes such as \"2020-09-04T12:00:00Z\", or a year, month or day".to_owned(),
            Self::Number(_) => "a whole number such as 3".to_owned(),
            Self::Share(_) => "a number from 0 to 1 with at most three decimals, such as 0.5".to_owned(),
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
            Self::Text(_) | Self::Label(_) | Self::ExternalId(_) => Type::Text,
            Self::Date(_) => Type::Date,
            Self::Time(_) => Type::Time,
            Self::Number(_) => Type::Number,
            Self::Share(_) => Type::Share,
            Self::Bool(_) => Type::Bool,
        }
    }
}

/// A number from 0 to 1 with at most three decimals, in thousandths.
fn share(literal: &str) -> Option<i64> {
    let (whole, decimals) = literal.split_once('.').unwrap_or((literal, "0"));
    let is_number = whole.len() == 1 && (1..=3).contains(&decimals.len());
    let digits = format!("{whole}{decimals:0<3}");
    let share: i64 = digits.parse().ok().filter(|_| is_number && digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    (share <= 1_000).then_some(share)
}

/// The values of an enum without the unspecified one, which means an unset field.
fn named(value: fn(i32) -> Option<(&'static str, Comparison)>) -> impl Iterator<Item = (&'static str, Comparison)> {
    // A bound above the largest number of any enum of the contract. Gaps are allowed.
    (1..256).filter_map(value)
}
