//! The `readout` program: reads its configuration and does what the command says.

use std::process::{self, ExitCode};

use clap::Parser;
use readout::{
    admin, cli,
    config::{Admin, Args, Command, Log},
    server, telemetry,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tokio_rustls::rustls::crypto::aws_lc_rs;

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only where there is one already.
    let _ = aws_lc_rs::default_provider().install_default();
    run(Args::parse()).await.unwrap_or_else(|error| {
        eprintln!("readout: {error:#}");
        ExitCode::from(2)
    })
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Log { log, .. } = &args.log;
    telemetry::init(&args.log).map_err(|error| anyhow::anyhow!("--log {log:?} is not a filter: {error}"))?;
    match args.command {
        Command::Serve(serve) => Ok(logged(server::run(serve, shutdown()?).await)),
        Command::Migrate(database) => Ok(logged(server::migrate(database).await)),
        Command::Import(import) => cli::import::run(import).await,
        Command::Export(export) => cli::export::run(export).await,
        Command::Watch(watch) => cli::watch::run(watch).await,
        Command::Admin(Admin::NewEpoch(database)) => Ok(logged(admin::new_epoch(database).await)),
        Command::Admin(Admin::Expunge(expunge)) => Ok(logged(admin::expunge(expunge).await)),
        Command::Admin(Admin::Reindex(database)) => Ok(logged(admin::reindex(database).await)),
    }
}

/// The end of a service belongs in its log.
fn logged(outcome: Result<(), impl Into<anyhow::Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{:#}", error.into());
            ExitCode::FAILURE
        }
    }
}

/// Ends at the first SIGTERM or ctrl-c. Signals are caught from the call on, not only once it is awaited; a second
/// one ends the process at once.
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
