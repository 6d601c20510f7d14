//! Scopes of credentials: the articles that a caller may write.
//!
//! A scope is `publisher=NAME` or `label:KEY=VALUE`. An article is in a list of scopes if its publisher is one of those
//! named, and if it has every label named. An article has one publisher, so publishers are alternatives; it has one
//! value for each key, so two values of one key contradict each other.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::canonical::composed;
use crate::pb::Article;

/// Maximum number of scopes of one token or JWT.
pub const MAX_SCOPES: usize = 16;
/// Maximum characters of a publisher's name, as in `Publisher.display_name`.
pub const MAX_PUBLISHER: usize = 256;
/// Maximum characters of the key of a label, as in `Article.labels`.
pub const MAX_LABEL_KEY: usize = 128;
/// Maximum characters of the value of a label, as in `Article.labels`.
pub const MAX_LABEL_VALUE: usize = 256;

/// Maximum bytes of several scopes that an error repeats. The longest scope is about as long.
const MAX_REPEATED_BYTES: usize = 1536;

const PUBLISHER: &str = "publisher=";
const LABEL: &str = "label:";

/// A requirement on articles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The article has a publisher with this `display_name`.
    Publisher(String),
    /// The article has this label.
    Label {
        /// The key of the label.
        key: String,
        /// Its value.
        value: String,
    },
    /// A stored scope that this release cannot read. No article meets it.
    Unknown(String),
}

