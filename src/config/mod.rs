//! The whole configuration. Each setting is one field with its flag, environment variable, default and help text.
//!
//! Doc comments of fields and variants are the help texts of `--help`. Each submodule owns one group of settings.

mod access;
mod address;
mod audit;
mod call_limits;
mod client;
mod command_line;
mod database;
pub mod database_url;
mod duplicates;
mod evidence;
mod feed;
mod help;
mod http;
mod import;
mod operations;
mod pools;
pub mod print_config;
pub mod secret;
mod tls;
mod token;
mod transport;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::bail;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

use self::help::{COMPLETIONS, CONFIG, DUPLICATES, EXPORT, EXPUNGE, IMPORT, NEW_EPOCH, REINDEX, WATCH};
pub use self::{
    access::{Access, AnonymousRole, Jwt, Reflection},
    audit::{Audit, AuditedCalls},
    call_limits::CallLimits,
    client::Server,
    database::Database,
    duplicates::Duplicates,
    evidence::{Evidence, EvidenceMode},
    feed::Feed,
    http::Http,
    import::{Import, MeetingRule, OffsetUnit, ParticipantRule, StoryFormat},
    operations::Operations,
    pools::Pools,
    secret::Secret,
    tls::{ClientAuth, Tls},
    token::{CreateToken, ListTokens, RevokeToken, Token},
    transport::Transport,
};
use crate::model::{canonical, resource::Collection};

/// Keeps records of diplomatic meetings as news articles report them.
#[derive(Debug, Parser)]
#[command(name = "readout", version)]
pub struct Args {
    #[command(flatten)]
    pub log: Log,
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "a process has one value of this type")]
pub enum Command {
    /// Run the service until SIGTERM or ctrl-c; a second signal ends it at once
    Serve(Box<Serve>),
    /// Check the configuration that `serve` would use, and print it without secrets
    #[command(after_long_help = CONFIG)]
    Config(Box<Serve>),
    /// Migrate the database to the schema of this version
    Migrate(Database),
    /// Import stories, or an export, into a running service
    #[command(after_long_help = IMPORT)]
    Import(Import),
    /// Export all participants, articles and reports of a running service to standard output
    #[command(after_long_help = EXPORT)]
    Export(Export),
    /// Print the changes of a running service as they are committed, one JSON object per line
    #[command(after_long_help = WATCH)]
    Watch(Watch),
    /// Print the events of the audit log of a running service, one JSON object per line
    Audit(AuditEvents),
    /// Review pairs of participants that may be one person: judge them by keys, print them, or judge those of a file
    #[command(after_long_help = DUPLICATES)]
    Duplicates(Duplicates),
    /// Manage the API tokens that services on the database accept
    #[command(subcommand)]
    Token(Token),
    /// Maintain the database
    #[command(subcommand)]
    Admin(Admin),
    /// Print the completion script of a shell
    #[command(after_long_help = COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page of this program, or write the pages of all commands to a directory
    Man(Man),
}

/// The commands that maintain the database.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Start a new epoch of the change feed after a restore from a backup. All older cursors become invalid
    #[command(after_long_help = NEW_EPOCH)]
    NewEpoch(Database),
    /// Erase the texts of articles from all revisions, for example when the right to store them has ended
    #[command(after_long_help = EXPUNGE)]
    Expunge(Expunge),
    /// Rebuild the index rows of all records. Run it after a rolling upgrade, when no old instance runs
    #[command(after_long_help = REINDEX)]
    Reindex(Database),
}

/// The log on standard error.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// Format of log lines; auto: text on a terminal, JSON otherwise
    #[arg(long, global = true, env = "READOUT_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// Level of the log, or a filter such as `info,readout::store=debug`
    #[arg(long, global = true, env = "READOUT_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

/// The options of `serve`.
#[derive(Debug, Clone, clap::Args)]
pub struct Serve {
    /// Address and port to listen on; host names such as localhost are resolved, and :PORT means 127.0.0.1:PORT
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
    /// Checks the settings that can be checked without starting a service.
    ///
    /// # Errors
    /// If a port would serve plaintext to other machines, the database URL is not valid, or two addresses are equal.
    pub fn check(&self) -> anyhow::Result<()> {
        self.service.transport.allow(self.listen)?;
        if let Some(address) = self.operations.operations_listen {
            self.service.transport.allow_operations(address)?;
        }
        self.database.target()?;
        if self.listen.port() != 0 && self.operations.operations_listen == Some(self.listen) {
            bail!("--listen and --operations-listen are both {}: each needs a port of its own", self.listen);
        }
        Ok(())
    }
}

/// The options of a service that depend neither on its address nor on its database.
#[derive(Debug, Clone, clap::Args)]
pub struct Service {
    /// Seconds after SIGTERM during which the service reports not ready but still accepts calls
    #[arg(long, env = "READOUT_DRAIN_DELAY", default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub drain_delay: Duration,
    /// Maximum seconds that open calls have to end after the service stops accepting calls
    #[arg(long, env = "READOUT_DRAIN_TIMEOUT", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub drain_timeout: Duration,
    #[command(flatten)]
    pub transport: Transport,
    #[command(flatten)]
    pub http: Http,
    #[command(flatten)]
    pub access: Access,
    #[command(flatten)]
    pub bounds: CallLimits,
    #[command(flatten)]
    pub pools: Pools,
    #[command(flatten)]
    pub feed: Feed,
    #[command(flatten)]
    pub evidence: Evidence,
    #[command(flatten)]
    pub audit: Audit,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
            transport: Transport::default(),
            http: Http::default(),
            access: Access::default(),
            bounds: CallLimits::default(),
            pools: Pools::default(),
            feed: Feed::default(),
            evidence: Evidence::default(),
            audit: Audit::default(),
        }
    }
}

