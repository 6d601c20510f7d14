//! Metrics: their names, labels and values.

use futures_util::StreamExt;
use readout::{
    pb::{
        CreateParticipantRequest, GetParticipantRequest, Origin, WatchChangesRequest,
        change_service_client::ChangeServiceClient, ingest_service_client::IngestServiceClient,
        participant_service_client::ParticipantServiceClient, watch_changes_request,
    },
    telemetry::metrics::METRICS,
};

use super::Operated;
use crate::support::{data_dir::eventually, make, raw, repository::files};

#[tokio::test]
async fn calls_are_counted_by_method_and_status() {
    let service = Operated::start().await;
    let mut participants = ParticipantServiceClient::new(service.program.channel().await);
    let request =
        CreateParticipantRequest { participant: Some(make::person("Kerim Veliyev", "AZ")), ..Default::default() };
    let name = participants.create_participant(request).await.unwrap().into_inner().name;
    for name in [name.as_str(), name.as_str(), "participants/01890000-0000-7000-8000-000000000000", "nobody"] {
        let request = GetParticipantRequest { name: name.into(), ..Default::default() };
        let _ = participants.get_participant(request).await;
    }
    let scraped = service.scrape().await;
    let of_get = "service=\"readout.v1.ParticipantService\",method=\"GetParticipant\"";
    let total = |code| scraped.value(&format!("readout_requests_total{{{of_get},code=\"{code}\"}}"));
    assert_eq!(total("OK"), Some(2.0), "{}", scraped.0);
    assert_eq!((total("NOT_FOUND"), total("INVALID_ARGUMENT"), total("ABORTED")), (Some(1.0), Some(1.0), None));
    // Present from the start with value 0, so that an alert sees the first increase.
    assert_eq!(total("INTERNAL"), Some(0.0));
    assert_eq!(scraped.value(&format!("readout_request_seconds_count{{{of_get}}}")), Some(4.0));
    assert_eq!(scraped.value("readout_requests_in_flight"), Some(0.0));
    assert_eq!(scraped.value("readout_commits_total{outcome=\"committed\"}"), Some(1.0));
    assert_eq!(scraped.value("readout_commit_batch_writes_sum"), Some(1.0));
    assert_eq!(scraped.value("readout_commit_queue_seconds_count"), Some(1.0));
    assert_eq!(scraped.value("readout_commit_queue_writes"), Some(0.0));
    assert!(scraped.value("readout_read_batch_keys_count").is_some_and(|count| count >= 1.0));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(scraped.value(&format!("readout_build_info{{version=\"{version}\"}}")), Some(1.0));
    assert!(scraped.value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    service.program.stop().await;
}

#[tokio::test]
async fn streams_are_counted_while_open_and_by_their_final_status() {
    let service = Operated::start().await;
    let mut changes = ChangeServiceClient::new(service.program.channel().await);
    let start = Some(watch_changes_request::Start::Origin(Origin::Beginning.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    let mut watched = changes.watch_changes(request).await.unwrap().into_inner();
    watched.next().await.expect("a first message").unwrap();
    let scraped = service.scrape().await;
    assert_eq!(scraped.value("readout_streams_open{method=\"WatchChanges\"}"), Some(1.0), "{}", scraped.0);
    assert_eq!(scraped.value("readout_feed_watchers"), Some(1.0));
    assert_eq!((scraped.value("readout_feed_head"), scraped.value("readout_feed_lag")), (Some(0.0), Some(0.0)));

    drop(watched);
    let of_watch = "service=\"readout.v1.ChangeService\",method=\"WatchChanges\"";
    eventually("the metrics show the end of the stream", async || {
        let scraped = service.scrape().await;
        scraped.value(&format!("readout_requests_total{{{of_watch},code=\"CANCELLED\"}}")) == Some(1.0)
            && scraped.value("readout_streams_open{method=\"WatchChanges\"}") == Some(0.0)
            && scraped.value("readout_feed_watchers") == Some(0.0)
    })
    .await;
    service.program.stop().await;
}

#[tokio::test]
async fn caller_above_its_share_is_named_with_the_bound_in_metric_and_log() {
    let service = Operated::start_with(&["--max-streams", "1"]).await;
    let mut changes = ChangeServiceClient::new(service.program.channel().await);
    let request = WatchChangesRequest {
        start: Some(watch_changes_request::Start::Origin(Origin::Now.into())),
        ..Default::default()
    };
    let _open = changes.watch_changes(request.clone()).await.unwrap();
    for _ in 0..3 {
        changes.watch_changes(request.clone()).await.unwrap_err();
    }
    let line = service.program.logged("a caller is held back: it has its share").await;
    assert_eq!((&line["caller"], &line["bound"], &line["calls"]), (&"127.0.0.1".into(), &"stream".into(), &1.into()));
    let scraped = service.scrape().await;
    let series = "readout_held_back_total{bound=\"stream\",caller=\"127.0.0.1\"}";
    assert_eq!(scraped.value(series), Some(3.0));
    service.program.stop().await;
}

/// Metrics without a series until their event occurs: a connection ends, a limit or share is met, credentials or certificates
/// are used.
const EVENT_DRIVEN: [&str; 9] = [
    "readout_connections_total",
    "readout_admission_wait_seconds",
    "readout_certificate_expiry_timestamp_seconds",
    "readout_rate_limited_total",
    "readout_refused_credentials_total",
    "readout_audit_dropped_total",
    "readout_evidence_missing_total",
    "readout_held_back_total",
    "readout_shed_total",
];

#[tokio::test]
async fn every_metric_of_the_table_is_exported_with_its_help_text() {
    let service = Operated::start().await;
    let mut participants = ParticipantServiceClient::new(service.program.channel().await);
    let person = Some(make::person("Kerim Veliyev", "AZ"));
    let request = CreateParticipantRequest { participant: person, ..Default::default() };
    let name = participants.create_participant(request).await.unwrap().into_inner().name;
    participants.get_participant(GetParticipantRequest { name, ..Default::default() }).await.unwrap();
    let answer = service.get("/metrics").await;
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let scraped = service.scrape().await;
    for metric in METRICS.iter().filter(|metric| !EVENT_DRIVEN.contains(&metric.name)) {
        assert!(scraped.has(metric.name), "{}", metric.name);
        assert!(scraped.0.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
    }
    service.program.stop().await;
}

#[tokio::test]
async fn feed_metrics_show_the_head_after_a_write() {
    let service = Operated::start().await;
    let mut participants = ParticipantServiceClient::new(service.program.channel().await);
    let request =
        CreateParticipantRequest { participant: Some(make::person("Kerim Veliyev", "AZ")), ..Default::default() };
    participants.create_participant(request).await.unwrap();
    eventually("the change is read", async || {
        let scraped = service.scrape().await;
        (scraped.value("readout_feed_head"), scraped.value("readout_feed_lag")) == (Some(1.0), Some(0.0))
    })
    .await;
    service.program.stop().await;
}

#[tokio::test]
async fn reports_without_required_evidence_are_counted_by_field_and_mode() {
    for mode in ["enforce", "warn"] {
        let fields = "title,participations.participant,place";
        let args = ["--require-evidence", fields, "--require-evidence-mode", mode];
        let service = Operated::start_with(&args).await;
        let mut ingest = IngestServiceClient::new(service.program.channel().await);
        for name in ["Kerim Veliyev", "Ruslan Tsalikov"] {
            let people = [make::person(name, "AZ"), make::person("Sergey Shoigu", "RU")];
            let sent = ingest.ingest_story(make::ingest(make::story(&format!("urn:{name}"), &people))).await;
            assert_eq!(sent.is_ok(), mode == "warn", "{sent:?}");
        }
        let scraped = service.scrape().await;
        let total =
            |field| scraped.value(&format!("readout_evidence_missing_total{{field=\"{field}\",mode=\"{mode}\"}}"));
        assert_eq!(total("title"), Some(2.0), "{}", scraped.0);
        // Once for a report, however many participations lack it.
        assert_eq!((total("participations.participant"), total("place")), (Some(2.0), None));
        service.program.stop().await;
    }
}

#[tokio::test]
async fn unknown_methods_are_counted_as_other_and_add_no_metric_labels() {
    let service = Operated::start().await;
    let channel = service.program.channel().await;
    for method in
        ["readout.v1.MeetingService/S3cret", "s3cret.Service/Get", "readout.v1.MeetingService/GetMeeting/s3cret"]
    {
        raw::unary(&channel, method, Vec::new()).await.unwrap_err();
    }
    let scraped = service.scrape().await;
    let others = "readout_requests_total{service=\"other\",method=\"other\",code=\"UNIMPLEMENTED\"}";
    assert_eq!(scraped.value(others), Some(3.0), "{}", scraped.0);
    assert!(!scraped.0.to_lowercase().contains("s3cret"));
    service.program.stop().await;
}

/// A metric that is not in the table has neither help text nor buckets.
#[test]
fn every_metric_in_the_sources_is_in_the_table() {
    let counted: Vec<String> = files("src", "rs").iter().flat_map(|file| names_in(&file.text)).collect();
    assert!(counted.len() > 10, "{counted:?}");
    for name in counted {
        assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
    }
}

/// The metric names in a source that records metrics.
fn names_in(source: &str) -> Vec<String> {
    if !["counter!(", "gauge!(", "histogram!("].iter().any(|macro_name| source.contains(macro_name)) {
        return Vec::new();
    }
    let names = source.split("\"readout_").skip(1).filter_map(|rest| rest.split_once('"'));
    let is_name = |name: &str| name != "change" && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    names.filter(|(name, _)| is_name(name)).map(|(name, _)| format!("readout_{name}")).collect()
}
