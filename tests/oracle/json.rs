//! What a meeting says, read from the JSON of its only report.

use std::collections::HashMap;

use serde_json::Value;

/// A meeting as its story tells of it.
pub struct Told {
    /// `meetings/…`
    pub meeting: String,
    /// `articles/…`
    pub article: String,
    /// `article` of the story.
    pub source: Value,
    /// `account` of the report.
    pub account: Value,
    /// `participants/…` by key.
    pub names: HashMap<String, String>,
}

impl Told {
    pub fn participations(&self) -> impl Iterator<Item = &Value> {
        list(&self.account["participations"]).iter()
    }

    /// The resource name of who takes part in a participation; empty while nobody knows.
    pub fn participant(&self, participation: &Value) -> &str {
        let key = text(&participation["participant"]).trim_start_matches('#');
        self.names.get(key).map(String::as_str).unwrap_or_default()
    }
}

/// A text, which is empty where it is not told.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A list, which is empty where it is not told.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Days as numbers such as 20200904, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    pub first: i64,
    pub last: i64,
}

impl Days {
    /// Those of a year, a month or a day; 0 is not told.
    fn of(year: i64, month: i64, day: i64) -> Self {
        let at = |month: i64, day: i64| year * 10_000 + month * 100 + day;
        match (month, day) {
            (0, _) => Self { first: at(1, 1), last: at(12, 31) },
            (_, 0) => Self { first: at(month, 1), last: at(month, length(year, month)) },
            _ => Self { first: at(month, day), last: at(month, day) },
        }
    }

    /// Those of a date as JSON.
    pub fn of_date(date: &Value) -> Option<Self> {
        let part = |name: &str| date[name].as_i64().unwrap_or(0);
        date.is_object().then(|| Self::of(part("year"), part("month"), part("day")))
    }

    /// Those of a span as JSON; none without a start.
    pub fn of_span(span: &Value) -> Option<Self> {
        let start = Self::of_date(&span["start"])?;
        let last = Self::of_date(&span["end"]).map_or(start.last, |end| end.last);
        Some(Self { last, ..start })
    }

    /// Those of "2020", "2020-09" or "2020-09-04".
    pub fn read(text: &str) -> Self {
        let mut parts = text.split('-').map(|part| part.parse().expect("a number"));
        let mut next = || parts.next().unwrap_or(0);
        Self::of(next(), next(), next())
    }

    /// How these days stand to others, by the operator of a filter.
    pub fn stand(self, operator: &str, to: Self) -> bool {
        match operator {
            "=" => self.first <= to.last && self.last >= to.first,
            "<" => self.first < to.first,
            "<=" => self.first <= to.last,
            ">" => self.last > to.last,
            ">=" => self.last >= to.first,
            other => panic!("{other} is no operator of dates"),
        }
    }
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
