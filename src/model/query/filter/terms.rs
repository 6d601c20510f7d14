//! Terms: texts and labels that filters compare in whole. A record is indexed by the hashes of its terms.

use sha2::{Digest, Sha256};

use crate::{
    model::{canonical::composed, identity::name_key, meeting::places, text::names},
    pb::{Article, Meeting, Participant, Participation},
};

/// A text field of a record or of a participation, with its value in the form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// `title`: its name key.
    Title(String),
    /// `place.venue`: its name key.
    Venue(String),
    /// `labels.KEY`: the key and the value, in NFC.
    Label(String, String),
    /// `name` of a participation as written: its name key.
    Name(String),
    /// `rank` of a participation: its name key.
    Rank(String),
    /// `office.title` of a participation: its name key.
    OfficeTitle(String),
    /// `office.organization` of a participation: its name key.
    OfficeOrganization(String),
}

impl Term {
    /// The term of a title.
    pub fn title(text: &str) -> Self {
        Self::Title(names::key(text))
    }

    /// The term of a venue.
    pub fn venue(text: &str) -> Self {
        Self::Venue(names::key(text))
    }

    /// The term of a label.
    pub fn label(key: &str, value: &str) -> Self {
        Self::Label(composed(key).into_owned(), composed(value).into_owned())
    }

    /// The term of a name as written.
    pub fn name(text: &str) -> Self {
        Self::Name(name_key(text))
    }

    /// The term of a rank.
    pub fn rank(text: &str) -> Self {
        Self::Rank(names::key(text))
    }

    /// The term of the title of an office.
    pub fn office_title(text: &str) -> Self {
        Self::OfficeTitle(names::key(text))
    }

    /// The term of the organization of an office.
    pub fn office_organization(text: &str) -> Self {
        Self::OfficeOrganization(names::key(text))
    }

    /// The number of the field in hashes, the key of a label, and the value.
    fn parts(&self) -> (u8, &str, &str) {
        match self {
            Self::Title(value) => (1, "", value),
            Self::Venue(value) => (2, "", value),
            Self::Label(key, value) => (3, key, value),
            Self::Name(value) => (4, "", value),
            Self::Rank(value) => (5, "", value),
            Self::OfficeTitle(value) => (6, "", value),
            Self::OfficeOrganization(value) => (7, "", value),
        }
    }

    /// True if both have the same field, with any values.
    pub(crate) fn has_field_of(&self, other: &Self) -> bool {
        let ((field, key, _), (other_field, other_key, _)) = (self.parts(), other.parts());
        (field, key) == (other_field, other_key)
    }

    /// The hash of the field and the value, 64 bits of SHA-256. A second text with the hash of a given one is not to be
    /// found in practice.
    pub fn hash(&self) -> i64 {
        let (field, key, value) = self.parts();
        hash(field, key, Some(value))
    }

    /// The hash of the field alone: a record with any value of it has this hash too.
    pub fn field_hash(&self) -> i64 {
        let (field, key, _) = self.parts();
        hash(field, key, None)
    }

    /// The terms of a meeting itself: title, venues of its places, and labels.
    pub fn of_meeting(meeting: &Meeting) -> Vec<Self> {
        let account = meeting.account.as_ref();
        let title = account.map_or("", |account| &account.title);
        let venues = account.into_iter().flat_map(places).map(|place| (&*place.venue, Self::venue as fn(&str) -> Self));
        let texts = [(title, Self::title as fn(&str) -> Self)].into_iter().chain(venues);
        set(texts).chain(labels(&meeting.labels)).collect()
    }

    /// The terms of an article: title and labels.
    pub fn of_article(article: &Article) -> Vec<Self> {
        set([(&*article.title, Self::title as fn(&str) -> Self)].into_iter()).chain(labels(&article.labels)).collect()
    }

    /// The terms of a participant: its labels.
    pub fn of_participant(participant: &Participant) -> Vec<Self> {
        labels(&participant.labels).collect()
    }

    /// The terms of a participation: name as written, rank, and the title and organization of the office.
    pub fn of_participation(participation: &Participation) -> Vec<Self> {
        let office = participation.office.as_ref();
        let texts = [
            (&*participation.name_as_written, Self::name as fn(&str) -> Self),
            (&*participation.rank, Self::rank),
            (office.map_or("", |office| &office.title), Self::office_title),
            (office.map_or("", |office| &office.organization), Self::office_organization),
        ];
        set(texts.into_iter()).collect()
    }
}

/// The terms of the texts that have a visible character.
fn set<'a>(texts: impl Iterator<Item = (&'a str, fn(&str) -> Term)>) -> impl Iterator<Item = Term> {
    texts.map(|(text, term)| term(text)).filter(|term| !term.parts().2.is_empty())
}

/// The terms of labels. A label is set even if its value is empty.
fn labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> impl Iterator<Item = Term> {
    labels.into_iter().map(|(key, value)| Term::label(key, value))
}

fn hash(field: u8, key: &str, value: Option<&str>) -> i64 {
    let mut hash = Sha256::new();
    hash.update([field, u8::from(value.is_some())]);
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(value.unwrap_or_default());
    let digest: [u8; 32] = hash.finalize().into();
    i64::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 8]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn hash_differs_by_field_key_and_value() {
        let terms = [
            Term::title("a"),
            Term::venue("a"),
            Term::title("b"),
            Term::label("a", "b"),
            Term::label("ab", ""),
            Term::label("", "ab"),
        ];
        let hashes: BTreeSet<i64> = terms.iter().flat_map(|term| [term.hash(), term.field_hash()]).collect();
        // The two titles have the same field.
        assert_eq!(hashes.len(), 11);
    }

    #[test]
    fn hash_is_stable() {
        // The database stores hashes: another result needs another migration that marks the collections for a rebuild.
        let title = Term::title("Talks");
        assert_eq!((title.hash(), title.field_hash()), (5_772_119_697_125_911_000, -7_570_833_177_737_873_949));
    }

    #[test]
    fn empty_text_is_no_term_but_an_empty_label_is() {
        let article = Article {
            title: " ".to_owned(),
            labels: [("draft".to_owned(), String::new())].into(),
            ..Article::default()
        };
        assert_eq!(Term::of_article(&article), [Term::label("draft", "")]);
    }
}
