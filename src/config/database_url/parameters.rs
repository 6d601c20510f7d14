//! The table of the parameters of a URL: those of libpq (PostgreSQL's manual, "Parameter Key Words"), and aliases that
//! earlier releases of readout accepted.

use sqlx::postgres::PgSslMode;

use super::DatabaseUrlError;
use crate::model::text::suggestion::nearest;

/// A parameter of a URL.
pub struct Parameter {
    /// The name in libpq.
    pub name: &'static str,
    /// Other accepted names.
    aliases: &'static [&'static str],
    /// The use of the value.
    pub usage: ParameterUse,
}

/// The use of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterUse {
    Host,
    HostAddress,
    Port,
    User,
    Password,
    Passfile,
    Database,
    ConnectTimeout,
    ApplicationName,
    FallbackApplicationName,
    Options,
    StatementCacheCapacity,
    SslMode,
    Ssl,
    SslRootCert,
    SslCert,
    SslKey,
    /// The parameter is accepted with these values, which have no effect. Other values are refused with the advice.
    Only(&'static [&'static str], &'static str),
}

const fn honoured(name: &'static str, aliases: &'static [&'static str], usage: ParameterUse) -> Parameter {
    Parameter { name, aliases, usage }
}

const fn only(name: &'static str, values: &'static [&'static str], advice: &'static str) -> Parameter {
    Parameter { name, aliases: &[], usage: ParameterUse::Only(values, advice) }
}

const KEEPALIVES: &str = "leave it out; readout checks an idle connection before it uses it";
const GSSAPI: &str = "leave it out, and use a password or a client certificate; readout does not support GSSAPI";
const OAUTH: &str = "leave it out, and use a password or a client certificate; readout does not support OAuth";
const SCRAM_KEYS: &str = "leave it out, and give the password";
const REVOCATION: &str = "leave it out; revoke certificates where they are issued, or end TLS in a proxy";
const SERVICE: &str = "leave it out, and write host, port, user and database into the URL";

const PARAMETERS: &[Parameter] = &[
    honoured("host", &[], ParameterUse::Host),
    honoured("hostaddr", &[], ParameterUse::HostAddress),
    honoured("port", &[], ParameterUse::Port),
    honoured("user", &[], ParameterUse::User),
    honoured("password", &[], ParameterUse::Password),
    honoured("passfile", &[], ParameterUse::Passfile),
    honoured("dbname", &[], ParameterUse::Database),
    honoured("connect_timeout", &[], ParameterUse::ConnectTimeout),
    honoured("application_name", &[], ParameterUse::ApplicationName),
    honoured("fallback_application_name", &[], ParameterUse::FallbackApplicationName),
    honoured("options", &[], ParameterUse::Options),
    honoured("statement-cache-capacity", &[], ParameterUse::StatementCacheCapacity),
    honoured("sslmode", &["ssl-mode"], ParameterUse::SslMode),
    honoured("ssl", &[], ParameterUse::Ssl),
    honoured("sslrootcert", &["ssl-root-cert", "ssl-ca"], ParameterUse::SslRootCert),
    honoured("sslcert", &["ssl-cert"], ParameterUse::SslCert),
    honoured("sslkey", &["ssl-key"], ParameterUse::SslKey),
    only("client_encoding", &["auto", "utf8", "utf-8"], "leave it out; texts are sent in UTF-8"),
    only("target_session_attrs", &["any"], "leave it out, and name the host that takes writes"),
    only("load_balance_hosts", &["disable"], "leave it out, and name one host"),
    only("channel_binding", &["disable", "prefer"], "leave it out, and write sslmode=verify-full"),
    only("require_auth", &[""], "leave it out, and allow only that method in the server's pg_hba.conf"),
    only(
        "gssencmode",
        &["disable", "prefer"],
        "leave it out, and write sslmode=require; readout does not support GSSAPI",
    ),
    only("krbsrvname", &[], GSSAPI),
    only("gsslib", &[], GSSAPI),
    only("gssdelegation", &["0"], GSSAPI),
    only("sslnegotiation", &["postgres"], "leave it out"),
    only("sslcompression", &["0"], "leave it out; TLS is never compressed"),
    only("sslcertmode", &["allow"], "leave it out, and give sslcert and sslkey, or neither"),
    only("sslpassword", &[""], "leave it out, and keep the key decrypted in a file that no other user can read"),
    only("sslcrl", &[""], REVOCATION),
    only("sslcrldir", &[""], REVOCATION),
    only("sslsni", &["1"], "leave it out; the name of the host is sent"),
    only("sslkeylogfile", &[""], "leave it out; keys of sessions are never written to a file"),
    only(
        "ssl_min_protocol_version",
        &["tlsv1", "tlsv1.1", "tlsv1.2"],
        "leave it out, and set it on the server; readout speaks TLS 1.2 and 1.3",
    ),
    only("ssl_max_protocol_version", &["", "tlsv1.3"], "leave it out, and set it on the server"),
    only("min_protocol_version", &["3.0"], "leave it out; readout speaks version 3.0"),
    only("max_protocol_version", &["3.0", "3.2", "latest"], "leave it out; readout speaks version 3.0"),
    only("requirepeer", &[""], "leave it out, and let only the server write to the directory of its socket"),
    only("requiressl", &["0"], "write sslmode=require"),
    only("keepalives", &["0"], KEEPALIVES),
    only("keepalives_idle", &["0"], KEEPALIVES),
    only("keepalives_interval", &["0"], KEEPALIVES),
    only("keepalives_count", &["0"], KEEPALIVES),
    only("tcp_user_timeout", &["0"], KEEPALIVES),
    only("replication", &["false", "off", "no", "0"], "leave it out; readout needs ordinary sessions"),
    only("service", &[], SERVICE),
    only("servicefile", &[], SERVICE),
    only("scram_client_key", &[], SCRAM_KEYS),
    only("scram_server_key", &[], SCRAM_KEYS),
    only("oauth_issuer", &[], OAUTH),
    only("oauth_client_id", &[], OAUTH),
    only("oauth_client_secret", &[], OAUTH),
    only("oauth_scope", &[], OAUTH),
];

/// Finds a parameter by its name or an alias.
pub fn find(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name || parameter.aliases.contains(&name))
}

/// Returns the known name that is nearest to an unknown one.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let names = PARAMETERS.iter().flat_map(|parameter| std::iter::once(&parameter.name).chain(parameter.aliases));
    nearest(names.copied(), name)
}

