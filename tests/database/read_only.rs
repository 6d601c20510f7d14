//! The database can only be read: a standby, one that is being moved, one that is full.

use readout::pb::ErrorReason;
use sqlx::ConnectOptions;
use tonic::Code;

use super::{Client, comes_again, list, read, recovers, write};
use crate::{
    faults::{fleet::Own, standby::Pair},
    support::{
        Service, cluster,
        contents::execute,
        data_dir::{DataDir, eventually},
        program::{Program, run},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_becomes_read_only_is_read_and_says_so_to_those_who_write() {
    let own = Own::start(&[]).await;
    let service = Service::start_on(own.database()).await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");

    execute(&own.database(), "alter system set default_transaction_read_only = on").await;
    execute(&own.database(), "select pg_reload_conf()").await;
    // What was written once is answered again: each is another one.
    let mut tries = 0;
    let one_more = async || {
        tries += 1;
        write(client, &format!("Before {tries}")).await.is_err()
    };
    eventually("it is read-only", one_more).await;
    let refused = write(client, "New").await.expect_err("it is read-only");
    comes_again(&refused, Code::Unavailable, ErrorReason::DatabaseReadOnly);
    assert_eq!(read(client, &known).await.expect("it is there"), known);
    assert!(list(client).await.expect("a list").contains(&known));

    let mut admin = own.database().connect().await.expect("it answers");
    for statement in [
        "set default_transaction_read_only = off",
        "alter system reset default_transaction_read_only",
        "select pg_reload_conf()",
    ] {
        sqlx::query(statement).execute(&mut admin).await.expect(statement);
    }
    recovers(client, "New").await;
    service.stop().await;
    own.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_served_from_and_written_to_once_it_is_promoted() {
    let pair = Pair::start(false).await;
    let dir = DataDir::new();
    let service = Program::serve_beside(&dir, pair.standby.url(), &[]).await;
    let client = Client::new(service.channel().await);
    assert_eq!(list(&client).await.expect("a list"), []);
    let refused = write(&client, "New").await.expect_err("a standby");
    comes_again(&refused, Code::Unavailable, ErrorReason::DatabaseReadOnly);

    execute(&pair.standby.database(), "select pg_promote()").await;
    recovers(&client, "New").await;
    service.stop().await;
    pair.stop().await;
}

#[tokio::test]
async fn a_read_only_database_of_an_older_schema_is_refused_with_both_versions() {
    let database = cluster::empty_database().await;
    let close = "
        do $$ begin
            execute format('alter database %I set default_transaction_read_only = on', current_database());
        end $$";
    execute(&database, close).await;
    let url = database.to_url_lossy().to_string();
    let refused = run(["serve", "--listen", "127.0.0.1:0", "--database-url", &url]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let told = "the database is read-only and has schema version 0, this readout needs version ";
    assert!(refused.stderr.contains(told), "{refused:?}");
    assert!(refused.stderr.contains("migrate it where it can be written to"), "{refused:?}");
}

/// What a full disk answers: filling one takes a file system of its own, which only root can make.
const FULL: &str = "
    create function is_full() returns trigger language plpgsql as $$
    begin
        raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
    end $$;
    create trigger is_full before insert on participant for each row execute function is_full();";

#[tokio::test]
async fn a_full_database_is_read_and_says_so_to_those_who_write() {
    let service = Service::start().await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");
    let mut admin = service.database.connect().await.expect("it answers");
    sqlx::raw_sql(FULL).execute(&mut admin).await.expect("made");

    let refused = write(client, "New").await.expect_err("it is full");
    comes_again(&refused, Code::ResourceExhausted, ErrorReason::DatabaseFull);
    assert_eq!(read(client, &known).await.expect("it is there"), known);
    assert_eq!(list(client).await.expect("a list"), [known]);

    sqlx::raw_sql("drop trigger is_full on participant").execute(&mut admin).await.expect("dropped");
    recovers(client, "New").await;
}
