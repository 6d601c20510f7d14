//! Fairness, seen from outside: while one caller attacks the service, another one is served as before.
//!
//! The service is the real program with default limits, on a database of its own. The *polite* caller makes paced calls
//! (`polite`), first alone and then during each attack of the *hostile* caller (`behaviours`). Both are writers with a
//! token of their own. `make test` runs a part of the table for a short time; `make overload` runs all of it and prints
//! the figures. Variables of the environment, for both:
//!
//! - `READOUT_OVERLOAD`: runs the whole table; a sixth of these seconds is the time of each attack.
//! - `READOUT_BEHAVIOUR`: runs the attacks whose names contain this text, or one of several texts separated by `|`.
//! - `READOUT_BIN`: the program to test, another build of the same contract.

mod attack;
mod behaviours;
mod calls;
mod connection;
mod connections;
mod measurement;
mod memory;
mod polite;
mod samples;
mod stage;
mod streams;

use std::{collections::HashSet, env, time::Duration};

use self::{
    behaviours::Behaviour,
    measurement::{Periods, Row, measure},
    stage::Stage,
    streams::StreamKind,
};

/// The sample stories that the service holds.
const STORIES_IN_SUITE: usize = 200;
const STORIES_IN_FULL: usize = 1_000;

/// The attacks to run.
fn chosen(is_full: bool) -> Vec<Behaviour> {
    let parts = env::var("READOUT_BEHAVIOUR").ok();
    let is_chosen = |behaviour: &Behaviour| match &parts {
        Some(parts) => parts.split('|').any(|part| behaviour.name.contains(part)),
        None => is_full || behaviour.is_in_suite,
    };
    behaviours::all().into_iter().filter(is_chosen).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "it needs the processors for itself: `make test` runs it after the others"]
async fn polite_caller_is_served_during_every_attack() {
    let seconds: Option<u64> = env::var("READOUT_OVERLOAD").ok().and_then(|seconds| seconds.parse().ok());
    let periods =
        seconds.map_or(Periods::SHORT, |seconds| Periods::with_attack(Duration::from_secs_f64(seconds as f64 / 6.0)));
    let mut stage = Stage::start(if seconds.is_some() { STORIES_IN_FULL } else { STORIES_IN_SUITE }).await;
    println!("{}", Row::HEADER);
    // Other tests of the suite may take the processors for a moment, which unfairness does not need.
    let attempts = if seconds.is_some() { 1 } else { 2 };
    let mut failures = Vec::new();
    for behaviour in chosen(seconds.is_some()) {
        // Memory that a former attack has left to the allocator would hide what this one takes.
        if behaviour.max_mib.is_some() && seconds.is_none() {
            stage = stage.restart().await;
        }
        for attempts_left in (0..attempts).rev() {
            let row = measure(&stage, &behaviour, &periods).await;
            println!("{row}");
            let failed = row.failures(&behaviour);
            // A process of its own for each attack shows its memory; after a failure the next attack needs one.
            if seconds.is_some() || !failed.is_empty() {
                stage = stage.restart().await;
            }
            if failed.is_empty() {
                break;
            }
            if attempts_left == 0 {
                failures.extend(failed.into_iter().map(|failure| format!("{}: {failure}", behaviour.name)));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    stage.stop().await;
}

/// A streaming method without an attack fails here. Unary methods are attacked by their class.
#[test]
fn every_streaming_method_has_an_attack() {
    let names: Vec<String> = behaviours::all().into_iter().map(|behaviour| behaviour.name).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "a name is given twice");
    for kind in StreamKind::all() {
        let unread = format!("unread streams of {kind}");
        let is_attacked = names.iter().any(|name| name.ends_with(&unread)) || kind == StreamKind::HealthWatch;
        assert!(is_attacked, "{kind}");
    }
}
