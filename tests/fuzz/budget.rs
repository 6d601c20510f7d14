//! Runs a target on its corpus, then on random changes of it for a time.

use std::{
    any::Any,
    env, fs,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{mutate::mutate, targets::Target};
use crate::{
    faults::rng::Chance,
    support::{allocations, repository::root},
};

/// The environment variable with the seconds that each target runs.
const VARIABLE: &str = "READOUT_FUZZ";
/// Seconds for each target in `cargo test`.
const DEFAULT_SECONDS: f64 = 1.0;
/// Maximum time that a target may compute on one input of at most 64 KiB, in a build without optimisation.
const MAX_CPU: Duration = Duration::from_secs(2);
/// A target that takes longer than this for one input does not end.
const HANG: Duration = Duration::from_secs(60);
/// Maximum memory that a target may hold for one input.
const MAX_BYTES: usize = 128 << 20;
/// Maximum number of random inputs that are kept, beside the corpus, as the basis of others.
const MAX_KEPT: usize = 256;

/// The time that each target runs.
pub fn budget() -> Duration {
    let given = env::var(VARIABLE).ok().map(|seconds| seconds.parse().expect("READOUT_FUZZ is a number of seconds"));
    Duration::from_secs_f64(given.unwrap_or(DEFAULT_SECONDS))
}

/// The inputs of a corpus, in the order of their names.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("tests/fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("readable")).collect()
}

/// A message of the thread that runs a target.
enum Progress {
    /// Inputs were read since the last message.
    Alive,
    /// The time is over. Holds the number of inputs.
    Done(usize),
    /// The target failed on the current input.
    Failed(String),
}

/// Runs a target for its time, on its corpus and on these further inputs. Panics with the seed and the path of the input
/// if the target panics, does not end, or takes too much time or memory.
pub fn fuzz(target: &'static Target, more: Vec<Vec<u8>>) {
    let seed = Chance::seed();
    let current = Arc::new(Mutex::new(Vec::new()));
    let (sender, receiver) = mpsc::channel();
    let shared = Arc::clone(&current);
    // A thread of its own, which an input may block for ever.
    thread::spawn(move || {
        let run = AssertUnwindSafe(|| run(target, more, seed, &shared, &sender));
        let last = panic::catch_unwind(run).unwrap_or_else(|error| Progress::Failed(message(&*error)));
        let _ = sender.send(last);
    });
    let problem = loop {
        match receiver.recv_timeout(HANG) {
            Ok(Progress::Alive) => {}
            Ok(Progress::Done(count)) => return println!("{}: {count} inputs", target.name),
            Ok(Progress::Failed(problem)) => break problem,
            Err(_) => break format!("does not end within {HANG:?}"),
        }
    };
    let input = current.lock().unwrap_or_else(PoisonError::into_inner);
    let path = save(target.name, &input);
    panic!(
        "{}: {problem}\ninput: {} bytes in {}\nREADOUT_SEED={seed} repeats the run; a copy in tests/fuzz/corpus/{0}/ \
         makes the input part of it",
        target.name,
        input.len(),
        path.display()
    );
}

fn run(
    target: &Target,
    more: Vec<Vec<u8>>,
    seed: u64,
    current: &Mutex<Vec<u8>>,
    progress: &mpsc::Sender<Progress>,
) -> Progress {
    let mut chance = Chance::of(seed, target.name);
    let mut reported = Instant::now();
    let mut check = |input: &[u8]| {
        input.clone_into(&mut current.lock().unwrap_or_else(PoisonError::into_inner));
        run_bounded(target, input);
        if reported.elapsed() > Duration::from_secs(1) {
            reported = Instant::now();
            let _ = progress.send(Progress::Alive);
        }
    };
    let inputs: Vec<Vec<u8>> = corpus(target.name).into_iter().chain(more).collect();
    assert!(!inputs.is_empty(), "the corpus of {} is empty", target.name);
    inputs.iter().for_each(|input| check(input));
    let mut count = inputs.len();
    // The basis of random inputs: the corpus, and some of the inputs made from it.
    let mut basis = inputs;
    let fixed = basis.len();
    let (start, time) = (Instant::now(), budget());
    while start.elapsed() < time {
        let from = chance.below(basis.len() as u64) as usize;
        let input = mutate(&basis[from], target.input, &basis, &mut chance);
        check(&input);
        count += 1;
        if chance.once_in(8) {
            if basis.len() < fixed + MAX_KEPT {
                basis.push(input);
            } else {
                let at = fixed + chance.below(MAX_KEPT as u64) as usize;
                basis[at] = input;
            }
        }
    }
    Progress::Done(count)
}

/// Runs a target on one input, and asserts that it takes neither too long nor too much memory.
fn run_bounded(target: &Target, input: &[u8]) {
    let start = Instant::now();
    let bytes = allocations::peak(|| (target.run)(input));
    assert!(bytes <= MAX_BYTES, "holds {bytes} bytes for one input");
    if start.elapsed() > MAX_CPU {
        // Another process may have delayed the first try.
        let before = cpu_time();
        (target.run)(input);
        let took = cpu_time() - before;
        assert!(took <= MAX_CPU, "computes for {took:?}");
    }
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has schedstat");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number"))
}

fn message(error: &(dyn Any + Send)) -> String {
    let text = error.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| error.downcast_ref::<&str>().copied()).unwrap_or("panics").to_owned()
}

/// Writes a failing input to a file below `target/fuzz/`.
pub fn save(target: &str, input: &[u8]) -> PathBuf {
    let folder = root().join("target/fuzz/failures").join(target);
    fs::create_dir_all(&folder).expect("created");
    let path = folder.join(&blake3::hash(input).to_hex()[..16]);
    fs::write(&path, input).expect("written");
    path
}
