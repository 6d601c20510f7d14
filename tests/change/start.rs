//! The start of a watch: valid starts, and the errors of invalid ones.

use readout::pb::{
    ErrorReason, ListChangesRequest, Origin, WatchChangesRequest, watch_changes_request::Start,
    watch_changes_response::Event,
};
use tonic::{Code, Status};

use crate::support::{
    Refused, Service, cluster,
    follow::{Watch, all, beginning, matching, now, number, position},
    metadata_of, reason_of,
    stored_records::execute,
};

/// The status of a watch that is refused before it sends anything.
async fn refused(service: &Service, request: WatchChangesRequest) -> Status {
    match Watch::begin(&service.changes, request).await {
        Err(status) => status,
        Ok(_) => panic!("the watch starts"),
    }
}

fn after(position: &str) -> WatchChangesRequest {
    all(Start::After(position.into()))
}

#[tokio::test]
async fn a_watch_requires_a_valid_start() {
    let service = Service::start().await;
    for (request, field) in [
        (WatchChangesRequest::default(), "start"),
        (all(Start::Origin(0)), "origin"),
        (all(Start::Origin(99)), "origin"),
        (all(Start::StartTime(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })), "start_time"),
        (all(Start::StartTime(prost_types::Timestamp { seconds: 0, nanos: -1 })), "start_time"),
    ] {
        let expected = Refused {
            fields: vec![field.to_owned()],
            ..Refused::with(Code::InvalidArgument, ErrorReason::InvalidField)
        };
        assert_eq!(Refused::from(refused(&service, request).await), expected);
    }
    let long = matching(now(), &"x".repeat(8193));
    assert_eq!(Refused::from(refused(&service, long).await).fields, ["filter"]);
    let status = service.changes.clone().list_changes(ListChangesRequest::default()).await.unwrap_err();
    assert_eq!(Refused::from(status).fields, ["start"]);
    let start = Some(readout::pb::list_changes_request::Start::Origin(Origin::Now.into()));
    let negative = ListChangesRequest { start, page_size: -1, ..Default::default() };
    let status = service.changes.clone().list_changes(negative).await.unwrap_err();
    assert_eq!(Refused::from(status).fields, ["page_size"]);
}

