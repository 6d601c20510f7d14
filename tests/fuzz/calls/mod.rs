//! Calls with mutated messages, frames and metadata to every method of a running service. Each call is answered with a
//! status of the contract, and the store has its writes whole or not at all.

mod requests;
mod send;
mod store;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    panic,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::runtime::Builder;
use tonic::Code;

use self::{
    requests::Seed,
    send::{Answer, Connection},
};
use super::budget::{budget, save};
use crate::{errors::bad_input::world::World, faults::rng::Chance};

/// The name of the threads on which the service runs.
const THREADS: &str = "fuzzed service";
/// The number of calls at a time.
const CONCURRENT: usize = 12;
/// The share of the time of a target: a call costs more than an input.
const TIMES: u32 = 2;
/// The fewest calls of a run, whatever its time.
const MIN_CALLS: usize = 400;

/// A call that was made, and its answer.
struct Call {
    method: &'static str,
    /// The actor, which is unique; another one if the metadata was mutated.
    actor: String,
    answer: Answer,
}

/// The progress of all callers of a run.
struct Run {
    seeds: Vec<Seed>,
    next: AtomicUsize,
    calls: Mutex<Vec<Call>>,
    defects: Mutex<Vec<String>>,
    end: Instant,
}

#[test]
fn mutated_call_of_every_method_is_answered_and_written_whole_or_not_at_all() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() == Some(THREADS) {
            PANICS.fetch_add(1, Relaxed);
        }
        hook(info);
    }));
    let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(THREADS).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let seed = Chance::seed();
    // The test itself runs on a thread of another name.
    let (calls, mut defects) = runtime.block_on(call_and_compare(seed));
    println!("{}", table(&calls));
    if PANICS.load(Relaxed) > 0 {
        defects.push(format!("{} panics in the service", PANICS.load(Relaxed)));
    }
    defects.truncate(20);
    assert!(defects.is_empty(), "READOUT_SEED={seed}\n{}", defects.join("\n"));
}

/// Makes the calls, and returns them with the defects that they show.
async fn call_and_compare(seed: u64) -> (Vec<Call>, Vec<String>) {
    let mut world = World::new().await;
    let seeds = requests::all(&mut world).await;
    let run = Arc::new(Run {
        next: AtomicUsize::new(seeds.len()),
        calls: Mutex::default(),
        defects: Mutex::default(),
        end: Instant::now() + budget() * TIMES + Duration::from_secs(2),
        seeds,
    });
    run.call_unchanged(world.service.address).await;
    let callers = (0..CONCURRENT).map(|caller| {
        let (run, address) = (Arc::clone(&run), world.service.address);
        tokio::spawn(async move { run.call(address, Chance::of(seed, &format!("caller {caller}"))).await })
    });
    for caller in join_all(callers).await {
        caller.expect("a caller does not panic");
    }
    let Run { calls, defects, .. } = Arc::into_inner(run).expect("all callers have ended");
    let calls = calls.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut defects = defects.into_inner().unwrap_or_else(PoisonError::into_inner);
    defects.extend(store::problems(world.service, &calls).await);
    (calls, defects)
}

impl Run {
    /// Makes the valid calls that write nothing.
    async fn call_unchanged(&self, address: SocketAddr) {
        let mut connection = Connection::open(address).await;
        for (number, seed) in self.seeds.iter().enumerate().filter(|(_, seed)| !seed.is_writing) {
            let request = seed.request(number);
            let answer = connection.send(&request).await;
            if !matches!(answer, Answer::Status { code: Code::Ok, .. }) {
                self.defect(seed.method, format!("a valid call is refused: {answer}"));
            }
            self.record(seed.method, request.actor, answer);
        }
    }

    /// Makes mutated calls one after another until the time is over.
    async fn call(&self, address: SocketAddr, mut chance: Chance) {
        let mut connection = Connection::open(address).await;
        let corpus: Vec<Vec<u8>> = self.seeds.iter().map(|seed| seed.message.clone()).collect();
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= MIN_CALLS && Instant::now() >= self.end {
                return;
            }
            let seed = &self.seeds[chance.below(self.seeds.len() as u64) as usize];
            let request = seed.mutated(number, &corpus, &mut chance);
            let started = Instant::now();
            let answer = connection.send(&request).await;
            if let Some(problem) = problem(&answer) {
                let (path, took) = (save("calls", &request.body), started.elapsed());
                let (path, headers) = (path.display(), &request.headers);
                let description = format!("{problem} after {took:?}: {answer}, body in {path}, metadata {headers:?}");
                self.defect(seed.method, description);
            }
            self.record(seed.method, request.actor, answer);
        }
    }

    fn defect(&self, method: &str, description: String) {
        self.defects.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method}: {description}"));
    }

    fn record(&self, method: &'static str, actor: String, answer: Answer) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call { method, actor, answer });
    }
}

fn is_defect(code: &Code) -> bool {
    matches!(code, Code::Internal | Code::Unknown | Code::DataLoss)
}

/// The reason why an answer is a defect of the service.
fn problem(answer: &Answer) -> Option<&'static str> {
    match answer {
        Answer::Hang => Some("no answer in time"),
        Answer::Cut(_) => Some("the connection was cut"),
        Answer::Status { code, stories, .. } if [code].into_iter().chain(stories).any(is_defect) => Some("a defect"),
        Answer::Http(500..) => Some("a defect"),
        Answer::Status { code: Code::Unavailable, .. } => Some("unavailable"),
        Answer::Status { code, has_reason: false, .. } if *code != Code::Ok => Some("a status without a reason"),
        Answer::Status { .. } | Answer::Http(_) => None,
    }
}

/// The number of answers of each kind.
fn table(calls: &[Call]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        let kind = match &call.answer {
            Answer::Status { code, .. } => format!("{code:?}"),
            Answer::Http(status) => format!("HTTP {status}"),
            Answer::Cut(_) => "cut".to_owned(),
            Answer::Hang => "hang".to_owned(),
        };
        *counts.entry(kind).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    format!("{} calls: {}", calls.len(), counts.join(", "))
}
