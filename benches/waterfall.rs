//! `make waterfall CALL=CreateMeeting`: the parts of one call, one in flight, by the service's spans and PostgreSQL's
//! log. PostgreSQL reports the time to parse, to bind (which includes planning) and to execute each statement; the rest
//! of a call is its round trips, the service and the client.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::LookupSpan};

use super::{
    cluster::{self, connect, execute},
    load::{next_number, percentile},
    peers::Prepared,
    service::Service,
};

const CALLS: usize = 300;
const WARM_UP: usize = 100;
/// Of a statement, its first characters are printed.
const SHOWN: usize = 90;

/// Prints the parts of the call of this name.
pub async fn print(name: &str) {
    tracing_subscriber::registry().with(Spans).init();
    let service = Service::start().await;
    let prepared = Prepared::new(service.address, true).await;
    let call = prepared.call(name, service.address).await;
    for _ in 0..WARM_UP {
        call(next_number()).await;
    }
    let mut admin = connect(&service.database).await;
    for (setting, value) in [("log_min_duration_statement", "0"), ("log_parameter_max_length", "0")] {
        execute(&mut admin, format!("alter system set {setting} = {value}")).await;
    }
    execute(&mut admin, "select pg_reload_conf()".to_owned()).await;
    // The server reads its configuration a moment later.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = cluster::log().await.len();
    taken().clear();
    let mut latencies = Vec::new();
    for _ in 0..CALLS {
        let begin = Instant::now();
        call(next_number()).await;
        latencies.push(begin.elapsed());
    }
    let spans = std::mem::take(&mut *taken());
    let log = cluster::log().await;
    println!("{name}, 1 in flight: p50 {} µs, p99 {} µs\n", micros(percentile(&mut latencies, 0.5)), {
        micros(percentile(&mut latencies, 0.99))
    });
    println!("{:>8} {:>8}  span", "a call", "p50 µs");
    for (span, mut times) in spans {
        println!("{:>8.2} {:>8}  {span}", times.len() as f64 / CALLS as f64, micros(percentile(&mut times, 0.5)));
    }
    println!("\n{:>8} {:>8} {:>8} {:>8}  statement, µs a call", "a call", "parse", "bind", "execute");
    let mut sums = [0.0; 3];
    for (statement, counted) in statements(&log[start..]) {
        let [parse, bind, execute] = counted.micros.map(|micros| micros / CALLS as f64);
        println!("{:>8.2} {parse:>8.1} {bind:>8.1} {execute:>8.1}  {statement}", counted.count as f64 / CALLS as f64);
        [parse, bind, execute].iter().zip(&mut sums).for_each(|(part, sum)| *sum += part);
    }
    let [parse, bind, execute] = sums;
    println!("{:>8} {parse:>8.1} {bind:>8.1} {execute:>8.1}  all", "");
    service.stop().await;
}

fn micros(duration: Duration) -> u128 {
    duration.as_micros()
}

/// The executions of a statement.
#[derive(Default)]
struct Counted {
    count: usize,
    /// To parse, bind and execute.
    micros: [f64; 3],
}

/// The statements in a part of the server's log, those of the service's background work included.
fn statements(log: &str) -> BTreeMap<String, Counted> {
    let mut found: BTreeMap<String, Counted> = BTreeMap::new();
    // An entry begins with its time.
    let entries = log.split("\n20").filter_map(|entry| entry.split_once("] LOG:  duration: "));
    for (_, entry) in entries {
        let Some((millis, rest)) = entry.split_once(" ms  ") else { continue };
        let Some((step, text)) = rest.split_once(": ") else { continue };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let counted = found.entry(text.chars().take(SHOWN).collect()).or_default();
        let step = step.split_whitespace().next().unwrap_or_default();
        let step = ["parse", "bind"].iter().position(|known| *known == step).unwrap_or(2);
        counted.count += usize::from(step == 2);
        counted.micros[step] += millis.parse::<f64>().expect("a number") * 1e3;
    }
    found
}

static TIMES: Mutex<BTreeMap<&'static str, Vec<Duration>>> = Mutex::new(BTreeMap::new());

fn taken() -> MutexGuard<'static, BTreeMap<&'static str, Vec<Duration>>> {
    TIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records how long each span of the service is open.
struct Spans;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, _: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Instant::now());
        }
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id).filter(|span| span.metadata().target().starts_with("readout")) else {
            return;
        };
        if let Some(begin) = span.extensions().get::<Instant>() {
            taken().entry(span.name()).or_default().push(begin.elapsed());
        }
    }
}
