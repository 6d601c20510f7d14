//! The connection of a command to a running service: over TLS or in plaintext, and on whose behalf.

use std::{env, fs, net::IpAddr, path::Path, time::Duration};

use anyhow::{Context, Error, Result, anyhow, bail};
use tonic::{
    Request, Status,
    codegen::http::Uri,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::config::{self, Secret};

/// Calls go this way; a clone shares the connection.
pub type Wire = InterceptedService<Channel, Sent>;

/// What is sent with each call, where there is one: the token, and the trace that the command belongs to (the variable
/// `TRACEPARENT`, as OpenTelemetry passes it to programs).
#[derive(Clone)]
pub struct Sent {
    token: Option<AsciiMetadataValue>,
    trace: Option<AsciiMetadataValue>,
}

impl Interceptor for Sent {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (key, value) in [("authorization", &self.token), ("traceparent", &self.trace)] {
            if let Some(value) = value {
                request.metadata_mut().insert(key, value.clone());
            }
        }
        Ok(request)
    }
}

/// Connects as the configuration says. An address without a scheme is `https://` where there are certificates for it.
pub async fn connect(config: &config::Server) -> Result<Wire> {
    let server = &config.server;
    let has_certificates = config.tls_ca.is_some() || config.tls_cert.is_some();
    let url = match server.contains("://") {
        true => server.clone(),
        false if has_certificates => format!("https://{server}"),
        false => format!("http://{server}"),
    };
    let endpoint = Endpoint::from_shared(url).with_context(|| format!("{server} is not the address of a service"))?;
    let is_tls = endpoint.uri().scheme_str() == Some("https");
    let token = token(config)?;
    if !is_tls && has_certificates {
        bail!("--tls-ca and --tls-cert need an https:// address, and {server} is none");
    }
    if !is_tls && token.is_some() && !config.insecure && !is_of_this_machine(endpoint.uri()) {
        bail!("the token would go to {server} in plaintext: use https://, or say --insecure");
    }
    let mut endpoint = endpoint
        .connect_timeout(Duration::from_secs(10))
        // Else a server that vanished without a word would be waited for without end.
        .http2_keep_alive_interval(Duration::from_secs(20));
    if is_tls {
        endpoint = endpoint.tls_config(tls(config)?).context("these certificates cannot be used")?;
    }
    let channel = endpoint
        .connect()
        .await
        // Of its layers only the innermost says something.
        .map_err(|error| anyhow!("no connection to {server}: {}", Error::new(error).root_cause()))?;
    // One that is not well formed is nobody's trace: the service says so by taking no notice.
    let trace = env::var("TRACEPARENT").ok().and_then(|trace| trace.parse().ok());
    Ok(Wire::new(channel, Sent { token, trace }))
}

fn tls(config: &config::Server) -> Result<ClientTlsConfig> {
    let tls = match &config.tls_ca {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Ok(tls.identity(Identity::from_pem(read(cert)?, read(key)?))),
        _ => Ok(tls),
    }
}

/// As a header; that of the file before that of the environment.
fn token(config: &config::Server) -> Result<Option<AsciiMetadataValue>> {
    let token = match &config.token_file {
        Some(file) => Secret::read(file)?,
        None => match env::var("READOUT_TOKEN") {
            Ok(token) if !token.is_empty() => token.parse()?,
            _ => return Ok(None),
        },
    };
    // What is wrong is not repeated: it may still be most of a secret.
    let mut value: AsciiMetadataValue = format!("Bearer {}", token.expose().trim())
        .parse()
        .map_err(|_| anyhow!("the token has characters of no token"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn is_of_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_localhost_and_what_loops_back() {
        let is_here = |url: &str| is_of_this_machine(&url.parse().expect("a url"));
        for here in ["http://localhost:1", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:1"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["http://192.0.2.1:1", "http://localhost.example.com", "http://[2001:db8::1]:1"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
