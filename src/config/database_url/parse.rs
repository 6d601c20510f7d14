//! From the text of a URL to its parts, by the grammar of libpq (PostgreSQL's manual, "Connection URIs").

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgSslMode;

use super::{
    DatabaseUrl, DatabaseUrlError as Error, Host, ServerAddress,
    parameters::{self, Meaning},
    server_options,
};
use crate::model::text::suggestion::nearest;

/// Reads a URL.
pub fn parse(text: &str) -> Result<DatabaseUrl, Error> {
    let rest = after_scheme(text.trim_ascii())?;
    if rest.contains('#') {
        return Err(Error::NotEncoded);
    }
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    // A / in a password would make a path of what follows it.
    if path.contains('@') {
        return Err(Error::NotEncoded);
    }
    let url = of_parts(authority, path, query);
    // As a ? would make a query. Errors are of the first part that is wrong, which is then a piece of the password.
    let is_cut = !authority.is_empty() && !authority.contains('@') && path.is_empty() && query.contains('@');
    url.map_err(|error| if is_cut { Error::NotEncoded } else { error })
}

fn after_scheme(text: &str) -> Result<&str, Error> {
    if text.is_empty() {
        return Err(Error::Empty);
    }
    match text.split_once("://") {
        Some((scheme, rest)) if is_ours(scheme) => Ok(rest),
        Some((scheme, _)) if is_scheme(scheme) => Err(Error::OtherScheme(scheme.to_owned())),
        Some(_) => Err(Error::NoScheme),
        None if text.split_once(':').is_some_and(|(scheme, _)| is_ours(scheme)) => Err(Error::NoSlashes),
        None if text.contains('=') => Err(Error::KeyValue),
        None => Err(Error::NoScheme),
    }
}

fn is_ours(scheme: &str) -> bool {
    ["postgres", "postgresql"].iter().any(|ours| ours.eq_ignore_ascii_case(scheme))
}

/// True for a scheme (RFC 3986, section 3.1), perhaps of several words as `jdbc:postgresql`, that is short enough to be
/// nothing else.
fn is_scheme(text: &str) -> bool {
    text.len() <= 24
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:".contains(c))
}

fn of_parts(authority: &str, path: &str, query: &str) -> Result<DatabaseUrl, Error> {
    let mut url = DatabaseUrl::default();
    // A password may hold an @ as it is: the last one ends it.
    let (account, servers) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    url.user = some(decode(user, "user")?);
    url.password = some(decode(password, "password")?).map(secret);
    if !servers.is_empty() {
        url.hosts = servers.split(',').map(server).collect::<Result<_, _>>()?;
    }
    if path.contains('/') {
        return Err(Error::SlashInName);
    }
    url.database = some(decode(path, "name of the database")?);
    Parameters::read(query)?.apply(&mut url)?;
    Ok(url)
}

/// A host and a port, each of which may be absent.
fn server(text: &str) -> Result<Host, Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or(Error::Brackets)?;
            let address = decode(address, "host")?;
            if !is_ipv6(&address) {
                return Err(Error::Brackets);
            }
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => "",
                None => return Err(Error::Host),
                Some(port) => port,
            };
            (Some(ServerAddress::Tcp(address)), port)
        }
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            if port.contains(':') && is_ipv6(text) {
                return Err(Error::Brackets);
            }
            (place(decode(host, "host")?)?, port)
        }
    };
    Ok(Host { place: host, port: some(port.to_owned()).map(|port| self::port(&port)).transpose()? })
}

/// The place that a host names; none if it is empty.
fn place(host: String) -> Result<Option<ServerAddress>, Error> {
    match host.as_str() {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(ServerAddress::Socket(path.into()))),
        name if is_ipv6(name) => Ok(Some(ServerAddress::Tcp(host))),
        name if name.chars().any(|c| c.is_whitespace() || c.is_control() || "/\\@:[]?#%,\"'<>".contains(c)) => {
            Err(Error::Host)
        }
        _ => Ok(Some(ServerAddress::Tcp(host))),
    }
}

/// True for an IPv6 address, perhaps with a zone.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.chars().all(|c| c.is_ascii_graphic())
}

fn port(text: &str) -> Result<u16, Error> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0).ok_or(Error::Port)
}

/// The parameters that are given, with their values.
#[derive(Default)]
struct Parameters {
    known: Vec<(&'static str, Meaning, String)>,
    options: Vec<(String, String)>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, Error> {
        let mut given = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(Error::NoValue)?;
            let name = decode(name, "name of a parameter")?;
            let value = decode(value, "value of a parameter")?;
            if let Some(setting) = name.strip_prefix("options[").and_then(|name| name.strip_suffix(']')) {
                given.options.push((server_options::name(setting).ok_or_else(server_options::bad)?, value));
                continue;
            }
            let parameter = parameters::find(&name).ok_or_else(|| unknown(&name, query))?;
            if given.known.iter().any(|(name, ..)| *name == parameter.name) {
                return Err(Error::Repeated(parameter.name));
            }
            given.known.push((parameter.name, parameter.meaning, value));
        }
        Ok(given)
    }

    fn take(&self, meaning: Meaning) -> Option<&str> {
        self.known.iter().find(|(_, of, _)| *of == meaning).map(|(.., value)| value.as_str())
    }

