//! Refuses the requests of foreign web pages to an open service on a loopback address. A page can make a browser call
//! such a service: by a name of its own that it points to 127.0.0.1 (DNS rebinding), or from its own origin.

use std::net::IpAddr;

use tonic::codegen::http::{
    self, Uri,
    header::{HOST, HeaderValue, ORIGIN},
    uri::Authority,
};

use crate::model::text::quoted::quoted;

/// The hosts and origins that may call.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// False: all hosts and origins may.
    pub is_on: bool,
    /// Names of hosts besides those of the loopback addresses, in lower case.
    pub allowed_hosts: Vec<String>,
    /// Origins that browsers may call from; `*` is all.
    pub allowed_origins: Vec<String>,
}

impl Guard {
    /// The reason for which a request is refused, if it is.
    pub fn refusal<B>(&self, request: &http::Request<B>) -> Option<String> {
        if !self.is_on {
            return None;
        }
        // HTTP/2 has the host in the URI. No browser leaves it out.
        let in_uri = request.uri().authority().map(Authority::as_str);
        let in_headers = request.headers().get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
        if let Some(host) = in_uri.into_iter().chain(in_headers).find(|host| !self.is_allowed_host(host)) {
            return Some(format!(
                "the host {} is neither a name of this machine nor among --allowed-hosts: the service is open to its \
                 own machine only",
                quoted(host)
            ));
        }
        let origins = request.headers().get_all(ORIGIN).iter();
        let foreign = origins.map(HeaderValue::to_str).map(Result::unwrap_or_default);
        let foreign = foreign.into_iter().find(|origin| !self.is_allowed_origin(origin))?;
        Some(format!("the origin {} is another site, and not among --cors-origins or --allowed-hosts", quoted(foreign)))
    }

    fn is_allowed_host(&self, authority: &str) -> bool {
        authority.parse::<Authority>().is_ok_and(|authority| self.is_allowed_name(authority.host()))
    }

    fn is_allowed_name(&self, host: &str) -> bool {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name == "localhost"
            || name.ends_with(".localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
            || self.allowed_hosts.contains(&name)
    }

    fn is_allowed_origin(&self, origin: &str) -> bool {
        if self.allowed_origins.iter().any(|allowed| allowed == "*" || allowed == origin) {
            return true;
        }
        origin.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| self.is_allowed_name(host)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let origins = vec!["https://app.example".to_owned()];
        Guard { is_on: true, allowed_hosts: vec!["readout.internal".to_owned()], allowed_origins: origins }
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> http::Request<()> {
        let mut request = http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn hosts_of_this_machine_and_allowed_ones_pass() {
        for host in [
            "localhost",
            "LOCALHOST:50051",
            "localhost.",
            "app.localhost:1",
            "127.0.0.1:50051",
            "127.8.8.8",
            "[::1]:50051",
            "[::ffff:127.0.0.1]",
            "readout.internal:443",
        ] {
            assert_eq!(guard().refusal(&request("/", &[("host", host)])), None, "{host}");
            assert_eq!(guard().refusal(&request(&format!("http://{host}/"), &[])), None, "{host}");
        }
        assert_eq!(guard().refusal(&request("/", &[])), None);
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "10.0.0.1:50051",
            "0.0.0.0",
            "[::2]",
            "",
            "localhost@evil.example",
            "a b",
        ] {
            let refusal = guard().refusal(&request("/", &[("host", host)])).expect(host);
            assert!(refusal.contains("--allowed-hosts"), "{refusal}");
        }
        // Both places count.
        assert!(guard().refusal(&request("http://localhost/", &[("host", "evil.example")])).is_some());
        assert!(guard().refusal(&request("http://evil.example/", &[("host", "localhost")])).is_some());
        let off = Guard { is_on: false, ..guard() };
        assert_eq!(off.refusal(&request("/", &[("host", "evil.example"), ("origin", "null")])), None);
    }

    #[test]
    fn origins_of_other_sites_are_refused() {
        let refusal = |origin: &str| guard().refusal(&request("/", &[("host", "localhost"), ("origin", origin)]));
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1:50051",
            "https://[::1]",
            "https://app.example",
            "https://readout.internal:8443",
        ] {
            assert_eq!(refusal(origin), None, "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://app.example",
            "https://app.example:444",
            "https://app.example.evil.example",
            "file://",
        ] {
            assert!(refusal(origin).is_some(), "{origin}");
        }
        let all = Guard { allowed_origins: vec!["*".to_owned()], ..guard() };
        assert_eq!(all.refusal(&request("/", &[("host", "localhost"), ("origin", "null")])), None);
    }
}
