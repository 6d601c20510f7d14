//! The metrics of each method. The metric handles are looked up once; a call only updates them.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::service::{method::Method, status::CODES};

/// The numbers of some status codes.
const OK: usize = 0;
const UNKNOWN: usize = 2;
const INTERNAL: usize = 13;

/// The metrics of the methods of the contract, and those of all other paths together.
#[derive(Debug)]
pub struct AllMethodMetrics {
    by_path: HashMap<&'static str, Arc<MethodMetrics>, foldhash::fast::RandomState>,
    others: Arc<MethodMetrics>,
}

impl AllMethodMetrics {
    /// Registers the metrics of all methods.
    pub fn register() -> Self {
        let metrics = |method: &'static Method| {
            let (service, name) = method.path[1..].split_once('/')?;
            Some((method.path.as_str(), Arc::new(MethodMetrics::new(service, name, method.is_streaming))))
        };
        Self {
            by_path: Method::all().filter_map(metrics).collect(),
            others: Arc::new(MethodMetrics::new("other", "other", true)),
        }
    }

    /// The metrics of the method at a path. Labels never contain a path as sent, which would be unbounded.
    pub fn of(&self, path: &str) -> Arc<MethodMetrics> {
        Arc::clone(self.by_path.get(path).unwrap_or(&self.others))
    }
}

/// The metrics of one method.
#[derive(Debug)]
pub struct MethodMetrics {
    /// Full name of the service.
    pub service: &'static str,
    /// Name of the method.
    pub method: &'static str,
    in_flight: Gauge,
    /// Open streams; `None` for a unary method.
    open: Option<Gauge>,
    /// Durations; `None` for a streaming method.
    seconds: Option<Histogram>,
    ended: [OnceLock<Counter>; CODES.len()],
}

impl MethodMetrics {
    fn new(service: &'static str, method: &'static str, is_streaming: bool) -> Self {
        let seconds = || histogram!("readout_request_seconds", "service" => service, "method" => method);
        let metrics = Self {
            service,
            method,
            in_flight: gauge!("readout_requests_in_flight"),
            open: is_streaming.then(|| gauge!("readout_streams_open", "method" => method)),
            seconds: (!is_streaming).then(seconds),
            ended: [const { OnceLock::new() }; CODES.len()],
        };
        // Alerts use increase(), which misses the first count of a series unless it exists before.
        metrics.ended(OK);
        metrics.ended(INTERNAL);
        metrics
    }

    /// Counts the begin of a call.
    pub fn begin(&self) {
        self.in_flight.increment(1.0);
        self.open.iter().for_each(|open| open.increment(1.0));
    }

    /// Counts the end of a call, and returns the name of its status code.
    pub fn end(&self, code: usize, duration: Duration) -> &'static str {
        self.in_flight.decrement(1.0);
        self.open.iter().for_each(|open| open.decrement(1.0));
        self.seconds.iter().for_each(|seconds| seconds.record(duration.as_secs_f64()));
        // A number without a code counts as UNKNOWN.
        let code = if code < CODES.len() { code } else { UNKNOWN };
        self.ended(code).increment(1);
        CODES[code]
    }

    fn ended(&self, code: usize) -> &Counter {
        self.ended[code].get_or_init(|| {
            let labels = [("service", self.service), ("method", self.method), ("code", CODES[code])];
            counter!("readout_requests_total", &labels)
        })
    }
}
