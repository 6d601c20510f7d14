//! The service's life: database, migrations, listener, services, and the way back.

use std::{future::Future, net::SocketAddr, time::Duration};

use anyhow::Context;
use sqlx::postgres::PgConnectOptions;
use tokio::{net::TcpListener, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    config,
    embedded::{self, Embedded},
    feed::{Committer, Feed, Turns},
    pb::{
        self, article_service_server::ArticleServiceServer, change_service_server::ChangeServiceServer,
        filter_service_server::FilterServiceServer, ingest_service_server::IngestServiceServer,
        meeting_service_server::MeetingServiceServer, participant_service_server::ParticipantServiceServer,
    },
    service::{Api, layer::CompleteLayer, page::TokenKey, settler, status::MESSAGE_BYTES},
    store::{
        Store, StoreError,
        migrate::migrate as migrate_database,
        request,
        retention::{self, Retention},
    },
};

/// How often health asks the database, and how often old answers are forgotten.
const HEALTH_PERIOD: Duration = Duration::from_secs(1);
const FORGET_PERIOD: Duration = Duration::from_secs(60 * 60);
/// How often old changes are dropped.
const RETAIN_PERIOD: Duration = Duration::from_secs(60);
/// An idle connection is asked whether somebody is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// What was taken into the queue gets so long to be written when the service ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until `shutdown`, then drains.
pub async fn run(config: config::Serve, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::pin!(shutdown);
    let database = tokio::select! {
        database = Database::open(&config.database) => database?,
        () = &mut shutdown => return Ok(()),
    };
    let result = serve_on(&config, &database, shutdown).await;
    database.close().await;
    result
}

async fn serve_on(
    config: &config::Serve,
    database: &Database,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    migrate_database(&database.options).await?;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    serve(listener, database.options.clone(), &config.service, shutdown).await
}

/// Brings the database to the schema of this version.
pub async fn migrate(config: config::Database) -> anyhow::Result<()> {
    let database = Database::open(&config).await?;
    let result = migrate_database(&database.options).await;
    database.close().await;
    result?;
    tracing::info!("the database is up to date");
    Ok(())
}

/// Does something to the database that the configuration names.
pub async fn on_database<T>(
    config: &config::Database,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let database = Database::open(config).await?;
    let store = Store::new(database.options.clone());
    let result = work(&store).await;
    store.close().await;
    database.close().await;
    result
}

/// The database that the configuration names, or our own.
struct Database {
    options: PgConnectOptions,
    embedded: Option<Embedded>,
}

impl Database {
    async fn open(config: &config::Database) -> anyhow::Result<Self> {
        if let Some(url) = &config.database_url {
            // The url may hold a password: it is not repeated.
            let options = url.parse().context("DATABASE_URL is not a valid PostgreSQL url")?;
            return Ok(Self { options, embedded: None });
        }
        let options = embedded::Options { postgres_bin: config.postgres_bin.clone(), ..embedded::Options::default() };
        let embedded = Embedded::start(&config.data_dir, options).await?;
        tracing::info!(url = embedded.url(), "the embedded database runs");
        Ok(Self { options: embedded.connect_options(), embedded: Some(embedded) })
    }

