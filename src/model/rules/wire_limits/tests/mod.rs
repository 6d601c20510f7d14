//! Unit tests of the limits on the wire.

mod decoder;

use std::collections::BTreeSet;

use prost::Message;
use prost_reflect::MessageDescriptor;

use super::{
    table::{FieldKind, List},
    *,
};
use crate::pb;

const STORY: &str = "readout.v1.IngestStoryRequest";

fn descriptor(name: &str) -> MessageDescriptor {
    pb::pool().get_message_by_name(name).expect("a message")
}

fn request_type(name: &str) -> RequestType {
    RequestType::of(&descriptor(name)).expect("a request")
}

fn check_bytes(request: &str, bytes: &[u8]) -> Result<Measure, Breach> {
    check(request_type(request), &[bytes])
}

fn varint(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(value as u64, &mut bytes);
    bytes
}

/// A length-delimited field.
fn delimited(number: u32, content: &[u8]) -> Vec<u8> {
    [varint((number << 3 | 2) as usize), varint(content.len()), content.to_vec()].concat()
}

/// The numbers of fields by their names, from a request inwards.
fn numbers(request: &str, path: &str) -> Vec<u32> {
    let mut message = Some(descriptor(request));
    let mut step = |name: &str| {
        let field = message.as_ref().and_then(|message| message.get_field_by_name(name)).expect(name);
        message = field.kind().as_message().cloned();
        field.number()
    };
    path.split('.').map(&mut step).collect()
}

/// A message whose field at `path` has this content. Each outer message occurs once.
fn nested(request: &str, path: &str, content: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let numbers = numbers(request, path);
    let (last, outer) = numbers.split_last().expect("a path");
    outer.iter().rev().fold(content(*last), |content, number| delimited(*number, &content))
}

/// A message with this number of empty strings or messages in the list at `path`.
fn with_items(request: &str, path: &str, count: usize) -> Vec<u8> {
    nested(request, path, |number| delimited(number, &[]).repeat(count))
}

fn violation(breach: Result<Measure, Breach>) -> (String, String) {
    let Err(Breach::Field(violations)) = breach else { panic!("{breach:?}") };
    let violation = violations.into_iter().next().expect("a violation");
    (violation.field, violation.description)
}

/// All paths to lists of a request, with their limits. A path contains no message twice.
fn lists(request: RequestType) -> Vec<(Vec<u32>, String, &'static List)> {
    type Found = Vec<(Vec<u32>, String, &'static List)>;
    fn visit(of: usize, outer: &mut Vec<usize>, at: &(Vec<u32>, String), found: &mut Found) {
        if outer.contains(&of) {
            return;
        }
        outer.push(of);
        for (number, field) in TABLE.types[of].fields() {
            let numbers = [at.0.as_slice(), &[number]].concat();
            let path =
                [at.1.as_str(), field.name].join(if at.1.is_empty() || field.name.is_empty() { "" } else { "." });
            let mut inner = path.clone();
            if let Some(list) = &field.list {
                found.push((numbers.clone(), path, list));
                inner += if list.is_map { "[\"\"]" } else { "[0]" };
            }
            if let FieldKind::Message { of, .. } = field.kind {
                visit(of, outer, &(numbers, inner), found);
            }
        }
        outer.pop();
    }
    let mut found = Vec::new();
    visit(request.0, &mut Vec::new(), &(Vec::new(), String::new()), &mut found);
    found
}

fn requests() -> impl Iterator<Item = (String, RequestType)> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let names: BTreeSet<String> = methods.map(|method| method.input().full_name().to_owned()).collect();
    names.into_iter().map(|name| (name.clone(), request_type(&name)))
}

#[test]
fn every_list_of_every_request_is_refused_beyond_its_limit() {
    let mut count = 0;
    for (name, request) in requests() {
        for (numbers, path, list) in lists(request) {
            let (last, outer) = numbers.split_last().unwrap();
            let message = |items: usize| {
                let items = delimited(*last, &[]).repeat(items);
                outer.iter().rev().fold(items, |content, number| delimited(*number, &content))
            };
            // An empty packed list has no item.
            let is_scalar = list.size < 24;
            let limit = list.max_items as usize;
            let (most, beyond) = match is_scalar {
                true => {
                    let packed = |items: usize| {
                        let items = delimited(*last, &vec![1; items]);
                        outer.iter().rev().fold(items, |content, number| delimited(*number, &content))
                    };
                    (packed(limit), packed(limit + 1))
                }
                false => (message(limit), message(limit + 1)),
            };
            let is_heavy = |breach: &Result<Measure, Breach>| matches!(breach, Err(Breach::Memory { .. }));
            let (most, beyond) = (check_bytes(&name, &most), check_bytes(&name, &beyond));
            // Items of a settled account may weigh too much before they are too many.
            let may_be_heavy = limit == MAX_ITEMS && list.size > 100;
            let is_total = matches!(beyond, Err(Breach::Items));
            assert!(most.is_ok() || is_heavy(&most) && may_be_heavy || outer_items(&most), "{name} {path}: {most:?}");
            if !is_heavy(&beyond) && !is_total {
                assert_eq!(violation(beyond).0, path, "{name}");
            }
            count += 1;
        }
    }
    println!("{count} lists");
    assert!(count > 100, "{count}");
}

