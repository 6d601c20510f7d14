//! The order of lists (AIP-132, `order_by`): by some fields, with ties broken by name.

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
    /// The mean coverage of the reports of a meeting by evidence.
    EvidenceCoverage,
}

/// A key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// The field.
    pub by: SortField,
    /// True if the greatest value comes first.
    pub is_descending: bool,
}

/// Maximum number of keys of an order, without the name.
pub const MAX_KEYS: usize = 3;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    /// The first key. `Name` is the only key.
    pub first: SortKey,
    /// The further keys, by which equal values are ordered.
    pub then: [Option<SortKey>; MAX_KEYS - 1],
    /// True if records that agree in all keys are in the reverse order of names. So they are after a descending last key.
    pub is_name_descending: bool,
}

impl OrderBy {
    /// The order by one key.
    pub const fn single(by: SortField, is_descending: bool) -> Self {
        Self { first: SortKey { by, is_descending }, then: [None; MAX_KEYS - 1], is_name_descending: is_descending }
    }

    /// The keys before the name.
    pub fn keys(&self) -> impl Iterator<Item = SortKey> + use<> {
        let all = [Some(self.first)].into_iter().chain(self.then).flatten();
        all.filter(|key| key.by != SortField::Name)
    }
}

/// The default order of a list.
pub const BY_NAME: OrderBy = OrderBy::single(SortField::Name, false);

/// The default order of search results.
pub const BEST_FIRST: OrderBy = OrderBy::single(SortField::Rank, false);

