//! Connections: TLS and who shows what, their bounds, what goes over them, and who floods them.

mod bounds;
mod commands;
mod compression;
mod crowd;
mod floods;
mod http1;
mod mutual;
mod reload;
mod requests;
mod silence;
mod slow;
mod start;
mod tls;

use std::{net::SocketAddr, path::Path};

use readout::{
    config::{self, ClientAuth, Tls, Transport},
    pb::{ListArticlesRequest, article_service_client::ArticleServiceClient},
};
use tonic::{Status, transport::Channel};

use crate::support::{
    Service,
    authority::{Authority, Pair},
    cluster,
};

/// A service with these connections.
async fn serve(transport: Transport) -> Service {
    Service::start_as(cluster::database().await, config::Service { transport, ..Default::default() }).await
}

/// The certificates of a service, as files of this directory; clients of it too, where an authority is given.
fn certificates(dir: &Path, authority: &Authority, clients: Option<(&Authority, ClientAuth)>) -> Tls {
    authority.service().write(dir, "service");
    let mut tls =
        Tls { tls_cert: Some(dir.join("service.pem")), tls_key: Some(dir.join("service.key")), ..Default::default() };
    if let Some((authority, auth)) = clients {
        std::fs::write(dir.join("clients.pem"), authority.cert()).expect("ours");
        tls.tls_client_ca = Some(dir.join("clients.pem"));
        tls.tls_client_auth = auth;
    }
    tls
}

/// A service that serves TLS so, with clients that show this certificate.
async fn serve_tls(tls: Tls, authority: &Authority, client: Option<&Pair>) -> Service {
    let config = config::Service { transport: Transport { tls, ..Default::default() }, ..Default::default() };
    let connect = async |address| authority.connect(address, client).await.expect("it lets us in");
    Service::start_over(cluster::database().await, config, connect).await
}

/// A small call.
async fn call(channel: Channel) -> Result<(), Status> {
    let request = ListArticlesRequest { page_size: 1, ..Default::default() };
    ArticleServiceClient::new(channel).list_articles(request).await.map(drop)
}

/// A call over a new connection that shows this certificate. An error, in its own words: there was none.
async fn call_as(authority: &Authority, address: SocketAddr, client: Option<&Pair>) -> Result<(), String> {
    let words = |error: &dyn std::error::Error| {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        words
    };
    let channel = authority.connect(address, client).await.map_err(|error| words(&error))?;
    call(channel).await.map_err(|status| words(&status))
}
