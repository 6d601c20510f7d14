//! What is counted of each method. The counters are looked up once: a call only adds to them.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::service::{method::Method, status::CODES};

/// The places of some codes among all.
const OK: usize = 0;
const UNKNOWN: usize = 2;
const INTERNAL: usize = 13;

/// The methods of the contract, and one for all others.
#[derive(Debug)]
pub struct Methods {
    by_path: HashMap<&'static str, Arc<Measures>, foldhash::fast::RandomState>,
    others: Arc<Measures>,
}

impl Methods {
    /// All of them, as the descriptors tell.
    pub fn all() -> Self {
        let measures = |method: &'static Method| {
            let (service, name) = method.path[1..].split_once('/')?;
            Some((method.path.as_str(), Arc::new(Measures::new(service, name, method.is_streaming))))
        };
        Self {
            by_path: Method::all().filter_map(measures).collect(),
            others: Arc::new(Measures::new("other", "other", true)),
        }
    }

    /// What is counted of the method of a path. Nothing is named by what a caller sends.
    pub fn of(&self, path: &str) -> Arc<Measures> {
        Arc::clone(self.by_path.get(path).unwrap_or(&self.others))
    }
}

/// What is counted of one method.
#[derive(Debug)]
pub struct Measures {
    /// Full name of its service.
    pub service: &'static str,
    /// Its name.
    pub method: &'static str,
    in_flight: Gauge,
    /// None of a unary method.
    open: Option<Gauge>,
    /// None of a streaming method.
    seconds: Option<Histogram>,
    ended: [OnceLock<Counter>; CODES.len()],
}

impl Measures {
    fn new(service: &'static str, method: &'static str, is_streaming: bool) -> Self {
        let seconds = || histogram!("readout_request_seconds", "service" => service, "method" => method);
        let measures = Self {
            service,
            method,
            in_flight: gauge!("readout_requests_in_flight"),
            open: is_streaming.then(|| gauge!("readout_streams_open", "method" => method)),
            seconds: (!is_streaming).then(seconds),
            ended: [const { OnceLock::new() }; CODES.len()],
        };
        // An alert that asks for an increase does not see a counter come into being.
        measures.ended(OK);
        measures.ended(INTERNAL);
        measures
    }

    /// A call has begun.
    pub fn begin(&self) {
        self.in_flight.increment(1.0);
        self.open.iter().for_each(|open| open.increment(1.0));
    }

    /// A call has ended with a status, of which the name is answered.
    pub fn end(&self, code: usize, took: Duration) -> &'static str {
        self.in_flight.decrement(1.0);
        self.open.iter().for_each(|open| open.decrement(1.0));
        self.seconds.iter().for_each(|seconds| seconds.record(took.as_secs_f64()));
        // What is no code is UNKNOWN.
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
