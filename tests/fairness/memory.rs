//! The memory of the service during all attacks at once, against the worst case in the section *Memory* of `ops/reference.md`.

use std::{process::Command, time::Duration};

use super::{attack::Attack, behaviours, stage::Stage};

/// The limits of the service in this test, which make the worst case small.
const LIMITS: [(&str, u64); 6] = [
    ("--max-connections", 400),
    ("--max-calls", 256),
    ("--max-streams", 400),
    ("--max-request-mib", 16),
    ("--max-unsent-mib", 16),
    ("--pool-pages", 4),
];
/// The attacks that take memory. Together they exceed every limit.
const ATTACKS: [&str; 9] = [
    "60 slow bodies of 7.9 MiB",
    "unfinished writes, again and again",
    "64 large pages",
    "500 unread pages",
    "64 batch reads of 1,000 names",
    "64 exports",
    "500 unread streams of WatchChanges",
    "500 unread streams of StreamArticles",
    "15,000 health watches without credentials",
];
const TIME: Duration = Duration::from_secs(6);

/// The worst case in KiB: the table in `ops/reference.md` for these limits, without views of meetings with many reports.
fn worst_case_kib() -> u64 {
    let limit = |flag: &str| LIMITS.iter().find(|(name, _)| *name == flag).map_or(0, |(_, limit)| *limit);
    let shared = |limit: u64| limit + (limit / 8).max(1);
    let (mib, streams) = (1024, shared(limit("--max-streams")) + shared(1_024));
    limit("--max-connections") * 164
        + 8 * 6 * mib
        + streams * 40
        + shared(limit("--max-calls")) * 32
        + shared(limit("--max-request-mib")) * 2 * mib
        + (shared(limit("--max-unsent-mib")) + 4 * 4) * mib
        + (5 * 40 + 9 * 8 + shared(limit("--pool-pages")) * 8 + 16 + 36 + 32) * mib
}

/// An allocation beyond the limit would end the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn service_survives_all_attacks_at_once_within_the_worst_case_of_memory() {
    let limits: Vec<String> = LIMITS.iter().flat_map(|(flag, limit)| [(*flag).to_owned(), limit.to_string()]).collect();
    let stage = Stage::start_with(200, &limits).await;
    let start_kib = stage.address_space_kib();
    let bytes = (start_kib + worst_case_kib()) * 1024;
    let limited = Command::new("prlimit").args(["--pid", &stage.pid().to_string(), &format!("--as={bytes}")]).status();
    assert!(limited.expect("prlimit is part of util-linux").success());
    let attacks: Vec<Attack> = behaviours::all()
        .into_iter()
        .filter(|behaviour| ATTACKS.contains(&behaviour.name.as_str()))
        .map(|behaviour| {
            let attack = Attack::new(stage.target(), behaviour.source);
            (behaviour.start)(&attack);
            attack
        })
        .collect();
    assert_eq!(attacks.len(), ATTACKS.len());
    tokio::time::sleep(TIME).await;
    let usage = stage.usage().expect("the service is alive");
    println!(
        "{} MiB resident at most; the address space may grow by {} MiB",
        usage.peak_kib / 1024,
        worst_case_kib() / 1024
    );
    for attack in attacks {
        attack.end().await;
    }
    let calls = stage.polite().await.call_for(Duration::from_secs(2)).await;
    assert!(calls.lost.is_empty(), "{:?}", calls.lost);
    stage.stop().await;
}
