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
fn only_what_is_masked_is_replaced() {
    let sent = Article { title: "A visit".into(), uri: "urn:b".into(), ..Default::default() };
    assert_eq!(apply(&["title"], &sent), Article { title: "A visit".into(), ..current() });
    assert_eq!(apply(&["title"], &Article::default()), Article { title: String::new(), ..current() });
}

#[test]
fn without_a_mask_every_field_that_is_set_is_replaced() {
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
fn a_star_clears_what_is_not_sent_but_nothing_of_ours() {
    let sent = Article { uri: "urn:b".into(), etag: "x".into(), revision: 9, ..Default::default() };
    let ours = current();
    let expected = Article { name: ours.name, etag: ours.etag, revision: 3, uri: "urn:b".into(), ..Default::default() };
    assert_eq!(apply(&["*"], &sent), expected);
}

#[test]
fn parts_of_messages_are_replaced_alone() {
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
fn a_pair_of_a_map_is_replaced_alone() {
    let sent = Article { labels: labels(&[("desk", "home"), ("a`b", "2"), ("x", "y")]), ..Default::default() };
    assert_eq!(apply(&["labels.desk"], &sent).labels, labels(&[("desk", "home"), ("a.b", "1")]));
    let merged = apply(&["labels.`a.b`", "labels.`a``b`"], &sent);
    assert_eq!(merged.labels, labels(&[("desk", "foreign"), ("a`b", "2")]));
}

#[test]
fn path_names_fields_by_proto_or_json_names() {
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
    // Keys are no names, and a path that is wrong stays as it is.
    let others = ["labels.myKey", "labels.`a.b`", "publishedAt", "*"];
    assert_eq!(Mask::in_proto_names::<Article>(mask(&others)), mask(&others));
}

#[test]
fn path_to_a_key_changes_no_pair_that_may_not_be_meant() {
    let current = Article { labels: labels(&[("myKey", "3"), ("my_key", "4")]), ..current() };
    let mask = Mask::read::<Article>(Some(&mask(&["title", "labels.my_key"])), &Path::ROOT, &mut Violations::default());
    let with = |labels| Article { labels, ..Default::default() };
    let at = Path::ROOT.field("update_mask");
    let refused = mask.with_keys_meant(&current, &with(labels(&[("myKey", "3")])), &at).unwrap_err();
    let told: Vec<_> =
        refused.iter().map(|violation| (violation.field.as_str(), violation.description.as_str())).collect();
    let description = "may mean either of two pairs: \"labels.my_key\" names a key of its own, and is what JSON makes of \
                       labels.myKey; name labels as a whole";
    assert_eq!(told, [("update_mask.paths[1]", description)]);
    let current = with(labels(&[("myKey", "3"), ("other", "1")]));
    let sent = with(labels(&[("myKey", "9")]));
    let merged = mask.with_keys_meant(&current, &sent, &at).unwrap().apply(&current, &sent);
    assert_eq!(merged.labels, labels(&[("myKey", "9"), ("other", "1")]));
    // A mask with a capital in it has not come through ProtoJSON: the label is renamed.
    let mask = self::mask(&["labels.my_key", "labels.myKey"]);
    let mask = Mask::read::<Article>(Some(&mask), &Path::ROOT, &mut Violations::default());
    let current = with(labels(&[("my_key", "3")]));
    let sent = with(labels(&[("myKey", "3")]));
    let merged = mask.with_keys_meant(&current, &sent, &at).unwrap().apply(&current, &sent);
    assert_eq!(merged.labels, labels(&[("myKey", "3")]));
}

#[test]
fn every_path_that_is_wrong_is_told() {
    let paths = [
        ("title", ""),
        ("", "names no field"),
        ("titel", "names no field of Article: \"titel\"; did you mean \"title\"?"),
        ("publishdate", "did you mean \"publish_date\"?"),
        ("publishDate", ""),
        ("title.x", "no parts"),
        ("publisher.", "names no field"),
        ("publisher.country", "names no field of Publisher: \"publisher.country\""),
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
    let told: Vec<_> = out.into_iter().collect();
    let wrong: Vec<_> = paths.iter().enumerate().filter(|(_, (_, why))| !why.is_empty()).collect();
    assert_eq!(told.len(), wrong.len());
    for (told, (index, (path, why))) in told.iter().zip(wrong) {
        assert_eq!(told.field, format!("update_mask.paths[{index}]"));
        assert!(told.description.contains(why), "{path}: {}", told.description);
    }
}

#[test]
fn a_mask_has_a_thousand_paths_and_no_more() {
    for (count, fields) in [(MOST_PATHS, 0), (MOST_PATHS + 1, 1)] {
        let mut out = Violations::default();
        Mask::read::<Article>(Some(&mask(&vec!["title"; count])), &Path::ROOT.field("update_mask"), &mut out);
        assert_eq!(out.iter().filter(|one| one.field == "update_mask.paths").count(), fields);
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
    fn what_was_applied_changes_nothing_when_it_is_applied_again(
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
    fn an_article_that_is_sent_as_it_stands_changes_nothing(
        current in articles(),
        paths in subsequence(PATHS.to_vec(), 0..=PATHS.len()),
    ) {
        for paths in [paths, vec!["*"]] {
            let mask = Mask::read::<Article>(Some(&mask(&paths)), &Path::ROOT, &mut Violations::default());
            prop_assert_eq!(mask.apply(&current, &current), current.clone());
        }
    }
}
