//! Parses the text of a URL into its parts, by the grammar of libpq (PostgreSQL's manual, "Connection URIs").

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgSslMode;

use super::{
    DatabaseUrl, DatabaseUrlError as Error, Host, ServerAddress,
    parameters::{self, ParameterUse},
    server_options,
};
use crate::model::text::suggestion::nearest;

/// Parses a URL.
pub fn parse(text: &str) -> Result<DatabaseUrl, Error> {
    let rest = after_scheme(text.trim_ascii())?;
    if rest.contains('#') {
        return Err(Error::NotEncoded);
    }
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    // A / in the password ends the authority early: the rest of the password is taken for the path.
    if path.contains('@') {
        return Err(Error::NotEncoded);
    }
    let url = of_parts(authority, path, query);
    // A ? in the password does the same with the query. The error would then describe a piece of the password.
    let is_cut = !authority.is_empty() && !authority.contains('@') && path.is_empty() && query.contains('@');
    url.map_err(|error| if is_cut { Error::NotEncoded } else { error })
}

fn after_scheme(text: &str) -> Result<&str, Error> {
    if text.is_empty() {
        return Err(Error::Empty);
    }
    match text.split_once("://") {
        Some((scheme, rest)) if is_postgres(scheme) => Ok(rest),
        Some((scheme, _)) if is_scheme(scheme) => Err(Error::OtherScheme(scheme.to_owned())),
        Some(_) => Err(Error::NoScheme),
        None if text.split_once(':').is_some_and(|(scheme, _)| is_postgres(scheme)) => Err(Error::NoSlashes),
        None if text.contains('=') => Err(Error::KeyValue),
        None => Err(Error::NoScheme),
    }
}

fn is_postgres(scheme: &str) -> bool {
    ["postgres", "postgresql"].iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

/// Returns `true` for a scheme (RFC 3986, section 3.1), or several as in `jdbc:postgresql`. Longer texts may be
/// something else, such as a password.
fn is_scheme(text: &str) -> bool {
    text.len() <= 24
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:".contains(c))
}

fn of_parts(authority: &str, path: &str, query: &str) -> Result<DatabaseUrl, Error> {
    let mut url = DatabaseUrl::default();
    // A password may contain an unencoded @: the last one ends the account.
    let (account, servers) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    url.user = non_empty(decode(user, "user")?);
    url.password = non_empty(decode(password, "password")?).map(secret);
    if !servers.is_empty() {
        url.hosts = servers.split(',').map(server).collect::<Result<_, _>>()?;
    }
    if path.contains('/') {
        return Err(Error::SlashInName);
    }
    url.database = non_empty(decode(path, "name of the database")?);
    Parameters::read(query)?.apply(&mut url)?;
    Ok(url)
}

/// Parses a host and a port, each of which may be absent.
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
            (address(decode(host, "host")?)?, port)
        }
    };
    Ok(Host { address: host, port: non_empty(port.to_owned()).map(|port| self::port(&port)).transpose()? })
}

/// Parses the address of a host; `None` if it is empty.
fn address(host: String) -> Result<Option<ServerAddress>, Error> {
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

/// Returns `true` for an IPv6 address, with or without a zone.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.chars().all(|c| c.is_ascii_graphic())
}

fn port(text: &str) -> Result<u16, Error> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0).ok_or(Error::Port)
}

