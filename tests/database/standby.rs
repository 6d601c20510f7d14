//! A service on a standby, and the epoch when a standby takes over.

use std::{fs, time::Duration};

use readout::pb::{
    ErrorReason, ListChangesRequest, change_service_client::ChangeServiceClient, list_changes_request, notice,
    watch_changes_request::Start, watch_changes_response::Event,
};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{Client, assert_retryable, assert_unavailable, list, read, write};
use crate::{
    faults::pair::Pair,
    support::{
        Service,
        data_dir::{DataDir, eventually},
        follow::{Watch, all, beginning, now, number, position},
        program::Program,
        stored_records::{execute, scalar},
    },
};

/// The number of reads that the standby has ended because of their snapshots.
const CONFLICTS: &str = "select confl_snapshot from pg_stat_database_conflicts where datname = current_database()";
/// Between the time of a poll while watched, and that of a slow one.
const MAX_MEDIAN: Duration = Duration::from_millis(100);

/// A primary with a service, and its standby with another one.
struct Services {
    pair: Pair,
    primary: Service,
    standby: Program,
    _dir: DataDir,
}

impl Services {
    async fn start() -> Self {
        let pair = Pair::start(false).await;
        let (dir, primary) = (DataDir::new(), Service::start_on(pair.primary.database()).await);
        let standby = Program::serve_beside(&dir, pair.standby.url(), &["--feed-heartbeat", "0.2"]).await;
        Self { pair, primary, standby, _dir: dir }
    }