/// The sort fields of a collection, by their names in requests.
pub type Fields = [(&'static str, SortField)];

/// The sort fields of meetings.
pub const MEETINGS: &Fields = &[
    ("name", SortField::Name),
    ("date", SortField::Date),
    ("create_time", SortField::CreateTime),
    ("update_time", SortField::UpdateTime),
    ("independent_source_count", SortField::IndependentSourceCount),
    ("evidence_coverage", SortField::EvidenceCoverage),
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
    /// A part is not one field with an optional direction.
    #[error(
        "must be fields with an optional direction, separated by commas, as in \"{example}\" or \"{example} desc, name\", \
         not {sent}{}",
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
    /// A field occurs twice.
    #[error("names {field} twice, the second time at byte {position}")]
    Repeated {
        /// The byte at which the second name begins.
        position: usize,
        /// The field.
        field: &'static str,
    },
    /// A field follows the name, which no two records share.
    #[error("has {field} at byte {position}, after name: no two records have the same name")]
    AfterName {
        /// The byte at which the field begins.
        position: usize,
        /// The field.
        field: &'static str,
    },
    /// Too many fields.
    #[error("must have at most {MAX_KEYS} fields before name, not {count}")]
    TooMany {
        /// The number of fields.
        count: usize,
    },
}

/// Parses fields with an optional direction, separated by commas: `date desc, name`; empty is the order of names.
///
/// # Errors
/// If a field is unknown, occurs twice or follows the name, there are too many, or a part has more than a field and a
/// direction.
pub fn parse(fields: &'static Fields, text: &str) -> Result<OrderBy, OrderError> {
    if text.trim_ascii().is_empty() {
        return Ok(BY_NAME);
    }
    let mut keys: Vec<(SortKey, &'static str)> = Vec::new();
    for part in text.split(',') {
        // Parts are slices of the text.
        let position = part.as_ptr() as usize - text.as_ptr() as usize;
        let (key, name, within) = parse_key(fields, text, part).map_err(|error| moved(error, position))?;
        let position = position + within;
        if keys.iter().any(|(known, _)| known.by == key.by) {
            return Err(OrderError::Repeated { position, field: name });
        }
        if keys.iter().any(|(known, _)| known.by == SortField::Name) {
            return Err(OrderError::AfterName { position, field: name });
        }
        keys.push((key, name));
    }
    let last_is_descending = keys.last().is_some_and(|(key, _)| key.is_descending);
    let count = keys.iter().filter(|(key, _)| key.by != SortField::Name).count();
    if count > MAX_KEYS {
        return Err(OrderError::TooMany { count });
    }
    let mut sorted = keys.into_iter().map(|(key, _)| key);
    let first = sorted.next().unwrap_or(BY_NAME.first);
    let mut then = sorted.filter(|key| key.by != SortField::Name);
    Ok(OrderBy { first, then: std::array::from_fn(|_| then.next()), is_name_descending: last_is_descending })
}

/// Parses one field with an optional direction. Returns it with its name, and the byte of the part at which it begins.
fn parse_key(fields: &'static Fields, text: &str, part: &str) -> Result<(SortKey, &'static str, usize), OrderError> {
    let example = fields.last().map_or("name", |(name, _)| name);
    let syntax = |nearest| OrderError::Syntax { sent: quoted(text), example, nearest };
    let mut words = part.split_ascii_whitespace();
    let Some(field) = words.next() else { return Err(syntax(None)) };
    let meant = nearest(fields.iter().map(|(name, _)| *name), field);
    let is_descending = match (words.next(), words.next()) {
        (None | Some("asc"), None) => false,
        (Some("desc"), None) => true,
        (Some(word), None) => {
            let suggestion = meant.zip(direction(word)).filter(|_| !text.contains(','));
            return Err(syntax(suggestion.map(|(field, direction)| format!("{field} {direction}"))));
        }
        _ => return Err(syntax(None)),
    };
    let position = part.find(field).unwrap_or(0);
    match fields.iter().find(|(name, _)| *name == field) {
        Some((name, by)) => Ok((SortKey { by: *by, is_descending }, name, position)),
        None => Err(OrderError::UnknownField {
            position,
            field: field.chars().take(MAX_WORD_LENGTH).collect(),
            fields,
            nearest: meant,
        }),
    }
}

/// The error with the position of its part added.
fn moved(error: OrderError, by: usize) -> OrderError {
    match error {
        OrderError::UnknownField { position, field, fields, nearest } => {
            OrderError::UnknownField { position: position + by, field, fields, nearest }
        }
        error => error,
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

    fn key(by: SortField, is_descending: bool) -> SortKey {
        SortKey { by, is_descending }
    }

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
            assert_eq!(parse(MEETINGS, text), Ok(OrderBy::single(by, is_descending)), "{text}");
        }
    }

    #[test]
    fn parse_accepts_several_fields_and_takes_the_last_direction_for_names() {
        use SortField::{Date, EvidenceCoverage, IndependentSourceCount, Name};
        let (date, sources) = (key(Date, true), key(IndependentSourceCount, false));
        for (text, first, then, is_name_descending) in [
            ("date desc, name", date, [None, None], false),
            ("date desc,name desc", date, [None, None], true),
            ("date desc, independent_source_count", date, [Some(sources), None], false),
            (
                "independent_source_count, date desc, evidence_coverage desc",
                sources,
                [Some(date), Some(key(EvidenceCoverage, true))],
                true,
            ),
            ("name", key(Name, false), [None, None], false),
        ] {
            assert_eq!(parse(MEETINGS, text), Ok(OrderBy { first, then, is_name_descending }), "{text}");
        }
    }

    #[test]
    fn parse_error_names_the_fields_or_a_suggestion() {
        let six = "date, create_time, update_time, independent_source_count, evidence_coverage, name";
        for (text, expected) in [
            ("date,", "must be fields with an optional direction"),
            (",", "must be fields with an optional direction"),
            ("date descending", "must be fields with an optional direction"),
            ("date desc name", "must be fields with an optional direction"),
            ("dat", "not \"dat\" at byte 0; did you mean \"date\"?"),
            (" Date", "not \"Date\" at byte 1; did you mean \"date\"?"),
            ("date, creat_time", "not \"creat_time\" at byte 6; did you mean \"create_time\"?"),
            ("date descending", ", not \"date descending\"; did you mean \"date desc\"?"),
            ("dat DESC", ", not \"dat DESC\"; did you mean \"date desc\"?"),
            ("date down", "\" or \"evidence_coverage desc, name\", not \"date down\""),
            ("x\"; drop", "must be fields with an optional direction"),
            ("publish_date", "must be one of name, date, create_time"),
            ("date, date desc", "names date twice, the second time at byte 6"),
            ("name, date", "has date at byte 6, after name: no two records have the same name"),
            (six, "must have at most 3 fields before name, not 5"),
        ] {
            let error = parse(MEETINGS, text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = parse(MEETINGS, &"x".repeat(100_000)).expect_err("long").to_string();
        assert!(long.len() < 300, "{long}");
    }
}