/// The format of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

/// The options of `export`.
#[derive(Debug, Clone, clap::Args)]
pub struct Export {
    #[command(flatten)]
    pub server: Server,
    /// Export all records as of this time (RFC 3339), also beside writers; default: the current records
    #[arg(long, value_name = "TIME")]
    pub read_time: Option<String>,
}

/// The options of `watch`.
#[derive(Debug, Clone, clap::Args)]
pub struct Watch {
    #[command(flatten)]
    pub server: Server,
    /// Start of the watch: `beginning` (the oldest change that is kept), `now`, a position, or a time (RFC 3339)
    #[arg(long, default_value = "now", value_name = "START")]
    pub from: String,
    /// Filter of the changes, such as `kind = CREATED AND meeting.region = "AZ"`; default: all changes
    #[arg(long, default_value = "", value_name = "FILTER", hide_default_value = true)]
    pub filter: String,
    /// Print each change with its resource at that revision
    #[arg(long)]
    pub include_resource: bool,
    /// File that stores the cursor of the last printed change; if it exists, the watch resumes there and ignores --from
    #[arg(long, env = "READOUT_CURSOR_FILE", value_name = "FILE")]
    pub cursor_file: Option<PathBuf>,
    /// Exit once all existing changes are printed
    #[arg(long)]
    pub until_caught_up: bool,
}

/// The options of `audit`.
#[derive(Debug, Clone, clap::Args)]
pub struct AuditEvents {
    #[command(flatten)]
    pub server: Server,
    /// Filter of the events, such as `name = "meetings/…" AND time >= "2020-09"`; default: all events
    #[arg(long, default_value = "", value_name = "FILTER", hide_default_value = true)]
    pub filter: String,
    /// Number of events to print, the newest first
    #[arg(long, default_value = "100", value_name = "N", conflicts_with = "follow")]
    pub limit: u32,
    /// Print the events in their order, and each further one when it is stored, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Start of --follow: `beginning`, or a time (RFC 3339)
    #[arg(long, default_value = "beginning", value_name = "START", requires = "follow")]
    pub from: String,
}

/// The options of `admin expunge`.
#[derive(Debug, Clone, clap::Args)]
pub struct Expunge {
    /// Names of the articles: `articles/{uuid}`
    #[arg(required = true, value_name = "NAME", value_parser = article_name)]
    pub articles: Vec<Uuid>,
    /// Reason, recorded with the erasure: 1 to 1,000 characters
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,
    #[command(flatten)]
    pub database: Database,
}

/// The options of `completions`.
#[derive(Debug, Clone, clap::Args)]
pub struct Completions {
    /// Shell of the script
    pub shell: Shell,
}

/// The options of `man`.
#[derive(Debug, Clone, clap::Args)]
pub struct Man {
    /// Directory for the pages of all commands: readout.1, readout-import.1 and so on
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn article_name(name: &str) -> Result<Uuid, String> {
    Collection::Articles.id(name).ok_or_else(|| "must be the name of an article, articles/{uuid}".to_owned())
}

/// The bound of `EraseArticleTextRequest.reason` and `JudgeParticipantsRequest.reason`, in characters.
const MAX_REASON_LENGTH: usize = 1000;

fn reason(reason: &str) -> Result<String, String> {
    let mut reason = reason.to_owned();
    canonical::text(&mut reason);
    match !reason.trim().is_empty() && reason.chars().count() <= MAX_REASON_LENGTH {
        true => Ok(reason),
        false => Err(format!("must have 1 to {MAX_REASON_LENGTH} characters, at least one of them visible")),
    }
}

/// The bound of durations: adding one to the current time cannot overflow.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration < CENTURY)
        .ok_or_else(|| "must be a number of seconds such as 10 or 0.5".to_owned())
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
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

fn positive_days(text: &str) -> Result<Duration, String> {
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
    fn command_line_passes_debug_assert() {
        Args::command().debug_assert();
    }

    #[test]
    fn debug_output_hides_the_database_url() {
        let args = Args::try_parse_from(["readout", "serve", "--database-url", "postgres://u:s3cret@h/d"]);
        let text = format!("{:?}", args.expect("is well formed"));
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn command_line_defaults_equal_default_impls() {
        let args = Args::try_parse_from(["readout", "serve"]).expect("is well formed");
        let Command::Serve(serve) = args.command else { panic!("not serve") };
        let serve = serve.service;
        assert_eq!(serve.feed.retention(), Retention::default());
        assert_eq!(serve.drain_timeout, Service::default().drain_timeout);
        let limits = |service: &Service| service.pools.limits(&service.bounds);
        assert_eq!(limits(&serve), limits(&Service::default()));
        assert_eq!(limits(&serve), Limits::default());
        let bounds = |CallLimits { question_timeout, max_calls, max_streams, stream_life, .. }: CallLimits| {
            (question_timeout, max_calls, max_streams, stream_life)
        };
        assert_eq!(bounds(serve.bounds), bounds(CallLimits::default()));
        assert_eq!(serve.drain_delay, Service::default().drain_delay);
        assert_eq!(format!("{:?}", serve.transport), format!("{:?}", Transport::default()));
        assert_eq!(serve.feed.feed_heartbeat, Feed::default().feed_heartbeat);
        assert!(days("36500").is_err() && days("-1").is_err() && positive_seconds("0").is_err());
    }

    #[test]
    fn seconds_accepts_non_negative_numbers_below_a_century() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["-1", "ten", "NaN", "1e300", "3153600000"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
