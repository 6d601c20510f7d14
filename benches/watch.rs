//! Watchers: the latency of a change to one watcher under load, and to a thousand of which two do not keep up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use readout::pb::{
    Origin, WatchChangesRequest, WatchChangesResponse, change_service_client::ChangeServiceClient,
    participant_service_client::ParticipantServiceClient, watch_changes_request::Start, watch_changes_response::Event,
};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};
use tonic::{Streaming, transport::Channel};

use super::{
    cluster,
    load::{IN_FLIGHT, median, millis, next_number, percentile, run},
    participant::{create, create_with},
    program::Program,
    service::Service,
    table::{Table, Target},
    unary::{Channels, channels},
};

const HALF_LOAD: Duration = Duration::from_secs(5);
const WATCHERS: usize = 1_000;
/// Streams that share a connection.
const STREAMS_PER_CONNECTION: usize = 50;
const CHANGES_A_SECOND: f64 = 50.0;
const WATCHED: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

pub async fn measure(table: &mut Table) {
    half_load(table).await;
    many(table).await;
}

/// The times of a write, as its writer sees them.
#[derive(Debug, Clone, Copy)]
struct WriteTimes {
    sent: Instant,
    acknowledged: Instant,
}

type Log = Arc<Mutex<HashMap<String, WriteTimes>>>;

async fn half_load(table: &mut Table) {
    let service = Service::start().await;
    let call = create_with(&service).await;
    run(&call, IN_FLIGHT, Duration::from_millis(500)).await;
    let peak = run(&call, IN_FLIGHT, Duration::from_secs(2)).await.len() as f64 / 2.0;

    let received = Arc::new(Mutex::new(Vec::new()));
    let watcher = watch(service.channel().await, Arc::clone(&received)).await;
    let written = write(channels(service.address).await, peak / 2.0, HALF_LOAD).await;
    sleep(Duration::from_millis(500)).await;
    watcher.abort();
    let received = std::mem::take(&mut *received.lock().expect("no panic"));
    assert_eq!(received.len(), written.len(), "every change is received once");

    let since = |moment: fn(&WriteTimes) -> Instant| -> Vec<Duration> {
        received.iter().map(|(position, at)| at.saturating_duration_since(moment(&written[position]))).collect()
    };
    let mut acknowledged = since(|times| times.acknowledged);
    let mut sent = since(|times| times.sent);
    let rate = format!("{:.0} of {peak:.0} writes/s", written.len() as f64 / HALF_LOAD.as_secs_f64());
    for (part, name, most) in [(0.5, "p50", 5.0), (0.99, "p99", 20.0)] {
        let figure = format!("commit to delivery, {name}, {rate}");
        table.bound(&figure, millis(percentile(&mut acknowledged, part)), "ms", most);
    }
    let (p50, p99) = (percentile(&mut sent, 0.5), percentile(&mut sent, 0.99));
    table.report(
        "request sent to change delivered",
        format!("p50 {:.1} p99 {:.1} ms", millis(p50), millis(p99)),
        String::new(),
    );
    service.stop().await;
}

async fn many(table: &mut Table) {
    let database = cluster::database().await;
    // In a process of its own, so that its memory does not include the clients'.
    let program = Program::serve_on(&cluster::url(&database).await).await;
    let address = program.address().await;
    let writers = channels(address).await;
    write(writers.clone(), CHANGES_A_SECOND, Duration::from_secs(2)).await;
    let before = resident_mib(&program);
    let (mut without, mut with, mut grown) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(round(&program, &writers, false).await.p99);
        let round = round(&program, &writers, true).await;
        with.push(round.p99);
        grown.push(round.resident_mib - before);
    }
    // Adjacent rounds are compared.
    let ratio = median(with.iter().zip(&without).map(|(with, without)| with / without).collect());
    let (without, with) = (median(without), median(with));
    let figures = (format!("p99 {with:.1} ms"), format!("p99 {without:.1} ms without these"));
    let figure = format!("{WATCHERS} watchers, {CHANGES_A_SECOND}/s, one stuck, one at 1/s");
    table.add(&figure, figures, ratio, Target::AtMost(1.25));
    let grown = format!("{:+.1} MiB resident", median(grown));
    table.report(&format!("the service with {WATCHERS} watchers"), grown, format!("{before:.1} MiB, none watching"));
    program.stop().await;
}

