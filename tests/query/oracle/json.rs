//! Meetings as the JSON of their only report describes them.

use std::collections::HashMap;

use serde_json::Value;

/// A meeting as its story describes it.
pub struct StoryMeeting {
    /// `meetings/…`
    pub name: String,
    /// `articles/…`
    pub article: String,
    /// `article` of the story.
    pub source: Value,
    /// `account` of the report.
    pub account: Value,
    /// The fields with evidence, in JSON names.
    pub cited: Vec<String>,
    /// `participants/…` by key.
    pub participants: HashMap<String, String>,
    /// The kinds of the participants, by key.
    pub kinds: HashMap<String, String>,
}

impl StoryMeeting {
    pub fn participations(&self) -> impl Iterator<Item = &Value> {
        list(&self.account["participations"]).iter()
    }

    /// The share of the told fields of the account that have evidence, in thousandths.
    pub fn coverage(&self) -> i64 {
        let is_told = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::Bool(true) => true,
            Value::Number(number) => number.as_f64() != Some(0.0),
        };
        let mut told = Vec::new();
        let fields = self.account.as_object().into_iter().flatten().filter(|(name, _)| *name != "externalIds");
        for (name, value) in fields.filter(|(_, value)| is_told(value)) {
            match value.as_array() {
                Some(items) if items[0].is_object() => {
                    for (index, item) in items.iter().enumerate() {
                        let parts = item.as_object().into_iter().flatten();
                        let parts = parts.filter(|(part, value)| *part != "id" && is_told(value));
                        told.extend(parts.map(|(part, _)| format!("{name}[{index}].{part}")));
                    }
                }
                _ => told.push(name.clone()),
            }
        }
        let is_within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let count = told.iter().filter(|told| {
            let words = told.replace("].participant", "].nameAsWritten").replace("].speakers", "].speakerAsWritten");
            self.cited.iter().any(|cited| is_within(cited, told) || is_within(told, cited) || *cited == words)
        });
        (1_000 * count.count()).checked_div(told.len()).unwrap_or_default() as i64
    }

    /// The kind of the participant of a participation; empty if unknown.
    pub fn kind_of(&self, participation: &Value) -> &str {
        let key = text(&participation["participant"]).trim_start_matches('#');
        self.kinds.get(key).map(String::as_str).unwrap_or_default()
    }

    /// The resource name of the participant of a participation; empty if unknown.
    pub fn participant(&self, participation: &Value) -> &str {
        let key = text(&participation["participant"]).trim_start_matches('#');
        self.participants.get(key).map(String::as_str).unwrap_or_default()
    }
}

/// A path in JSON names: `nameAsWritten` for `name_as_written`.
pub fn in_json_names(path: &str) -> String {
    let mut words = path.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |path, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        path + &initial.to_uppercase() + rest
    })
}

/// A text; empty if the JSON has none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A list; empty if the JSON has none.
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
    /// The days of a year, a month or a day; a part of 0 is missing.
    fn of(year: i64, month: i64, day: i64) -> Self {
        let at = |month: i64, day: i64| year * 10_000 + month * 100 + day;
        match (month, day) {
            (0, _) => Self { first: at(1, 1), last: at(12, 31) },
            (_, 0) => Self { first: at(month, 1), last: at(month, length(year, month)) },
            _ => Self { first: at(month, day), last: at(month, day) },
        }
    }

    /// The days of a date in JSON.
    pub fn of_date(date: &Value) -> Option<Self> {
        let part = |name: &str| date[name].as_i64().unwrap_or(0);
        date.is_object().then(|| Self::of(part("year"), part("month"), part("day")))
    }

    /// The days of a span in JSON; `None` without a start.
    pub fn of_span(span: &Value) -> Option<Self> {
        let start = Self::of_date(&span["start"])?;
        let last = Self::of_date(&span["end"]).map_or(start.last, |end| end.last);
        Some(Self { last, ..start })
    }

    /// The days of "2020", "2020-09" or "2020-09-04".
    pub fn read(text: &str) -> Self {
        let mut parts = text.split('-').map(|part| part.parse().expect("a number"));
        let mut next = || parts.next().unwrap_or(0);
        Self::of(next(), next(), next())
    }

    /// Compares the days with others by the operator of a filter.
    pub fn compare(self, operator: &str, to: Self) -> bool {
        match operator {
            "=" => self.first <= to.last && self.last >= to.first,
            "<" => self.first < to.first,
            "<=" => self.first <= to.last,
            ">" => self.last > to.last,
            ">=" => self.last >= to.first,
            other => panic!("{other} is not an operator for dates"),
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