/// Refuses a value of a [`ParameterUse::Only`] parameter that is not one of `values`.
pub fn check_only(
    name: &'static str,
    values: &[&str],
    advice: &'static str,
    value: &str,
) -> Result<(), DatabaseUrlError> {
    match values.iter().any(|known| known.eq_ignore_ascii_case(value)) {
        true => Ok(()),
        false => Err(DatabaseUrlError::Unsupported { name, advice }),
    }
}

/// The modes of TLS. `allow` is treated as `prefer`, which tries TLS first and not only after a refusal.
const SSL_MODES: [(&str, PgSslMode); 6] = [
    ("disable", PgSslMode::Disable),
    ("allow", PgSslMode::Prefer),
    ("prefer", PgSslMode::Prefer),
    ("require", PgSslMode::Require),
    ("verify-ca", PgSslMode::VerifyCa),
    ("verify-full", PgSslMode::VerifyFull),
];

/// Parses a mode of TLS.
pub fn ssl_mode(value: &str) -> Result<PgSslMode, DatabaseUrlError> {
    let found = SSL_MODES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, mode)| mode).ok_or_else(|| DatabaseUrlError::BadValue {
        name: "sslmode",
        expected: "one of disable, allow, prefer, require, verify-ca and verify-full",
        nearest: nearest(SSL_MODES.into_iter().map(|(name, _)| name), value),
    })
}

/// Refuses the values that libpq does not treat as the path of a file.
pub fn root_cert(value: &str) -> Result<&str, DatabaseUrlError> {
    match value {
        "" => Err(DatabaseUrlError::BadValue { name: "sslrootcert", expected: "the path of a file", nearest: None }),
        "system" => Err(DatabaseUrlError::Unsupported {
            name: "sslrootcert",
            advice: "instead of \"system\", write the path of a file; without it, the authorities of Mozilla are trusted",
        }),
        path => Ok(path),
    }
}
