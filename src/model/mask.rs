//! Field masks: which fields of a resource an update replaces (AIP-134, AIP-161).

use prost::Message;
use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use prost_types::FieldMask;

use super::{
    resource::Resource,
    rules::{Path, Violations},
};
use crate::pb;

/// A mask has at most so many paths.
pub const MOST_PATHS: usize = 1_000;

/// A mask that was checked against the resource that it is for.
#[derive(Debug, Clone)]
pub enum Mask {
    /// None was sent: every field that the sent resource has set, each as a whole.
    Populated,
    /// `*`: every field that a caller can set, so that those not sent are cleared.
    All,
    /// These, and no others.
    Paths(Vec<Route>),
}

/// Where a path leads: through singular messages to a field, or to one key of a map.
#[derive(Debug, Clone)]
pub struct Route {
    fields: Vec<FieldDescriptor>,
    key: Option<MapKey>,
}

impl Mask {
    /// Reads the mask of an update of an `R`; `at` is where it stands in the request. Tells every path that is wrong.
    ///
    /// A path names fields by their proto names: `title`, `publisher.display_name`. A list is replaced as a whole. A
    /// map is too, or by key: `labels.desk`, and between backticks where the key has a dot or a backtick, which is then
    /// written twice (``labels.`a.b` ``).
    pub fn read<R: Resource>(mask: Option<&FieldMask>, at: &Path<'_>, out: &mut Violations) -> Self {
        let at = at.field("paths");
        let paths = match mask {
            Some(mask) if !mask.paths.is_empty() => &mask.paths,
            _ => return Self::Populated,
        };
        if let [path] = paths.as_slice()
            && path == "*"
        {
            return Self::All;
        }
        if paths.len() > MOST_PATHS {
            out.add(&at, format!("must have at most {MOST_PATHS} items"));
            return Self::Paths(Vec::new());
        }
        let resource = descriptor::<R>();
        let behavior = behavior();
        let mut routes = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate() {
            match Route::read(&resource, path, &behavior) {
                Ok(route) => routes.push(route),
                Err(why) => out.add(&at.index(index), why),
            }
        }
        Self::Paths(routes)
    }

    /// Whether it replaces a field of the resource, which `is_set` in the sent one or not.
    pub fn replaces(&self, field: &str, is_set: bool) -> bool {
        match self {
            Self::Populated => is_set,
            Self::All => true,
            Self::Paths(routes) => {
                routes.iter().any(|route| route.fields.first().is_some_and(|first| first.name() == field))
            }
        }
    }