    async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// A service with the message limit of the contract. What is answered is bounded where it is read.
macro_rules! bounded {
    ($server:ident, $api:expr) => {
        $server::new($api.clone()).max_decoding_message_size(MESSAGE_BYTES)
    };
}

/// Serves on a migrated database until `shutdown`: then takes no more calls, and gives those that are open some time to
/// end.
pub async fn serve(
    listener: TcpListener,
    database: PgConnectOptions,
    config: &config::Service,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let store = Store::new(database);
    let token_key = TokenKey(store.token_key().await?);
    let (closing, stopping) = (CancellationToken::new(), CancellationToken::new());
    let (heartbeat, retention) = (config.feed.feed_heartbeat, config.feed.retention());
    let feed = Feed::start(store.clone(), stopping.clone()).await?;
    let (committer, committing) = Committer::start(store.clone(), feed.clone(), retention, closing.clone());
    let turns = Turns::default();
    let api = Api {
        store: store.clone(),
        committer,
        feed,
        heartbeat,
        turns,
        token_key,
        question_timeout: config.bounds.question_timeout,
        stopping: stopping.clone(),
    };

    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::Serving).await;
    let chores = [
        tokio::spawn(watch_health(health.clone(), store.clone())),
        tokio::spawn(forget(store.clone())),
        tokio::spawn(retain(store.clone(), retention)),
        tokio::spawn(settler::run(api.clone())),
    ];

    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .layer(CompleteLayer)
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(bounded!(ArticleServiceServer, api))
        .add_service(bounded!(ParticipantServiceServer, api))
        .add_service(bounded!(MeetingServiceServer, api))
        .add_service(bounded!(IngestServiceServer, api))
        .add_service(bounded!(ChangeServiceServer, api))
        .add_service(bounded!(FilterServiceServer, api))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stopping.clone().cancelled_owned(),
        );
    drop(api);
    tracing::info!(%address, "serving");

    tokio::pin!(server);
    tokio::pin!(shutdown);
    let result = tokio::select! {
        result = &mut server => result,
        () = &mut shutdown => {
            chores.iter().for_each(JoinHandle::abort);
            end_health(health).await;
            stopping.cancel();
            // An open stream of somebody who does not read could hold up the end for ever (hyperium/hyper#4170).
            let drain = config.drain_timeout;
            time::timeout(drain, &mut server).await.unwrap_or_else(|_| {
                tracing::warn!(?drain, "calls were still open and have been cut");
                Ok(())
            })
        }
    };
    stopping.cancel();
    chores.iter().for_each(JoinHandle::abort);
    // Calls that were cut may still hold the committer, and have nothing more to give it.
    closing.cancel();
    flush(committing).await;
    // A read that nobody waits for any more need not be waited for either.
    let _ = time::timeout(FLUSH_TIMEOUT, store.close()).await;
    tracing::info!("stopped");
    Ok(result?)
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

/// SERVING only while the database answers.
async fn watch_health(health: HealthReporter, store: Store) {
    let mut was_up = true;
    loop {
        time::sleep(HEALTH_PERIOD).await;
        let is_up = store.ping().await.is_ok();
        if is_up != was_up {
            let status = if is_up { ServingStatus::Serving } else { ServingStatus::NotServing };
            set_health(&health, status).await;
            tracing::warn!(is_up, "the database");
            was_up = is_up;
        }
    }
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for name in health_names() {
        health.set_service_status(name, status).await;
    }
}

/// Tells those who watch, and ends their streams, which would keep the service from ending.
async fn end_health(mut health: HealthReporter) {
    set_health(&health, ServingStatus::NotServing).await;
    for name in health_names() {
        health.clear_service_status(&name).await;
    }
}

/// What health is told of: each service, and the whole.
fn health_names() -> impl Iterator<Item = String> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    services.map(|service| service.full_name().to_owned()).chain([String::new()])
}

async fn forget(store: Store) {
    loop {
        match request::forget_old(store.writes()).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::debug!(forgotten, "old answers to requests"),
            Err(error) => tracing::warn!(%error, "old answers to requests were not forgotten"),
        }
        time::sleep(FORGET_PERIOD).await;
    }
}

/// Makes room for changes ahead, and drops those that need not be kept.
async fn retain(store: Store, retention: Retention) {
    loop {
        let kept = async {
            let made = retention::extend(store.feed(), retention, 0).await?;
            Ok::<_, StoreError>((made, retention::drop_old(store.feed(), retention).await?))
        };
        match kept.await {
            Ok((0, 0)) => {}
            Ok((made, dropped)) => tracing::info!(made, dropped, "ranges of the change log"),
            // Somebody reads what is to be dropped, say: the next time.
            Err(error) => tracing::warn!(%error, "the change log was not tidied up"),
        }
        time::sleep(RETAIN_PERIOD).await;
    }
}

/// Lets the committer write what it was given.
async fn flush(committing: JoinHandle<()>) {
    if time::timeout(FLUSH_TIMEOUT, committing).await.is_err() {
        tracing::warn!("some writes were not finished, and their callers have not been answered");
    }
}
