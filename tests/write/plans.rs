//! Plans of the statements of a write, which are made once for a connection: those of a service that began on an empty
//! database find rows by key when the tables have grown.

use readout::pb::IngestStoriesRequest;
use sqlx::{ConnectOptions, Connection};

use crate::support::{
    Service, stories,
    story_stream::{ingest_all, outcome},
};

const STORIES: usize = 300;

#[tokio::test]
async fn writes_read_no_table_whole_with_plans_from_an_empty_database() {
    let service = Service::start().await;
    let lines = stories::lines();
    let requests: Vec<IngestStoriesRequest> =
        lines.iter().take(STORIES).map(|line| stories::request(&stories::story(line))).collect();
    for answer in ingest_all(&service.ingest, requests).await {
        outcome(answer).unwrap();
    }
    let database = service.database.clone();
    // A server process counts what it has read when it ends, at the latest.
    service.stop().await;
    let mut connection = database.connect().await.unwrap();
    let read: Vec<(String, i64)> = sqlx::query_as(
        "select relname::text, seq_tup_read
         from pg_stat_user_tables
         where relname in ('article', 'meeting', 'meeting_participant', 'participant', 'participant_key',
                           'participation', 'report', 'statement')
           and seq_tup_read > 0
         order by relname",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    assert_eq!(read, [], "rows that sequential scans have read");
}
