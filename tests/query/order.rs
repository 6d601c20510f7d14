//! `order_by`: lists in the order of a field.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    time::SystemTime,
};

use readout::{
    model::evidence::thousandths,
    pb::{
        Account, Article, Date, DateSpan, ErrorReason, Evidence, ListArticlesRequest, ListMeetingsRequest,
        ListParticipantsRequest, Meeting, Participant, UndeleteMeetingRequest,
    },
};

use crate::support::{Refused, Service, make};

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

/// Dates for 23 records: shared, missing, and partial ones (a month or a year only).
fn days() -> Vec<Option<Date>> {
    let samples = [date(2020, 9, 3), date(2020, 9, 0), date(2020, 0, 0), date(1, 1, 1), date(9999, 12, 31), None];
    (0..23).map(|number| samples[number * 7 % samples.len()]).collect()
}

/// A service with 23 participants and meetings. Some meetings have several articles, some participants were updated.
async fn filled() -> Service {
    let mut service = Service::start().await;
    for (number, day) in days().into_iter().enumerate() {
        let mut story = make::story(&format!("urn:{number}"), &[make::person(&format!("Person {number}"), "AZ")]);
        story.article.as_mut().unwrap().publish_date = day;
        story.article.as_mut().unwrap().text = format!("{} {number}", make::TEXT);
        let account = story.reports[0].account.take().unwrap();
        let span = day.map(|start| DateSpan { start: Some(start), ..Default::default() });
        story.reports[0].account = Some(Account { date: span, ..account });
        if number % 4 > 0 {
            let fields = ["title", "kind", "participations"].into_iter().take(number % 4);
            let cite = |field: &str| Evidence { field: field.into(), quote: "in Baku".into(), ..Default::default() };
            story.reports[0].evidence = fields.map(cite).collect();
        }
        let ingested = service.ingest.ingest_story(make::ingest(story)).await.unwrap().into_inner();
        for more in 0..number % 3 {
            let article = service.create_article(make::article(&format!("urn:{number}:{more}"))).await;
            let person = Participant { name: ingested.participants[0].name.clone(), ..Default::default() };
            service
                .add_report(&ingested.meetings[0].meeting, &article.name, make::talks_of("Talks", &person))
                .await
                .unwrap();
        }
    }
    let people = service.participants.clone().list_participants(ListParticipantsRequest::default()).await.unwrap();
    for person in people.into_inner().participants.into_iter().step_by(4) {
        service.update_participant(Participant { note: "Changed.".into(), ..person }, &["note"]).await.unwrap();
    }
    service
}

/// All pages of a list, concatenated.
macro_rules! whole {
    ($client:expr, $list:ident, $request:ident, $records:ident, $order_by:expr, $size:expr) => {{
        let mut request = $request { page_size: $size, order_by: $order_by.into(), ..Default::default() };
        let mut all = Vec::new();
        loop {
            let page = $client.$list(request.clone()).await.unwrap().into_inner();
            all.extend(page.$records);
            if page.next_page_token.is_empty() {
                break all;
            }
            request.page_token = page.next_page_token;
        }
    }};
}

const SIZES: [i32; 5] = [1, 2, 7, 50, 1_000];

/// The sort key of a date: an unset date sorts first, a partial date at its first day.
fn first_day(date: Option<Date>) -> (i32, i32, i32) {
    date.map_or((0, 0, 0), |date| (date.year, date.month.max(1), date.day.max(1)))
}

fn seconds(time: Option<prost_types::Timestamp>) -> (i64, i32) {
    time.map(|time| (time.seconds, time.nanos)).unwrap()
}

/// The names of the records in ascending and in descending order of the key.
fn in_order<R: Clone, K: Ord>(records: &[R], name: impl Fn(&R) -> String, key: impl Fn(&R) -> K) -> [Vec<String>; 2] {
    let mut ascending = records.to_vec();
    ascending.sort_by_key(|record| (key(record), name(record)));
    let mut descending = records.to_vec();
    descending.sort_by_key(|record| Reverse((key(record), name(record))));
    [ascending, descending].map(|all| all.iter().map(&name).collect())
}

