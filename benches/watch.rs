//! Those who watch: how soon one of them is told under load, and how a thousand of them are when two do not keep up.

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
    table::{Table, Wanted},
    unary::{Channels, channels},
};

const HALF_LOAD: Duration = Duration::from_secs(5);
const WATCHERS: usize = 1_000;
/// Streams that share a connection.
const STREAMS: usize = 50;
const CHANGES_A_SECOND: f64 = 50.0;
const WATCHED: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

pub async fn measure(table: &mut Table) {
    half_load(table).await;
    many(table).await;
}

/// A change, as who wrote it knows it.
#[derive(Debug, Clone, Copy)]
struct Written {
    sent: Instant,
    acknowledged: Instant,
}

type Log = Arc<Mutex<HashMap<String, Written>>>;

async fn half_load(table: &mut Table) {
    let service = Service::start().await;
    let call = create_with(&service).await;
    run(&call, IN_FLIGHT, Duration::from_millis(500)).await;
    let peak = run(&call, IN_FLIGHT, Duration::from_secs(2)).await.len() as f64 / 2.0;

    let told = Arc::new(Mutex::new(Vec::new()));
    let watcher = watch(service.channel().await, Arc::clone(&told)).await;
    let written = write(channels(service.address).await, peak / 2.0, HALF_LOAD).await;
    sleep(Duration::from_millis(500)).await;
    watcher.abort();
    let told = std::mem::take(&mut *told.lock().expect("no panic"));
    assert_eq!(told.len(), written.len(), "every change is told once");

    let since = |moment: fn(&Written) -> Instant| -> Vec<Duration> {
        told.iter().map(|(position, at)| at.saturating_duration_since(moment(&written[position]))).collect()
    };
    let mut acknowledged = since(|one| one.acknowledged);
    let mut sent = since(|one| one.sent);
    let rate = format!("{:.0} of {peak:.0} writes/s", written.len() as f64 / HALF_LOAD.as_secs_f64());
    for (part, name, most) in [(0.5, "p50", 5.0), (0.99, "p99", 20.0)] {
        let figure = format!("commit to delivery, {name}, {rate}");
        table.bound(&figure, millis(percentile(&mut acknowledged, part)), "ms", most);
    }
    let (p50, p99) = (percentile(&mut sent, 0.5), percentile(&mut sent, 0.99));
    table.tell(
        "request sent to change delivered",
        format!("p50 {:.1} p99 {:.1} ms", millis(p50), millis(p99)),
        String::new(),
    );
    service.stop().await;
}

async fn many(table: &mut Table) {
    let database = cluster::database().await;
    // A process of its own, whose memory is not the clients'.
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
    // Each with its neighbour in time.
    let ratio = median(with.iter().zip(&without).map(|(with, without)| with / without).collect());
    let (without, with) = (median(without), median(with));
    let words = (format!("p99 {with:.1} ms"), format!("p99 {without:.1} ms without these"));
    let figure = format!("{WATCHERS} watchers, {CHANGES_A_SECOND}/s, one stuck, one at 1/s");
    table.add(&figure, words, ratio, Wanted::AtMost(1.25));
    let grown = format!("{:+.1} MiB resident", median(grown));
    table.tell(&format!("the service with {WATCHERS} watchers"), grown, format!("{before:.1} MiB, none watching"));
    program.stop().await;
}

struct Round {
    /// Of those who keep up, in milliseconds.
    p99: f64,
    resident_mib: f64,
}

/// Some changes for a thousand, two of whom do not keep up if that is wanted.
async fn round(program: &Program, writers: &Channels, with_slow: bool) -> Round {
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut watchers = Vec::new();
    let mut slow: Vec<Streaming<WatchChangesResponse>> = Vec::new();
    let mut late = None;
    if with_slow {
        // Connections of their own, as other clients have.
        slow.push(begin(program.channel().await).await);
        let mut stream = begin(program.channel().await).await;
        late = Some(tokio::spawn(async move {
            loop {
                stream.message().await.expect("the watch goes on");
                sleep(Duration::from_secs(1)).await;
            }
        }));
    }
    let count = WATCHERS - if with_slow { 2 } else { 0 };
    let mut channel = program.channel().await;
    for number in 0..count {
        if number % STREAMS == 0 {
            channel = program.channel().await;
        }
        watchers.push(watch(channel.clone(), Arc::clone(&told)).await);
    }
    let written = write(writers.clone(), CHANGES_A_SECOND, WATCHED).await;
    sleep(Duration::from_secs(1)).await;
    let resident_mib = resident_mib(program);
    watchers.iter().chain(&late).for_each(JoinHandle::abort);
    drop(slow);
    let told = std::mem::take(&mut *told.lock().expect("no panic"));
    assert_eq!(told.len(), written.len() * count, "everybody is told every change once");
    let mut latencies: Vec<Duration> =
        told.iter().map(|(position, at)| at.saturating_duration_since(written[position].acknowledged)).collect();
    Round { p99: millis(percentile(&mut latencies, 0.99)), resident_mib }
}

async fn begin(channel: Channel) -> Streaming<WatchChangesResponse> {
    let start = Some(Start::Origin(Origin::Now.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    ChangeServiceClient::new(channel).watch_changes(request).await.expect("a watch").into_inner()
}

/// Watches from now on, once it has caught up, and notes when it was told what.
async fn watch(channel: Channel, told: Arc<Mutex<Vec<(String, Instant)>>>) -> JoinHandle<()> {
    let mut stream = begin(channel).await;
    while !matches!(next(&mut stream).await, Event::Notice(_)) {}
    tokio::spawn(async move {
        loop {
            if let Event::Change(change) = next(&mut stream).await {
                told.lock().expect("no panic").push((change.position, Instant::now()));
            }
        }
    })
}

async fn next(stream: &mut Streaming<WatchChangesResponse>) -> Event {
    let message = stream.message().await.expect("the watch goes on").expect("it does not end");
    message.event.expect("every message tells something")
}

/// Writes so many times a second, however long a call takes, and answers what was written.
async fn write(to: Channels, a_second: f64, duration: Duration) -> HashMap<String, Written> {
    let log = Log::default();
    let begin = Instant::now();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut calls = Vec::new();
    while begin.elapsed() < duration {
        ticks.tick().await;
        while (calls.len() as f64) < begin.elapsed().as_secs_f64() * a_second {
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
    log.lock().expect("no panic").insert(position, Written { sent, acknowledged });
}

/// See proc_pid_status(5).
fn resident_mib(program: &Program) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
