//! Keeps calls in flight for some time, alternating between the sides of a comparison.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;

/// Calls in flight, unless a figure states another number.
pub const IN_FLIGHT: usize = 64;
/// Connections that the calls share.
pub const CONNECTIONS: usize = 4;
/// Rounds are short, so that other load on the machine affects both sides alike.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(400);
const WARM_UP: Duration = Duration::from_millis(400);

/// Makes one call with a unique number. Panics when the call fails.
pub type Call = Arc<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>;

/// Wraps a function that makes a call.
pub fn call<F: Future<Output = ()> + Send + 'static>(make: impl Fn(u64) -> F + Send + Sync + 'static) -> Call {
    Arc::new(move |number| Box::pin(make(number)))
}

/// One side of a comparison: calls per second in each round, and the latencies of all calls.
#[derive(Debug)]
pub struct Side {
    rates: Vec<f64>,
    latencies: Vec<Duration>,
}

impl Side {
    /// Calls per second: the median of the rounds.
    pub fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// The median, over the rounds, of this side's rate divided by the other's.
    pub fn speedup(&self, other: &Self) -> f64 {
        median(self.rates.iter().zip(&other.rates).map(|(rate, other_rate)| rate / other_rate).collect())
    }

    /// The other side's median latency divided by that of this side. For sequential calls it is more robust than the
    /// rate, which depends on the sum of all latencies.
    pub fn latency_speedup(&self, other: &Self) -> f64 {
        millis(other.p50()) / millis(self.p50())
    }

    /// The median latency.
    pub fn p50(&self) -> Duration {
        percentile(&mut self.latencies.clone(), 0.5)
    }

    /// The figures for the table.
    pub fn summary(&self) -> String {
        let mut latencies = self.latencies.clone();
        let (p50, p99) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
        format!("{:.0}/s, p50 {:.2} p99 {:.1} ms", self.rate(), millis(p50), millis(p99))
    }
}

/// Measures these calls in alternating rounds.
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

/// Makes calls for this duration and returns their latencies.
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

/// A unique number.
pub fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value at this fraction of the sorted values.
pub fn percentile(values: &mut [Duration], part: f64) -> Duration {
    values.sort_unstable();
    values[((values.len() as f64 * part) as usize).min(values.len() - 1)]
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
