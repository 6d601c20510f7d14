//! Ten times the load that the service can handle. `make overload` keeps it up for a minute and checks the goodput. An
//! ordinary run lasts some seconds and only checks that every call is answered correctly.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use readout::{
    config::{self, CallLimits},
    pb::{
        AggregateMeetingsRequest, CreateParticipantRequest, ErrorReason, ListMeetingsRequest,
        meeting_service_client::MeetingServiceClient, participant_service_client::ParticipantServiceClient,
    },
};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, transport::Channel};

use crate::support::{Service, cluster, make, reason_of, story_stream::ingest_all};

/// Numbers of clients to try: the one with the highest goodput is the peak.
const CLIENT_COUNTS: [usize; 3] = [4, 16, 64];
/// Clients that share a connection.
const CLIENTS_PER_CONNECTION: usize = 16;
const MAX_WAIT: Duration = Duration::from_millis(500);
/// The pause of a client after a shed call. The service asks for a second, which these clients ignore.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The results of the calls in a period.
#[derive(Default)]
struct CallResults {
    /// The kind and latency of each accepted call.
    accepted: Vec<(Kind, Duration)>,
    shed: usize,
    failed: Vec<Status>,
}

impl CallResults {
    /// Seconds of work done per second. Each call counts with the latency that its kind has without load, so that a
    /// service which only does the cheap calls scores low.
    fn goodput(&self, alone: [Duration; 3], duration: Duration) -> f64 {
        let work: Duration = self.accepted.iter().map(|(kind, _)| alone[*kind as usize]).sum();
        work.as_secs_f64() / duration.as_secs_f64()
    }

    fn percentile(&self, part: f64) -> Duration {
        percentile(self.accepted.iter().map(|(_, took)| *took).collect(), part)
    }

    fn median_of(&self, kind: Kind) -> Duration {
        percentile(self.accepted.iter().filter(|call| call.0 == kind).map(|(_, took)| *took).collect(), 0.5)
    }
}

fn percentile(mut durations: Vec<Duration>, part: f64) -> Duration {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    durations.get((last as f64 * part) as usize).copied().unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Page,
    Count,
}

impl Kind {
    fn of(number: u64) -> Self {
        [Self::Write, Self::Page, Self::Count, Self::Count][(number % 4) as usize]
    }
}

/// Counts, pages and writes. Their cost is in the database, so that the clients, which share its processors, hardly
/// matter.
async fn call(channel: Channel, number: u64) -> Result<(), Status> {
    match Kind::of(number) {
        Kind::Write => {
            let participant = Some(make::person(&format!("Overload {number}"), "AZ"));
            let request = CreateParticipantRequest { participant, ..Default::default() };
            ParticipantServiceClient::new(channel).create_participant(request).await.map(drop)
        }
        Kind::Page => MeetingServiceClient::new(channel).list_meetings(ListMeetingsRequest::default()).await.map(drop),
        Kind::Count => {
            let request = AggregateMeetingsRequest { group_by: vec!["participant".into()], ..Default::default() };
            MeetingServiceClient::new(channel).aggregate_meetings(request).await.map(drop)
        }
    }
}

/// Lets this number of clients call for this duration.
async fn offer(service: &Service, clients: usize, duration: Duration) -> CallResults {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut channels = Vec::new();
    for _ in 0..clients.div_ceil(CLIENTS_PER_CONNECTION) {
        channels.push(service.channel().await);
    }
    let end = Instant::now() + duration;
    let client = async |client: usize| {
        let mut results = CallResults::default();
        while Instant::now() < end {
            let start = Instant::now();
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            match call(channels[client / CLIENTS_PER_CONNECTION].clone(), number).await {
                Ok(()) => results.accepted.push((Kind::of(number), start.elapsed())),
                Err(status) if reason_of(&status) == ErrorReason::Overloaded && status.code() == Code::Unavailable => {
                    results.shed += 1;
                    sleep(RETRY_PAUSE).await;
                }
                Err(status) => results.failed.push(status),
            }
        }
        results
    };
    let mut all = CallResults::default();
    for results in join_all((0..clients).map(client)).await {
        all.accepted.extend(results.accepted);
        all.shed += results.shed;
        all.failed.extend(results.failed);
    }
    all
}

/// The highest goodput, and the number of clients that reaches it.
async fn peak(service: &Service, alone: [Duration; 3], duration: Duration) -> (usize, CallResults) {
    let mut best = (0, CallResults::default());
    for clients in CLIENT_COUNTS {
        let results = offer(service, clients, duration).await;
        assert!(results.failed.is_empty(), "{:?}", results.failed.first());
        if results.goodput(alone, duration) > best.1.goodput(alone, duration) {
            best = (clients, results);
        }
    }
    best
}

/// The time until sequential calls are answered as fast as before the overload.
async fn recovery(service: &Service, before: Duration) -> Duration {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        let results = offer(service, 1, Duration::from_millis(200)).await;
        if results.failed.is_empty() && results.shed == 0 && results.percentile(0.5) <= 2 * before {
            break;
        }
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn service_under_ten_times_its_peak_load_sheds_calls_and_recovers() {
    let seconds: Option<u64> = env::var("READOUT_OVERLOAD").ok().and_then(|seconds| seconds.parse().ok());
    let (peak_for, overload_for) = match seconds {
        Some(seconds) => (Duration::from_secs(seconds.div_ceil(10)), Duration::from_secs(seconds)),
        None => (Duration::from_secs(1), Duration::from_secs(2)),
    };
    let bounds = CallLimits { max_wait: MAX_WAIT, ..Default::default() };
    let service = Service::start_as(cluster::database().await, config::Service { bounds, ..Default::default() }).await;
    let people = [make::person("Kerim Veliyev", "AZ"), make::person("Ruslan Tsalikov", "RU")];
    let stories = (0..300).map(move |number| make::streamed(make::story(&format!("urn:{number}"), &people)));
    ingest_all(&service.ingest, stories).await;

    let quiet = offer(&service, 1, Duration::from_secs(1)).await;
    let alone = [Kind::Write, Kind::Page, Kind::Count].map(|kind| quiet.median_of(kind));
    let (clients, peak) = peak(&service, alone, peak_for).await;
    // Each client calls again at once after an answer, and soon after a refusal.
    let over = offer(&service, 10 * clients, overload_for).await;
    let recovered = recovery(&service, quiet.percentile(0.5)).await;
    let (most, done) = (peak.goodput(alone, peak_for), over.goodput(alone, overload_for));
    let ratio = done / most;
    println!(
        "{clients} clients: {most:.2} s of work a second, p99 {:?}; with ten times the clients {done:.2} ({ratio:.2}), p99 {:?}, \
         {} shed; recovered after {:?}",
        peak.percentile(0.99),
        over.percentile(0.99),
        over.shed,
        recovered,
    );
    for results in [&quiet, &over] {
        assert!(results.failed.is_empty(), "{:?}", results.failed.first());
    }
    assert!(over.shed > 0 && !over.accepted.is_empty());
    if seconds.is_some() {
        assert!(ratio >= 0.8, "goodput fell to {ratio:.2} of its peak");
        assert!(over.percentile(0.99) < MAX_WAIT + 2 * peak.percentile(0.99), "admitted calls waited too long");
        assert!(recovered < Duration::from_secs(5), "it took {recovered:?} to recover");
    }
}
