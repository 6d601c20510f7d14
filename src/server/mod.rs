//! The service's life: database, migrations, listener, services, and the way back.

mod bound_address;
mod certificates;
mod connection;
mod connection_limit;
mod context;
mod health;
mod http2_preface;
mod lingering_close;
mod listen;
mod open_calls;
mod operations;
mod protocol_error;
mod readiness;
mod silence_log;
mod tls;
mod write_timeout;

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
    bound_address::BoundAddress,
    certificates::Certificates,
    context::{ServerContext, Shutdown},
    operations::Operations,
    readiness::{Readiness, State},
    silence_log::SilenceLog,
};
use crate::{
    access::Authenticator,
    config::{self, Bounds, Reflection},
    database::Database,
    feed::{Committer, Feed, RecordLocks},
    jobs::{maintenance, settler},
    pb::{
        self, article_service_server::ArticleServiceServer, change_service_server::ChangeServiceServer,
        filter_service_server::FilterServiceServer, ingest_service_server::IngestServiceServer,
        meeting_service_server::MeetingServiceServer, participant_service_server::ParticipantServiceServer,
    },
    service::{
        Api, layer,
        read::{pagination::TokenKey, stream_lifetime::StreamLimits},
        status::MESSAGE_BYTES,
    },
    store::{Store, schema::migrate::migrate as migrate_database},
};

/// A question about health is the name of a service. Whoever asks has no credentials, and holds no more memory than that.
const HEALTH_BYTES: usize = 1024;

/// What was taken into the queue gets so long to be written when the service ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Refuses what no service could be started with, as far as that can be told without starting one.
pub async fn check(config: &config::Serve) -> anyhow::Result<()> {
    config.check()?;
    Certificates::load(&config.service.transport.tls).await?;
    Authenticator::check(&config.service.access.options(), config.listen).await?;
    Ok(())
}

/// Serves until `shutdown`, then drains.
pub async fn run(config: config::Serve, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    check(&config).await?;
    // Before the database is opened, which can take long: an address in use is an error at once.
    let address = BoundAddress::to(config.listen, "--listen")?;
    let readiness = Readiness::default();
    let operations = match config.operations.operations_listen {
        Some(address) => Some(Operations::open(address, readiness.clone())?),
        None => None,
    };
    let result = run_on_its_database(&config, address, readiness, shutdown).await;
    if let Some(operations) = operations {
        operations.close().await;
    }
    result
}

async fn run_on_its_database(
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
    let result = serve_on(config, address, &database, readiness, shutdown).await;
    database.close().await;
    result
}

async fn serve_on(
    config: &config::Serve,
    address: BoundAddress,
    database: &Database,
    readiness: Readiness,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tokio::pin!(shutdown);
    // The database may not answer, and another instance may take long to migrate it.
    tokio::select! {
        migrated = migrate_database(database.options()) => migrated?,
        () = &mut shutdown => return Ok(()),
    }
    serve_as(address.listen()?, database.options().clone(), &config.service, readiness, shutdown).await
}

/// Serves on a migrated database until `shutdown`: then takes no more calls, and gives those that are open some time to
/// end.
pub async fn serve(
    listener: TcpListener,
    database: PgConnectOptions,
    config: &config::Service,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    serve_as(listener, database, config, Readiness::default(), shutdown).await
}