    /// Puts the parameters into a URL, in the place of the parts before its query.
    fn apply(mut self, url: &mut DatabaseUrl) -> Result<(), Error> {
        let is_named = !url.hosts.is_empty() || self.take(Meaning::Host).is_some();
        self.servers(url)?;
        self.tls(url)?;
        if is_named && self.take(Meaning::HostAddress).is_some() && matches!(url.tls.mode, Some(PgSslMode::VerifyFull))
        {
            // The name in the certificate would be compared with the address.
            let advice = "leave it out where sslmode is verify-full, and let the name of the host resolve to it";
            return Err(Error::Unsupported { name: "hostaddr", advice });
        }
        for (name, meaning, value) in std::mem::take(&mut self.known) {
            match meaning {
                Meaning::User => url.user = some(value),
                Meaning::Password => url.password = some(value).map(secret),
                Meaning::Database => url.database = some(value),
                Meaning::Passfile => url.passfile = some(value).map(Into::into),
                Meaning::ConnectTimeout => url.connect_timeout = seconds(&value)?,
                Meaning::ApplicationName => url.application_name = some(value),
                Meaning::FallbackApplicationName => url.application_name = url.application_name.take().or(some(value)),
                Meaning::Options => url.options.extend(server_options::parse(&value)?),
                Meaning::StatementCacheCapacity => {
                    let expected = "a whole number such as 100";
                    let bad = || Error::BadValue { name, expected, nearest: None };
                    url.statement_cache_capacity = Some(value.parse().map_err(|_| bad())?);
                }
                Meaning::Only(values, advice) => parameters::check_only(name, values, advice, &value)?,
                // They are taken together, before.
                Meaning::Host | Meaning::HostAddress | Meaning::Port => {}
                Meaning::SslMode | Meaning::Ssl | Meaning::SslRootCert | Meaning::SslCert | Meaning::SslKey => {}
            }
        }
        url.options.extend(self.options);
        Ok(())
    }

    /// Lists of hosts and ports, of which the ones belong to the others.
    fn servers(&self, url: &mut DatabaseUrl) -> Result<(), Error> {
        let addresses = self.take(Meaning::HostAddress).filter(|addresses| !addresses.is_empty());
        if addresses.is_some_and(|addresses| addresses.split(',').any(|address| address.parse::<IpAddr>().is_err())) {
            return Err(Error::BadValue { name: "hostaddr", expected: "an IPv4 or IPv6 address", nearest: None });
        }
        // A connection is made to the address, whatever the name of the host is.
        let hosts = addresses.or(self.take(Meaning::Host)).filter(|hosts| !hosts.is_empty());
        if let Some(hosts) = hosts {
            let ports: Vec<_> = url.hosts.iter().map(|host| host.port).collect();
            let places = hosts.split(',').map(|host| place(host.to_owned()));
            let of_url = |at: usize| if let [port] = *ports { port } else { ports.get(at).copied().flatten() };
            url.hosts = places
                .enumerate()
                .map(|(at, place)| Ok(Host { place: place?, port: of_url(at) }))
                .collect::<Result<_, Error>>()?;
        }
        if let Some(ports) = self.take(Meaning::Port).filter(|ports| !ports.is_empty()) {
            let ports: Vec<Option<u16>> = ports
                .split(',')
                .map(|port| some(port.to_owned()).map(|port| self::port(&port)).transpose())
                .collect::<Result<_, _>>()?;
            if url.hosts.is_empty() {
                url.hosts.push(Host::default());
            }
            let hosts = url.hosts.len();
            if ports.len() != 1 && ports.len() != hosts {
                return Err(Error::PortCount { hosts, ports: ports.len() });
            }
            for (host, port) in url.hosts.iter_mut().zip(ports.iter().cycle()) {
                host.port = *port;
            }
        }
        Ok(())
    }

    fn tls(&self, url: &mut DatabaseUrl) -> Result<(), Error> {
        url.tls.mode =
            self.take(Meaning::SslMode).filter(|mode| !mode.is_empty()).map(parameters::ssl_mode).transpose()?;
        // As JDBC writes it.
        if let Some(value) = self.take(Meaning::Ssl) {
            if value != "true" {
                let nearest = nearest(["true"].into_iter(), value);
                return Err(Error::BadValue {
                    name: "ssl",
                    expected: "true, or in its place sslmode=disable",
                    nearest,
                });
            }
            url.tls.mode = url.tls.mode.or(Some(PgSslMode::Require));
        }
        let root_cert = self.take(Meaning::SslRootCert).map(parameters::root_cert).transpose()?;
        url.tls.root_cert = root_cert.map(Into::into);
        url.tls.identity = match (self.take(Meaning::SslCert), self.take(Meaning::SslKey)) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err(Error::HalfIdentity),
        };
        Ok(())
    }
}

/// An unknown parameter. Its name is repeated only where it is none but a name.
fn unknown(name: &str, query: &str) -> Error {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    let is_shown = name.len() <= 64 && name.chars().all(is_name) && !query.contains('@');
    Error::UnknownParameter { name: is_shown.then(|| name.to_owned()), nearest: parameters::like(name) }
}

/// Seconds; 0 and less are no limit.
fn seconds(value: &str) -> Result<Option<Duration>, Error> {
    let expected = "a whole number of seconds, 0 to wait without end";
    let bad = || Error::BadValue { name: "connect_timeout", expected, nearest: None };
    let seconds: i32 = if value.is_empty() { 0 } else { value.trim().parse().map_err(|_| bad())? };
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

fn decode(text: &str, part: &'static str) -> Result<String, Error> {
    let is_hex = |digits: Option<&[u8]>| digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let mut percents = text.bytes().enumerate().filter(|(_, byte)| *byte == b'%');
    if !percents.all(|(at, _)| is_hex(text.as_bytes().get(at + 1..at + 3))) {
        return Err(Error::Percent(part));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| Error::NotUtf8(part))?;
    if decoded.contains('\0') {
        return Err(Error::Nul(part));
    }
    Ok(decoded.into_owned())
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn secret(text: String) -> super::Secret {
    let Ok(secret) = text.parse();
    secret
}