#[tokio::test]
async fn list_meetings_keeps_the_order_of_each_field_for_every_page_size() {
    let service = filled().await;
    let mut client = service.meetings.clone();
    let all = whole!(client, list_meetings, ListMeetingsRequest, meetings, "", 1_000);
    assert_eq!(all.len(), 23);
    let name = |meeting: &Meeting| meeting.name.clone();
    let start = |meeting: &Meeting| meeting.account.as_ref().and_then(|account| account.date.as_ref()?.start);
    let expected: BTreeMap<&str, [Vec<String>; 2]> = [
        ("name", in_order(&all, name, |_| ())),
        ("date", in_order(&all, name, |meeting| first_day(start(meeting)))),
        ("create_time", in_order(&all, name, |meeting| seconds(meeting.create_time))),
        ("update_time", in_order(&all, name, |meeting| seconds(meeting.update_time))),
        ("independent_source_count", in_order(&all, name, |meeting| meeting.independent_source_count)),
        ("evidence_coverage", in_order(&all, name, |meeting| thousandths(meeting.evidence_coverage))),
    ]
    .into();
    for (field, orders) in expected {
        for (order_by, expected) in [field.to_owned(), format!("{field} desc")].iter().zip(orders) {
            for size in SIZES {
                let pages = whole!(client, list_meetings, ListMeetingsRequest, meetings, order_by, size);
                assert_eq!(pages.iter().map(name).collect::<Vec<_>>(), expected, "{order_by} by {size}");
            }
            let request = ListMeetingsRequest { page_size: 3, order_by: order_by.clone(), ..Default::default() };
            let mut chunks = client.stream_meetings(request).await.unwrap().into_inner();
            let mut streamed = Vec::new();
            while let Some(chunk) = chunks.message().await.unwrap() {
                streamed.extend(chunk.meetings.iter().map(name));
            }
            assert_eq!(streamed, expected, "a stream by {order_by}");
        }
    }
}

#[tokio::test]
async fn list_articles_and_participants_keep_the_order_of_each_field_for_every_page_size() {
    let service = filled().await;
    let (mut articles, mut participants) = (service.articles.clone(), service.participants.clone());
    let all = whole!(articles, list_articles, ListArticlesRequest, articles, "", 1_000);
    assert_eq!(all.len(), 45);
    let name = |article: &Article| article.name.clone();
    for (field, orders) in [
        ("name", in_order(&all, name, |_| ())),
        ("publish_date", in_order(&all, name, |article| first_day(article.publish_date))),
        ("create_time", in_order(&all, name, |article| seconds(article.create_time))),
        ("update_time", in_order(&all, name, |article| seconds(article.update_time))),
    ] {
        for (order_by, expected) in [field.to_owned(), format!("{field} desc")].iter().zip(orders) {
            for size in SIZES {
                let pages = whole!(articles, list_articles, ListArticlesRequest, articles, order_by, size);
                assert_eq!(pages.iter().map(name).collect::<Vec<_>>(), expected, "{order_by} by {size}");
            }
        }
    }
    let all = whole!(participants, list_participants, ListParticipantsRequest, participants, "", 1_000);
    assert_eq!(all.len(), 23);
    let name = |participant: &Participant| participant.name.clone();
    for (field, orders) in [
        ("name", in_order(&all, name, |_| ())),
        ("create_time", in_order(&all, name, |participant| seconds(participant.create_time))),
        ("update_time", in_order(&all, name, |participant| seconds(participant.update_time))),
    ] {
        for (order_by, expected) in [field.to_owned(), format!("{field} desc")].iter().zip(orders) {
            for size in SIZES {
                let pages =
                    whole!(participants, list_participants, ListParticipantsRequest, participants, order_by, size);
                assert_eq!(pages.iter().map(name).collect::<Vec<_>>(), expected, "{order_by} by {size}");
            }
        }
    }
}

