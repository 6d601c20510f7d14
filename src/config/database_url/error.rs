//! The errors of a database URL. They repeat only names of parameters: if a character is not percent-encoded, any other
//! part of the URL may be a piece of the password.

use thiserror::Error;

use crate::model::text::suggestion::did_you_mean;

/// The expected form of a URL.
const FORM: &str = "postgres://user:password@host:port/name";

/// The reason why a database URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DatabaseUrlError {
    /// The text is empty.
    #[error("it is empty; write {FORM}")]
    Empty,
    /// The text has no scheme.
    #[error("it has no scheme; write {FORM}")]
    NoScheme,
    /// The text is in libpq's key=value form.
    #[error("it is a list of key=value; write {FORM}")]
    KeyValue,
    /// The scheme is not that of PostgreSQL.
    #[error("the scheme is {0:?}, and readout needs PostgreSQL; write {FORM}")]
    OtherScheme(String),
    /// The scheme is not followed by `//`.
    #[error("the scheme is not followed by //; write {FORM}")]
    NoSlashes,
    /// A reserved character may be part of the password.
    #[error(
        "a character of the user, the password or a name is not percent-encoded: write %23 for #, %25 for %, %2F for /, \
         %3F for ?, %40 for @"
    )]
    NotEncoded,
    /// A percent sign does not begin an escape.
    #[error("the {0} has a % without two hexadecimal digits after it; write %25 for %")]
    Percent(&'static str),
    /// The decoded bytes are not UTF-8.
    #[error("the {0} is not UTF-8 where it is percent-encoded")]
    NotUtf8(&'static str),
    /// The part has a NUL, which ends strings in PostgreSQL's protocol.
    #[error("the {0} has the character U+0000")]
    Nul(&'static str),
    /// The port is not a port number.
    #[error("a port must be a number from 1 to 65535")]
    Port,
    /// The number of ports is neither one nor the number of hosts.
    #[error("there are {hosts} hosts and {ports} ports; give one port, or one for each host")]
    PortCount {
        /// The number of hosts.
        hosts: usize,
        /// The number of ports.
        ports: usize,
    },
    /// An IPv6 address is not in brackets.
    #[error("an IPv6 address must be in brackets, as in [::1]:5432")]
    Brackets,
    /// The host is not a name, an address or a directory.
    #[error(
        "a host must be a name, an address, or the directory of a socket, which begins with / (in the place of a host: %2F)"
    )]
    Host,
    /// The path has more than one segment.
    #[error("the name of the database has a /; write %2F if it is part of the name")]
    SlashInName,
    /// The URL names no database.
    #[error("it names no database; write {FORM}")]
    NoDatabase,
    /// The URL names more than one host.
    #[error(
        "it names {0} hosts, and readout connects to one; name the one that takes writes, or an address that follows it"
    )]
    SeveralHosts(usize),
    /// A parameter has no value.
    #[error("a parameter has no =; write name=value, with & between parameters")]
    NoValue,
    /// The parameter is unknown.
    #[error("there is no parameter{}{}", named(.name), did_you_mean(*.nearest))]
    UnknownParameter {
        /// The name of the parameter; `None` if the text may be something else, such as a piece of the password.
        name: Option<String>,
        /// The name that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A parameter is given more than once.
    #[error("the parameter {0} is given twice, perhaps once under an alias")]
    Repeated(&'static str),
    /// The value of a parameter is not allowed.
    #[error("the parameter {name} must be {expected}{}", did_you_mean(*.nearest))]
    BadValue {
        /// The name of the parameter.
        name: &'static str,
        /// The values that the parameter may have.
        expected: &'static str,
        /// The value that was probably meant.
        nearest: Option<&'static str>,
    },
    /// libpq supports the parameter or value, and readout does not.
    #[error("the parameter {name} cannot be honoured: {advice}")]
    Unsupported {
        /// The name of the parameter.
        name: &'static str,
        /// The remedy.
        advice: &'static str,
    },
    /// Only one of `sslcert` and `sslkey` is given.
    #[error("sslcert and sslkey must be given together")]
    HalfIdentity,
    /// The database did not answer within `connect_timeout`, in seconds.
    #[error("the database did not answer within {0} s (connect_timeout)")]
    TimedOut(u64),
}

fn named(name: &Option<String>) -> String {
    name.as_ref().map_or_else(|| " of that name".to_owned(), |name| format!(" {name:?}"))
}
