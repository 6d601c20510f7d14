//! `make bench`: how fast the service is beside what it could be at best, each figure beside its baseline in the same
//! run, since only their ratio means something on another machine. Client, service and database share its processors.
//!
//! `load` keeps calls in flight, `unary` serves the baselines, `table` prints what came of it; the other files measure
//! one noun each. A call that fails ends the run.

mod change;
mod cluster;
mod guarded;
mod history;
mod ingest;
mod load;
mod meeting;
mod participant;
mod report;
mod settle;
mod table;
mod unary;
mod watch;

#[path = "../tests/support/authority.rs"]
#[allow(dead_code)]
mod authority;
#[path = "../tests/support/data_dir.rs"]
#[allow(dead_code)]
mod data_dir;
#[path = "../tests/support/make.rs"]
#[allow(dead_code)]
mod make;
#[path = "../tests/support/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "../tests/support/service.rs"]
#[allow(dead_code)]
mod service;
#[path = "../tests/support/stories.rs"]
#[allow(dead_code)]
mod stories;

use std::time::Instant;

use self::table::Table;

/// `cargo bench -- meeting watch` measures these alone.
fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let is_wanted = |noun: &str| wanted.is_empty() || wanted.iter().any(|one| one == noun);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begin = Instant::now();
    let mut table = Table::default();
    if is_wanted("settle") {
        settle::measure(&mut table);
    }
    runtime.block_on(async {
        if is_wanted("participant") {
            participant::measure(&mut table).await;
        }
        if is_wanted("meeting") {
            meeting::measure(&mut table).await;
        }
        if is_wanted("report") {
            report::measure(&mut table).await;
        }
        if is_wanted("history") {
            history::measure(&mut table).await;
        }
        if is_wanted("ingest") {
            ingest::measure(&mut table).await;
        }
        if is_wanted("guarded") {
            guarded::measure(&mut table).await;
        }
        if is_wanted("watch") {
            watch::measure(&mut table).await;
        }
        if is_wanted("change") {
            change::measure(&mut table).await;
        }
    });
    println!("{table}");
    println!("took {} s", begin.elapsed().as_secs());
}