#[tokio::test]
async fn a_watch_starts_at_every_position_up_to_the_head_and_refuses_later_ones() {
    let service = Service::start().await;
    service.add_many(150).await;
    let (_, last) = service.add_person("Kerim Veliyev").await;
    let (epoch, head) = position(&last);
    for offset in -100..=100 {
        let start = head + offset;
        let request = after(&format!("{epoch}.{start}"));
        if offset > 0 {
            let status = refused(&service, request).await;
            assert_eq!((status.code(), reason_of(&status)), (Code::OutOfRange, ErrorReason::PositionInFuture));
            assert_eq!(metadata_of(&status, "position"), last);
            continue;
        }
        let numbers: Vec<_> = service.watch(request).await.caught_up().await.iter().map(number).collect();
        assert_eq!(numbers, (start + 1..=head).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_watch_refuses_a_malformed_position() {
    let service = Service::start().await;
    for wrong in ["", "7", "1.x", "é.1", "a.-1", "a.99999999999999999999"] {
        let status = refused(&service, after(wrong)).await;
        assert_eq!(
            (status.code(), reason_of(&status)),
            (Code::InvalidArgument, ErrorReason::InvalidPosition),
            "{wrong}"
        );
        assert_eq!(metadata_of(&status, "position"), wrong);
    }
}

#[tokio::test]
async fn a_watch_refuses_a_position_of_another_epoch() {
    let service = Service::start().await;
    let (_, last) = service.add_person("Kerim Veliyev").await;
    let status = refused(&service, after("abcdef01.1")).await;
    assert_eq!((status.code(), reason_of(&status)), (Code::FailedPrecondition, ErrorReason::EpochChanged));
    assert_eq!(metadata_of(&status, "epoch"), position(&last).0);
}

#[tokio::test]
async fn a_watch_refuses_a_forged_or_foreign_cursor() {
    let service = Service::start().await;
    let database = cluster::database().await;
    execute(&database, "update feed set token_key = uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())")
        .await;
    let foreign = Service::start_on(database).await;
    let mut watch = foreign.watch(all(now())).await;
    watch.caught_up().await;
    let mut altered = watch.cursor.clone();
    altered.replace_range(2..3, if &altered[2..3] == "0" { "1" } else { "0" });
    for wrong in ["", "x", "010203", &watch.cursor, &altered, &"0".repeat(10_000)] {
        let status = refused(&service, all(Start::Cursor(wrong.to_owned()))).await;
        assert_eq!((status.code(), reason_of(&status)), (Code::InvalidArgument, ErrorReason::InvalidCursor), "{wrong}");
    }
}

#[tokio::test]
async fn a_watch_refuses_a_cursor_of_another_filter() {
    let service = Service::start().await;
    let mut watch = service.watch(matching(now(), "kind = CREATED")).await;
    watch.caught_up().await;
    let cursor = || Start::Cursor(watch.cursor.clone());
    for other in ["", "kind = UPDATED", "kind = CREATED "] {
        let status = refused(&service, matching(cursor(), other)).await;
        let expected = (Code::InvalidArgument, ErrorReason::CursorOfAnotherFilter);
        assert_eq!((status.code(), reason_of(&status)), expected, "{other:?}");
    }
    service.watch(matching(cursor(), "kind = CREATED")).await.caught_up().await;
}

#[tokio::test]
async fn a_watch_from_a_time_starts_with_the_first_change_at_or_after_it() {
    let service = Service::start().await;
    service.add_people(30).await;
    let changes = service.all_changes().await;
    for change in &changes {
        let time = change.time.expect("always");
        let same_or_later = changes.iter().filter(|candidate| {
            let candidate = candidate.time.expect("always");
            (candidate.seconds, candidate.nanos) >= (time.seconds, time.nanos)
        });
        let delivered = service.watch(all(Start::StartTime(time))).await.caught_up().await;
        assert_eq!(delivered, same_or_later.cloned().collect::<Vec<_>>());
    }
    let long_ago = Start::StartTime(Default::default());
    assert_eq!(service.watch(all(long_ago)).await.caught_up().await, changes);
    let just_now = Start::StartTime(std::time::SystemTime::now().into());
    assert!(service.watch(all(just_now)).await.caught_up().await.is_empty());
}

#[tokio::test]
async fn a_watch_refuses_a_start_time_in_the_future() {
    let service = Service::start().await;
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let status = refused(&service, all(Start::StartTime(soon.into()))).await;
    assert_eq!((status.code(), reason_of(&status)), (Code::OutOfRange, ErrorReason::PositionInFuture));
}

#[tokio::test]
async fn a_new_epoch_ends_watches_and_refuses_old_cursors() {
    let database = cluster::database().await;
    let service = Service::start_on(database).await;
    service.add_people(3).await;
    let mut watch = service.watch(all(beginning())).await;
    watch.caught_up().await;
    let cursor = watch.cursor.clone();

    service.execute("update feed set epoch = 'feedface'").await;
    let ended = loop {
        if let Err(status) = watch.next().await {
            break status;
        }
    };
    let old = refused(&service, all(Start::Cursor(cursor))).await;
    for status in [ended, old] {
        assert_eq!((status.code(), reason_of(&status)), (Code::FailedPrecondition, ErrorReason::EpochChanged));
        assert_eq!(metadata_of(&status, "epoch"), "feedface");
    }
    // The new epoch continues at the position where the old one ended.
    let (_, last) = service.add_person("Kerim Veliyev").await;
    assert_eq!(last, "feedface.4");
    assert_eq!(service.watch(all(beginning())).await.caught_up().await.len(), 4);
}

#[tokio::test]
async fn a_feed_that_lost_its_tail_begins_a_new_epoch() {
    let service = Service::start().await;
    service.add_people(5).await;
    let mut watch = service.watch(all(beginning())).await;
    watch.caught_up().await;
    service.execute("delete from change where position > 3").await;
    let ended = loop {
        if let Err(status) = watch.next().await {
            break status;
        }
    };
    assert_eq!((ended.code(), reason_of(&ended)), (Code::FailedPrecondition, ErrorReason::EpochChanged));
}

#[tokio::test]
async fn a_feed_whose_tail_was_rewritten_between_two_polls_begins_a_new_epoch() {
    let service = Service::start().await;
    service.add_people(5).await;
    let mut watch = service.watch(all(beginning())).await;
    watch.caught_up().await;
    // As after failover to a lagging standby that is written to at once: the head is higher than before.
    service
        .execute(
            "update change set revision = 2 where position > 3;
             insert into change
             select position + 5, collection, id, kind, 3, time, actor, request_id, last
             from change
             where position <= 5",
        )
        .await;
    let ended = loop {
        match watch.next().await {
            Ok(Event::Change(change)) => panic!("{} follows a rewritten tail", change.position),
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!((ended.code(), reason_of(&ended)), (Code::FailedPrecondition, ErrorReason::EpochChanged));
    assert_eq!(service.watch(all(beginning())).await.caught_up().await.len(), 10);
}

#[tokio::test]
async fn a_feed_tail_lost_while_the_service_was_down_is_detected_by_its_cursors() {
    let service = Service::start().await;
    service.add_people(5).await;
    let (mut early, mut late) = (service.watch(all(beginning())).await, service.watch(all(beginning())).await);
    early.changes(2).await;
    late.changes(5).await;
    let database = service.database.clone();
    service.stop().await;

    // As after a restore: the positions are assigned a second time.
    execute(&database, "delete from change where position > 3").await;
    let service = Service::start_on(database).await;
    service.add_people(5).await;
    let delivered = service.watch(all(Start::Cursor(early.cursor.clone()))).await.caught_up().await;
    assert_eq!(delivered.iter().map(number).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
    let status = refused(&service, all(Start::Cursor(late.cursor.clone()))).await;
    assert_eq!((status.code(), reason_of(&status)), (Code::FailedPrecondition, ErrorReason::EpochChanged));
}

#[tokio::test]
async fn a_watch_fails_at_a_gap_in_the_feed_instead_of_skipping_it() {
    let service = Service::start().await;
    service.add_people(9).await;
    let database = service.database.clone();
    service.stop().await;
    execute(&database, "delete from change where position = 5").await;
    let service = Service::start_on(database).await;
    let mut watch = service.watch(all(beginning())).await;
    let status = loop {
        match watch.next().await {
            Ok(Event::Change(change)) => assert!(number(&change) < 5),
            Ok(other) => panic!("{other:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), reason_of(&status)), (Code::Internal, ErrorReason::Defect));
}
