use std::collections::BTreeMap;

use proptest::{prelude::*, sample::subsequence};

use super::*;
use crate::pb::{Article, Date, ExternalId, Publisher};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn current() -> Article {
    Article {
        name: "articles/a".into(),
        etag: "e".into(),
        revision: 3,
        uri: "urn:a".into(),
        title: "Talks".into(),
        publisher: Some(Publisher { display_name: "Azernews".into(), region_code: "AZ".into() }),
        publish_date: Some(Date { year: 2020, month: 9, day: 4 }),
        labels: labels(&[("desk", "foreign"), ("a.b", "1")]),
        external_ids: vec![ExternalId { scheme: "wikidata".into(), value: "Q1".into() }],
        ..Default::default()
    }
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

fn apply(paths: &[&str], sent: &Article) -> Article {
    let mut out = Violations::default();
    let mask = Mask::read::<Article>(Some(&mask(paths)), &Path::ROOT.field("update_mask"), &mut out);
    assert!(out.is_empty(), "{out:?}");
    mask.apply(&current(), sent)
}

#[test]
fn apply_replaces_masked_fields_only() {
    let sent = Article { title: "A visit".into(), uri: "urn:b".into(), ..Default::default() };
    assert_eq!(apply(&["title"], &sent), Article { title: "A visit".into(), ..current() });
    assert_eq!(apply(&["title"], &Article::default()), Article { title: String::new(), ..current() });
}

#[test]
fn apply_without_a_mask_replaces_every_field_that_is_set() {
    let sent = Article {
        name: "articles/b".into(),
        title: "A visit".into(),
        labels: labels(&[("desk", "home")]),
        publisher: Some(Publisher { display_name: "Trend".into(), ..Default::default() }),
        ..Default::default()
    };
    let Article { title, labels, publisher, .. } = sent.clone();
    assert_eq!(apply(&[], &sent), Article { title, labels, publisher, ..current() });
}

#[test]
fn apply_with_a_star_clears_unsent_fields_but_keeps_service_fields() {
    let sent = Article { uri: "urn:b".into(), etag: "x".into(), revision: 9, ..Default::default() };
    let stored = current();
    let expected =
        Article { name: stored.name, etag: stored.etag, revision: 3, uri: "urn:b".into(), ..Default::default() };
    assert_eq!(apply(&["*"], &sent), expected);
}

#[test]
fn apply_replaces_a_single_part_of_a_message() {
    let sent =
        Article { publisher: Some(Publisher { display_name: "Trend".into(), ..Default::default() }), ..current() };
    let publisher = apply(&["publisher.display_name"], &sent).publisher.unwrap();
    assert_eq!((publisher.display_name.as_str(), publisher.region_code.as_str()), ("Trend", "AZ"));
    let publisher = apply(&["publisher.region_code", "publish_date.day"], &Article::default());
    assert_eq!(publisher.publisher.unwrap(), Publisher { display_name: "Azernews".into(), ..Default::default() });
    assert_eq!(publisher.publish_date, Some(Date { year: 2020, month: 9, day: 0 }));
    assert_eq!(apply(&["dateline.venue"], &Article::default()).dateline, None);
}

#[test]
fn apply_replaces_a_single_pair_of_a_map() {
    let sent = Article { labels: labels(&[("desk", "home"), ("a`b", "2"), ("x", "y")]), ..Default::default() };
    assert_eq!(apply(&["labels.desk"], &sent).labels, labels(&[("desk", "home"), ("a.b", "1")]));
    let merged = apply(&["labels.`a.b`", "labels.`a``b`"], &sent);
    assert_eq!(merged.labels, labels(&[("desk", "foreign"), ("a`b", "2")]));
}

#[test]
fn path_accepts_proto_and_json_names() {
    let sent = Article {
        publish_date: Some(Date { year: 2021, month: 0, day: 0 }),
        publisher: Some(Publisher { display_name: "Trend".into(), region_code: "RU".into() }),
        ..Default::default()
    };
    for (proto, json) in [
        ("publish_date", "publishDate"),
        ("publisher.display_name", "publisher.displayName"),
        ("publish_date.year", "publishDate.year"),
        ("external_ids", "externalIds"),
    ] {
        assert_eq!(apply(&[json], &sent), apply(&[proto], &sent), "{json}");
        assert_eq!(Mask::in_proto_names::<Article>(mask(&[json])), mask(&[proto]));
    }
    // Keys are not field names, and an invalid path stays as it is.
    let others = ["labels.myKey", "labels.`a.b`", "publishedAt", "*"];
    assert_eq!(Mask::in_proto_names::<Article>(mask(&others)), mask(&others));
}

#[test]
fn path_to_an_ambiguous_key_is_refused() {
    let current = Article { labels: labels(&[("myKey", "3"), ("my_key", "4")]), ..current() };
    let mask = Mask::read::<Article>(Some(&mask(&["title", "labels.my_key"])), &Path::ROOT, &mut Violations::default());
    let with = |labels| Article { labels, ..Default::default() };
    let at = Path::ROOT.field("update_mask");
    let refused = mask.with_resolved_keys(&current, &with(labels(&[("myKey", "3")])), &at).unwrap_err();
    let violations: Vec<_> =
        refused.iter().map(|violation| (violation.field.as_str(), violation.description.as_str())).collect();
    let description = "may mean either of two pairs: \"labels.my_key\" names a key of its own, and is what JSON makes of \
                       labels.myKey; name labels as a whole";
    assert_eq!(violations, [("update_mask.paths[1]", description)]);
    let current = with(labels(&[("myKey", "3"), ("other", "1")]));
    let sent = with(labels(&[("myKey", "9")]));
    let merged = mask.with_resolved_keys(&current, &sent, &at).unwrap().apply(&current, &sent);
    assert_eq!(merged.labels, labels(&[("myKey", "9"), ("other", "1")]));
    // A mask with a capital was not sent as ProtoJSON: the label is renamed.
    let mask = self::mask(&["labels.my_key", "labels.myKey"]);
    let mask = Mask::read::<Article>(Some(&mask), &Path::ROOT, &mut Violations::default());
    let current = with(labels(&[("my_key", "3")]));
    let sent = with(labels(&[("myKey", "3")]));
    let merged = mask.with_resolved_keys(&current, &sent, &at).unwrap().apply(&current, &sent);
    assert_eq!(merged.labels, labels(&[("myKey", "3")]));
}

#[test]
fn read_reports_every_invalid_path() {
    let paths = [
        ("title", ""),
        ("", "is not a field"),
        ("titel", "is not a field of Article: \"titel\"; did you mean \"title\"?"),
        ("publishdate", "did you mean \"publish_date\"?"),
        ("publishDate", ""),
        ("title.x", "without subfields"),
        ("publisher.", "is not a field"),
        ("publisher.country", "is not a field of Publisher: \"publisher.country\""),
        ("publisher.displayname", "did you mean \"publisher.display_name\"?"),
        ("external_ids.scheme", "into a list"),
        ("alternate_uris.0", "into a list"),
        ("alternate_uris[0]", "did you mean \"alternate_uris\"?"),
        ("labels.", "key of a map"),
        ("labels.a.b", "key of a map"),
        ("labels.`a", "key of a map"),
        ("labels.``", "key of a map"),
        ("labels.`a`b`", "key of a map"),
        ("name", "the service sets"),
        ("etag", "the service sets"),
        ("text_sha256", "the service sets"),
        ("textSha256", "the service sets"),
        ("*", "the only path"),
    ];
    let mut out = Violations::default();
    let all: Vec<&str> = paths.iter().map(|(path, _)| *path).collect();
    Mask::read::<Article>(Some(&mask(&all)), &Path::ROOT.field("update_mask"), &mut out);
    let violations: Vec<_> = out.into_iter().collect();
    let invalid: Vec<_> = paths.iter().enumerate().filter(|(_, (_, reason))| !reason.is_empty()).collect();
    assert_eq!(violations.len(), invalid.len());
    for (violation, (index, (path, reason))) in violations.iter().zip(invalid) {
        assert_eq!(violation.field, format!("update_mask.paths[{index}]"));
        assert!(violation.description.contains(reason), "{path}: {}", violation.description);
    }
}

#[test]
fn read_accepts_a_thousand_paths_and_no_more() {
    for (count, fields) in [(MAX_PATHS, 0), (MAX_PATHS + 1, 1)] {
        let mut out = Violations::default();
        Mask::read::<Article>(Some(&mask(&vec!["title"; count])), &Path::ROOT.field("update_mask"), &mut out);
        assert_eq!(out.iter().filter(|violation| violation.field == "update_mask.paths").count(), fields);
    }
}

const PATHS: [&str; 8] =
    ["title", "uri", "labels", "labels.desk", "publisher", "publisher.region_code", "publish_date", "external_ids"];

fn articles() -> impl Strategy<Value = Article> {
    let words = || proptest::option::of("[a-c]{1,2}").prop_map(Option::unwrap_or_default);
    let publisher = (words(), words());
    let labels = proptest::collection::btree_map("desk|other", "[a-c]", 0..2);
    (words(), words(), publisher, labels, proptest::option::of(1..3)).prop_map(
        |(title, uri, publisher, labels, year)| {
            let publisher = Some(Publisher { display_name: publisher.0, region_code: publisher.1 });
            let publish_date = year.map(|year| Date { year, month: 0, day: 0 });
            Article { title, uri, publisher, labels, publish_date, ..current() }
        },
    )
}

proptest! {
    #[test]
    fn apply_is_idempotent(
        current in articles(),
        sent in articles(),
        paths in subsequence(PATHS.to_vec(), 1..=PATHS.len()),
    ) {
        let mask = Mask::read::<Article>(Some(&mask(&paths)), &Path::ROOT, &mut Violations::default());
        let once = mask.apply(&current, &sent);
        prop_assert_eq!(mask.apply(&once, &sent), once.clone());
        // Masked fields are those of the sent message; the others stay.
        prop_assert_eq!(mask.apply(&sent, &once), sent);
        prop_assert_eq!(mask.apply(&once, &current), mask.apply(&current, &current));
    }

    #[test]
    fn apply_of_the_current_article_changes_nothing(
        current in articles(),
        paths in subsequence(PATHS.to_vec(), 0..=PATHS.len()),
    ) {
        for paths in [paths, vec!["*"]] {
            let mask = Mask::read::<Article>(Some(&mask(&paths)), &Path::ROOT, &mut Violations::default());
            prop_assert_eq!(mask.apply(&current, &current), current.clone());
        }
    }
}