/// An order of all keys of meetings in this direction.
fn directed<T: Ord>(is_descending: bool, left: T, right: T) -> Ordering {
    if is_descending { right.cmp(&left) } else { left.cmp(&right) }
}

#[tokio::test]
async fn list_meetings_keeps_the_order_of_several_fields_for_every_page_size() {
    let service = filled().await;
    let mut client = service.meetings.clone();
    let all = whole!(client, list_meetings, ListMeetingsRequest, meetings, "", 1_000);
    let start =
        |meeting: &Meeting| first_day(meeting.account.as_ref().and_then(|account| account.date.as_ref()?.start));
    let read_time = Some(SystemTime::now().into());
    for by_date in [false, true] {
        for by_sources in [false, true] {
            for by_name in [false, true] {
                let mut expected = all.clone();
                expected.sort_by(|left, right| {
                    directed(by_sources, left.independent_source_count, right.independent_source_count)
                        .then(directed(by_date, start(left), start(right)))
                        .then(directed(by_name, &left.name, &right.name))
                });
                let expected: Vec<String> = expected.into_iter().map(|meeting| meeting.name).collect();
                let desc = |is_descending| if is_descending { " desc" } else { "" };
                let keys = format!("independent_source_count{}, date{}", desc(by_sources), desc(by_date));
                let mut orders = vec![format!("{keys}, name{}", desc(by_name))];
                if by_name == by_date {
                    orders.push(keys);
                }
                for order_by in orders {
                    for size in SIZES {
                        let pages =
                            whole!(client, list_meetings, ListMeetingsRequest, meetings, order_by.clone(), size);
                        let names: Vec<String> = pages.into_iter().map(|meeting| meeting.name).collect();
                        assert_eq!(names, expected, "{order_by} by {size}");
                    }
                    // As of a time, after which a third of the meetings has changed.
                    let request = ListMeetingsRequest { page_size: 1_000, order_by, read_time, ..Default::default() };
                    let page = client.list_meetings(request.clone()).await.unwrap().into_inner();
                    let names: Vec<String> = page.meetings.into_iter().map(|meeting| meeting.name).collect();
                    assert_eq!(names, expected, "{request:?}");
                }
            }
        }
        if !by_date {
            for meeting in all.iter().step_by(3) {
                service.delete_meeting(&meeting.name).await.unwrap();
            }
            for meeting in all.iter().step_by(3) {
                let request = UndeleteMeetingRequest { name: meeting.name.clone(), ..Default::default() };
                client.undelete_meeting(request).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn unknown_order_by_is_refused_with_the_supported_fields() {
    let mut service = Service::start().await;
    for (order_by, message) in [
        ("dte", "did you mean \"date\"?"),
        ("summary", "must be one of name, date, create_time, update_time, independent_source_count, evidence_coverage"),
        ("date, dte", "not \"dte\" at byte 6; did you mean \"date\"?"),
        ("date, date", "names date twice, the second time at byte 6"),
        ("name, date", "after name: no two records have the same name"),
        (
            "date, create_time, update_time, independent_source_count, evidence_coverage",
            "must have at most 3 fields before name, not 5",
        ),
        ("date,", "must be fields with an optional direction"),
        ("date; drop table meeting", "must be fields with an optional direction"),
        ("date DESC", "must be fields with an optional direction"),
        ("id", "must be one of name"),
    ] {
        let request = ListMeetingsRequest { order_by: order_by.into(), ..Default::default() };
        for refused in [
            service.meetings.list_meetings(request.clone()).await.unwrap_err(),
            service.meetings.stream_meetings(request.clone()).await.unwrap_err(),
        ] {
            assert!(refused.message().contains(message), "{order_by}: {}", refused.message());
            assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidOrder, ["order_by"]));
        }
    }
    let request = ListParticipantsRequest { order_by: "date".into(), ..Default::default() };
    let refused = service.participants.list_participants(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidOrder, ["order_by"]));
    let request = ListArticlesRequest { order_by: "x".repeat(257), ..Default::default() };
    let refused = service.articles.list_articles(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["order_by"]));
}
