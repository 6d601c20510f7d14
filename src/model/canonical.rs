//! Equality of messages by content, independent of spelling.
//!
//! `canonicalize` brings a message into the spelling in which it is stored: text in Unicode NFC, and no empty parts. It
//! runs on the request of every call that writes (`service::write`), and on every stored record before it is rewritten
//! (`store::Doc`), because an older release may have written the record. `order_sets` runs only on copies that are
//! compared or hashed: a stored list keeps the order in which it was sent.
//!
//! `build.rs` generates `Canonical` for each message of the contract. `build/canonical.rs` lists the fields that are
//! sets, the strings that are compared as given, and the parts that may be empty.

use std::{borrow::Cow, collections::BTreeMap};

use prost::Message;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::pb;

/// A message with a canonical spelling.
pub trait Canonical {
    /// Brings text into NFC and removes empty parts, at any depth. Lists keep their length and order, so that the path
    /// of a violation is valid in the message as sent.
    fn canonicalize(&mut self);

    /// Sorts and deduplicates the sets of a canonical message, and applies the rules of specific message types (the
    /// functions below).
    fn order_sets(&mut self);
}

/// The form of a message in which equal content compares equal.
pub fn content<M: Canonical>(mut message: M) -> M {
    message.canonicalize();
    message.order_sets();
    message
}

/// True if two messages have the same content.
pub fn is_same<M: Canonical + Clone + PartialEq>(left: &M, right: &M) -> bool {
    left == right || content(left.clone()) == content(right.clone())
}

/// Brings text into the form in which it is stored and quoted: Unicode NFC.
pub fn text(text: &mut String) {
    if let Cow::Owned(composed) = composed(text) {
        *text = composed;
    }
}

/// Text in Unicode NFC.
pub fn composed(text: &str) -> Cow<'_, str> {
    match text.is_ascii() || is_nfc(text) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfc().collect()),
    }
}

