//! Behaviour while the database accepts reads only: a standby, a database in maintenance, a full disk.

use readout::pb::ErrorReason;
use sqlx::ConnectOptions;
use tonic::Code;

use super::{Client, assert_recovers, assert_retryable, list, read, write};
use crate::{
    faults::{instances::Own, pair::Pair},
    support::{
        Service, cluster,
        data_dir::{DataDir, eventually},
        program::{Program, run},
        stored_records::execute,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_serves_reads_and_refuses_writes_with_a_reason() {
    let own = Own::start(&[]).await;
    let service = Service::start_on(own.database()).await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");

    execute(&own.database(), "alter system set default_transaction_read_only = on").await;
    execute(&own.database(), "select pg_reload_conf()").await;
    // A repeated request would be answered from its first answer, so that each attempt is a new request.
    let mut attempts = 0;
    let next_write_fails = async || {
        attempts += 1;
        write(client, &format!("Before {attempts}")).await.is_err()
    };
    eventually("the database is read-only", next_write_fails).await;
    let refused = write(client, "New").await.expect_err("the database is read-only");
    assert_retryable(&refused, Code::Unavailable, ErrorReason::DatabaseReadOnly);
    assert_eq!(read(client, &known).await.expect("the participant exists"), known);
    assert!(list(client).await.expect("a list").contains(&known));

    let mut admin = own.database().connect().await.expect("a connection");
    for statement in [
        "set default_transaction_read_only = off",
        "alter system reset default_transaction_read_only",
        "select pg_reload_conf()",
    ] {
        sqlx::query(statement).execute(&mut admin).await.expect(statement);
    }
    assert_recovers(client, "New").await;
    service.stop().await;
    own.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_serves_reads_and_accepts_writes_once_it_is_promoted() {
    let pair = Pair::start(false).await;
    let dir = DataDir::new();
    let service = Program::serve_beside(&dir, pair.standby.url(), &[]).await;
    let client = Client::new(service.channel().await);
    assert_eq!(list(&client).await.expect("a list"), []);
    let refused = write(&client, "New").await.expect_err("a standby");
    assert_retryable(&refused, Code::Unavailable, ErrorReason::DatabaseReadOnly);

    execute(&pair.standby.database(), "select pg_promote()").await;
    assert_recovers(&client, "New").await;
    service.stop().await;
    pair.stop().await;
}

#[tokio::test]
async fn a_service_refuses_a_read_only_database_of_an_older_schema_with_both_versions() {
    let database = cluster::empty_database().await;
    let close = "
        do $$ begin
            execute format('alter database %I set default_transaction_read_only = on', current_database());
        end $$";
    execute(&database, close).await;
    let url = database.to_url_lossy().to_string();
    let refused = run(["serve", "--listen", "127.0.0.1:0", "--database-url", &url]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let message = "the database is read-only and has schema version 0, this readout needs version ";
    assert!(refused.stderr.contains(message), "{refused:?}");
    assert!(refused.stderr.contains("migrate it where it can be written to"), "{refused:?}");
}

/// Simulates the error of a full disk. A really full one takes a separate file system, which only root can create.
const FULL: &str = "
    create function is_full() returns trigger language plpgsql as $$
    begin
        raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
    end $$;
    create trigger is_full before insert on participant for each row execute function is_full();";

#[tokio::test]
async fn a_full_database_serves_reads_and_refuses_writes_with_a_reason() {
    let service = Service::start().await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");
    let mut admin = service.database.connect().await.expect("a connection");
    sqlx::raw_sql(FULL).execute(&mut admin).await.expect("the trigger is created");

    let refused = write(client, "New").await.expect_err("the database is full");
    assert_retryable(&refused, Code::ResourceExhausted, ErrorReason::DatabaseFull);
    assert_eq!(read(client, &known).await.expect("the participant exists"), known);
    assert_eq!(list(client).await.expect("a list"), [known]);

    sqlx::raw_sql("drop trigger is_full on participant").execute(&mut admin).await.expect("the trigger is dropped");
    assert_recovers(client, "New").await;
}
