//! Starts and stops the service: binds the address, opens and migrates the database, serves, and drains.
//!
//! The other modules each own one part: `listen` accepts connections, `connection` serves one of them, `operations` is
//! the port for metrics and probes.

mod bound_socket;
mod connection;
mod connection_end;
mod connection_limit;
mod context;
mod dropped_connection_log;
mod evicting_limit;
mod header_blocks;
mod health;
mod lingering_close;
mod listen;
mod open_calls;
mod operations;
mod protocol_detection;
mod readiness;
mod served_calls;
mod tls;
mod tls_certificates;
mod write_timeout;
mod wrong_protocol;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use sqlx::postgres::PgConnectOptions;
use tokio::{net::TcpListener, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;
use tonic::{
    codec::CompressionEncoding,
    service::{Routes, RoutesBuilder},
};
use tonic_health::ServingStatus;

use self::{
    bound_socket::BoundAddress,
    context::{ServerContext, Shutdown},
    dropped_connection_log::DroppedConnectionLog,
    evicting_limit::EvictingLimit,
    header_blocks::MAX_LONG_BLOCKS,
    operations::Operations,
    readiness::{Readiness, State},
    tls_certificates::Certificates,
};
use crate::{
    access::Authenticator,
    audit::{self, AuditLog},
    config::{self, CallLimits, EvidenceMode, Reflection},
    database::Database,
    fairness::FairQueue,
    feed::{Committer, Feed, RecordLocks},
    jobs::{identity, maintenance, settler},
    pb::{
        self, article_service_server::ArticleServiceServer, audit_service_server::AuditServiceServer,
        change_service_server::ChangeServiceServer, filter_service_server::FilterServiceServer,
        ingest_service_server::IngestServiceServer, meeting_service_server::MeetingServiceServer,
        participant_service_server::ParticipantServiceServer,
    },
    service::{
        Api, LARGE_READS,
        http::guard::Guard,
        ingest::DRY_RUNS,
        layer,
        read::{pagination::TokenKey, stream_lifetime::StreamLimits},
        status::MESSAGE_BYTES,
        write::evidence_policy::EvidencePolicy,
    },
    store::{Store, schema::migrate::migrate as migrate_database},
};

/// Maximum size of a health or reflection request, in bytes. A request holds only a name, and health callers need no
/// credentials, so a small bound keeps them from taking memory.
const NAME_BYTES: usize = 1024;

/// The time that queued writes have to be committed when the service stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks a configuration without starting a service.
///
/// # Errors
/// A setting is invalid, the certificates cannot be used, or the access options are unsafe for the address.
pub async fn check(config: &config::Serve) -> anyhow::Result<()> {
    config.check()?;
    Certificates::load(&config.service.transport.tls).await?;
    Authenticator::check(&config.service.access.options(), config.listen).await?;
    Ok(())
}

/// Opens and migrates the database, serves until `shutdown`, then drains.
///
/// # Errors
/// The configuration is invalid, an address cannot be bound, or the database cannot be opened or migrated.
pub async fn run(config: config::Serve, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    check(&config).await?;
    // Opening the database can take long. Binding first reports an address in use immediately.
    let address = BoundAddress::to(config.listen, "--listen")?;
    let readiness = Readiness::default();
    let operations = match config.operations.operations_listen {
        Some(address) => Some(Operations::open(address, readiness.clone())?),
        None => None,
    };
    let result = run_with_database(&config, address, readiness, shutdown).await;
    if let Some(operations) = operations {
        operations.close().await;
    }
    result
}

async fn run_with_database(
    config: &config::Serve,
    address: BoundAddress,
    readiness: Readiness,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tokio::pin!(shutdown);
    let database = tokio::select! {
        database = Database::open(&config.database) => database?,
        () = &mut shutdown => return Ok(()),
    };
    let result = migrate_and_serve(config, address, &database, readiness, shutdown).await;
    database.close().await;
    result
}

async fn migrate_and_serve(
    config: &config::Serve,
    address: BoundAddress,
    database: &Database,
    readiness: Readiness,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tokio::pin!(shutdown);
    // A shutdown interrupts the migration: the database may not answer, or another instance may take long to migrate
    // it.
    tokio::select! {
        migrated = migrate_database(database.options()) => migrated?,
        () = &mut shutdown => return Ok(()),
    }
    serve_with_readiness(address.listen()?, database.options().clone(), &config.service, readiness, shutdown).await
}

/// Serves on a migrated database until `shutdown`. Then refuses further calls, and gives open ones the drain timeout to
/// end.
///
/// # Errors
/// The certificates, the keys of JWTs or the database cannot be used.
pub async fn serve(
    listener: TcpListener,
    database: PgConnectOptions,
    config: &config::Service,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    serve_with_readiness(listener, database, config, Readiness::default(), shutdown).await
}

/// Serves as [`serve`] does, and reports its state through `readiness`.
async fn serve_with_readiness(
    listener: TcpListener,
    database: PgConnectOptions,
    config: &config::Service,
    readiness: Readiness,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let certificates = Certificates::load(&config.transport.tls).await?;
    let store = Store::with_limits(database, &config.pools.limits(&config.bounds));
    let authenticator = Arc::new(Authenticator::new(&config.access.options(), address, &store).await?);
    let token_key = TokenKey(store.token_key().await?);
    let (closing, stopping) = (CancellationToken::new(), CancellationToken::new());
    let (heartbeat, retention) = (config.feed.feed_heartbeat, config.feed.retention());
    let feed = Feed::start(store.clone(), stopping.clone()).await?;
    let (committer, committer_task) = Committer::start(store.clone(), feed.clone(), retention, closing.clone());
    let record_locks = RecordLocks::default();
    let audit = AuditLog::new(config.audit.level());
    let audit_task = tokio::spawn(audit::run(audit.clone(), store.clone(), closing.clone()));
    let api = Api {
        store: store.clone(),
        audit: audit.clone(),
        committer,
        feed,
        heartbeat,
        record_locks,
        token_key,
        question_timeout: config.bounds.question_timeout,
        stream_limits: StreamLimits { stopping: stopping.clone(), longest: config.bounds.stream_life },
        message_bound: config.transport.message_bound(),
        evidence_policy: EvidencePolicy {
            required: config.evidence.require_evidence.as_slice().into(),
            only_warns: config.evidence.require_evidence_mode == EvidenceMode::Warn,
        },
        large_reads: FairQueue::new("large_read", LARGE_READS, Duration::MAX),
        dry_runs: FairQueue::new("dry_run", DRY_RUNS, Duration::MAX),
    };

    api.warm_up().await;
    let (reporter, health_service) = tonic_health::server::health_reporter();
    health::set(&reporter, ServingStatus::Serving).await;
    let health_watch = tokio::spawn(health::watch(reporter.clone(), store.clone(), readiness.clone()));
    let background_tasks = [
        tokio::spawn(maintenance::delete_expired_answers(store.clone())),
        tokio::spawn(maintenance::delete_expired_audit_events(store.clone(), config.audit.audit_retention)),
        tokio::spawn(maintenance::maintain_partitions(store.clone(), retention)),
        tokio::spawn(maintenance::renew_statistics(store.clone())),
        tokio::spawn(settler::run(api.clone())),
        tokio::spawn(identity::run(api.clone())),
        tokio::spawn({
            let authenticator = authenticator.clone();
            async move { authenticator.refresh().await }
        }),
    ];

    let mut routes = services(&api, config.access.reflection)?;
    routes.add_service(health_service.max_decoding_message_size(NAME_BYTES));
    let limits = layer_limits(&config.bounds);
    let server_watch = Arc::clone(store.server_watch());
    let guard = Guard {
        is_on: address.ip().to_canonical().is_loopback() && authenticator.is_open(),
        allowed_hosts: config.http.allowed_hosts.clone(),
        allowed_origins: config.http.cors_origins.clone(),
    };
    let stop = stopping.clone();
    let service = layer::around(routes.routes(), authenticator, limits, audit, stop, server_watch, guard);
    let signals = Shutdown { stopping: stopping.clone(), abort: CancellationToken::new() };
    let server = listen::run(
        listener,
        ServerContext {
            service,
            config: config.transport.clone(),
            certificates: certificates.as_ref().map(Certificates::current),
            shutdown: signals.clone(),
            dropped_connections: DroppedConnectionLog::new(),
            long_header_blocks: EvictingLimit::new(MAX_LONG_BLOCKS),
        },
    );
    drop(api);
    readiness.set(State::Ready);
    tracing::info!(%address, tls = certificates.is_some(), "serving");
    let certificate_reload = certificates.map(|certificates| tokio::spawn(certificates.reload_periodically()));

    tokio::pin!(server);
    tokio::pin!(shutdown);
    tokio::select! {
        // The server only ends after `stopping` is cancelled.
        () = &mut server => {}
        () = &mut shutdown => {
            readiness.set(State::Draining);
            health_watch.abort();
            health::set(&reporter, ServingStatus::NotServing).await;
            // Load balancers see NOT_SERVING before connections are refused.
            let _ = time::timeout(config.drain_delay, &mut server).await;
            background_tasks.iter().chain(&certificate_reload).for_each(JoinHandle::abort);
            health::end(reporter).await;
            stopping.cancel();
            // A stream whose client does not read would block the shutdown indefinitely (hyperium/hyper#4170).
            let drain = config.drain_timeout;
            if time::timeout(drain, &mut server).await.is_err() {
                signals.abort.cancel();
                tracing::warn!(?drain, "calls were still open and were cancelled");
            }
        }
    }
    // Aborted calls may still hold a committer, but submit nothing more.
    closing.cancel();
    flush(committer_task).await;
    if time::timeout(FLUSH_TIMEOUT, audit_task).await.is_err() {
        tracing::warn!("some audit events were not stored");
    }
    // Reads that are still running have no caller left, so the wait for them is bounded.
    let _ = time::timeout(FLUSH_TIMEOUT, store.close()).await;
    tracing::info!("stopped");
    Ok(())
}

/// A service with the size limits of the API. That of requests applies to decompressed messages too. Responses are
/// bounded where they are made; their limit here refuses those that a handler got wrong.
macro_rules! bounded {
    ($server:ident, $api:expr) => {
        $server::new($api.clone())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size($api.message_bound.message())
            .accept_compressed(CompressionEncoding::Zstd)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Gzip)
    };
}

