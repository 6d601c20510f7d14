//! Errors in a URL of a database. They repeat nothing but names of parameters: a character that is not percent-encoded may
//! have made any other part a piece of the password.

use thiserror::Error;

use crate::model::text::suggestion::did_you_mean;

/// The form of a URL.
const FORM: &str = "postgres://user:password@host:port/name";

/// Why a URL is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DatabaseUrlError {
    /// There is nothing.
    #[error("it is empty; write {FORM}")]
    Empty,
    /// There is no scheme.
    #[error("it has no scheme; write {FORM}")]
    NoScheme,
    /// It is in libpq's other form.
    #[error("it is a list of key=value; write {FORM}")]
    KeyValue,
    /// It is of something else.
    #[error("the scheme is {0:?}, and readout needs PostgreSQL; write {FORM}")]
    OtherScheme(String),
    /// It has the scheme alone in another form.
    #[error("the scheme is not followed by //; write {FORM}")]
    NoSlashes,
    /// A reserved character stands where it may be part of the password.
    #[error(
        "a character of the user, the password or a name is not percent-encoded: write %23 for #, %25 for %, %2F for /, \
         %3F for ?, %40 for @"
    )]
    NotEncoded,
    /// A percent sign stands for itself.
    #[error("the {0} has a % without two hexadecimal digits behind it; write %25 for %")]
    Percent(&'static str),
    /// Bytes that are no text.
    #[error("the {0} is not UTF-8 where it is percent-encoded")]
    NotUtf8(&'static str),
    /// A character that ends texts in the protocol.
    #[error("the {0} has the character U+0000")]
    Nul(&'static str),
    /// The port is none.
    #[error("a port must be a number from 1 to 65535")]
    Port,
    /// There are neither as many ports as hosts, nor one.
    #[error("there are {hosts} hosts and {ports} ports; give one port, or one for each host")]
    PortCount {
        /// The number of hosts.
        hosts: usize,
        /// The number of ports.
        ports: usize,
    },
    /// An address is not in brackets.
    #[error("an IPv6 address must stand in brackets, as in [::1]:5432")]
    Brackets,
    /// The host is none.
    #[error(
        "a host must be a name, an address, or the directory of a socket, which begins with / (in place of a host: %2F)"
    )]
    Host,
    /// There are too many names.
    #[error("the name of the database has a /; write %2F, if it is part of the name")]
    SlashInName,
    /// No database is named.
    #[error("it names no database; write {FORM}")]
    NoDatabase,
    /// More than one host is named.
    #[error(
        "it names {0} hosts, and readout connects to one; name the one that takes writes, or an address that follows it"
    )]
    SeveralHosts(usize),
    /// A parameter is no pair.
    #[error("a parameter has no =; write name=value, with & between parameters")]
    NoValue,
    /// There is no such parameter.
    #[error("there is no parameter{}{}", named(.name), did_you_mean(*.nearest))]
    UnknownParameter {
        /// Its name; none where that may be something else.
        name: Option<String>,
        /// The name that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A parameter is given more than once.
    #[error("the parameter {0} is given twice, perhaps under another name of it")]
    Repeated(&'static str),
    /// A parameter has another value than it may.
    #[error("the parameter {name} must be {expected}{}", did_you_mean(*.nearest))]
    BadValue {
        /// The parameter.
        name: &'static str,
        /// The values that it may have.
        expected: &'static str,
        /// The value that was probably meant.
        nearest: Option<&'static str>,
    },
    /// libpq can do it, and readout cannot.
    #[error("the parameter {name} cannot be honoured: {advice}")]
    Unsupported {
        /// The parameter.
        name: &'static str,
        /// The remedy.
        advice: &'static str,
    },
    /// Half of a pair is given.
    #[error("sslcert and sslkey are given together or not at all")]
    HalfIdentity,
    /// The database did not answer in time.
    #[error("the database did not answer within {0} s (connect_timeout)")]
    TimedOut(u64),
}

fn named(name: &Option<String>) -> String {
    name.as_ref().map_or_else(|| " of that name".to_owned(), |name| format!(" {name:?}"))
}
