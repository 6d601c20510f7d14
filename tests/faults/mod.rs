//! What the change feed promises, whatever happens: histories of writers and watchers around faults, each checked by
//! one validator. `make faults` runs them all; an ordinary run of the tests has some. READOUT_SEED repeats the choices
//! of a run, and READOUT_FAULTS has words of the names of those that are wanted.

pub mod chance;
mod crowd;
pub mod fleet;
mod hand_made;
mod history;
mod moved;
mod plan;
mod postgres;
pub mod programs;
mod proxy;
mod reader;
mod recorder;
mod sequence;
mod service;
mod session;
pub mod standby;
mod validator;
mod watcher;
mod wire;
mod writer;

use std::{env, pin::Pin, time::Duration};

use futures_util::future::join_all;
use tokio::{
    runtime::Builder,
    time::{Instant, timeout},
};

use self::{chance::Chance, plan::Plan, recorder::Outcome};

/// A fault with what goes on around it.
struct Fault {
    name: &'static str,
    run: fn(Plan) -> Pin<Box<dyn Future<Output = Outcome>>>,
    /// Whether it belongs to an ordinary run.
    is_ordinary: bool,
}

/// No fault takes longer.
const LONGEST: Duration = Duration::from_secs(120);

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
const FAULTS: [Fault; 21] = faults! {
    "service killed, at any moment"                     service::killed, ordinary;
    "service frozen, with the feed's lock"              service::frozen;
    "database stopped, fast"                            postgres::stopped_fast;
    "database stopped, immediate"                       postgres::stopped_at_once;
    "database killed"                                   postgres::killed;
    "sessions terminated"                               session::terminated, ordinary;
    "notifications lost, doubled, late"                 session::notified_wrongly;
    "snapshot and transactions held open"               session::held_open, ordinary;
    "feed's lock held by a stranger"                    session::locked_out;
    "wire cut"                                          wire::cut, ordinary;
    "wire dead"                                         wire::dead;
    "wire dead for good"                                wire::stranded;
    "wire slow"                                         wire::slow;
    "retention outruns readers"                         reader::outrun_by_retention;
    "begun around the head"                             reader::around_the_head;
    "1,000 watchers, one stuck, one slow"               reader::a_thousand;
    "watcher behind the ring"                           crowd::fallen_behind;
    "tailer cut off within a page"                      crowd::cut_off;
    "dump and restore"                                  moved::restored;
    "standby promoted"                                  standby::promoted;
    "standby promoted without its tail"                 standby::promoted_without_its_tail;
};

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_keeps_its_promises_whatever_happens() {
    let seed = Chance::seed();
    let wanted = env::var("READOUT_FAULTS").unwrap_or_default();
    let is_wanted = |fault: &&Fault| match wanted.as_str() {
        "" => fault.is_ordinary,
        "all" => true,
        word => fault.name.contains(word),
    };
    eprintln!("READOUT_SEED={seed}");
    let plan = Plan { seed, is_long: !wanted.is_empty() };
    let faults: Vec<_> = FAULTS.iter().filter(is_wanted).collect();
    assert!(!faults.is_empty(), "READOUT_FAULTS={wanted} is in no name");
    let told = match wanted.is_empty() {
        // Beside others, which have to wait for no one.
        true => join_all(faults.into_iter().map(|fault| tell(fault, plan))).await,
        false => {
            println!("{:40} {:>9} {:>15} {:>7}  verdict", "fault", "histories", "changes checked", "seconds");
            let mut told = Vec::new();
            for fault in faults {
                told.push(tell(fault, plan).await);
            }
            told
        }
    };
    assert!(told.iter().all(|is_kept| *is_kept), "a promise was not kept: READOUT_SEED={seed}");
}

/// Runs a fault and prints what came of it; whether that is as it should be.
async fn tell(fault: &Fault, plan: Plan) -> bool {
    let begun = Instant::now();
    let run = fault.run;
    // In a thread and a runtime of its own, so that a panic is a verdict too, and nothing outlives it.
    let ran = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async { timeout(LONGEST, run(plan)).await })
    });
    let wrong = |what| Outcome { wrong: vec![what], ..Outcome::default() };
    let outcome = match ran.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => wrong(format!("not done after {LONGEST:?}")),
        Err(panic) => wrong(panic.to_string()),
    };
    let Outcome { histories, changes, wrong } = outcome;
    let verdict = match wrong.len() {
        0 => "kept".to_owned(),
        count => format!("NOT KEPT ({count})"),
    };
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:40} {histories:>9} {changes:>15} {seconds:>7.1}  {verdict}", fault.name);
    wrong.iter().take(10).for_each(|what| println!("    {what}"));
    wrong.is_empty()
}