struct Round {
    /// Of the watchers that keep up, in milliseconds.
    p99: f64,
    resident_mib: f64,
}

/// Sends changes to a thousand watchers; with `with_slow` two of them do not keep up.
async fn round(program: &Program, writers: &Channels, with_slow: bool) -> Round {
    let received = Arc::new(Mutex::new(Vec::new()));
    let mut watchers = Vec::new();
    let mut slow: Vec<Streaming<WatchChangesResponse>> = Vec::new();
    let mut late = None;
    if with_slow {
        // On connections of their own, like other clients.
        slow.push(begin(program.channel().await).await);
        let mut stream = begin(program.channel().await).await;
        late = Some(tokio::spawn(async move {
            loop {
                stream.message().await.expect("the watch continues");
                sleep(Duration::from_secs(1)).await;
            }
        }));
    }
    let count = WATCHERS - if with_slow { 2 } else { 0 };
    let mut channel = program.channel().await;
    for number in 0..count {
        if number % STREAMS_PER_CONNECTION == 0 {
            channel = program.channel().await;
        }
        watchers.push(watch(channel.clone(), Arc::clone(&received)).await);
    }
    let written = write(writers.clone(), CHANGES_A_SECOND, WATCHED).await;
    sleep(Duration::from_secs(1)).await;
    let resident_mib = resident_mib(program);
    watchers.iter().chain(&late).for_each(JoinHandle::abort);
    drop(slow);
    let received = std::mem::take(&mut *received.lock().expect("no panic"));
    assert_eq!(received.len(), written.len() * count, "every watcher receives every change once");
    let mut latencies: Vec<Duration> =
        received.iter().map(|(position, at)| at.saturating_duration_since(written[position].acknowledged)).collect();
    Round { p99: millis(percentile(&mut latencies, 0.99)), resident_mib }
}

async fn begin(channel: Channel) -> Streaming<WatchChangesResponse> {
    let start = Some(Start::Origin(Origin::Now.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    ChangeServiceClient::new(channel).watch_changes(request).await.expect("a watch").into_inner()
}

/// Watches from the newest change on and records the time at which each change is received.
async fn watch(channel: Channel, received: Arc<Mutex<Vec<(String, Instant)>>>) -> JoinHandle<()> {
    let mut stream = begin(channel).await;
    while !matches!(next(&mut stream).await, Event::Notice(_)) {}
    tokio::spawn(async move {
        loop {
            if let Event::Change(change) = next(&mut stream).await {
                received.lock().expect("no panic").push((change.position, Instant::now()));
            }
        }
    })
}

async fn next(stream: &mut Streaming<WatchChangesResponse>) -> Event {
    let message = stream.message().await.expect("the watch continues").expect("the watch does not end");
    message.event.expect("every message has an event")
}

/// Writes at a fixed rate, regardless of how long calls take. Returns the times of each write by position.
async fn write(to: Channels, per_second: f64, duration: Duration) -> HashMap<String, WriteTimes> {
    let log = Log::default();
    let begin = Instant::now();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut calls = Vec::new();
    while begin.elapsed() < duration {
        ticks.tick().await;
        while (calls.len() as f64) < begin.elapsed().as_secs_f64() * per_second {
            calls.push(tokio::spawn(write_one(to.of(calls.len() as u64), Arc::clone(&log))));
        }
    }
    for call in calls {
        call.await.expect("no write fails");
    }
    Arc::try_unwrap(log).expect("all calls have ended").into_inner().expect("no panic")
}

async fn write_one(channel: Channel, log: Log) {
    let sent = Instant::now();
    let answer =
        ParticipantServiceClient::new(channel).create_participant(create(next_number())).await.expect("created");
    let acknowledged = Instant::now();
    let position = answer.metadata().get("readout-position").expect("a position").to_str().expect("ASCII").to_owned();
    log.lock().expect("no panic").insert(position, WriteTimes { sent, acknowledged });
}

/// The resident memory of the program in MiB; see proc_pid_status(5).
fn resident_mib(program: &Program) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).expect("the program runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
