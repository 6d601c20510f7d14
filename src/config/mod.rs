//! The whole configuration: one line per concern, as a flag, an environment variable, a default and its help.

mod access;
mod address;
mod bounds;
mod client;
mod command_line;
mod database;
pub mod database_url;
pub mod effective;
mod feed;
mod help;
mod operations;
mod pools;
pub mod secret;
mod tls;
mod token;
mod transport;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::bail;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

use self::help::{COMPLETIONS, CONFIG, EXPORT, EXPUNGE, IMPORT, NEW_EPOCH, REINDEX, WATCH};
pub use self::{
    access::{Access, AnonymousRole, Jwt, Reflection},
    bounds::Bounds,
    client::Server,
    database::Database,
    feed::Feed,
    operations::Operations,
    pools::Pools,
    secret::Secret,
    tls::{ClientAuth, Tls},
    token::{CreateToken, ListTokens, RevokeToken, Token},
    transport::Transport,
};
use crate::model::resource::Collection;

/// Keeps records of diplomatic meetings as news articles tell them.
#[derive(Debug, Parser)]
#[command(name = "readout", version)]
pub struct Args {
    #[command(flatten)]
    pub log: Log,
    #[command(subcommand)]
    pub command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Command {
    /// Run the service, until SIGTERM or ctrl-c; a second signal ends it at once
    Serve(Box<Serve>),
    /// Print the configuration that `serve` would have with the same flags and environment, without its secrets
    #[command(after_long_help = CONFIG)]
    Config(Box<Serve>),
    /// Bring the database to the schema of this version, then end
    Migrate(Database),
    /// Write stories, or an export, into a running service
    #[command(after_long_help = IMPORT)]
    Import(Import),
    /// Write all participants, articles and reports of a running service to standard output
    #[command(after_long_help = EXPORT)]
    Export(Export),
    /// Print the changes of a running service as they are committed, one JSON object a line
    #[command(after_long_help = WATCH)]
    Watch(Watch),
    /// The API tokens that services on the database take
    #[command(subcommand)]
    Token(Token),
    /// What an operator does to the database
    #[command(subcommand)]
    Admin(Admin),
    /// Print the completion script of a shell
    #[command(after_long_help = COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page of this program, or write those of all its commands
    Man(Man),
}

/// What an operator does to the database.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Begin a new epoch of the change feed: after a restore from a backup, so that nobody goes on with an old cursor
    #[command(after_long_help = NEW_EPOCH)]
    NewEpoch(Database),
    /// Erase the texts of articles from all their revisions, as those that may no longer be kept
    #[command(after_long_help = EXPUNGE)]
    Expunge(Expunge),
    /// Make anew what queries look up, from the records: after a rolling upgrade, once the last old instance has ended
    #[command(after_long_help = REINDEX)]
    Reindex(Database),
}

/// What is told on standard error, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// How log lines look; auto is text on a terminal and JSON elsewhere
    #[arg(long, global = true, env = "READOUT_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// What is logged: a level, or a filter such as `info,readout::store=debug`
    #[arg(long, global = true, env = "READOUT_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

/// The service.
#[derive(Debug, Clone, clap::Args)]
pub struct Serve {
    /// Address and port to listen on; a name such as localhost is resolved, and :PORT is 127.0.0.1:PORT
    #[arg(long, env = "READOUT_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDR",
        value_parser = address::listen_address)]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub service: Service,
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub operations: Operations,
}

impl Serve {
    /// Refuses what can be told to be wrong by looking at it.
    pub fn check(&self) -> anyhow::Result<()> {
        self.service.transport.allow(self.listen)?;
        self.database.named()?;
        if self.listen.port() != 0 && self.operations.operations_listen == Some(self.listen) {
            bail!("--listen and --operations-listen are both {}: each needs a port of its own", self.listen);
        }
        Ok(())
    }
}

/// How it serves, wherever it listens and whatever the database.
#[derive(Debug, Clone, clap::Args)]
pub struct Service {
    /// Seconds for which it still serves after the signal to stop, and already says that it will not
    #[arg(long, env = "READOUT_DRAIN_DELAY", default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub drain_delay: Duration,
    /// Seconds that open calls get to end after the signal to stop
    #[arg(long, env = "READOUT_DRAIN_TIMEOUT", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub drain_timeout: Duration,
    #[command(flatten)]
    pub transport: Transport,
    #[command(flatten)]
    pub access: Access,
    #[command(flatten)]
    pub bounds: Bounds,
    #[command(flatten)]
    pub pools: Pools,
    #[command(flatten)]
    pub feed: Feed,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
            transport: Transport::default(),
            access: Access::default(),
            bounds: Bounds::default(),
            pools: Pools::default(),
            feed: Feed::default(),
        }
    }
}