/// Brings keys and values into NFC. If two keys compose to the same key with different values, both stay, so that
/// `Check` can refuse the map.
fn pairs(pairs: &mut BTreeMap<String, String>) {
    pairs.values_mut().for_each(text);
    let is_composed = |key: &str| matches!(composed(key), Cow::Borrowed(_));
    if pairs.keys().all(|key| is_composed(key)) {
        return;
    }
    let (canonical, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        std::mem::take(pairs).into_iter().partition(|(key, _)| is_composed(key));
    *pairs = canonical;
    for (key, value) in others {
        let composed = composed(&key).into_owned();
        match pairs.get(&composed) {
            None => drop(pairs.insert(composed, value)),
            Some(same) if *same == value => {}
            Some(_) => drop(pairs.insert(key, value)),
        }
    }
}

/// Removes the part if it is empty.
fn part<M: Canonical + Default + PartialEq>(part: &mut Option<M>) {
    kept_part(part);
    part.take_if(|part| *part == M::default());
}

/// Keeps the part, even if it is empty.
fn kept_part<M: Canonical>(part: &mut Option<M>) {
    part.iter_mut().for_each(M::canonicalize);
}

fn order_values<T: Ord>(set: &mut Vec<T>) {
    set.sort_unstable();
    set.dedup();
}

fn order_messages<M: Message + PartialEq>(set: &mut Vec<M>) {
    set.sort_by_cached_key(M::encode_to_vec);
    set.dedup();
}

/// `uri` and `alternate_uris` are one set.
fn article(article: &mut pb::Article) {
    article.alternate_uris.retain(|uri| *uri != article.uri);
}

/// An end that repeats the start is the same as no end.
fn date_span(span: &mut pb::DateSpan) {
    span.end.take_if(|end| Some(*end) == span.start);
}

fn report(report: &mut pb::Report) {
    report.evidence.iter_mut().for_each(normalise_field_path);
}

fn story_report(report: &mut pb::StoryReport) {
    report.evidence.iter_mut().for_each(normalise_field_path);
}

fn create_meeting_request(request: &mut pb::CreateMeetingRequest) {
    request.evidence.iter_mut().for_each(normalise_field_path);
}

/// Brings the field path of evidence into proto names: `nameAsWritten` becomes `name_as_written`. A set has no order,
/// so evidence of an item counts as evidence of the set: `topics[1]` becomes `topics[]`.
fn normalise_field_path(evidence: &mut pb::Evidence) {
    let step = |step: &str| {
        let (name, index) = step.split_once('[').map_or((step, None), |(name, index)| (name, Some(index)));
        let name = proto_name(name);
        let number = index.and_then(|index| index.strip_suffix(']')?.parse::<u16>().ok());
        match number {
            Some(_) if is_set(&name) => name + "[]",
            Some(number) => format!("{name}[{number}]"),
            None => name + &step[step.find('[').unwrap_or(step.len())..],
        }
    };
    evidence.field = evidence.field.split('.').map(step).collect::<Vec<_>>().join(".");
}

/// Converts a JSON name to a proto name.
fn proto_name(json_name: &str) -> String {
    let mut name = String::with_capacity(json_name.len());
    for letter in json_name.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn is_set(name: &str) -> bool {
    SETS.iter().any(|field| field.rsplit('.').next() == Some(name))
}

impl Canonical for pb::Date {
    fn canonicalize(&mut self) {}
    fn order_sets(&mut self) {}
}

impl Canonical for pb::LatLng {
    fn canonicalize(&mut self) {}
    fn order_sets(&mut self) {}
}

impl Canonical for prost_types::FieldMask {
    fn canonicalize(&mut self) {
        self.paths.iter_mut().for_each(text);
    }

    fn order_sets(&mut self) {
        order_values(&mut self.paths);
    }
}

include!(concat!(env!("OUT_DIR"), "/canonical.rs"));

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::{
        model::settle::tests::accounts::any_account,
        pb::{
            Account, Announcement, Article, DateSpan, Evidence, ExternalId, LatLng, Office, Participation, Place,
            Report, TimeOfDay,
        },
    };

    fn canonical<M: Canonical>(mut message: M) -> M {
        message.canonicalize();
        message
    }

    #[test]
    fn canonicalize_removes_empty_parts_at_any_depth() {
        let nothing = Account {
            date: Some(DateSpan { start: Some(pb::Date::default()), ..Default::default() }),
            place: Some(Place { location: Some(LatLng::default()), ..Default::default() }),
            announcement: Some(Announcement { date: Some(DateSpan::default()), ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(canonical(nothing), Account::default());
        let office = Participation { office: Some(Office::default()), ..Default::default() };
        assert_eq!(canonical(office), Participation::default());
    }

    #[test]
    fn canonicalize_keeps_parts_whose_zero_is_a_value() {
        let midnight = DateSpan { start_time: Some(TimeOfDay::default()), ..Default::default() };
        assert_eq!(canonical(midnight.clone()), midnight);
        let in_1970 = Article { publish_time: Some(Default::default()), ..Default::default() };
        assert_eq!(canonical(in_1970.clone()), in_1970);
        let empty = pb::Meeting { account: Some(Account::default()), ..Default::default() };
        assert_eq!(canonical(empty.clone()), empty);
    }

    #[test]
    fn canonicalize_composes_text_and_keeps_uris() {
        let article = Article {
            uri: "urn:e\u{301}".into(),
            alternate_uris: vec!["urn:a\u{301}".into()],
            title: "e\u{301}".into(),
            authors: vec!["E\u{301}lise".into()],
            labels: [("cle\u{301}".to_owned(), "e\u{301}".to_owned())].into(),
            external_ids: vec![ExternalId { scheme: "isni".into(), value: "e\u{301}".into() }],
            ..Default::default()
        };
        let expected = Article {
            title: "é".into(),
            authors: vec!["Élise".into()],
            labels: [("clé".to_owned(), "é".to_owned())].into(),
            external_ids: vec![ExternalId { scheme: "isni".into(), value: "é".into() }],
            ..article.clone()
        };
        assert_eq!(canonical(article), expected);
    }

    #[test]
    fn pairs_keep_every_value_when_two_keys_are_equal_in_nfc() {
        let labels = |all: &[(&str, &str)]| {
            let mut labels = all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            pairs(&mut labels);
            labels.into_iter().collect::<Vec<_>>()
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(labels(&[("e\u{301}", "1"), ("é", "1")]), [pair("é", "1")]);
        assert_eq!(labels(&[("e\u{301}", "1"), ("é", "2")]), [pair("e\u{301}", "1"), pair("é", "2")]);
    }

    #[test]
    fn is_same_ignores_the_order_of_sets_only() {
        let topics = |topics: &[&str]| Account {
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            ..Default::default()
        };
        assert!(is_same(&topics(&["b", "a"]), &topics(&["a", "b", "a"])));
        assert!(!is_same(&topics(&["a"]), &topics(&["a", "b"])));
        let authors = |authors: [&str; 2]| Article { authors: authors.map(str::to_owned).into(), ..Default::default() };
        assert!(!is_same(&authors(["A", "B"]), &authors(["B", "A"])));
        let uris = |others: &[&str]| Article {
            uri: "urn:a".into(),
            alternate_uris: others.iter().map(|uri| (*uri).to_owned()).collect(),
            ..Default::default()
        };
        assert!(is_same(&uris(&["urn:c", "urn:b"]), &uris(&["urn:b", "urn:a", "urn:c"])));
    }

    #[test]
    fn is_same_ignores_how_evidence_names_its_field() {
        let cites = |field: &str| Report {
            evidence: vec![Evidence { field: field.into(), ..Default::default() }],
            ..Default::default()
        };
        for (left, right) in [
            ("participations[0].nameAsWritten", "participations[0].name_as_written"),
            ("participations[1].roles[0]", "participations[01].roles[3]"),
            ("statements[2].topics[1]", "statements[2].topics[0]"),
        ] {
            assert!(is_same(&cites(left), &cites(right)), "{left} {right}");
        }
        for (left, right) in [
            ("participations[0].roles[0]", "participations[1].roles[0]"),
            ("statements[0].speakers[0]", "statements[0].speakers[1]"),
            ("participations[0].roles", "participations[0].rank"),
        ] {
            assert!(!is_same(&cites(left), &cites(right)), "{left} {right}");
        }
    }

    /// The same account in another spelling.
    fn respelled(mut account: Account, at: &Index) -> Account {
        let rotate = |topics: &mut Vec<String>| {
            let middle = at.index(topics.len().max(1)).min(topics.len());
            topics.rotate_left(middle);
        };
        let decompose = |text: &mut String| *text = text.nfd().collect();
        rotate(&mut account.topics);
        for text in [&mut account.title, &mut account.summary] {
            decompose(text);
        }
        account.place.get_or_insert_default().location.get_or_insert_default();
        account.date.get_or_insert_default();
        account.announcement.get_or_insert_default().date.get_or_insert_default();
        for participation in &mut account.participations {
            let middle = at.index(participation.roles.len().max(1)).min(participation.roles.len());
            participation.roles.rotate_right(middle);
            participation.office.get_or_insert_default();
            decompose(&mut participation.name_as_written);
            decompose(&mut participation.rank);
        }
        account.statements.iter_mut().for_each(|statement| rotate(&mut statement.topics));
        account
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn content_does_not_depend_on_spelling(account in any_account(), at in any::<Index>()) {
            let accented = |text: &mut String| *text = text.replace('i', "ị\u{302}");
            let mut account = account;
            accented(&mut account.title);
            account.participations.iter_mut().for_each(|part| accented(&mut part.name_as_written));
            let respelled = respelled(account.clone(), &at);
            prop_assert!(is_same(&account, &respelled));
            prop_assert_eq!(content(account), content(respelled));
        }

        #[test]
        fn content_is_idempotent(account in any_account()) {
            let once = content(account);
            prop_assert_eq!(content(once.clone()), once);
        }

        #[test]
        fn content_differs_when_accounts_differ(left in any_account(), right in any_account()) {
            let (left, right) = (canonical(left), canonical(right));
            let sorted = |account: &Account| {
                let mut account = account.clone();
                account.topics.sort();
                account.participations.iter_mut().for_each(|part| part.roles.sort());
                account.date.iter_mut().chain(account.announcement.iter_mut().flat_map(|announcement| &mut announcement.date)).for_each(date_span);
                account
            };
            prop_assert_eq!(is_same(&left, &right), sorted(&left) == sorted(&right));
        }
    }
}
