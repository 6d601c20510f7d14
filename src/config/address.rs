//! Parses addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

const EXAMPLE: &str = "an address and a port such as 127.0.0.1:50051, localhost:50051 or [::1]:50051";

/// Parses an address to listen on: `IP:PORT`, `[IPv6]:PORT`, `NAME:PORT`, or `:PORT` for the loopback address.
///
/// A name resolves to its first IPv4 address, or to its first address if it has no IPv4 address. So `localhost` is
/// 127.0.0.1 even if it is also ::1.
///
/// # Errors
/// If the text has no port, its port is not a number up to 65535, or its name has no address.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Err(format!("has no port: write {}", SocketAddr::new(ip, 50051)));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("must be {EXAMPLE}"))?;
    let port: u16 = port.parse().map_err(|_| format!("has the port `{port}`, which is not a number up to 65535"))?;
    match host {
        "" => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        "*" => Err(format!("must name an address: 0.0.0.0:{port} is every IPv4 address of this machine")),
        _ => resolve(host, port),
    }
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("has the name `{host}`, which has no address: must be {EXAMPLE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parser_accepts_every_form_of_an_address() {
        for (text, address) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("localhost:50051", "127.0.0.1:50051"),
            (":50051", "127.0.0.1:50051"),
            (":0", "127.0.0.1:0"),
            ("[::1]:50051", "[::1]:50051"),
            ("0.0.0.0:65535", "0.0.0.0:65535"),
            ("[::]:1", "[::]:1"),
        ] {
            assert_eq!(listen_address(text), Ok(address.parse().expect("an address")), "{text}");
        }
    }

    #[test]
    fn error_names_the_part_that_is_wrong() {
        for (text, error) in [
            ("127.0.0.1", "has no port: write 127.0.0.1:50051"),
            ("::1", "has no port: write [::1]:50051"),
            ("[::1]", "has no port: write [::1]:50051"),
            ("50051", "must be an address and a port such as"),
            ("", "must be an address and a port such as"),
            ("127.0.0.1:65536", "has the port `65536`"),
            ("127.0.0.1:http", "has the port `http`"),
            ("127.0.0.1:", "has the port ``"),
            ("*:50051", "must name an address: 0.0.0.0:50051"),
            ("host name:1", "has the name `host name`, which has no address"),
            ("http://127.0.0.1:50051", "has the name `http://127.0.0.1`, which has no address"),
            ("127.0.0.1:50051/", "has the port `50051/`"),
        ] {
            let refused = listen_address(text).expect_err(text);
            assert!(refused.starts_with(error), "{text}: {refused}");
        }
    }
}
