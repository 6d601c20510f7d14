//! Fault injection: the change feed keeps its promises under every fault. Writers and watchers run while a fault is
//! injected, and one validator checks their histories. `make faults` runs all faults, an ordinary test run only some.
//! READOUT_SEED repeats the choices of a run. READOUT_FAULTS selects the faults whose name contains it.

mod database_connection;
mod database_restart;
mod database_session;
mod dump_restore;
mod failover;
mod flawed_feed;
mod history;
mod instance_killed;
pub mod instances;
mod lagging_standby;
pub mod pair;
pub mod postgres_programs;
mod proxy;
mod ring;
pub mod rng;
mod run;
mod run_options;
mod slow_watchers;
mod standby;
mod validator;
mod validator_tests;
mod watcher;
mod writer;

use std::{env, pin::Pin, time::Duration};

use futures_util::future::join_all;
use tokio::{
    runtime::Builder,
    time::{Instant, timeout},
};

use self::{rng::Chance, run::Outcome, run_options::Plan};

/// A fault, and the run in which it is injected.
struct Fault {
    name: &'static str,
    run: fn(Plan) -> Pin<Box<dyn Future<Output = Outcome>>>,
    /// True if it belongs to an ordinary test run.
    is_ordinary: bool,
}

/// The time limit of a fault.
const FAULT_TIMEOUT: Duration = Duration::from_secs(300);

macro_rules! faults {
    ($($name:literal $run:path $(, $ordinary:ident)?;)*) => {
        [$(Fault {
            name: $name,
            run: |plan| Box::pin($run(plan)),
            is_ordinary: !<[&str]>::is_empty(&[$(stringify!($ordinary))?]),
        }),*]
    };
}

#[rustfmt::skip]
const FAULTS: [Fault; 23] = faults! {
    "service killed, at any moment"                     instance_killed::killed, ordinary;
    "service frozen, with the feed's lock"              instance_killed::frozen;
    "database stopped, fast"                            database_restart::stopped_fast;
    "database stopped, immediate"                       database_restart::stopped_at_once;
    "database killed"                                   database_restart::killed;
    "sessions terminated"                               database_session::terminated, ordinary;
    "notifications lost, doubled, late"                 database_session::notified_wrongly;
    "snapshot and transactions held open"               database_session::run_session_held_open, ordinary;
    "feed's lock held by a stranger"                    database_session::locked_out;
    "wire cut"                                          database_connection::cut, ordinary;
    "wire dead"                                         database_connection::dead;
    "wire dead for good"                                database_connection::stranded;
    "wire slow"                                         database_connection::slow;
    "retention outruns readers"                         slow_watchers::outrun_by_retention;
    "begun around the head"                             slow_watchers::around_the_head;
    "1,000 watchers, one stuck, one slow"               slow_watchers::run_thousand_watchers;
    "watcher behind the ring"                           ring::run_watcher_falls_behind;
    "tailer cut off within a page"                      ring::cut_off;
    "dump and restore"                                  dump_restore::restored;
    "standby promoted"                                  standby::promoted, ordinary;
    "standby promoted without its tail"                 standby::promoted_without_its_tail;
    "standby behind, mixed in"                          lagging_standby::mixed_in, ordinary;
    "failovers that lose changes"                       failover::failovers_that_lose_changes, ordinary;
};

#[tokio::test(flavor = "multi_thread")]
async fn change_feed_keeps_its_promises_under_faults() {
    let seed = Chance::seed();
    let selection = env::var("READOUT_FAULTS").unwrap_or_default();
    let is_selected = |fault: &&Fault| match selection.as_str() {
        "" => fault.is_ordinary,
        "all" => true,
        part => fault.name.contains(part),
    };
    eprintln!("READOUT_SEED={seed}");
    let plan = Plan { seed, is_long: !selection.is_empty() };
    let faults: Vec<_> = FAULTS.iter().filter(is_selected).collect();
    assert!(!faults.is_empty(), "no fault has READOUT_FAULTS={selection} in its name");
    let verdicts = match selection.is_empty() {
        // In parallel, because other tests wait.
        true => join_all(faults.into_iter().map(|fault| run_and_print(fault, plan))).await,
        false => {
            println!("{:40} {:>9} {:>15} {:>7}  verdict", "fault", "histories", "changes checked", "seconds");
            let mut verdicts = Vec::new();
            for fault in faults {
                verdicts.push(run_and_print(fault, plan).await);
            }
            verdicts
        }
    };
    assert!(verdicts.iter().all(|is_kept| *is_kept), "a promise was not kept: READOUT_SEED={seed}");
}

/// Runs a fault and prints its result. Returns true if all promises were kept.
async fn run_and_print(fault: &Fault, plan: Plan) -> bool {
    let start = Instant::now();
    let run = fault.run;
    // In its own thread and runtime, so that a panic is a verdict too and no task outlives the fault.
    let ran = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async { timeout(FAULT_TIMEOUT, run(plan)).await })
    });
    let failure = |what| Outcome { failures: vec![what], ..Outcome::default() };
    let outcome = match ran.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => failure(format!("not done after {FAULT_TIMEOUT:?}")),
        Err(panic) => failure(panic.to_string()),
    };
    let Outcome { histories, changes, failures } = outcome;
    let verdict = match failures.len() {
        0 => "kept".to_owned(),
        count => format!("NOT KEPT ({count})"),
    };
    let seconds = start.elapsed().as_secs_f64();
    println!("{:40} {histories:>9} {changes:>15} {seconds:>7.1}  {verdict}", fault.name);
    failures.iter().take(10).for_each(|failure| println!("    {failure}"));
    failures.is_empty()
}