/// The parameters of a query, with their values.
#[derive(Default)]
struct Parameters {
    values: Vec<(&'static str, ParameterUse, String)>,
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
                given.options.push((server_options::name(setting).ok_or_else(server_options::malformed)?, value));
                continue;
            }
            let parameter = parameters::find(&name).ok_or_else(|| unknown(&name, query))?;
            if given.values.iter().any(|(name, ..)| *name == parameter.name) {
                return Err(Error::Repeated(parameter.name));
            }
            given.values.push((parameter.name, parameter.usage, value));
        }
        Ok(given)
    }

    fn value(&self, usage: ParameterUse) -> Option<&str> {
        self.values.iter().find(|(_, of, _)| *of == usage).map(|(.., value)| value.as_str())
    }

    /// Applies the parameters to a URL. They replace the parts before the query.
    fn apply(mut self, url: &mut DatabaseUrl) -> Result<(), Error> {
        let is_named = !url.hosts.is_empty() || self.value(ParameterUse::Host).is_some();
        self.servers(url)?;
        self.tls(url)?;
        if is_named
            && self.value(ParameterUse::HostAddress).is_some()
            && matches!(url.tls.mode, Some(PgSslMode::VerifyFull))
        {
            // The certificate's name would be compared with the address, not with the name of the host.
            let advice = "leave it out where sslmode is verify-full, and let the name of the host resolve to it";
            return Err(Error::Unsupported { name: "hostaddr", advice });
        }
        for (name, usage, value) in std::mem::take(&mut self.values) {
            match usage {
                ParameterUse::User => url.user = non_empty(value),
                ParameterUse::Password => url.password = non_empty(value).map(secret),
                ParameterUse::Database => url.database = non_empty(value),
                ParameterUse::Passfile => url.passfile = non_empty(value).map(Into::into),
                ParameterUse::ConnectTimeout => url.connect_timeout = seconds(&value)?,
                ParameterUse::ApplicationName => url.application_name = non_empty(value),
                ParameterUse::FallbackApplicationName => {
                    url.application_name = url.application_name.take().or(non_empty(value))
                }
                ParameterUse::Options => url.options.extend(server_options::parse(&value)?),
                ParameterUse::StatementCacheCapacity => {
                    let expected = "a whole number such as 100";
                    let bad = || Error::BadValue { name, expected, nearest: None };
                    url.statement_cache_capacity = Some(value.parse().map_err(|_| bad())?);
                }
                ParameterUse::Only(values, advice) => parameters::check_only(name, values, advice, &value)?,
                // Applied above by `servers` and `tls`.
                ParameterUse::Host | ParameterUse::HostAddress | ParameterUse::Port => {}
                ParameterUse::SslMode
                | ParameterUse::Ssl
                | ParameterUse::SslRootCert
                | ParameterUse::SslCert
                | ParameterUse::SslKey => {}
            }
        }
        url.options.extend(self.options);
        Ok(())
    }

    /// Applies the lists of hosts, addresses and ports. The nth port belongs to the nth host.
    fn servers(&self, url: &mut DatabaseUrl) -> Result<(), Error> {
        let addresses = self.value(ParameterUse::HostAddress).filter(|addresses| !addresses.is_empty());
        if addresses.is_some_and(|addresses| addresses.split(',').any(|address| address.parse::<IpAddr>().is_err())) {
            return Err(Error::BadValue { name: "hostaddr", expected: "an IPv4 or IPv6 address", nearest: None });
        }
        // As in libpq, `hostaddr` takes precedence over `host`.
        let hosts = addresses.or(self.value(ParameterUse::Host)).filter(|hosts| !hosts.is_empty());
        if let Some(hosts) = hosts {
            let ports: Vec<_> = url.hosts.iter().map(|host| host.port).collect();
            let addresses = hosts.split(',').map(|host| address(host.to_owned()));
            let port_of_url =
                |index: usize| if let [port] = *ports { port } else { ports.get(index).copied().flatten() };
            url.hosts = addresses
                .enumerate()
                .map(|(index, address)| Ok(Host { address: address?, port: port_of_url(index) }))
                .collect::<Result<_, Error>>()?;
        }
        if let Some(ports) = self.value(ParameterUse::Port).filter(|ports| !ports.is_empty()) {
            let ports: Vec<Option<u16>> = ports
                .split(',')
                .map(|port| non_empty(port.to_owned()).map(|port| self::port(&port)).transpose())
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
            self.value(ParameterUse::SslMode).filter(|mode| !mode.is_empty()).map(parameters::ssl_mode).transpose()?;
        // `ssl=true` is JDBC's form of `sslmode=require`.
        if let Some(value) = self.value(ParameterUse::Ssl) {
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
        let root_cert = self.value(ParameterUse::SslRootCert).map(parameters::root_cert).transpose()?;
        url.tls.root_cert = root_cert.map(Into::into);
        url.tls.identity = match (self.value(ParameterUse::SslCert), self.value(ParameterUse::SslKey)) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err(Error::HalfIdentity),
        };
        Ok(())
    }
}

/// The error for an unknown parameter. The name is repeated only if it cannot be a piece of the password.
fn unknown(name: &str, query: &str) -> Error {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    let is_shown = name.len() <= 64 && name.chars().all(is_name) && !query.contains('@');
    Error::UnknownParameter { name: is_shown.then(|| name.to_owned()), nearest: parameters::suggestion(name) }
}

/// Parses `connect_timeout` in seconds; 0 and negative numbers are no limit.
fn seconds(value: &str) -> Result<Option<Duration>, Error> {
    let expected = "a whole number of seconds, 0 to wait without end";
    let bad = || Error::BadValue { name: "connect_timeout", expected, nearest: None };
    let seconds: i32 = if value.is_empty() { 0 } else { value.trim().parse().map_err(|_| bad())? };
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

fn decode(text: &str, part: &'static str) -> Result<String, Error> {
    let is_hex = |digits: Option<&[u8]>| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let mut percents = text.bytes().enumerate().filter(|(_, byte)| *byte == b'%');
    if !percents.all(|(index, _)| is_hex(text.as_bytes().get(index + 1..index + 3))) {
        return Err(Error::Percent(part));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| Error::NotUtf8(part))?;
    if decoded.contains('\0') {
        return Err(Error::Nul(part));
    }
    Ok(decoded.into_owned())
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn secret(text: String) -> super::Secret {
    let Ok(secret) = text.parse();
    secret
}
