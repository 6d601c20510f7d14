//! Connections: TLS and client certificates, limits, protocols, and floods.

mod bounds;
mod commands;
mod compression;
mod contract;
mod deadline;
mod floods;
mod headers;
mod http1;
mod idle_connections;
mod incomplete_input;
mod mutual_tls;
mod non_grpc_requests;
mod refused_configurations;
mod reload;
mod silence;
pub mod tls;

use std::{net::SocketAddr, path::Path};

use readout::{
    config::{self, ClientAuth, Tls, Transport},
    pb::{ListArticlesRequest, article_service_client::ArticleServiceClient},
};
use tonic::{Status, transport::Channel};

use crate::support::{
    Service,
    certificate_authority::{Authority, Pair},
    cluster,
};

/// A service with these transport options.
pub async fn serve(transport: Transport) -> Service {
    Service::start_as(cluster::database().await, config::Service { transport, ..Default::default() }).await
}

/// Writes the certificates of a service into the directory, and the client authority if one is given.
pub fn certificates(dir: &Path, authority: &Authority, clients: Option<(&Authority, ClientAuth)>) -> Tls {
    authority.service().write(dir, "service");
    let mut tls =
        Tls { tls_cert: Some(dir.join("service.pem")), tls_key: Some(dir.join("service.key")), ..Default::default() };
    if let Some((authority, auth)) = clients {
        std::fs::write(dir.join("clients.pem"), authority.cert()).expect("the directory is writable");
        tls.tls_client_ca = Some(dir.join("clients.pem"));
        tls.tls_client_auth = auth;
    }
    tls
}

/// A service over TLS, with clients that present this certificate.
pub async fn serve_tls(tls: Tls, authority: &Authority, client: Option<&Pair>) -> Service {
    let config = config::Service { transport: Transport { tls, ..Default::default() }, ..Default::default() };
    let connect = async |address| authority.connect(address, client).await.expect("the service accepts the client");
    Service::start_over(cluster::database().await, config, connect).await
}

/// Makes a small call.
pub async fn call(channel: Channel) -> Result<(), Status> {
    let request = ListArticlesRequest { page_size: 1, ..Default::default() };
    ArticleServiceClient::new(channel).list_articles(request).await.map(drop)
}

/// Makes a call over a fresh connection with this client certificate. An error is returned as its chain of messages.
async fn call_as(authority: &Authority, address: SocketAddr, client: Option<&Pair>) -> Result<(), String> {
    let chain = |error: &dyn std::error::Error| {
        let mut chain = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            chain = format!("{chain}: {error}");
            cause = error.source();
        }
        chain
    };
    let channel = authority.connect(address, client).await.map_err(|error| chain(&error))?;
    call(channel).await.map_err(|status| chain(&status))
}