    /// Whether it names the field at this path of the request, or something that the field is part of; `at` is where the
    /// request has the resource. Without paths, it names all.
    pub fn names(&self, field: &str, at: &Path<'_>) -> bool {
        let Self::Paths(routes) = self else { return true };
        routes.iter().any(|route| {
            let path = route.fields.iter().fold(at.to_string(), |path, step| format!("{path}.{}", step.name()));
            field.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The current resource with the masked fields of the sent one. What only the service sets stays as it is.
    pub fn apply<R: Resource>(&self, current: &R, sent: &R) -> R {
        let (mut merged, sent) = (reflect(current), reflect(sent));
        match self {
            Self::Paths(routes) => routes.iter().for_each(|route| route.copy(&sent, &mut merged)),
            Self::Populated | Self::All => {
                let behavior = behavior();
                for field in merged.descriptor().fields().filter(|field| !is_ours(field, &behavior)) {
                    match (sent.has_field(&field), self) {
                        (true, _) => merged.set_field(&field, sent.get_field(&field).into_owned()),
                        (false, Self::All) => merged.clear_field(&field),
                        (false, _) => {}
                    }
                }
            }
        }
        R::decode(merged.encode_to_vec().as_slice()).expect("it has the fields of an R")
    }
}

impl Route {
    fn read(resource: &MessageDescriptor, path: &str, behavior: &ExtensionDescriptor) -> Result<Self, String> {
        if path == "*" {
            return Err("must be the only path if it is *".to_owned());
        }
        let mut fields: Vec<FieldDescriptor> = Vec::new();
        let mut message = resource.clone();
        let mut rest = path;
        loop {
            let (step, after) = rest.split_once('.').map_or((rest, None), |(step, after)| (step, Some(after)));
            let Some(field) = message.get_field_by_name(step) else {
                return Err(format!("is no field of {}", resource.name()));
            };
            if is_ours(&field, behavior) {
                return Err("is set by the service".to_owned());
            }
            fields.push(field.clone());
            let Some(after) = after else { return Ok(Self { fields, key: None }) };
            if field.is_map() {
                return Ok(Self { fields, key: Some(MapKey::String(key(after)?)) });
            }
            if field.is_list() {
                return Err("goes into a list, which can only be replaced as a whole".to_owned());
            }
            let Kind::Message(inner) = field.kind() else {
                return Err("goes on after a field that has no parts".to_owned());
            };
            message = inner;
            rest = after;
        }
    }

    /// Makes what is at the end of the route in `to` what it is in `from`.
    fn copy(&self, from: &DynamicMessage, to: &mut DynamicMessage) {
        let Some((last, outer)) = self.fields.split_last() else { return };
        let value = match (value(from, &self.fields), &self.key) {
            (Some(Value::Map(pairs)), Some(key)) => pairs.get(key).cloned(),
            (value, _) => value,
        };
        let mut message = to;
        for field in outer {
            if value.is_none() && !message.has_field(field) {
                return;
            }
            let Some(inner) = message.get_field_mut(field).as_message_mut() else { return };
            message = inner;
        }
        match (value, &self.key) {
            (Some(value), None) => message.set_field(last, value),
            (None, None) => message.clear_field(last),
            (value, Some(key)) => {
                let Some(pairs) = message.get_field_mut(last).as_map_mut() else { return };
                match value {
                    Some(value) => pairs.insert(key.clone(), value),
                    None => pairs.remove(key),
                };
            }
        }
    }
}

/// What is set at the end of these fields.
fn value(message: &DynamicMessage, fields: &[FieldDescriptor]) -> Option<Value> {
    let (first, rest) = fields.split_first()?;
    if !message.has_field(first) {
        return None;
    }
    let found = message.get_field(first);
    match rest {
        [] => Some(found.into_owned()),
        _ => value(found.as_message()?, rest),
    }
}

/// The key of a map, which ends the path.
fn key(text: &str) -> Result<String, String> {
    const MALFORMED: &str = "must end with the key of a map, between backticks if it has a dot";
    let Some(quoted) = text.strip_prefix('`') else {
        let is_plain = !text.is_empty() && !text.contains(['.', '`']);
        return if is_plain { Ok(text.to_owned()) } else { Err(MALFORMED.to_owned()) };
    };
    let quoted = quoted.strip_suffix('`').ok_or(MALFORMED)?;
    let key = quoted.replace("``", "`");
    let doubled = quoted.matches("``").count();
    let is_closed_early = quoted.matches('`').count() != 2 * doubled;
    if key.is_empty() || is_closed_early { Err(MALFORMED.to_owned()) } else { Ok(key) }
}

/// Whether only the service sets it (AIP-203): outputs, and the name.
fn is_ours(field: &FieldDescriptor, behavior: &ExtensionDescriptor) -> bool {
    const OUTPUT_ONLY: i32 = 3;
    const IDENTIFIER: i32 = 8;
    let options = field.options();
    let behaviors = options.get_extension(behavior);
    let ours = |one: &Value| matches!(one.as_enum_number(), Some(OUTPUT_ONLY | IDENTIFIER));
    behaviors.as_list().is_some_and(|list| list.iter().any(ours))
}

fn behavior() -> ExtensionDescriptor {
    pb::pool().get_extension_by_name("google.api.field_behavior").expect("the contract imports it")
}

fn reflect<R: Resource>(resource: &R) -> DynamicMessage {
    let bytes = resource.encode_to_vec();
    DynamicMessage::decode(descriptor::<R>(), bytes.as_slice()).expect("a resource has the fields of its message")
}

fn descriptor<R: Resource>() -> MessageDescriptor {
    pb::pool().get_message_by_name(R::MESSAGE).expect("the contract has every resource")
}

#[cfg(test)]
mod tests {
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
        let expected =
            Article { name: ours.name, etag: ours.etag, revision: 3, uri: "urn:b".into(), ..Default::default() };
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
    fn every_path_that_is_wrong_is_told() {
        let paths = [
            ("title", ""),
            ("", "is no field"),
            ("titel", "is no field"),
            ("publishDate", "is no field"),
            ("title.x", "no parts"),
            ("publisher.", "is no field"),
            ("publisher.country", "is no field"),
            ("external_ids.scheme", "into a list"),
            ("alternate_uris.0", "into a list"),
            ("alternate_uris[0]", "is no field"),
            ("labels.", "key of a map"),
            ("labels.a.b", "key of a map"),
            ("labels.`a", "key of a map"),
            ("labels.``", "key of a map"),
            ("labels.`a`b`", "key of a map"),
            ("name", "set by the service"),
            ("etag", "set by the service"),
            ("text_sha256", "set by the service"),
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
            // What it took, it took from the sent one; what it left, it left.
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
}
