//! The order of lists (AIP-132, `order_by`): by one field, with ties broken by name.

use thiserror::Error;

use crate::model::text::{
    quoted::quoted,
    suggestion::{MAX_WORD_LENGTH, did_you_mean, nearest},
};

/// The sort key of a list. Unset values come before all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// The name.
    Name,
    /// The rank by the match with the search query, best first.
    Rank,
    /// The first day of a meeting or of a statement's meeting; the publish date of an article.
    Date,
    /// The create time.
    CreateTime,
    /// The time of the current revision.
    UpdateTime,
    /// The number of independent sources of a meeting.
    IndependentSourceCount,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    /// The sort key. Ties are broken by name.
    pub by: SortField,
    /// True if the greatest comes first. It also reverses the tie-break by name.
    pub is_descending: bool,
}

/// The default order of a list.
pub const BY_NAME: OrderBy = OrderBy { by: SortField::Name, is_descending: false };

/// The default order of search results.
pub const BEST_FIRST: OrderBy = OrderBy { by: SortField::Rank, is_descending: false };

/// The sort fields of a collection, by their names in requests.
pub type Fields = [(&'static str, SortField)];

/// The sort fields of meetings.
pub const MEETINGS: &Fields = &[
    ("name", SortField::Name),
    ("date", SortField::Date),
    ("create_time", SortField::CreateTime),
    ("update_time", SortField::UpdateTime),
    ("independent_source_count", SortField::IndependentSourceCount),
];

/// The sort fields of participants.
pub const PARTICIPANTS: &Fields =
    &[("name", SortField::Name), ("create_time", SortField::CreateTime), ("update_time", SortField::UpdateTime)];

/// The sort fields of articles.
pub const ARTICLES: &Fields = &[
    ("name", SortField::Name),
    ("publish_date", SortField::Date),
    ("create_time", SortField::CreateTime),
    ("update_time", SortField::UpdateTime),
];

/// The sort fields of statements.
pub const STATEMENTS: &Fields = &[("name", SortField::Name), ("date", SortField::Date)];

/// An invalid `order_by`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderError {
    /// The collection has no such sort field.
    #[error("must be one of {}, not {field:?} at byte {position}{}", names(.fields), did_you_mean(*.nearest))]
    UnknownField {
        /// The byte at which the name begins.
        position: usize,
        /// The name as sent, cut after [`MAX_WORD_LENGTH`] characters.
        field: String,
        /// The fields that exist.
        fields: &'static Fields,
        /// The field that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The text is not one field with an optional direction.
    #[error(
        "must be one field, as in \"{example}\" or \"{example} desc\" (ties are in the order of names), not {sent}{}",
        did_you_mean(.nearest.as_ref())
    )]
    Syntax {
        /// The order as sent, quoted and shortened.
        sent: String,
        /// An existing field.
        example: &'static str,
        /// The order that was probably meant.
        nearest: Option<String>,
    },
}

/// Parses `field`, `field asc` or `field desc`; empty is the order of names.
///
/// # Errors
/// If the field is unknown, or the text has more than a field and a direction.
pub fn parse(fields: &'static Fields, text: &str) -> Result<OrderBy, OrderError> {
    let example = fields.last().map_or("name", |(name, _)| name);
    let mut words = text.split_ascii_whitespace();
    let Some(field) = words.next() else { return Ok(BY_NAME) };
    let syntax = |nearest| OrderError::Syntax { sent: quoted(text), example, nearest };
    let meant = nearest(fields.iter().map(|(name, _)| *name), field);
    let is_descending = match (words.next(), words.next()) {
        (None | Some("asc"), None) => false,
        (Some("desc"), None) => true,
        (Some(word), None) => {
            let suggestion = meant.zip(direction(word)).filter(|_| !field.contains(','));
            return Err(syntax(suggestion.map(|(field, direction)| format!("{field} {direction}"))));
        }
        _ => return Err(syntax(None)),
    };
    if field.contains(',') {
        return Err(syntax(None));
    }
    match fields.iter().find(|(name, _)| *name == field) {
        Some((_, by)) => Ok(OrderBy { by: *by, is_descending }),
        None => Err(OrderError::UnknownField {
            position: text.find(field).unwrap_or(0),
            field: field.chars().take(MAX_WORD_LENGTH).collect(),
            fields,
            nearest: meant,
        }),
    }
}

/// The direction that a word begins with or resembles.
fn direction(word: &str) -> Option<&'static str> {
    let directions = ["desc", "asc"];
    let word = word.to_ascii_lowercase();
    directions.into_iter().find(|name| word.starts_with(name)).or_else(|| nearest(directions.into_iter(), &word))
}

/// Parses the order of a list with a search query, where empty means best first.
///
/// # Errors
/// As for [`parse`].
pub fn parse_with_query(fields: &'static Fields, text: &str, has_query: bool) -> Result<OrderBy, OrderError> {
    let order = parse(fields, text)?;
    Ok(if has_query && text.trim_ascii().is_empty() { BEST_FIRST } else { order })
}

fn names(fields: &Fields) -> String {
    fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_one_field_in_either_direction() {
        for (text, by, is_descending) in [
            ("", SortField::Name, false),
            ("  ", SortField::Name, false),
            ("name desc", SortField::Name, true),
            ("date", SortField::Date, false),
            ("date asc", SortField::Date, false),
            (" date  desc ", SortField::Date, true),
        ] {
            assert_eq!(parse(MEETINGS, text), Ok(OrderBy { by, is_descending }), "{text}");
        }
    }

    #[test]
    fn parse_error_names_the_fields_or_a_suggestion() {
        for (text, expected) in [
            ("date, name", "must be one field, as in"),
            ("date,name", "must be one field, as in"),
            ("date descending", "must be one field, as in"),
            ("date desc name", "must be one field, as in"),
            ("dat", "not \"dat\" at byte 0; did you mean \"date\"?"),
            (" Date", "not \"Date\" at byte 1; did you mean \"date\"?"),
            ("date descending", ", not \"date descending\"; did you mean \"date desc\"?"),
            ("dat DESC", ", not \"dat DESC\"; did you mean \"date desc\"?"),
            ("date, desc", "(ties are in the order of names), not \"date, desc\""),
            ("date down", "(ties are in the order of names), not \"date down\""),
            ("x\"; drop", "must be one field, as in"),
            ("publish_date", "must be one of name, date, create_time"),
        ] {
            let error = parse(MEETINGS, text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = parse(MEETINGS, &"x".repeat(100_000)).expect_err("long").to_string();
        assert!(long.len() < 300, "{long}");
    }
}
