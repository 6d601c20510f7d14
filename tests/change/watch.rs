//! WatchChanges: delivery, resume, heartbeats and slow clients.

use std::time::Duration;

use readout::{
    config,
    feed::ring::MAX_CHANGES,
    pb::{
        ErrorReason, WatchChangesRequest, change::Kind, change::Resource, notice, watch_changes_request::Start,
        watch_changes_response::Event,
    },
};
use tonic::Code;

use crate::support::{
    Service, cluster,
    follow::{all, beginning, matching, now, number, position},
    make::{self, ingest, person},
    reason_of,
};

#[tokio::test]
async fn a_watch_delivers_a_write_when_it_commits() {
    let service = Service::start().await;
    let mut watch = service.watch(all(now())).await;
    assert!(watch.caught_up().await.is_empty());
    let (person, position) = service.add_person("Kerim Veliyev").await;

    let change = watch.change().await;
    assert_eq!(change.position, position);
    assert_eq!((change.kind(), change.name, change.revision), (Kind::Created, person.name, 1));
    assert_eq!((change.actor.as_str(), change.request_id.as_str(), change.last), ("anonymous", "", true));
    assert!(change.time.is_some());
    assert_eq!(change.resource, None);
}

#[tokio::test]
async fn the_changes_of_a_write_are_contiguous_and_the_last_is_marked() {
    let service = Service::start().await;
    let story = make::story("urn:a", &[person("Kerim Veliyev", "AZ"), person("Ruslan Tsalikov", "RU")]);
    let mut request = ingest(story);
    request.request_id = "story-1".into();
    service.ingest.clone().ingest_story(request).await.expect("written");

    let changes = service.watch(all(beginning())).await.caught_up().await;
    let collections: Vec<_> = changes.iter().map(|change| change.name.split_once('/').expect("a name").0).collect();
    assert_eq!(collections, ["participants", "participants", "articles", "reports", "meetings"]);
    assert_eq!(changes.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(changes.iter().map(|change| change.last).collect::<Vec<_>>(), [false, false, false, false, true]);
    assert!(changes.iter().all(|change| change.kind() == Kind::Created && change.request_id == "story-1"));
}

#[tokio::test]
async fn add_report_adds_a_change_of_the_report_and_one_of_its_meeting() {
    let service = Service::start().await;
    let (article, meeting) = service.article_and_meeting().await;
    let mut watch = service.watch(WatchChangesRequest { include_resource: true, ..all(now()) }).await;
    watch.caught_up().await;
    let report = service.add_report(&meeting, &article, make::talks("Again")).await.unwrap();

    let changes = watch.changes(2).await;
    assert_eq!((changes[0].kind(), &changes[0].name, changes[0].last), (Kind::Created, &report.name, false));
    assert_eq!((changes[1].kind(), &changes[1].name, changes[1].last), (Kind::Reported, &meeting, true));
    assert_eq!(changes[1].revision, 2);
    assert_eq!(changes[0].resource, Some(Resource::Report(report)));
    let Some(Resource::Meeting(reported)) = &changes[1].resource else { panic!("{:?}", changes[1]) };
    assert_eq!((reported.report_count, reported.revision), (2, 2));
}

#[tokio::test]
async fn a_change_carries_its_resource_as_of_its_revision() {
    let service = Service::start().await;
    let (article, meeting) = service.article_and_meeting().await;
    for title in ["One", "Two", "Three"] {
        service.add_report(&meeting, &article, make::talks(title)).await.unwrap();
    }
    let request = WatchChangesRequest { include_resource: true, ..matching(beginning(), "collection = meetings") };
    let changes = service.watch(request).await.caught_up().await;
    let revisions: Vec<_> = changes
        .iter()
        .map(|change| match &change.resource {
            Some(Resource::Meeting(meeting)) => (change.revision, meeting.revision, meeting.report_count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(revisions, [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)]);
}

#[tokio::test]
async fn a_change_carries_an_article_without_its_text() {
    let service = Service::start().await;
    service.article_and_meeting().await;
    let request = WatchChangesRequest { include_resource: true, ..matching(beginning(), "collection = articles") };
    let change = service.watch(request).await.change().await;
    let Some(Resource::Article(article)) = change.resource else { panic!("{change:?}") };
    assert_eq!(article.text, "");
    assert_eq!(article.text_length, make::TEXT.chars().count() as i32);
}

#[tokio::test]
async fn a_watch_resumes_from_a_cursor_at_another_instance() {
    let database = cluster::database().await;
    let first = Service::start_on(database.clone()).await;
    first.add_people(7).await;
    let mut watch = first.watch(all(beginning())).await;
    let mut numbers: Vec<_> = watch.changes(3).await.iter().map(number).collect();
    let cursor = watch.cursor.clone();
    drop(watch);

    let other = Service::start_on(database).await;
    let mut watch = other.watch(all(Start::Cursor(cursor))).await;
    numbers.extend(watch.caught_up().await.iter().map(number));
    first.add_people(2).await;
    numbers.extend(watch.changes(2).await.iter().map(number));
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn heartbeats_advance_the_cursor_of_a_watch_without_matches() {
    let feed = config::Feed { feed_heartbeat: Duration::from_millis(50), ..Default::default() };
    let service = Service::start_with(cluster::database().await, feed).await;
    let mut watch = service.watch(matching(beginning(), "kind = DELETED")).await;
    assert!(watch.caught_up().await.is_empty());
    let (_, last) = service.add_person("Kerim Veliyev").await;
    // The change does not match, but heartbeats advance past it.
    loop {
        match watch.next().await.expect("the watch continues") {
            Event::Heartbeat(heartbeat) if heartbeat.position == last => break,
            Event::Heartbeat(heartbeat) => assert_eq!(position(&heartbeat.position).1, 0),
            other => panic!("{other:?}"),
        }
    }
    let cursor = watch.cursor.clone();
    let (person, _) = service.add_person("Ruslan Tsalikov").await;
    let mut again = service.watch(matching(Start::Cursor(cursor), "kind = DELETED")).await;
    assert!(again.caught_up().await.is_empty());
    let mut all = service.watch(all(Start::After(last))).await;
    assert_eq!(all.change().await.name, person.name);
}

#[tokio::test]
async fn a_watch_sends_a_heartbeat_after_many_changes_that_do_not_match() {
    let service = Service::start().await;
    service.add_many(1_500).await;
    let mut watch = service.watch(matching(beginning(), "kind = DELETED")).await;
    let Event::Heartbeat(heartbeat) = watch.next().await.unwrap() else { panic!("a heartbeat") };
    assert_eq!(position(&heartbeat.position).1, 1_000);
    let Event::Notice(notice) = watch.next().await.unwrap() else { panic!("a notice") };
    assert_eq!(notice.kind(), notice::Kind::CaughtUp);
}

#[tokio::test]
async fn a_watch_that_falls_behind_the_ring_is_notified_and_misses_nothing() {
    let service = Service::start().await;
    let mut slow = service.watch(all(now())).await;
    slow.caught_up().await;
    let mut fast = service.watch(all(now())).await;
    fast.caught_up().await;
    // More than the ring holds, as some changes are already on their way to the client, which does not read them.
    let count = MAX_CHANGES + 50_000;
    let (ahead, ()) = tokio::join!(fast.changes(count), service.fill_feed(count));

    let (mut numbers, mut notices) = (Vec::new(), Vec::new());
    while notices.last() != Some(&notice::Kind::CaughtUp) {
        match slow.next().await.expect("a slow client is not disconnected") {
            Event::Change(change) => numbers.push(number(&change)),
            Event::Notice(notice) => notices.push(notice.kind()),
            Event::Heartbeat(_) => panic!("a heartbeat means that the watch did not fall behind"),
        }
    }
    assert_eq!(notices, [notice::Kind::FellBehind, notice::Kind::CaughtUp]);
    assert_eq!(numbers, ahead.iter().map(number).collect::<Vec<_>>());
    assert_eq!(numbers, (1..=count as i64).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_watches_receive_the_same_changes() {
    let service = Service::start().await;
    service.add_many(300).await;
    let watches = futures_util::future::join_all((0..20).map(|_| service.watch(all(beginning())))).await;
    let (delivered, ()) = tokio::join!(
        futures_util::future::join_all(watches.into_iter().map(async |mut watch| watch.changes(600).await)),
        service.add_many(300),
    );
    assert_eq!(delivered[0].iter().map(number).collect::<Vec<_>>(), (1..=600).collect::<Vec<_>>());
    assert!(delivered.iter().all(|changes| *changes == delivered[0]));
}

#[tokio::test]
async fn a_shutdown_ends_watches_with_shutting_down() {
    let service = Service::start().await;
    let mut watch = service.watch(all(now())).await;
    watch.caught_up().await;
    service.stop().await;
    let ended = watch.next().await.expect_err("the watch ends");
    assert_eq!((ended.code(), reason_of(&ended)), (Code::Unavailable, ErrorReason::ShuttingDown));
}
