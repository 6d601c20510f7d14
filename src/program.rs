//! The `readout` program: reads the command line, initialises telemetry, runs the command and returns its exit status.

use std::{
    io::{self, Write},
    process::{self, ExitCode},
};

use clap::{ArgMatches, FromArgMatches};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tokio_rustls::rustls::crypto::aws_lc_rs;

use crate::{
    admin, cli,
    config::{Admin, Args, Command, Token, print_config},
    database, error_chain, server, telemetry,
};

/// Runs the program on the arguments and the environment of the process. Returns its exit status.
#[tokio::main]
pub async fn main() -> ExitCode {
    // Fails only if a provider is installed already.
    let _ = aws_lc_rs::default_provider().install_default();
    let given = Args::matches();
    let args = Args::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    run(args, &given).await.unwrap_or_else(|error| {
        eprintln!("readout: {}", cli::escape::text(&error_chain::in_one_line(error.as_ref())));
        ExitCode::from(2)
    })
}

async fn run(args: Args, given: &ArgMatches) -> anyhow::Result<ExitCode> {
    let operations = match &args.command {
        Command::Serve(serve) => Some(&serve.operations),
        _ => None,
    };
    let traces = telemetry::init(&args.log, operations)?;
    let code = execute(args.command, given).await;
    traces.end().await;
    code
}

async fn execute(command: Command, given: &ArgMatches) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(serve) => Ok(log_failure(server::run(*serve, shutdown()?).await)),
        Command::Config(serve) => {
            server::check(&serve).await?;
            io::stdout().write_all(print_config::settings(given).as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Migrate(options) => Ok(log_failure(database::migrate(options).await)),
        Command::Import(import) => cli::import::run(import).await,
        Command::Export(export) => cli::export::run(export).await,
        Command::Watch(watch) => cli::watch::run(watch).await,
        Command::Audit(audit) => cli::audit::run(audit).await,
        Command::Duplicates(duplicates) => cli::duplicates::run(duplicates).await,
        Command::Completions(shell) => cli::manual::completions(&shell),
        Command::Man(man) => cli::manual::man(&man),
        Command::Token(Token::Create(token)) => Ok(log_failure(admin::token::create(token).await)),
        Command::Token(Token::List(tokens)) => Ok(log_failure(admin::token::list(tokens).await)),
        Command::Token(Token::Revoke(token)) => Ok(log_failure(admin::token::revoke(token).await)),
        Command::Admin(Admin::NewEpoch(database)) => Ok(log_failure(admin::new_epoch(database).await)),
        Command::Admin(Admin::Expunge(expunge)) => Ok(log_failure(admin::expunge(expunge).await)),
        Command::Admin(Admin::Reindex(database)) => Ok(log_failure(admin::reindex(database).await)),
    }
}

/// Logs the error of a command that has a log, and returns its exit status.
fn log_failure(outcome: Result<(), impl Into<anyhow::Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", error_chain::in_one_line(error.into().as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Returns a future that resolves at the first SIGTERM or ctrl-c. Signals are caught from this call on, before the
/// future is polled. A second signal ends the process at once.
fn shutdown() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
            _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
        }
    };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(async move {
        next().await;
        tracing::info!("stopping; a second signal ends the process at once");
        let _ = stop.send(());
        process::exit(next().await)
    });
    Ok(async {
        let _ = stopped.await;
    })
}
