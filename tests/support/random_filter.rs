//! Random filters as trees, for tests that compare two ways to evaluate them.

use std::fmt;

use crate::faults::rng::Chance;

/// A filter.
#[derive(Debug, Clone)]
pub enum Question {
    And(Vec<Question>),
    Or(Vec<Question>),
    Not(Box<Question>),
    /// A field, an operator and a value, unquoted.
    Compare(&'static str, &'static str, String),
    /// A field, an operator and a list of values, joined by OR.
    CompareAny(&'static str, &'static str, Vec<String>),
    /// `field:*`
    IsSet(&'static str),
    /// `participant((...))`
    OneParticipation(Box<Question>),
    /// `between("...", "...")`
    Between(String, String),
}

impl Question {
    /// The filter as text, with a prefix before each field and function of the collection.
    pub fn text(&self, prefix: &str) -> String {
        Prefixed(self, prefix).to_string()
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Prefixed(self, "").fmt(f)
    }
}

struct Prefixed<'a>(&'a Question, &'a str);

impl fmt::Display for Prefixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(question, prefix) = *self;
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Question], separator: &str| {
            let parts: Vec<_> = parts.iter().map(|part| Prefixed(part, prefix).to_string()).collect();
            write!(f, "({})", parts.join(separator))
        };
        match question {
            Question::And(parts) => joined(f, parts, " AND "),
            Question::Or(parts) => joined(f, parts, " OR "),
            Question::Not(inner) => write!(f, "NOT ({})", Prefixed(inner, prefix)),
            Question::Compare(field, operator, value) => write!(f, "{prefix}{field} {operator} {}", quoted(value)),
            Question::CompareAny(field, operator, values) => {
                let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                write!(f, "{prefix}{field} {operator} ({})", values.join(" OR "))
            }
            Question::IsSet(field) => write!(f, "{prefix}{field}:*"),
            Question::OneParticipation(conditions) => write!(f, "{prefix}participant(({conditions}))"),
            Question::Between(first, second) => write!(f, "{prefix}between(\"{first}\", \"{second}\")"),
        }
    }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A field to filter by, with values that occur in records and values that do not.
#[derive(Debug, Clone)]
pub struct Askable {
    pub field: &'static str,
    pub operators: &'static [&'static str],
    pub values: Vec<String>,
}

pub const EQUAL: &[&str] = &["=", "!="];
pub const HAS: &[&str] = &["=", "!=", ":"];
pub const ORDERED: &[&str] = &["=", "!=", "<", "<=", ">", ">="];

impl Askable {
    pub fn new(field: &'static str, operators: &'static [&'static str], values: &[&str]) -> Self {
        Self { field, operators, values: values.iter().map(|value| (*value).to_owned()).collect() }
    }
}

/// A generator of random filters over meetings.
pub struct Asker {
    pub chance: Chance,
    /// The fields of meetings.
    pub fields: Vec<Askable>,
    /// The fields of participations.
    pub participations: Vec<Askable>,
    /// The regions from which `between` takes two.
    pub regions: Vec<String>,
}

impl Asker {
    /// A random filter of at most this depth.
    pub fn ask(&mut self, depth: u64) -> Question {
        match self.chance.below(if depth == 0 { 5 } else { 10 }) {
            0..=2 => compare(&mut self.chance, &self.fields),
            3 => {
                let conditions = conditions(&mut self.chance, &self.participations, 2);
                Question::OneParticipation(Box::new(conditions))
            }
            4 => {
                let first = self.chance.below(self.regions.len() as u64) as usize;
                let second =
                    (first + 1 + self.chance.below(self.regions.len() as u64 - 1) as usize) % self.regions.len();
                Question::Between(self.regions[first].clone(), self.regions[second].clone())
            }
            5 | 6 => Question::And(self.some(depth - 1)),
            7 | 8 => Question::Or(self.some(depth - 1)),
            _ => Question::Not(Box::new(self.ask(depth - 1))),
        }
    }

    fn some(&mut self, depth: u64) -> Vec<Question> {
        let count = 2 + self.chance.below(2);
        (0..count).map(|_| self.ask(depth)).collect()
    }
}

/// A random condition on one participation.
fn conditions(chance: &mut Chance, fields: &[Askable], depth: u64) -> Question {
    let some = |chance: &mut Chance| -> Vec<_> { (0..2).map(|_| conditions(chance, fields, depth - 1)).collect() };
    match chance.below(if depth == 0 { 1 } else { 5 }) {
        0 | 1 => compare(chance, fields),
        2 => Question::And(some(chance)),
        3 => Question::Or(some(chance)),
        _ => Question::Not(Box::new(conditions(chance, fields, depth - 1))),
    }
}

fn compare(chance: &mut Chance, fields: &[Askable]) -> Question {
    let mut pick = |count: usize| chance.below(count as u64) as usize;
    let Askable { field, operators, values } = &fields[pick(fields.len())];
    let operator = operators[pick(operators.len())];
    let value = values[pick(values.len())].clone();
    match pick(8) {
        0 => Question::IsSet(field),
        1 if matches!(operator, "=" | "!=" | ":") => {
            Question::CompareAny(field, operator, vec![value, values[pick(values.len())].clone()])
        }
        _ => Question::Compare(field, operator, value),
    }
}
