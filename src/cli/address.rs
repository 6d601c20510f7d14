//! Parses the address of a service, the value of `--server`.

use std::fmt;

use anyhow::{Result, bail};
use tonic::codegen::http::Uri;

/// Scheme, host and port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// True for a connection over TLS.
    pub is_tls: bool,
    /// A host name or an IP address, IPv6 without brackets.
    pub host: String,
    /// The port; default: the one of the scheme.
    pub port: u16,
}

impl Address {
    /// Parses `https://host:port`, `http://host:port` or `host:port`. The default scheme is `https` if `prefers_tls`,
    /// else `http`. A path, a query and a user are refused: a connection would ignore them.
    pub fn parse(text: &str, prefers_tls: bool) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        if rest.contains('@') {
            bail!("--server must not hold a user or password: give a token by --token-file or READOUT_TOKEN");
        }
        let is_tls = match scheme.map(str::to_ascii_lowercase).as_deref() {
            None => prefers_tls,
            Some("http") => false,
            Some("https") => true,
            Some(_) => bail!("--server {text:?} must begin with http:// or https://"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(extra) = authority.find(['/', '?', '#']) {
            bail!("--server {text:?} must end after the port: {:?} cannot be part of it", &authority[extra..]);
        }
        let host_and_port = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
        let (host, port) = match host_and_port {
            Some((host, port)) => {
                let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| is_number && *port != 0);
                let Some(port) = port else { bail!("--server {text:?} must have a port from 1 to 65535") };
                (host, port)
            }
            None => (authority, if is_tls { 443 } else { 80 }),
        };
        if host.is_empty() {
            bail!("--server {text:?} has no host: write, for example, http://127.0.0.1:50051");
        }
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains(':') => {
                bail!("--server {text:?} must have its IPv6 address in brackets: http://[::1]:50051")
            }
            None => host,
        };
        let address = Self { is_tls, host: host.to_owned(), port };
        match address.to_string().parse::<Uri>() {
            Ok(_) => Ok(address),
            Err(error) => bail!("--server {text:?} is not the address of a service: {error}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        Address::parse(text, false).map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn parser_completes_scheme_and_port() {
        for (text, address) in [
            ("http://127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("https://readout.example:8443/", "https://readout.example:8443"),
            ("HTTPS://readout.example", "https://readout.example:443"),
            ("localhost:50051", "http://localhost:50051"),
            ("readout", "http://readout:80"),
            ("[::1]:50051", "http://[::1]:50051"),
            ("http://[2001:db8::1]", "http://[2001:db8::1]:80"),
        ] {
            assert_eq!(parse(text), address, "{text}");
        }
        assert_eq!(Address::parse("readout:1", true).expect("an address").to_string(), "https://readout:1");
    }

    #[test]
    fn parser_refuses_malformed_addresses_with_the_reason() {
        for (text, why) in [
            ("ftp://127.0.0.1:50051", "must begin with http:// or https://"),
            ("dns:///readout:50051", "must begin with http:// or https://"),
            ("://readout:1", "must begin with http:// or https://"),
            ("http://", "has no host"),
            ("http:///", "has no host"),
            ("", "has no host"),
            (":50051", "has no host"),
            ("http://readout:1/path", "\"/path\" cannot be part of it"),
            ("readout:1/path", "\"/path\" cannot be part of it"),
            ("http://readout:1//", "cannot be part of it"),
            ("http://readout:1?tls=no", "\"?tls=no\" cannot be part of it"),
            ("http://readout:1#x", "\"#x\" cannot be part of it"),
            ("http://readout:", "must have a port"),
            ("http://readout:0", "must have a port"),
            ("http://readout:65536", "must have a port"),
            ("http://readout:+80", "must have a port"),
            ("http:readout", "must have a port"),
            ("http://[::1", "in brackets"),
            ("::1:50051", "in brackets"),
            ("http://a b", "is not the address of a service"),
        ] {
            assert!(parse(text).contains(why), "{text}: {}", parse(text));
        }
    }

    #[test]
    fn error_hides_the_password() {
        let error = parse("http://press:s3cret@readout:1");
        assert!(error.contains("must not hold a user") && !error.contains("s3cret"), "{error}");
    }
}