/// True if the items of outer lists and the list itself are together too many, as for a list with the default limit.
fn outer_items(result: &Result<Measure, Breach>) -> bool {
    matches!(result, Err(Breach::Items))
}

/// A list that declares no limit is only bounded by the limit on all items. If this test fails for a list that callers
/// fill, declare `max_items` in its `.proto`.
#[test]
fn only_lists_that_the_service_fills_have_the_default_limit() {
    let mut names = BTreeSet::new();
    for (_, request) in requests() {
        for (_, path, list) in lists(request) {
            if list.max_items as usize == MAX_ITEMS && !path.starts_with("meeting.account") {
                names.insert(
                    path.rsplit(['.', '[', ']']).find(|step| step.starts_with(char::is_alphabetic)).map(str::to_owned),
                );
            }
        }
    }
    let names: Vec<_> = names.into_iter().flatten().collect();
    assert_eq!(
        names,
        [
            "bindings",
            "disputes",
            "effects",
            "fields",
            "fragile_fields",
            "labels",
            "merged_reports",
            "reports",
            "values"
        ]
    );
}

#[test]
fn declared_limits_are_refused_at_twice_their_number() {
    for (request, path, at, limit, unit) in [
        (STORY, "story.reports", "story.reports", 1_000, "items"),
        (STORY, "story.participants", "story.participants", 1_000, "items"),
        (STORY, "story.reports.evidence", "story.reports[0].evidence", 5_000, "items"),
        (STORY, "story.reports.account.topics", "story.reports[0].account.topics", 64, "items"),
        (STORY, "story.article.labels", "story.article.labels", 64, "pairs"),
        ("readout.v1.BatchGetMeetingsRequest", "names", "names", 1_000, "items"),
        ("readout.v1.UpdateArticleRequest", "update_mask.paths", "update_mask.paths", 1_000, "items"),
    ] {
        assert!(check_bytes(request, &with_items(request, path, 2 * limit)).is_ok(), "{path}");
        let (field, description) = violation(check_bytes(request, &with_items(request, path, 2 * limit + 1)));
        assert_eq!(field, at);
        assert_eq!(description, format!("must have at most {limit} {unit}, but has more than {}", 2 * limit));
    }
}

#[test]
fn enum_values_are_counted_packed_and_unpacked() {
    let path = "story.reports.account.participations.roles";
    for (count, is_refused) in [(30, false), (31, true)] {
        for field in [
            |number: u32, count: usize| delimited(number, &vec![1; count]),
            // Values above the defined ones take ten bytes if they are negative.
            |number: u32, count: usize| {
                delimited(number, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1].repeat(count))
            },
            |number: u32, count: usize| [varint((number << 3) as usize), vec![1]].concat().repeat(count),
            |number: u32, count: usize| {
                let half = delimited(number, &vec![1; count / 2]);
                [half.clone(), half, [varint((number << 3) as usize), vec![1]].concat().repeat(count % 2)].concat()
            },
        ] {
            let message = nested(STORY, path, |number| field(number, count));
            assert_eq!(check_bytes(STORY, &message).is_err(), is_refused, "{count}");
        }
    }
}

/// The decoder merges all occurrences of a singular message.
#[test]
fn lists_in_repeated_occurrences_of_a_part_are_counted_together() {
    let half = |count| with_items(STORY, "story.reports", count);
    assert!(check_bytes(STORY, &[half(1_000), half(1_000)].concat()).is_ok());
    let (field, _) = violation(check_bytes(STORY, &[half(1_000), half(1_000), half(1)].concat()));
    assert_eq!(field, "story.reports");
    let authors = with_items(STORY, "story.article.authors", 1);
    assert!(check_bytes(STORY, &authors.repeat(200)).is_ok());
    assert_eq!(violation(check_bytes(STORY, &authors.repeat(201))).0, "story.article.authors");
    // Items of a list are separate messages.
    let topics = with_items(STORY, "story.reports.account.topics", 128);
    assert!(check_bytes(STORY, &topics.repeat(100)).is_ok());
}

#[test]
fn items_of_all_lists_together_are_limited() {
    let participant = |names| delimited(2, &delimited(2, &delimited(12, &[]).repeat(names)));
    let story = |participants, names, more: usize| {
        delimited(1, &[participant(names).repeat(participants), delimited(3, &[]).repeat(more)].concat())
    };
    // 1,000 participants of 19 names.
    assert_eq!(check_bytes(STORY, &story(1_000, 19, 0)).unwrap().items, MAX_ITEMS);
    assert_eq!(check_bytes(STORY, &story(1_000, 19, 1)), Err(Breach::Items));
}

#[test]
fn fields_are_limited_even_if_the_contract_does_not_have_them() {
    for field in [&[0xf8, 0x7f, 1][..], &delimited(1, &[]), &[0xfb, 0x7f, 0xfc, 0x7f]] {
        let limit = if field.len() == 4 { MAX_FIELDS / 2 } else { MAX_FIELDS };
        assert!(check_bytes(STORY, &field.repeat(limit)).is_ok());
        assert_eq!(check_bytes(STORY, &field.repeat(limit + 1)), Err(Breach::Fields));
    }
}