    async fn stop(self) {
        self.standby.stop().await;
        self.primary.stop().await;
        self.pair.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_a_standby_has_not_replayed_is_waited_for() {
    let services = Services::start().await;
    let changes = ChangeServiceClient::new(services.standby.channel().await);
    let mut follower = Watch::begin(&changes, all(beginning())).await.expect("a watch");
    services.primary.add_person("Replayed").await;
    assert_eq!(number(&follower.change().await), 1);

    services.pair.pause_replay().await;
    services.primary.add_people(3).await;
    let mut watch = services.primary.watch(all(now())).await;
    watch.caught_up().await;
    let cursor = watch.cursor.clone();
    let last = services.primary.add_person("Later").await.1;
    let mut starts = Vec::new();
    for start in [Start::Cursor(cursor.clone()), Start::After(last.clone())] {
        let mut waiting = Watch::begin(&changes, all(start)).await.expect("a watch");
        for _ in 0..3 {
            assert!(matches!(waiting.next().await, Ok(Event::Heartbeat(_))));
        }
        starts.push(waiting);
    }
    for start in [list_changes_request::Start::Cursor(cursor.clone()), list_changes_request::Start::After(last)] {
        let request = ListChangesRequest { start: Some(start), ..Default::default() };
        let refused = changes.clone().list_changes(request).await.expect_err("not replayed");
        assert_retryable(&refused, Code::Unavailable, ErrorReason::PositionNotReached);
    }

    services.pair.resume_replay().await;
    let [from_cursor, after] = &mut starts[..] else { unreachable!() };
    assert_eq!(number(&from_cursor.change().await), 5);
    loop {
        match after.next().await.expect("the watch continues") {
            Event::Notice(notice) if notice.kind() == notice::Kind::CaughtUp => break,
            Event::Change(change) => panic!("{} is not after the start", change.position),
            _ => {}
        }
    }
    let start = Some(list_changes_request::Start::Cursor(cursor));
    let listed = changes.clone().list_changes(ListChangesRequest { start, ..Default::default() }).await;
    assert_eq!(listed.expect("replayed").into_inner().changes.len(), 1);
    assert_eq!(follower.changes(4).await.iter().map(number).collect::<Vec<_>>(), [2, 3, 4, 5]);
    drop((follower, starts, watch));
    services.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_on_a_standby_gets_changes_soon_after_their_replay() {
    let services = Services::start().await;
    let changes = ChangeServiceClient::new(services.standby.channel().await);
    let mut watch = Watch::begin(&changes, all(beginning())).await.expect("a watch");
    let mut standby = PgConnection::connect_with(&services.pair.standby.database()).await.expect("the standby answers");
    let mut delays = Vec::new();
    for count in 1..=30 {
        services.primary.add_person(&format!("Person {count}")).await;
        let replayed = "select coalesce(max(position), 0) from change";
        while sqlx::query_scalar::<_, i64>(replayed).fetch_one(&mut standby).await.expect("a row") < count {
            sleep(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        assert_eq!(number(&watch.change().await), count);
        delays.push(start.elapsed());
        sleep(Duration::from_millis(u64::try_from(count).expect("positive"))).await;
    }
    delays.sort();
    eprintln!("replay to watcher: p50 {:?}, p90 {:?}", delays[15], delays[27]);
    assert!(delays[15] <= MAX_MEDIAN, "{delays:?}");

    let log = fs::read_to_string(services.pair.standby.dir.path().join("postgres.log")).expect("a log");
    assert!(!log.contains("LISTEN"), "{log}");
    assert_eq!(
        services.standby.logged("a server in recovery sends no notifications: the feed is polled").await["level"],
        "INFO"
    );
    execute(&services.pair.standby.database(), "select pg_promote()").await;
    eventually("the promoted server is listened to", async || {
        let listeners = "select count(*) from pg_stat_activity where query like 'LISTEN%'";
        scalar::<i64>(&services.pair.standby.database(), listeners).await > 0
    })
    .await;
    drop(watch);
    services.stop().await;
}

/// Makes reads of participants slow, so that they are running when something happens.
const SLOW_READS: &str = "
    alter table participant rename to participant_table;
    create view participant as select * from participant_table where pg_sleep(3) is not null;
    create table scratch (id int);";

/// Waits for a slow read on the standby, and removes rows that its snapshot still sees. The standby then ends the read.
async fn end_read(pair: &Pair) {
    let before: i64 = scalar(&pair.standby.database(), CONFLICTS).await;
    eventually("the read runs", async || {
        let running = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        scalar::<i64>(&pair.standby.database(), running).await > 0
    })
    .await;
    for statement in ["insert into scratch select generate_series(1, 100)", "delete from scratch", "vacuum scratch"] {
        execute(&pair.primary.database(), statement).await;
    }
    eventually("the standby ends the read", async || scalar::<i64>(&pair.standby.database(), CONFLICTS).await > before)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_a_standby_ends_is_repeated_and_then_refused_as_unavailable() {
    let services = Services::start().await;
    let pair = &services.pair;
    execute(&pair.standby.database(), "alter system set max_standby_streaming_delay = 0").await;
    execute(&pair.standby.database(), "select pg_reload_conf()").await;
    let known = services.primary.add_person("Known").await.0;
    let client = Client::new(services.standby.channel().await);
    eventually("the participant is replayed", async || read(&client, &known).await.is_ok()).await;
    // A job that reads on the primary would keep the rows.
    services.primary.await_rest().await;
    execute(&pair.primary.database(), SLOW_READS).await;
    eventually("the view is replayed", async || {
        let views = "select count(*) from pg_views where viewname = 'participant'";
        scalar::<i64>(&pair.standby.database(), views).await == 1
    })
    .await;

    for ends in [1, 2] {
        let by_name = tokio::spawn({
            let (client, known) = (client.clone(), known.clone());
            async move { read(&client, &known).await }
        });
        for _ in 0..ends {
            end_read(pair).await;
        }
        match (ends, by_name.await.expect("no panic")) {
            (1, read) => assert_eq!(read.expect("the read is repeated"), known),
            (_, read) => assert_unavailable(&read.expect_err("the read was ended twice")),
        }
    }
    let listing = tokio::spawn(async move { list(&client).await });
    end_read(pair).await;
    assert_eq!(listing.await.expect("no panic").expect("the list is repeated"), [known]);
    services.stop().await;
}

/// The epoch of a write.
async fn epoch(service: &Service, name: &str) -> String {
    position(&service.add_person(name).await.1).0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_ends_when_commits_no_longer_wait_for_the_standby() {
    let pair = Pair::start(true).await;
    let service = Service::start_on(pair.primary.database()).await;
    let first = epoch(&service, "Synchronous").await;
    pair.set_synchronous(false).await;
    let second = epoch(&service, "Asynchronous").await;
    assert_ne!(second, first);
    assert_eq!(epoch(&service, "Asynchronous too").await, second);
    pair.set_synchronous(true).await;
    assert_eq!(epoch(&service, "Synchronous again").await, second);
    service.stop().await;

    execute(&pair.standby.database(), "select pg_promote()").await;
    let service = Service::start_on(pair.standby.database()).await;
    // The pause after the asynchronous commits has not passed: they may not have reached the standby.
    assert_ne!(epoch(&service, "After the failover").await, second);
    service.stop().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waited_in_vain_is_not_acknowledged() {
    let pair = Pair::start(true).await;
    let service = Service::start_on(pair.primary.database()).await;
    let first = epoch(&service, "Synchronous").await;
    pair.disconnect().await;
    let waiting = tokio::spawn({
        let client = service.participants.clone();
        async move { write(&client, "Waiting").await }
    });
    eventually("the commit waits for the standby", async || {
        let waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
        scalar::<i64>(&pair.primary.database(), waiting).await > 0
    })
    .await;
    sleep(Duration::from_millis(200)).await;
    execute(&pair.primary.database(), "alter system set synchronous_standby_names = ''").await;
    execute(&pair.primary.database(), "select pg_reload_conf()").await;
    assert_unavailable(&waiting.await.expect("no panic").expect_err("the standby does not have it"));
    assert_ne!(epoch(&service, "Asynchronous").await, first);
    service.stop().await;
    pair.stop().await;
}