/// The import.
#[derive(Debug, Clone, clap::Args)]
pub struct Import {
    /// Files of JSON messages: one after another, each over one line or many, or in an array; plain, gzip or zstd;
    /// `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub server: Server,
    /// Streams of stories at a time; 16 times as many records of an export
    #[arg(long, env = "READOUT_CONCURRENCY", default_value = "4", value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// How the totals are told: text on standard error, or one line of JSON on standard output
    #[arg(long, env = "READOUT_OUTPUT", default_value = "text")]
    pub output: Output,
    /// Print every error, not only the first few of each kind
    #[arg(long)]
    pub all_errors: bool,
}

/// How what a command has to tell is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

/// The export.
#[derive(Debug, Clone, clap::Args)]
pub struct Export {
    #[command(flatten)]
    pub server: Server,
}

/// The watch.
#[derive(Debug, Clone, clap::Args)]
pub struct Watch {
    #[command(flatten)]
    pub server: Server,
    /// Where to begin: `beginning` (the oldest change kept), `now`, after a position, or at a time (RFC 3339)
    #[arg(long, default_value = "now", value_name = "START")]
    pub from: String,
    /// Which changes, as `kind = CREATED AND meeting.region = "AZ"`
    #[arg(long, default_value = "", value_name = "FILTER", hide_default_value = true)]
    pub filter: String,
    /// Print each change with its resource as of that revision
    #[arg(long)]
    pub include_resource: bool,
    /// A file that keeps the cursor of what was printed; where it is there, it is where to begin, whatever `--from` says
    #[arg(long, env = "READOUT_CURSOR_FILE", value_name = "FILE")]
    pub cursor_file: Option<PathBuf>,
    /// End when all changes that there are were printed
    #[arg(long)]
    pub until_caught_up: bool,
}

/// What is to be expunged.
#[derive(Debug, Clone, clap::Args)]
pub struct Expunge {
    /// The articles, each as `articles/{uuid}`
    #[arg(required = true, value_name = "NAME", value_parser = article_name)]
    pub articles: Vec<Uuid>,
    #[command(flatten)]
    pub database: Database,
}

/// A completion script.
#[derive(Debug, Clone, clap::Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

/// The manual.
#[derive(Debug, Clone, clap::Args)]
pub struct Man {
    /// Write the pages of all commands to this directory, as readout.1, readout-import.1 and so on
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn article_name(name: &str) -> Result<Uuid, String> {
    Collection::Articles.id(name).ok_or_else(|| "must be the name of an article, articles/{uuid}".to_owned())
}

/// Longer than anybody waits, and not too long to be counted on from now.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration < CENTURY)
        .ok_or_else(|| "must be a number of seconds such as 10 or 0.5".to_owned())
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    seconds(text)
        .and_then(|duration| if duration.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(duration) })
}

fn days(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .map(|days: f64| 24.0 * 60.0 * 60.0 * days)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration < CENTURY)
        .ok_or_else(|| "must be a number of days such as 30 or 0.5, less than 36500".to_owned())
}

fn some_days(text: &str) -> Result<Duration, String> {
    days(text)
        .and_then(|duration| if duration.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(duration) })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::store::Limits;
    use crate::store::retention::Retention;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_database_url_is_not_printed() {
        let args = Args::try_parse_from(["readout", "serve", "--database-url", "postgres://u:s3cret@h/d"]);
        let text = format!("{:?}", args.expect("is well formed"));
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn the_service_of_the_command_line_is_the_default_one() {
        let args = Args::try_parse_from(["readout", "serve"]).expect("is well formed");
        let Command::Serve(serve) = args.command else { panic!("not serve") };
        let serve = serve.service;
        assert_eq!(serve.feed.retention(), Retention::default());
        assert_eq!(serve.drain_timeout, Service::default().drain_timeout);
        let limits = |service: &Service| service.pools.limits(&service.bounds);
        assert_eq!(limits(&serve), limits(&Service::default()));
        assert_eq!(limits(&serve), Limits::default());
        let bounds = |Bounds { question_timeout, max_calls, max_streams, stream_life, .. }: Bounds| {
            (question_timeout, max_calls, max_streams, stream_life)
        };
        assert_eq!(bounds(serve.bounds), bounds(Bounds::default()));
        assert_eq!(serve.drain_delay, Service::default().drain_delay);
        assert_eq!(format!("{:?}", serve.transport), format!("{:?}", Transport::default()));
        assert_eq!(serve.feed.feed_heartbeat, Feed::default().feed_heartbeat);
        assert!(days("36500").is_err() && days("-1").is_err() && some_seconds("0").is_err());
    }

    #[test]
    fn seconds_are_any_non_negative_number() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["-1", "ten", "NaN", "1e300", "3153600000"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
