//! Statistics after a bulk import, and counts before PostgreSQL has any. The cluster of the tests has no autovacuum.

use readout::{
    pb::AggregateMeetingsRequest,
    store::{
        Store,
        statistics::{MIN_WRITTEN, Renewed, renew},
    },
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::support::{
    Service, cluster,
    data_dir::eventually,
    stories::{lines, request, story},
    story_stream::ingest_all,
};

/// The advisory lock of the job that renews statistics.
const LOCK: &str = "select pg_advisory_lock(x'524541444f555403'::bit(64)::bigint)";

async fn execute(connection: &mut PgConnection, statement: impl Into<String>) {
    let statement: String = statement.into();
    sqlx::query(AssertSqlSafe(statement.clone())).execute(connection).await.expect(&statement);
}

/// Inserts rows on a connection of their own: PostgreSQL counts them at its end.
async fn write(database: &PgConnectOptions, statement: String) {
    let mut connection = database.connect().await.unwrap();
    execute(&mut connection, statement).await;
    connection.close().await.unwrap();
}

async fn topics(database: &PgConnectOptions, topic: &str, number: i64) {
    let rows = format!("select '{topic}', md5(number::text)::uuid from generate_series(1, {number}) as number");
    write(database, format!("insert into meeting_topic (topic, meeting) {rows}")).await;
}

/// Renews statistics until the writes of closed connections are counted and `table` is among the renewed ones.
async fn renewed(store: &Store, table: &str) {
    eventually("the statistics are renewed", async || {
        renew(store.writes()).await.unwrap().tables.iter().any(|renewed| renewed == table)
    })
    .await;
}

#[tokio::test]
async fn statistics_of_tables_that_have_grown_are_renewed() {
    let database = cluster::database().await;
    let store = Store::new(database.clone());
    topics(&database, "few", MIN_WRITTEN - 1).await;
    write(
        &database,
        "insert into participant_key select number::text, 1 from generate_series(1, 1000) as number".into(),
    )
    .await;
    renewed(&store, "participant_key").await;
    assert_eq!(renew(store.writes()).await.unwrap(), Renewed::default(), "one row too few");
    topics(&database, "one", 1).await;
    renewed(&store, "meeting_topic").await;

    // A larger table is analyzed again once half as many rows were written.
    topics(&database, "many", 3_000).await;
    renewed(&store, "meeting_topic").await;
    topics(&database, "third", 1_999).await;
    assert_eq!(renew(store.writes()).await.unwrap(), Renewed::default());
    topics(&database, "last", 1).await;
    renewed(&store, "meeting_topic").await;
}

#[tokio::test]
async fn one_instance_at_a_time_renews_statistics() {
    let database = cluster::database().await;
    let store = Store::new(database.clone());
    let mut other = database.connect().await.unwrap();
    execute(&mut other, LOCK).await;
    topics(&database, "peace", 2 * MIN_WRITTEN).await;
    assert_eq!(renew(store.writes()).await.unwrap(), Renewed::default());
    other.close().await.unwrap();
    renewed(&store, "meeting_topic").await;
}

#[tokio::test]
async fn role_that_does_not_own_the_tables_renews_nothing() {
    let database = cluster::database().await;
    let role = format!("clerk_of_{}", database.get_database().unwrap());
    write(&database, format!("create role {role} login")).await;
    topics(&database, "peace", 2 * MIN_WRITTEN).await;
    // Without the settings of the test cluster, which only a superuser may set.
    let (socket, name) = (database.get_socket().unwrap(), database.get_database().unwrap());
    let store = Store::new(PgConnectOptions::new_without_pgpass().socket(socket).username(&role).database(name));
    let expected = Renewed { tables: Vec::new(), not_owned: Some("meeting_topic".to_owned()) };
    eventually("the rows are counted", async || renew(store.writes()).await.unwrap() == expected).await;
    store.close().await;
    write(&database, format!("drop role {role}")).await;
}

#[tokio::test]
async fn service_has_statistics_soon_after_an_import() {
    let service = Service::start().await;
    let requests: Vec<_> = lines().iter().step_by(3).map(|line| request(&story(line))).collect();
    ingest_all(&service.ingest, requests).await;
    let mut connection = service.database.connect().await.unwrap();
    eventually("the tables of meetings have statistics", async || {
        let known: i64 = sqlx::query_scalar(
            "select count(distinct tablename) from pg_stats where tablename in ('meeting', 'participation', 'report')",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        known == 3
    })
    .await;
    service.stop().await;
}

/// Without statistics PostgreSQL takes the groups for few. Reading the participations group by group took 12 seconds
/// here, and 100 with five times as many meetings.
#[tokio::test]
async fn participants_are_counted_soon_without_statistics() {
    let service = Service::start().await;
    let mut lock = service.database.connect().await.unwrap();
    execute(&mut lock, LOCK).await;
    let days = "date '2000-01-01' + (number * 7919 % 9000)::int";
    write(
        &service.database,
        format!(
            "insert into meeting (id, revision, contract, doc, date_from, date_to, date_precision, settle_version)
             select md5(number::text)::uuid, 1, 1, '', {days}, {days}, 3, 2
             from generate_series(1, 20000) as number"
        ),
    )
    .await;
    write(
        &service.database,
        format!(
            "insert into participation (meeting, number, participant, presence, seniority, roles, together, day)
             select md5(number::text)::uuid, place, md5('p' || (number * 31 + place * place * 977) % 5000)::uuid,
                    1, 0, 0, true, {days}
             from generate_series(1, 20000) as number, generate_series(0, 3) as place"
        ),
    )
    .await;
    for groups in [&["participant"][..], &["month", "participant"], &["participant_pair"], &["month"], &[]] {
        let request = AggregateMeetingsRequest {
            group_by: groups.iter().map(|group| (*group).to_owned()).collect(),
            filter: "date >= 2005".into(),
            order_by: "participant_count desc".into(),
            count_participants: true,
            ..Default::default()
        };
        // The service ends the query after ten seconds.
        let counted = service.meetings.clone().aggregate_meetings(request).await;
        let counted = counted.unwrap_or_else(|status| panic!("{groups:?}: {status}")).into_inner();
        assert!(counted.groups.iter().all(|group| group.participant_count > 0), "{groups:?}");
    }
    lock.close().await.unwrap();
    service.stop().await;
}
