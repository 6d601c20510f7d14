//! In which order a list comes (AIP-132, `order_by`): by one field, and by name where that is equal.

use thiserror::Error;

use crate::model::text::{
    quoted::shown,
    suggestion::{LONGEST, did_you_mean, nearest},
};

/// What a list can be in the order of. Where it is unset, it is before all that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The name.
    Name,
    /// How well it has what a query asks for, the best first.
    Rank,
    /// The first day of a meeting, also of what was said there, the publication of an article.
    Date,
    /// When it was first written.
    CreateTime,
    /// When its revision was written.
    UpdateTime,
    /// How many independent sources tell of a meeting.
    IndependentSourceCount,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    /// By what; where that is equal, by name.
    pub by: By,
    /// Whether the greatest comes first, of names, too.
    pub is_descending: bool,
}

/// The order of a list whose request asks for none.
pub const BY_NAME: OrderBy = OrderBy { by: By::Name, is_descending: false };

/// The order of what a query has found, where none is asked for.
pub const BEST_FIRST: OrderBy = OrderBy { by: By::Rank, is_descending: false };

/// The fields of a collection that lists can be in the order of, by the names that requests give them.
pub type Fields = [(&'static str, By)];

/// Of meetings.
pub const MEETINGS: &Fields = &[
    ("name", By::Name),
    ("date", By::Date),
    ("create_time", By::CreateTime),
    ("update_time", By::UpdateTime),
    ("independent_source_count", By::IndependentSourceCount),
];

/// Of participants.
pub const PARTICIPANTS: &Fields =
    &[("name", By::Name), ("create_time", By::CreateTime), ("update_time", By::UpdateTime)];

/// Of articles.
pub const ARTICLES: &Fields =
    &[("name", By::Name), ("publish_date", By::Date), ("create_time", By::CreateTime), ("update_time", By::UpdateTime)];

/// Of statements.
pub const STATEMENTS: &Fields = &[("name", By::Name), ("date", By::Date)];

/// An order that no list comes in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderError {
    /// There is no such field.
    #[error("must be in the order of {}, not of {field:?} at byte {position}{}", names(.fields), did_you_mean(*.nearest))]
    UnknownField {
        /// Where the name begins.
        position: usize,
        /// What was asked for, as far as it is repeated.
        field: String,
        /// What there is.
        fields: &'static Fields,
        /// The order that was probably meant.
        nearest: Option<&'static str>,
    },
    /// It is not one field.
    #[error(
        "must be one field, as in \"{example}\" or \"{example} desc\" (what is equal is in the order of names), not {sent}{}",
        did_you_mean(.nearest.as_ref())
    )]
    Syntax {
        /// The order that was sent, as an error shows it.
        sent: String,
        /// A field that there is.
        example: &'static str,
        /// The order that was probably meant.
        nearest: Option<String>,
    },
}

/// Reads `field`, `field asc` or `field desc`; empty is the order of names.
pub fn parse(fields: &'static Fields, text: &str) -> Result<OrderBy, OrderError> {
    let example = fields.last().map_or("name", |(name, _)| name);
    let mut words = text.split_ascii_whitespace();
    let Some(field) = words.next() else { return Ok(BY_NAME) };
    let syntax = |nearest| OrderError::Syntax { sent: shown(text), example, nearest };
    let meant = nearest(fields.iter().map(|(name, _)| *name), field);
    let is_descending = match (words.next(), words.next()) {
        (None | Some("asc"), None) => false,
        (Some("desc"), None) => true,
        (Some(word), None) => {
            let both = meant.zip(direction(word)).filter(|_| !field.contains(','));
            return Err(syntax(both.map(|(field, direction)| format!("{field} {direction}"))));
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
            field: field.chars().take(LONGEST).collect(),
            fields,
            nearest: meant,
        }),
    }
}

/// The direction that a word begins with, or is near to.
fn direction(word: &str) -> Option<&'static str> {
    let directions = ["desc", "asc"];
    let word = word.to_ascii_lowercase();
    directions.into_iter().find(|name| word.starts_with(name)).or_else(|| nearest(directions.into_iter(), &word))
}

/// The same for a list that may have a query: then empty is the best first.
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
    fn one_field_in_either_direction() {
        for (text, by, is_descending) in [
            ("", By::Name, false),
            ("  ", By::Name, false),
            ("name desc", By::Name, true),
            ("date", By::Date, false),
            ("date asc", By::Date, false),
            (" date  desc ", By::Date, true),
        ] {
            assert_eq!(parse(MEETINGS, text), Ok(OrderBy { by, is_descending }), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_there_is() {
        for (text, expected) in [
            ("date, name", "must be one field, as in"),
            ("date,name", "must be one field, as in"),
            ("date descending", "must be one field, as in"),
            ("date desc name", "must be one field, as in"),
            ("dat", "not of \"dat\" at byte 0; did you mean \"date\"?"),
            (" Date", "not of \"Date\" at byte 1; did you mean \"date\"?"),
            ("date descending", ", not \"date descending\"; did you mean \"date desc\"?"),
            ("dat DESC", ", not \"dat DESC\"; did you mean \"date desc\"?"),
            ("date, desc", "(what is equal is in the order of names), not \"date, desc\""),
            ("date down", "(what is equal is in the order of names), not \"date down\""),
            ("x\"; drop", "must be one field, as in"),
            ("publish_date", "must be in the order of name, date, create_time"),
        ] {
            let error = parse(MEETINGS, text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = parse(MEETINGS, &"x".repeat(100_000)).expect_err("long").to_string();
        assert!(long.len() < 300, "{long}");
    }
}