#[test]
fn strings_are_refused_by_their_bytes() {
    let label = |key: usize| delimited(1, &vec![b'k'; key]);
    for (path, limit, at, description) in [
        ("story.article.title", 9_000, "story.article.title", "must have at most 1000 characters, but has 9001 bytes"),
        ("story.article.text", 3 << 20, "story.article.text", "must have at most 1048576 bytes, but has 3145729 bytes"),
        (
            "story.article.authors",
            9 * 256,
            "story.article.authors[0]",
            "must have at most 256 characters, but has 2305 bytes",
        ),
        ("story.article.etag", 65_536, "story.article.etag", "must have at most 65536 bytes, but has 65537 bytes"),
    ] {
        let message = |bytes| nested(STORY, path, |number| delimited(number, &vec![b'x'; bytes]));
        assert!(check_bytes(STORY, &message(limit)).is_ok(), "{path}");
        let refused = violation(check_bytes(STORY, &message(limit + 1)));
        assert_eq!((refused.0.as_str(), refused.1.as_str()), (at, description));
    }
    let message = |key| nested(STORY, "story.article.labels", |number| delimited(number, &label(key)));
    assert!(check_bytes(STORY, &message(9 * 128)).is_ok());
    let (field, description) = violation(check_bytes(STORY, &message(9 * 128 + 1)));
    assert!(field.starts_with("story.article.labels[\"kkk"), "{field}");
    assert_eq!(description, "must have at most 128 characters, but has 1153 bytes");
}

/// A meeting is answered with the statements of all reports, and may be sent back to update its labels.
#[test]
fn settled_account_may_have_more_items_than_a_report() {
    let update = "readout.v1.UpdateMeetingRequest";
    let create = "readout.v1.CreateMeetingRequest";
    for path in ["meeting.account.statements", "meeting.account.participations"] {
        assert!(check_bytes(update, &with_items(update, path, 5_000)).is_ok(), "{path}");
        assert!(check_bytes(create, &with_items(create, path, 5_000)).is_err(), "{path}");
    }
}

#[test]
fn memory_of_the_decoded_message_is_limited() {
    let participations = "story.reports.account.participations";
    // 1,950 reports of 9 participations are few enough, and take over 8 MiB.
    let short = nested(STORY, participations, |number| delimited(number, &delimited(1, &[b'x'; 100])).repeat(9));
    let message = short.repeat(1_950);
    let Err(Breach::Memory { bytes, limit }) = check_bytes(STORY, &message) else { panic!("too much memory") };
    assert_eq!((bytes, limit), (message.len(), MIN_MEMORY));
    // The same items with as many bytes as memory.
    let long = nested(STORY, participations, |number| delimited(number, &delimited(1, &[b'x'; 200])).repeat(300));
    let message = long.repeat(65);
    let measured = check_bytes(STORY, &message).unwrap();
    assert!(measured.memory > MIN_MEMORY && measured.memory < 4 * message.len(), "{measured:?} {}", message.len());
}

#[test]
fn made_up_register_story_is_within_the_limits() {
    let participation = |index: usize| pb::Participation {
        id: format!("p{index}"),
        participant: format!("#person-{index}"),
        roles: vec![1],
        presence: 1,
        ..Default::default()
    };
    let account = |index: usize| pb::Account {
        kind: 1,
        status: 2,
        title: format!("Meeting {index} of the register"),
        date: Some(pb::DateSpan { start: Some(pb::Date { year: 2020, month: 3, day: 4 }), ..Default::default() }),
        place: Some(pb::Place { region_code: "AZ".into(), locality: "Baku".into(), ..Default::default() }),
        topics: vec!["defence".into(), "cooperation".into()],
        participations: (0..4).map(participation).collect(),
        ..Default::default()
    };
    let report =
        |index| pb::StoryReport { key: format!("m{index}"), account: Some(account(index)), ..Default::default() };
    let story = |reports| pb::Story { reports: (0..reports).map(report).collect(), ..Default::default() };
    let request = pb::IngestStoryRequest { story: Some(story(1_000)), ..Default::default() };
    let measured = check_bytes(STORY, &request.encode_to_vec()).unwrap();
    println!("{measured:?} of {} bytes", request.encoded_len());
    assert!(measured.items < MAX_ITEMS * 3 / 4 && measured.memory < MIN_MEMORY * 3 / 4, "{measured:?}");
}

#[test]
fn start_of_a_message_is_refused_for_what_it_has() {
    let message = with_items(STORY, "story.reports", 100_000);
    let of = request_type(STORY);
    assert_eq!(violation(check_start(of, &[&message[..5_000]], message.len())).0, "story.reports");
    assert!(check_start(of, &[&message[..3_000]], message.len()).is_ok());
    let text = nested(STORY, "story.article.title", |number| delimited(number, &vec![b'x'; 100_000]));
    assert_eq!(violation(check_start(of, &[&text[..20]], text.len())).0, "story.article.title");
}
