//! A value of a JSON message with its path, for errors that name both.

use serde_json::{Map, Value};

use crate::cli::{
    import::fault::{Fault, without_indices},
    json::shortened,
};

/// Maximum number of characters of a shown value.
const MAX_SHOWN: usize = 60;

/// A value and its path in the message: `extractions[2].char_interval`.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    pub value: &'a Value,
    pub at: String,
}

impl<'a> Node<'a> {
    pub fn root(value: &'a Value) -> Self {
        Self { value, at: String::new() }
    }

    /// The value of a key. A null value is an absent one.
    pub fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self { value, at: child(&self.at, key) })
    }

    /// The value of a required key.
    pub fn need(&self, key: &str) -> Result<Self, Fault> {
        self.get(key).ok_or_else(|| fault(&child(&self.at, key), "is required"))
    }

    /// The fault that this value is.
    pub fn fault(&self, problem: &str) -> Fault {
        fault(&self.at, problem)
    }

    pub fn text(&self) -> Result<&'a str, Fault> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    pub fn number(&self) -> Result<u64, Fault> {
        self.value.as_u64().ok_or_else(|| self.wrong("a number from 0"))
    }

    pub fn object(&self) -> Result<&'a Map<String, Value>, Fault> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }

    /// The items of a list, or the value itself: JSON-LD and models write a single item without a list.
    pub fn items(&self) -> Vec<Self> {
        match self.value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(at, value)| Self { value, at: format!("{}[{at}]", self.at) }).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// The items of a list.
    pub fn list(&self) -> Result<Vec<Self>, Fault> {
        if self.value.is_array() { Ok(self.items()) } else { Err(self.wrong("a list")) }
    }

    /// Warnings of the keys that have no meaning.
    pub fn others(&self, known: &[&str]) -> Vec<String> {
        let keys = self.value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let unknown = keys.filter(|(key, _)| !known.contains(&key.as_str()));
        unknown.map(|(key, _)| format!("{} is not imported", child(&self.at, key))).collect()
    }

    fn wrong(&self, expected: &str) -> Fault {
        let shown = shortened(&self.value.to_string(), MAX_SHOWN);
        self.fault(&format!("must be {expected}, not {shown}"))
    }
}

/// The path of a key below another path.
pub fn child(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// A fault of the value at a path.
pub fn fault(at: &str, problem: &str) -> Fault {
    let line = format!("{at} {problem}").trim().to_owned();
    Fault::new(&format!("unusable extraction: {}", without_indices(at)), line)
}