/// The services of the API, and reflection if it is enabled.
fn services(api: &Api, reflection_setting: Reflection) -> anyhow::Result<RoutesBuilder> {
    let mut routes = Routes::builder();
    routes
        .add_service(bounded!(ArticleServiceServer, api))
        .add_service(bounded!(ParticipantServiceServer, api))
        .add_service(bounded!(MeetingServiceServer, api))
        .add_service(bounded!(IngestServiceServer, api))
        .add_service(bounded!(ChangeServiceServer, api))
        .add_service(bounded!(FilterServiceServer, api))
        .add_service(bounded!(AuditServiceServer, api));
    if reflection_setting == Reflection::On {
        routes
            .add_service(reflection().build_v1()?.max_decoding_message_size(NAME_BYTES))
            .add_service(reflection().build_v1alpha()?.max_decoding_message_size(NAME_BYTES));
    }
    Ok(routes)
}

/// Reflection lists every service, in both versions of its protocol: old versions of grpcurl only know v1alpha.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
}

/// Waits until the committer has written its queue.
async fn flush(committer_task: JoinHandle<()>) {
    if time::timeout(FLUSH_TIMEOUT, committer_task).await.is_err() {
        tracing::warn!("some writes were not committed, and their callers got no answer");
    }
}

fn layer_limits(bounds: &CallLimits) -> layer::Limits {
    layer::Limits {
        call_timeout: bounds.call_timeout,
        max_wait: bounds.max_wait,
        max_calls: bounds.max_calls as usize,
        max_streams: bounds.max_streams as usize,
        request_bytes: (bounds.max_request_mib as usize) << 20,
        arrival_timeout: bounds.arrival_timeout,
        unsent_bytes: (bounds.max_unsent_mib as usize) << 20,
    }
}
