//! A service in this process, on a database of its own.

use std::{net::SocketAddr, time::Duration};

use readout::{
    config,
    pb::{
        article_service_client::ArticleServiceClient, change_service_client::ChangeServiceClient,
        filter_service_client::FilterServiceClient, ingest_service_client::IngestServiceClient,
        meeting_service_client::MeetingServiceClient, participant_service_client::ParticipantServiceClient,
    },
    server,
};
use sqlx::postgres::PgConnectOptions;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::cluster;

/// A running service, and clients of it.
pub struct Service {
    pub address: SocketAddr,
    pub database: PgConnectOptions,
    pub articles: ArticleServiceClient<Channel>,
    pub participants: ParticipantServiceClient<Channel>,
    pub meetings: MeetingServiceClient<Channel>,
    pub ingest: IngestServiceClient<Channel>,
    pub changes: ChangeServiceClient<Channel>,
    pub filters: FilterServiceClient<Channel>,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    /// Starts a service on a database of its own.
    pub async fn start() -> Self {
        Self::start_on(cluster::database().await).await
    }

    /// Starts a service on this migrated database, which other services may share.
    pub async fn start_on(database: PgConnectOptions) -> Self {
        Self::start_with(database, config::Feed::default()).await
    }

    /// Starts a service on this database with these settings of the feed.
    pub async fn start_with(database: PgConnectOptions, feed: config::Feed) -> Self {
        let drain_timeout = Duration::from_secs(5);
        Self::start_as(database, config::Service { drain_timeout, feed, ..Default::default() }).await
    }

    /// Starts a service on this database with this configuration.
    pub async fn start_as(database: PgConnectOptions, config: config::Service) -> Self {
        Self::start_over(database, config, connect).await
    }

    /// Starts a service on this database with this configuration and clients made by `connect`.
    pub async fn start_over(
        database: PgConnectOptions,
        config: config::Service,
        connect: impl AsyncFnOnce(SocketAddr) -> Channel,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (shutdown, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let served = database.clone();
        let task = tokio::spawn(async move { server::serve(listener, served, &config, stopped).await });
        let channel = connect(address).await;
        // A connection may wait to be accepted: the service shares its thread with the test, and cannot start while the
        // test computes.
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.expect("the service serves");
        Self {
            address,
            database,
            articles: ArticleServiceClient::new(channel.clone()),
            participants: ParticipantServiceClient::new(channel.clone()),
            meetings: MeetingServiceClient::new(channel.clone()),
            ingest: IngestServiceClient::new(channel.clone()),
            changes: ChangeServiceClient::new(channel.clone()),
            filters: FilterServiceClient::new(channel),
            shutdown,
            task,
        }
    }

    /// Opens a connection of its own.
    pub async fn channel(&self) -> Channel {
        connect(self.address).await
    }

    /// Stops the service as SIGTERM does, and waits until it has stopped.
    pub async fn stop(self) {
        let _ = self.shutdown.send(());
        self.task.await.expect("no panic").expect("a clean exit");
    }
}

/// Opens a connection to a service.
pub async fn connect(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).expect("a url").connect().await.expect("the service listens")
}
