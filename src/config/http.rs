//! The options of HTTP: which hosts and which web pages may call the service.

use tonic::codegen::http::{Uri, uri::Authority};

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "HTTP")]
pub struct Http {
    /// Further names of the host by which requests may reach a service on a loopback address that asks for no
    /// credentials, separated by commas. By default these are localhost and loopback addresses; requests with another
    /// Host, or from the web page of another site, are refused
    #[arg(long, env = "READOUT_ALLOWED_HOSTS", value_name = "HOSTS", value_delimiter = ',', value_parser = host)]
    pub allowed_hosts: Vec<String>,
    /// Origins of the web pages that may call the service from a browser (CORS), separated by commas, such as
    /// `https://app.example`; `*`: all. Default: none
    #[arg(long, env = "READOUT_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<String>,
}

/// Parses the name of a host, without its port.
fn host(text: &str) -> Result<String, String> {
    let is_host = text.parse::<Authority>().is_ok_and(|authority| authority.as_str() == authority.host());
    match is_host {
        true => Ok(text.trim_end_matches('.').to_ascii_lowercase()),
        false => Err("must be the name or the address of a host, without scheme and port".to_owned()),
    }
}

/// Parses an origin as browsers send it (RFC 6454, 6.2).
fn origin(text: &str) -> Result<String, String> {
    let is_origin = text.parse::<Uri>().is_ok_and(|uri| {
        let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", Authority::as_str));
        !authority.is_empty() && text == format!("{scheme}://{authority}") && text == text.to_ascii_lowercase()
    });
    match is_origin || text == "*" {
        true => Ok(text.to_owned()),
        false => Err("must be * or a scheme and a host in lower case, with a port if it is not the scheme's, such as \
                      https://app.example"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_neither_scheme_nor_port() {
        assert_eq!(host("Readout.Internal."), Ok("readout.internal".to_owned()));
        assert_eq!(host("[2001:db8::1]"), Ok("[2001:db8::1]".to_owned()));
        for wrong in ["", "http://a", "a:80", "a/b", "a b", "user@a"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_have_a_scheme_and_no_path() {
        for right in ["*", "https://app.example", "http://localhost:3000"] {
            assert_eq!(origin(right), Ok(right.to_owned()));
        }
        for wrong in ["", "app.example", "https://app.example/", "https://App.example", "null", "https://"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
