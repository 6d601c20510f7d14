//! Latencies of queries.

use std::time::{Duration, Instant};

use tonic::transport::Channel;

use super::{filter_values::Sampler, queries::Shape};

/// Sequential calls per shape.
const CALLS: usize = 200;
const WARM_UP: usize = 20;
/// A shape with slow calls stops after this time, but not before `FEWEST` calls.
const LONGEST: Duration = Duration::from_secs(10);
const FEWEST: usize = 5;

/// The latencies of one shape.
#[derive(Debug, Clone)]
pub struct Times {
    pub p50: Duration,
    pub p99: Duration,
    /// Records or rows per response, on average.
    pub rows: f64,
    /// The error of the first failed call.
    pub failure: Option<String>,
}

/// Measures queries of a shape.
pub async fn measure(shape: &Shape, mut sampler: Sampler<'_>, channel: &Channel) -> Times {
    let (begin, mut warm) = (Instant::now(), 0);
    while warm < WARM_UP && begin.elapsed() < LONGEST / 5 {
        let _ = (shape.query)(&mut sampler).count(channel).await;
        warm += 1;
    }
    let (mut latencies, mut rows, mut failure) = (Vec::new(), 0, None);
    let begin = Instant::now();
    while latencies.len() < FEWEST || (latencies.len() < CALLS && begin.elapsed() < LONGEST) {
        let query = (shape.query)(&mut sampler);
        let sent = Instant::now();
        match query.count(channel).await {
            Ok(count) => rows += count,
            Err(status) => failure = failure.or(Some(format!("{query}: {}", status.message()))),
        }
        latencies.push(sent.elapsed());
    }
    let rows = rows as f64 / latencies.len() as f64;
    Times { p50: percentile(&mut latencies, 0.5), p99: percentile(&mut latencies, 0.99), rows, failure }
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
