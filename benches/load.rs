//! Keeps so many calls in flight for so long, on one side and the other by turns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;

/// Calls in flight where a figure does not say otherwise.
pub const IN_FLIGHT: usize = 64;
/// Connections that they share.
pub const CONNECTIONS: usize = 4;
/// Short ones: what else the machine does is then the same for both sides of a pair.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(400);
const WARM_UP: Duration = Duration::from_millis(400);

/// Makes one call; each gets a number of its own. Panics when it fails.
pub type Call = Arc<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>;

/// What is to be called.
pub fn call<F: Future<Output = ()> + Send + 'static>(make: impl Fn(u64) -> F + Send + Sync + 'static) -> Call {
    Arc::new(move |number| Box::pin(make(number)))
}

/// A side of a comparison: calls a second, the median of the rounds, and their latencies.
#[derive(Debug)]
pub struct Side {
    rates: Vec<f64>,
    latencies: Vec<Duration>,
}

impl Side {
    pub fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// How much faster it is than another side: the median of the rounds, each with its neighbour in time.
    pub fn times(&self, other: &Self) -> f64 {
        median(self.rates.iter().zip(&other.rates).map(|(mine, theirs)| mine / theirs).collect())
    }

    /// How much sooner than another side it answers, in the middle: where calls come one by one, what else the machine
    /// does weighs more on their sum.
    pub fn times_sooner(&self, other: &Self) -> f64 {
        let p50 = |side: &Self| millis(percentile(&mut side.latencies.clone(), 0.5));
        p50(other) / p50(self)
    }

    /// For the table.
    pub fn words(&self) -> String {
        let mut latencies = self.latencies.clone();
        let (p50, p99) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
        format!("{:.0}/s, p50 {:.2} p99 {:.1} ms", self.rate(), millis(p50), millis(p99))
    }
}

/// Each of these in turn, again and again.
pub async fn compare<const N: usize>(in_flight: usize, calls: [&Call; N]) -> [Side; N] {
    let mut sides = calls.map(|_| Side { rates: Vec::new(), latencies: Vec::new() });
    for call in calls {
        run(call, in_flight, WARM_UP).await;
    }
    for _ in 0..ROUNDS {
        for (side, call) in sides.iter_mut().zip(calls) {
            let begin = Instant::now();
            let latencies = run(call, in_flight, ROUND).await;
            side.rates.push(latencies.len() as f64 / begin.elapsed().as_secs_f64());
            side.latencies.extend(latencies);
        }
    }
    sides
}

/// The latencies of all calls that were made.
pub async fn run(call: &Call, in_flight: usize, duration: Duration) -> Vec<Duration> {
    let end = Instant::now() + duration;
    let workers = (0..in_flight).map(|_| {
        let call = Arc::clone(call);
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let begin = Instant::now();
                call(next_number()).await;
                latencies.push(begin.elapsed());
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        latencies.extend(worker.await.expect("no call fails"));
    }
    latencies
}

/// A number that no other call has.
pub fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that this part of all are below.
pub fn percentile(values: &mut [Duration], part: f64) -> Duration {
    values.sort_unstable();
    values[((values.len() as f64 * part) as usize).min(values.len() - 1)]
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