/// The same, and tells how far it is.
async fn serve_as(
    listener: TcpListener,
    database: PgConnectOptions,
    config: &config::Service,
    readiness: Readiness,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let certificates = Certificates::load(&config.transport.tls).await?;
    let store = Store::within(database, &config.pools.limits(&config.bounds));
    let gate = Arc::new(Authenticator::new(&config.access.options(), address, &store).await?);
    let token_key = TokenKey(store.token_key().await?);
    let (closing, stopping) = (CancellationToken::new(), CancellationToken::new());
    let (heartbeat, retention) = (config.feed.feed_heartbeat, config.feed.retention());
    let feed = Feed::start(store.clone(), stopping.clone()).await?;
    let (committer, committing) = Committer::start(store.clone(), feed.clone(), retention, closing.clone());
    let record_locks = RecordLocks::default();
    let api = Api {
        store: store.clone(),
        committer,
        feed,
        heartbeat,
        record_locks,
        token_key,
        question_timeout: config.bounds.question_timeout,
        stream_limits: StreamLimits { stopping: stopping.clone(), longest: config.bounds.stream_life },
    };

    let (reporter, health_service) = tonic_health::server::health_reporter();
    health::set(&reporter, ServingStatus::Serving).await;
    let watching = tokio::spawn(health::watch(reporter.clone(), store.clone(), readiness.clone()));
    let running = [
        tokio::spawn(maintenance::forget(store.clone())),
        tokio::spawn(maintenance::retain(store.clone(), retention)),
        tokio::spawn(settler::run(api.clone())),
        tokio::spawn({
            let gate = gate.clone();
            async move { gate.keep().await }
        }),
    ];

    let mut routes = services(&api, config.access.reflection)?;
    routes.add_service(health_service.max_decoding_message_size(HEALTH_BYTES));
    let service = layer::around(routes.routes(), gate, layer_limits(&config.bounds), stopping.clone());
    let door = Shutdown { stopping: stopping.clone(), cut: CancellationToken::new() };
    let server = listen::run(
        listener,
        ServerContext {
            service,
            config: config.transport.clone(),
            certificates: certificates.as_ref().map(Certificates::current),
            closing: door.clone(),
            silences: SilenceLog::new(),
        },
    );
    drop(api);
    readiness.set(State::Ready);
    tracing::info!(%address, tls = certificates.is_some(), "serving");
    let renewing = certificates.map(|certificates| tokio::spawn(certificates.renew()));

    tokio::pin!(server);
    tokio::pin!(shutdown);
    tokio::select! {
        // It ends when it is told to.
        () = &mut server => {}
        () = &mut shutdown => {
            readiness.set(State::Draining);
            watching.abort();
            health::set(&reporter, ServingStatus::NotServing).await;
            // Whoever sends calls here gets to know of it first.
            let _ = time::timeout(config.drain_delay, &mut server).await;
            running.iter().chain(&renewing).for_each(JoinHandle::abort);
            health::end(reporter).await;
            stopping.cancel();
            // An open stream of somebody who does not read could hold up the end for ever (hyperium/hyper#4170).
            let drain = config.drain_timeout;
            if time::timeout(drain, &mut server).await.is_err() {
                door.cut.cancel();
                tracing::warn!(?drain, "calls were still open and have been cut");
            }
        }
    }
    // Calls that were cut may still hold the committer, and have nothing more to give it.
    closing.cancel();
    flush(committing).await;
    // A read that nobody waits for any more need not be waited for either.
    let _ = time::timeout(FLUSH_TIMEOUT, store.close()).await;
    tracing::info!("stopped");
    Ok(())
}

/// A service with the message limit of the contract, which holds for what comes out of a compressed message too. What is
/// answered is bounded where it is read.
macro_rules! bounded {
    ($server:ident, $api:expr) => {
        $server::new($api.clone())
            .max_decoding_message_size(MESSAGE_BYTES)
            .accept_compressed(CompressionEncoding::Zstd)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Gzip)
    };
}

/// The services of the contract, and reflection of them.
fn services(api: &Api, reflected: Reflection) -> anyhow::Result<RoutesBuilder> {
    let mut routes = Routes::builder();
    routes
        .add_service(bounded!(ArticleServiceServer, api))
        .add_service(bounded!(ParticipantServiceServer, api))
        .add_service(bounded!(MeetingServiceServer, api))
        .add_service(bounded!(IngestServiceServer, api))
        .add_service(bounded!(ChangeServiceServer, api))
        .add_service(bounded!(FilterServiceServer, api));
    if reflected == Reflection::On {
        routes.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    }
    Ok(routes)
}

/// Lists every service, in both versions of the protocol (older grpcurls only know v1alpha).
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
}

/// Lets the committer write what it was given.
async fn flush(committing: JoinHandle<()>) {
    if time::timeout(FLUSH_TIMEOUT, committing).await.is_err() {
        tracing::warn!("some writes were not finished, and their callers have not been answered");
    }
}

fn layer_limits(bounds: &Bounds) -> layer::Limits {
    layer::Limits {
        call_timeout: bounds.call_timeout,
        max_wait: bounds.max_wait,
        max_calls: bounds.max_calls as usize,
        max_streams: bounds.max_streams as usize,
    }
}
