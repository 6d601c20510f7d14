//! How long it takes to be answered.

use std::time::{Duration, Instant};

use tonic::transport::Channel;

use super::{asker::Asker, shapes::Shape};

/// One after the other.
const CALLS: usize = 200;
const WARM_UP: usize = 20;
/// Calls that take long are fewer, but some.
const LONGEST: Duration = Duration::from_secs(10);
const FEWEST: usize = 5;

/// How long calls of one shape took.
#[derive(Debug, Clone)]
pub struct Times {
    pub p50: Duration,
    pub p99: Duration,
    /// Records or rows of an answer, on average.
    pub rows: f64,
    /// How the first call failed, if any did.
    pub failure: Option<String>,
}

/// Asks questions of a shape.
pub async fn measure(shape: &Shape, mut asker: Asker<'_>, to: &Channel) -> Times {
    let (begin, mut warm) = (Instant::now(), 0);
    while warm < WARM_UP && begin.elapsed() < LONGEST / 5 {
        let _ = (shape.question)(&mut asker).count(to).await;
        warm += 1;
    }
    let (mut latencies, mut rows, mut failure) = (Vec::new(), 0, None);
    let begin = Instant::now();
    while latencies.len() < FEWEST || (latencies.len() < CALLS && begin.elapsed() < LONGEST) {
        let question = (shape.question)(&mut asker);
        let asked = Instant::now();
        match question.count(to).await {
            Ok(count) => rows += count,
            Err(status) => failure = failure.or(Some(format!("{question}: {}", status.message()))),
        }
        latencies.push(asked.elapsed());
    }
    let rows = rows as f64 / latencies.len() as f64;
    Times { p50: percentile(&mut latencies, 0.5), p99: percentile(&mut latencies, 0.99), rows, failure }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that this part of all are below.
fn percentile(values: &mut [Duration], part: f64) -> Duration {
    values.sort_unstable();
    values[((values.len() as f64 * part) as usize).min(values.len() - 1)]
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