/// The reason why a text is not a scope, or a list of scopes cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The text has neither form.
    #[error("must be publisher=NAME or label:KEY=VALUE")]
    Form,
    /// A part is empty.
    #[error("the {0} must not be empty")]
    Empty(&'static str),
    /// A part is longer than the contract allows it to be in an article.
    #[error("the {0} must have at most {1} characters, not {2}: no article can have it")]
    TooLong(&'static str, usize, usize),
    /// A part has a control character.
    #[error("the {0} must not contain control characters")]
    Control(&'static str),
    /// There are no scopes.
    #[error("at least one scope is needed")]
    None,
    /// There are too many scopes.
    #[error("at most {MAX_SCOPES} scopes are allowed, not {0}")]
    TooMany(usize),
    /// Two scopes are equal.
    #[error("{0} is given twice")]
    Repeated(Scope),
    /// No article can meet both scopes.
    #[error("{0} and {1} contradict each other: an article has one value for each label")]
    Contradiction(Scope, Scope),
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if let Some(name) = text.strip_prefix(PUBLISHER) {
            return Ok(Self::Publisher(part("publisher", name, MAX_PUBLISHER)?));
        }
        // The key ends at the first `=`, so that a value may contain one.
        let (key, value) = text.strip_prefix(LABEL).and_then(|label| label.split_once('=')).ok_or(ScopeError::Form)?;
        // Labels may have empty values. In a scope, an empty value is more likely an unset variable of a script.
        let key = part("key of the label", key, MAX_LABEL_KEY)?;
        Ok(Self::Label { key, value: part("value of the label", value, MAX_LABEL_VALUE)? })
    }
}

/// A part of a scope, in the form in which articles store it.
fn part(name: &'static str, text: &str, max: usize) -> Result<String, ScopeError> {
    let text = composed(text).into_owned();
    let length = text.chars().count();
    match () {
        () if text.trim().is_empty() => Err(ScopeError::Empty(name)),
        () if text.chars().any(char::is_control) => Err(ScopeError::Control(name)),
        () if length > max => Err(ScopeError::TooLong(name, max, length)),
        () => Ok(text),
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publisher(name) => write!(f, "{PUBLISHER}{name}"),
            Self::Label { key, value } => write!(f, "{LABEL}{key}={value}"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// The scopes of a caller: at least one, without contradictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Checks a list of scopes.
    ///
    /// # Errors
    /// There are none or too many, two are equal, or two contradict each other.
    pub fn new(scopes: Vec<Scope>) -> Result<Self, ScopeError> {
        match scopes.len() {
            0 => return Err(ScopeError::None),
            count if count > MAX_SCOPES => return Err(ScopeError::TooMany(count)),
            _ => {}
        }
        let mut labels: BTreeMap<&str, &Scope> = BTreeMap::new();
        for (index, scope) in scopes.iter().enumerate() {
            if scopes[..index].contains(scope) {
                return Err(ScopeError::Repeated(scope.clone()));
            }
            if let Scope::Label { key, .. } = scope
                && let Some(other) = labels.insert(key, scope)
            {
                return Err(ScopeError::Contradiction(other.clone(), scope.clone()));
            }
        }
        Ok(Self(scopes))
    }

    /// The scopes of a stored token. A text that this release cannot read is kept, and no article meets it.
    pub fn of_stored(texts: Vec<String>) -> Self {
        Self(texts.into_iter().map(|text| text.parse().unwrap_or(Scope::Unknown(text))).collect())
    }

    /// The scopes as texts, in their order.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Scope::to_string)
    }

    /// The scopes in one text, as many as an error can repeat.
    pub fn summary(&self) -> String {
        joined(self.0.iter())
    }

    /// The requirement that an article does not meet, as a text: a scope, or the publishers of which it has none.
    /// `None` if the article is in scope.
    pub fn unmet(&self, article: &Article) -> Option<String> {
        // Release 0.1.0 stored articles as they were sent.
        let publisher = article.publisher.as_ref().map(|publisher| composed(&publisher.display_name));
        let is_named = |scope: &Scope| matches!(scope, Scope::Publisher(name) if publisher.as_deref() == Some(name));
        let publishers = || self.0.iter().filter(|scope| matches!(scope, Scope::Publisher(_)));
        if publishers().next().is_some() && !self.0.iter().any(is_named) {
            return Some(joined(publishers()));
        }
        let is_met = |scope: &Scope| match scope {
            Scope::Publisher(_) => true,
            Scope::Label { key, value } => article.labels.get(key) == Some(value),
            Scope::Unknown(_) => false,
        };
        // A stored list is never empty; should it be, no article is in scope.
        let fails = self.0.is_empty().then(String::new);
        self.0.iter().find(|scope| !is_met(scope)).map(Scope::to_string).or(fails)
    }
}

/// The scopes in one text, as many as an error can repeat.
fn joined<'a>(scopes: impl Iterator<Item = &'a Scope>) -> String {
    let mut all = String::new();
    for scope in scopes.map(Scope::to_string) {
        if !all.is_empty() && all.len() + scope.len() > MAX_REPEATED_BYTES {
            return all + ", …";
        }
        all += if all.is_empty() { "" } else { ", " };
        all += &scope;
    }
    all
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::Publisher;

    fn scopes(texts: &[&str]) -> Result<Scopes, ScopeError> {
        Scopes::new(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
    }

    fn article(publisher: &str, labels: &[(&str, &str)]) -> Article {
        Article {
            publisher: Some(Publisher { display_name: publisher.to_owned(), ..Default::default() }),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn scopes_admit_any_named_publisher_and_require_every_label() {
        let bound = scopes(&["publisher=A", "publisher=B", "label:desk=press", "label:tier=a=b"]).unwrap();
        let labels = [("desk", "press"), ("tier", "a=b"), ("more", "x")];
        assert_eq!(bound.unmet(&article("A", &labels)), None);
        assert_eq!(bound.unmet(&article("B", &labels)), None);
        assert_eq!(bound.unmet(&article("a", &labels)).as_deref(), Some("publisher=A, publisher=B"));
        assert_eq!(bound.unmet(&Article::default()).as_deref(), Some("publisher=A, publisher=B"));
        assert_eq!(bound.unmet(&article("A", &labels[1..])).as_deref(), Some("label:desk=press"));
        assert_eq!(bound.unmet(&article("A", &[("desk", "press")])).as_deref(), Some("label:tier=a=b"));
        let bound = scopes(&["label:desk=press"]).unwrap();
        assert_eq!(bound.unmet(&article("anyone", &labels)), None);
        assert_eq!(bound.unmet(&article("anyone", &[("desk", "Press")])).as_deref(), Some("label:desk=press"));
    }

    #[test]
    fn scope_is_compared_in_nfc() {
        let bound = scopes(&["publisher=Cafe\u{301}"]).unwrap();
        assert_eq!(bound.unmet(&article("Caf\u{e9}", &[])), None);
        assert_eq!(
            scopes(&["publisher=Cafe\u{301}", "publisher=Caf\u{e9}"]),
            Err(ScopeError::Repeated(bound.0[0].clone()))
        );
    }

    #[test]
    fn scope_has_bounds_at_their_edges() {
        for wrong in ["", "A", "publisher", "Publisher=A", "label:desk", "label=desk", "labels:desk=x", " publisher=A"]
        {
            assert_eq!(wrong.parse::<Scope>(), Err(ScopeError::Form), "{wrong}");
        }
        for empty in ["publisher=", "publisher= ", "label:=x", "label:desk=", "label:="] {
            assert!(matches!(empty.parse::<Scope>(), Err(ScopeError::Empty(_))), "{empty}");
        }
        for wrong in ["publisher=a\0", "publisher=a\nb", "label:a\u{1b}=b", "label:a=b\u{9b}"] {
            assert!(matches!(wrong.parse::<Scope>(), Err(ScopeError::Control(_))), "{wrong:?}");
        }
        let long = |count: usize| "ə".repeat(count);
        for (max, text) in [
            (MAX_PUBLISHER, Box::new(|count| format!("publisher={}", long(count))) as Box<dyn Fn(usize) -> String>),
            (MAX_LABEL_KEY, Box::new(|count| format!("label:{}=x", long(count)))),
            (MAX_LABEL_VALUE, Box::new(|count| format!("label:x={}", long(count)))),
        ] {
            assert_eq!(text(max).parse::<Scope>().map(|scope| scope.to_string()), Ok(text(max)));
            assert!(matches!(text(max + 1).parse::<Scope>(), Err(ScopeError::TooLong(_, _, sent)) if sent == max + 1));
        }
    }

    #[test]
    fn parts_of_scopes_are_limited_as_in_articles() {
        use crate::model::rules::Check;
        let check = |max: usize, article_with: fn(&str) -> Article| {
            let violations = |count: usize| format!("{:?}", article_with(&"ə".repeat(count)).violations());
            let ([at_most, above], max) = ([max, max + 1].map(violations), max.to_string());
            assert!(!at_most.contains(&max) && above.contains(&max), "{max}: {above}");
        };
        check(MAX_PUBLISHER, |text| article(text, &[]));
        check(MAX_LABEL_KEY, |text| article("A", &[(text, "x")]));
        check(MAX_LABEL_VALUE, |text| article("A", &[("x", text)]));
    }

    #[test]
    fn list_of_scopes_is_not_empty_and_has_neither_repetitions_nor_contradictions() {
        let many = |count: usize| Scopes::new((0..count).map(|n| Scope::Publisher(n.to_string())).collect());
        assert_eq!(many(0), Err(ScopeError::None));
        assert!(many(1).is_ok() && many(MAX_SCOPES).is_ok());
        assert_eq!(many(MAX_SCOPES + 1), Err(ScopeError::TooMany(MAX_SCOPES + 1)));
        assert!(matches!(scopes(&["label:a=x", "label:a=x"]), Err(ScopeError::Repeated(_))));
        let message = scopes(&["label:a=x", "publisher=A", "label:a=y"]).unwrap_err().to_string();
        assert_eq!(message, "label:a=x and label:a=y contradict each other: an article has one value for each label");
    }

    #[test]
    fn stored_scope_of_an_unknown_form_admits_no_article() {
        let bound = Scopes::of_stored(vec!["publisher=A".to_owned(), "region=AZ".to_owned()]);
        assert_eq!(bound.unmet(&article("A", &[])).as_deref(), Some("region=AZ"));
        assert_eq!(bound.to_string(), "publisher=A, region=AZ");
        assert!(Scopes::of_stored(Vec::new()).unmet(&article("A", &[])).is_some());
    }
}
