//! `make bench`: the speed of the service compared with baselines. Each figure has a baseline from the same run,
//! because only the ratio carries over to another machine. Client, service and database share the processors.
//!
//! `load` keeps calls in flight, `unary` serves the baselines, `table` prints the results; each other file measures
//! one noun. A call that fails ends the run.

mod audit;
mod change;
mod cluster;
mod history;
mod ingest;
mod load;
mod meeting;
mod participant;
mod peers;
mod report;
mod security_cost;
mod settle;
mod table;
mod unary;
mod watch;
mod waterfall;

#[path = "../tests/support/certificate_authority.rs"]
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

/// `cargo bench -- meeting watch` runs these benchmarks alone. `peers` runs only if it is named: it needs other languages.
fn main() {
    let selection: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let is_selected = |noun: &str| selection.is_empty() || selection.iter().any(|name| name == noun);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begin = Instant::now();
    if let [noun, call] = selection.as_slice()
        && noun == "waterfall"
    {
        return runtime.block_on(waterfall::print(call));
    }
    let mut table = Table::default();
    if is_selected("settle") {
        settle::measure(&mut table);
    }
    runtime.block_on(async {
        if is_selected("participant") {
            participant::measure(&mut table).await;
        }
        if is_selected("meeting") {
            meeting::measure(&mut table).await;
        }
        if is_selected("report") {
            report::measure(&mut table).await;
        }
        if is_selected("history") {
            history::measure(&mut table).await;
        }
        if is_selected("ingest") {
            ingest::measure(&mut table).await;
        }
        if is_selected("guarded") {
            security_cost::measure(&mut table).await;
        }
        if is_selected("watch") {
            watch::measure(&mut table).await;
        }
        if is_selected("change") {
            change::measure(&mut table).await;
        }
        if selection.iter().any(|name| name == "peers") {
            peers::measure(&mut table).await;
        }
        // Last: it has a log.
        if is_selected("audit") {
            audit::measure(&mut table).await;
        }
    });
    println!("{table}");
    println!("took {} s", begin.elapsed().as_secs());
}
