//! The log beside kills, retention, copies of the database, and several instances.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    time::Duration,
};

use readout::{
    config::{self, Audit},
    model::role::Role,
    pb::{
        AuditEvent, CreateParticipantRequest, ListAuditEventsRequest, audit_service_client::AuditServiceClient,
        participant_service_client::ParticipantServiceClient,
    },
};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::task::JoinSet;

use super::events;
use crate::{
    access,
    faults::{pair::Pair, postgres_programs},
    support::{
        Service, cluster,
        data_dir::{DataDir, eventually},
        make::person,
        program::{Program, run},
    },
};

/// Creates participants until the service is gone. Returns the request ids of those that were acknowledged.
async fn write(client: ParticipantServiceClient<tonic::transport::Channel>, prefix: String) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for number in 0.. {
        let request_id = format!("{prefix}-{number}");
        let participant = Some(person("Kerim Veliyev", "AZ"));
        let request = CreateParticipantRequest { participant, request_id: request_id.clone(), ..Default::default() };
        match client.clone().create_participant(request).await {
            Ok(_) => drop(acknowledged.insert(request_id)),
            Err(_) => break,
        }
    }
    acknowledged
}

async fn request_ids(database: &PgConnectOptions, query: &'static str) -> Vec<String> {
    let mut connection = PgConnection::connect_with(database).await.expect("the database answers");
    sqlx::query_scalar(query).fetch_all(&mut connection).await.expect("request ids")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_service_leaves_an_event_for_each_write_and_no_other_event() {
    let database = cluster::database().await;
    let url = database.to_url_lossy();
    let mut acknowledged = BTreeSet::new();
    for round in 0..4 {
        let service = Program::serve_on(url.as_str()).await;
        let client = ParticipantServiceClient::new(service.channel().await);
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            writers.spawn(write(client.clone(), format!("{round}-{writer}")));
        }
        let events = "select count(*) from audit_event";
        let before: i64 = crate::support::stored_records::scalar(&database, events).await;
        eventually("events are written", async || {
            crate::support::stored_records::scalar::<i64>(&database, events).await > before + 20 + round
        })
        .await;
        service.kill().await;
        writers.join_all().await.into_iter().for_each(|ids| acknowledged.extend(ids));
    }
    assert!(acknowledged.len() > 40, "{}", acknowledged.len());
    // A session of a killed service may still commit.
    let sessions =
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    eventually("the sessions end", async || {
        crate::support::stored_records::scalar::<i64>(&database, sessions).await == 0
    })
    .await;
    let audited = request_ids(&database, "select request_id from audit_event order by request_id").await;
    let written = request_ids(&database, "select request_id from change order by request_id").await;
    assert_eq!(audited, written);
    let distinct: BTreeSet<_> = audited.iter().cloned().collect();
    assert_eq!(distinct.len(), audited.len(), "a write has two events");
    assert_eq!(acknowledged.difference(&distinct).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn events_are_deleted_after_their_retention_and_never_without_one() {
    const INSERT: &str = "
        insert into audit_event (time, principal, peer, method, names, reason, outcome, request_id)
        select now() - interval '1 day' * days, 'token/a', '', 'a/A', '{}'::text[], '', 'OK', days::text
        from unnest(array[1, 29, 31, 4000]) as days";
    let start = async |database: PgConnectOptions, days: u64| {
        let audit = Audit { audit_retention: Duration::from_secs(days * 24 * 60 * 60), ..Audit::default() };
        Service::start_as(database, config::Service { audit, ..Default::default() }).await
    };
    let service = start(cluster::database().await, 0).await;
    service.execute(INSERT).await;
    service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let database = service.database.clone();
    service.stop().await;
    let service = start(database.clone(), 0).await;
    assert_eq!(events(&service, None, "").await.len(), 5);
    service.stop().await;
    let service = start(database, 30).await;
    eventually("old events are deleted", async || service.count("select count(*) from audit_event").await == 3).await;
    let kept: BTreeSet<_> = events(&service, None, "").await.into_iter().map(|event| event.request_id).collect();
    assert!(kept.contains("1") && kept.contains("29"), "{kept:?}");
}

#[tokio::test]
async fn dump_has_the_log_and_an_export_does_not() {
    let service = Service::start().await;
    let article = service.create_article(crate::support::make::article("urn:a")).await;
    service.erase_article_text(&article.name).await.unwrap();
    let kept = events(&service, None, "").await;
    let exported = run(["export", "--server", &service.address.to_string()]).await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(exported.stdout.contains("urn:a"));
    for word in ["EraseArticleText", "Claim 7", "anonymous", "127.0.0.1", "principal"] {
        assert!(!exported.stdout.contains(word), "{word}: {}", exported.stdout);
    }

    let dir = DataDir::new();
    let dump = dir.path().join("readout.dump");
    let out = ["--format=custom", "--file"].map(OsStr::new);
    postgres_programs::run("pg_dump", &service.database, out.into_iter().chain([dump.as_ref()])).await;
    service.stop().await;
    let restored = cluster::empty_database().await;
    let quietly = ["--no-owner", "--exit-on-error"].map(OsStr::new);
    postgres_programs::run("pg_restore", &restored, quietly.into_iter().chain([dump.as_ref()])).await;
    let service = Service::start_on(restored).await;
    assert_eq!(events(&service, None, "").await, kept);
    // Further events continue the order.
    service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let continued = events(&service, None, "").await;
    assert!(continued.len() == kept.len() + 1 && continued.is_sorted_by_key(|event| event.id), "{continued:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_share_the_log_and_a_reader_who_continues_misses_no_event() {
    let first = Service::start().await;
    let second = Service::start_on(first.database.clone()).await;
    let stop = tokio_util::sync::CancellationToken::new();
    // Reads on from the last event that it has seen, while both instances write.
    let mut client = AuditServiceClient::new(first.channel().await);
    let stopped = stop.clone();
    let reader = tokio::spawn(async move {
        let (mut seen, mut last, mut from) = (Vec::new(), 0, String::from("2001"));
        loop {
            let is_last = stopped.is_cancelled();
            let request = ListAuditEventsRequest {
                filter: format!("time >= \"{from}\""),
                order_by: "time".into(),
                page_size: 1_000,
                ..Default::default()
            };
            let page = client.list_audit_events(request).await.unwrap().into_inner();
            let new: Vec<AuditEvent> = page.events.into_iter().filter(|event| event.id > last).collect();
            if let Some(event) = new.last() {
                (last, from) = (event.id, event.time.unwrap().to_string());
            }
            seen.extend(new);
            if is_last {
                return seen;
            }
        }
    });
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let client = if writer % 2 == 0 { &first } else { &second }.participants.clone();
        writers.spawn(async move {
            for number in 0..25 {
                let participant = Some(person("Kerim Veliyev", "AZ"));
                let request_id = format!("{writer}-{number}");
                let request = CreateParticipantRequest { participant, request_id, ..Default::default() };
                client.clone().create_participant(request).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    stop.cancel();
    let seen = reader.await.unwrap();
    let mut counts = BTreeMap::new();
    seen.iter().for_each(|event| *counts.entry(event.request_id.clone()).or_insert(0) += 1);
    assert!(counts.len() == 200 && counts.values().all(|count| *count == 1), "{counts:?}");
    assert!(seen.is_sorted_by_key(|event| (event.time.map(|time| (time.seconds, time.nanos)), event.id)));
    tokio::join!(first.stop(), second.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_lists_the_log_and_prints_the_refusals_that_it_cannot_store() {
    let pair = Pair::start(false).await;
    let primary = access::start_on(pair.primary.database(), access::api_tokens()).await;
    let admin = access::token(&primary.database, "auditor", Role::Admin).await.reveal();
    let request = CreateParticipantRequest { participant: Some(person("Kerim Veliyev", "AZ")), ..Default::default() };
    primary.participants.clone().create_participant(access::with(&admin, request)).await.unwrap();
    let dir = DataDir::new();
    let standby = Program::serve_beside(&dir, pair.standby.url(), &["--api-tokens"]).await;
    let mut client = AuditServiceClient::new(standby.channel().await);
    let list = || ListAuditEventsRequest { filter: "method = CreateParticipant".into(), ..Default::default() };
    eventually("the standby has the event", async || {
        let page = client.list_audit_events(access::with(&admin, list())).await;
        page.is_ok_and(|page| page.into_inner().events.len() == 1)
    })
    .await;
    client.list_audit_events(list()).await.unwrap_err();
    let line = standby.logged("audited").await;
    assert_eq!((&line["outcome"], &line["principal"]), (&"CREDENTIALS_MISSING".into(), &"127.0.0.1".into()));
    standby.logged("audit events could not be stored, and are stored later or dropped").await;
    let page = client.list_audit_events(access::with(&admin, list())).await.unwrap().into_inner();
    assert_eq!(page.events.len(), 1);
    standby.stop().await;
    primary.stop().await;
    pair.stop().await;
}
