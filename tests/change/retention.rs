//! Retention of the feed.

use std::time::Duration;

use readout::{
    pb::{ErrorReason, watch_changes_request::Start},
    store::retention::{Retention, drop_old, extend},
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tonic::Code;

use crate::support::{
    Service, cluster,
    follow::{Watch, all, beginning, number},
    metadata_of, reason_of,
};

const SMALL: Retention = Retention { age: Duration::from_secs(24 * 60 * 60), bytes: u64::MAX, range: 100 };

async fn pool(service: &Service) -> PgPool {
    PgPoolOptions::new().max_connections(2).connect_with(service.database.clone()).await.expect("a connection")
}

/// A service with 450 changes, whose feed has ranges of 100.
async fn service() -> Service {
    let feed = readout::config::Feed { feed_range: SMALL.range, ..Default::default() };
    let service = Service::start_with(cluster::database().await, feed).await;
    service.add_many(450).await;
    service
}

#[tokio::test]
async fn feed_ranges_are_created_as_they_are_needed() {
    let service = service().await;
    assert_eq!(service.all_changes().await.iter().map(number).collect::<Vec<_>>(), (1..=450).collect::<Vec<_>>());
    assert!(service.count("select count(*) from change_range").await >= 5);
    assert_eq!(service.count("select count(*) from change_range where first % 100 <> 0 and first > 1").await, 0);
}

#[tokio::test]
async fn old_changes_are_dropped_in_whole_ranges_and_the_newest_stays() {
    let service = service().await;
    let pool = pool(&service).await;
    assert_eq!(drop_old(&pool, SMALL).await.unwrap(), 0, "nothing is old");
    let all_are_old = Retention { age: Duration::ZERO, ..SMALL };
    assert!(drop_old(&pool, all_are_old).await.unwrap() >= 4);
    assert_eq!(drop_old(&pool, all_are_old).await.unwrap(), 0);
    let kept: Vec<_> = service.watch(all(beginning())).await.caught_up().await.iter().map(number).collect();
    assert_eq!(kept, (400..=450).collect::<Vec<_>>());

    // Positions continue after their predecessors are dropped.
    let (_, position) = service.add_person("Kerim Veliyev").await;
    assert!(position.ends_with(".451"));
}

#[tokio::test]
async fn the_oldest_feed_ranges_are_dropped_while_the_feed_is_too_large() {
    let service = service().await;
    let pool = pool(&service).await;
    let bytes = service
        .count("select sum(pg_total_relation_size(('change_' || first)::regclass))::bigint from change_range")
        .await;
    let a_little_less = Retention { bytes: u64::try_from(bytes).unwrap() - 1, ..SMALL };
    assert!(drop_old(&pool, a_little_less).await.unwrap() >= 1);
    let kept = service.all_changes().await;
    assert!((300..450).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().map(number), Some(450));
}

#[tokio::test]
async fn an_expired_cursor_is_refused_with_the_oldest_cursor() {
    let service = service().await;
    let mut watch = service.watch(all(beginning())).await;
    watch.changes(398).await;
    let before = watch.cursor.clone();
    watch.change().await;
    let at = watch.cursor.clone();
    watch.change().await;
    let after = watch.cursor.clone();
    drop(watch);
    let times = service.all_changes().await;
    drop_old(&pool(&service).await, Retention { age: Duration::ZERO, ..SMALL }).await.unwrap();

    for gone in
        [Start::Cursor(before), Start::After(times[0].position.clone()), Start::StartTime(times[3].time.unwrap())]
    {
        let status = Watch::begin(&service.changes, all(gone)).await.err().expect("refused");
        assert_eq!((status.code(), reason_of(&status)), (Code::OutOfRange, ErrorReason::CursorExpired));
        let oldest = Start::Cursor(metadata_of(&status, "oldest_cursor"));
        assert_eq!(metadata_of(&status, "oldest_time"), times[399].time.unwrap().to_string());
        assert_eq!(number(&service.watch(all(oldest)).await.change().await), 400);
    }
    // No change after these cursors is gone.
    assert_eq!(number(&service.watch(all(Start::Cursor(at))).await.change().await), 400);
    assert_eq!(number(&service.watch(all(Start::Cursor(after))).await.change().await), 401);
}

#[tokio::test]
async fn revisions_are_kept_when_feed_ranges_are_dropped() {
    let service = service().await;
    drop_old(&pool(&service).await, Retention { age: Duration::ZERO, ..SMALL }).await.unwrap();
    assert_eq!(service.contents().await.participants.len(), 450);
}

#[tokio::test]
async fn several_instances_create_each_feed_range_once() {
    let pool = PgPool::connect_with(cluster::database().await).await.expect("a connection");
    let more = Retention { range: 7, ..SMALL };
    let created = futures_util::future::join_all((0..8).map(|_| extend(&pool, more, 100))).await;
    let created: usize = created.into_iter().map(|count| count.unwrap()).sum();
    let ranges: Vec<(i64, i64)> =
        sqlx::query_as("select first, upto from change_range order by first").fetch_all(&pool).await.unwrap();
    assert_eq!(ranges.len(), created);
    assert_eq!((ranges[0].0, ranges[0].1), (1, 7));
    assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[1].1 == pair[1].0 + 7));
    assert!(ranges[created - 1].1 > 100);
}
