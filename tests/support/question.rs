//! Filters as trees, made by chance, for those who compare two ways to answer them.

use std::fmt;

use crate::faults::chance::Chance;

/// A filter.
#[derive(Debug, Clone)]
pub enum Question {
    And(Vec<Question>),
    Or(Vec<Question>),
    Not(Box<Question>),
    /// A field, an operator and a value as it stands between quotes.
    Compare(&'static str, &'static str, String),
    /// `participant((...))`
    OneParticipation(Box<Question>),
    /// `between("...", "...")`
    Between(String, String),
}

impl Question {
    /// The filter as text, with something before the name of each of the collection's fields and functions.
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
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Question], with: &str| {
            let parts: Vec<_> = parts.iter().map(|part| Prefixed(part, prefix).to_string()).collect();
            write!(f, "({})", parts.join(with))
        };
        match question {
            Question::And(parts) => joined(f, parts, " AND "),
            Question::Or(parts) => joined(f, parts, " OR "),
            Question::Not(inner) => write!(f, "NOT ({})", Prefixed(inner, prefix)),
            Question::Compare(field, operator, value) => {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "{prefix}{field} {operator} \"{value}\"")
            }
            Question::OneParticipation(conditions) => write!(f, "{prefix}participant(({conditions}))"),
            Question::Between(one, other) => write!(f, "{prefix}between(\"{one}\", \"{other}\")"),
        }
    }
}

/// A field that is asked for, with values that some records have and some that none has.
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

/// Who asks questions of meetings by chance.
pub struct Asker {
    pub chance: Chance,
    /// The fields of meetings.
    pub fields: Vec<Askable>,
    /// The fields of participations.
    pub participations: Vec<Askable>,
    /// The regions of which two are asked for.
    pub regions: Vec<String>,
}

impl Asker {
    /// A question with so many levels at most.
    pub fn ask(&mut self, depth: u64) -> Question {
        match self.chance.below(if depth == 0 { 5 } else { 10 }) {
            0..=2 => compare(&mut self.chance, &self.fields),
            3 => {
                let conditions = conditions(&mut self.chance, &self.participations, 2);
                Question::OneParticipation(Box::new(conditions))
            }
            4 => {
                let one = self.chance.below(self.regions.len() as u64) as usize;
                let other = (one + 1 + self.chance.below(self.regions.len() as u64 - 1) as usize) % self.regions.len();
                Question::Between(self.regions[one].clone(), self.regions[other].clone())
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

/// Conditions on one participation.
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
    Question::Compare(field, operators[pick(operators.len())], values[pick(values.len())].clone())
}
