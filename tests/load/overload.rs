//! Ten times what the service can do. `make overload` asks for it for a minute; an ordinary run for some seconds, and
//! only wants everything to be answered as it should.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use readout::{
    config::{self, Bounds},
    pb::{
        AggregateMeetingsRequest, CreateParticipantRequest, ErrorReason, ListMeetingsRequest,
        meeting_service_client::MeetingServiceClient, participant_service_client::ParticipantServiceClient,
    },
};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, transport::Channel};

use crate::support::{Service, cluster, make, reason_of, stream::ingest_all};

/// So many clients at a time, of which those that get the most done find the peak.
const CROWDS: [usize; 3] = [4, 16, 64];
/// Clients that share a connection.
const TOGETHER: usize = 16;
const MAX_WAIT: Duration = Duration::from_millis(500);
/// How long a refused client leaves the service alone. It is told a second, and these do not listen.
const BREATH: Duration = Duration::from_millis(20);

/// What came of the calls of some time.
#[derive(Default)]
struct Came {
    /// How long each kind of call took.
    accepted: Vec<(Kind, Duration)>,
    shed: usize,
    wrong: Vec<Status>,
}

impl Came {
    /// Seconds of work done in a second: each call weighs what its kind takes alone, since a service that only does the
    /// cheap ones does not do well.
    fn goodput(&self, alone: [Duration; 3], duration: Duration) -> f64 {
        let work: Duration = self.accepted.iter().map(|(kind, _)| alone[*kind as usize]).sum();
        work.as_secs_f64() / duration.as_secs_f64()
    }

    fn percentile(&self, part: f64) -> Duration {
        percentile(self.accepted.iter().map(|(_, took)| *took).collect(), part)
    }

    fn median_of(&self, kind: Kind) -> Duration {
        percentile(self.accepted.iter().filter(|one| one.0 == kind).map(|(_, took)| *took).collect(), 0.5)
    }
}

fn percentile(mut all: Vec<Duration>, part: f64) -> Duration {
    all.sort_unstable();
    let last = all.len().saturating_sub(1);
    all.get((last as f64 * part) as usize).copied().unwrap_or_default()
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

/// Counts, pages and writes: what they cost is in the database, so that the clients, which share its processors, hardly
/// weigh.
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

/// So many clients call for so long.
async fn offer(service: &Service, clients: usize, duration: Duration) -> Came {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut channels = Vec::new();
    for _ in 0..clients.div_ceil(TOGETHER) {
        channels.push(service.channel().await);
    }
    let end = Instant::now() + duration;
    let client = async |client: usize| {
        let mut came = Came::default();
        while Instant::now() < end {
            let begun = Instant::now();
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            match call(channels[client / TOGETHER].clone(), number).await {
                Ok(()) => came.accepted.push((Kind::of(number), begun.elapsed())),
                Err(status) if reason_of(&status) == ErrorReason::Overloaded && status.code() == Code::Unavailable => {
                    came.shed += 1;
                    sleep(BREATH).await;
                }
                Err(status) => came.wrong.push(status),
            }
        }
        came
    };
    let mut all = Came::default();
    for came in join_all((0..clients).map(client)).await {
        all.accepted.extend(came.accepted);
        all.shed += came.shed;
        all.wrong.extend(came.wrong);
    }
    all
}

/// The most that is done, and by how many clients.
async fn peak(service: &Service, alone: [Duration; 3], duration: Duration) -> (usize, Came) {
    let mut best = (0, Came::default());
    for clients in CROWDS {
        let came = offer(service, clients, duration).await;
        assert!(came.wrong.is_empty(), "{:?}", came.wrong.first());
        if came.goodput(alone, duration) > best.1.goodput(alone, duration) {
            best = (clients, came);
        }
    }
    best
}

/// How long it takes until calls one after the other are answered as soon as before.
async fn recovery(service: &Service, before: Duration) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let came = offer(service, 1, Duration::from_millis(200)).await;
        if came.wrong.is_empty() && came.shed == 0 && came.percentile(0.5) <= 2 * before {
            break;
        }
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_what_can_be_done_is_refused_politely_and_done_with_soon() {
    let seconds: Option<u64> = env::var("READOUT_OVERLOAD").ok().and_then(|seconds| seconds.parse().ok());
    let (peak_for, overload_for) = match seconds {
        Some(seconds) => (Duration::from_secs(seconds.div_ceil(10)), Duration::from_secs(seconds)),
        None => (Duration::from_secs(1), Duration::from_secs(2)),
    };
    let bounds = Bounds { max_wait: MAX_WAIT, ..Default::default() };
    let service = Service::start_as(cluster::database().await, config::Service { bounds, ..Default::default() }).await;
    let people = [make::person("Kerim Veliyev", "AZ"), make::person("Ruslan Tsalikov", "RU")];
    let stories = (0..300).map(move |number| make::streamed(make::story(&format!("urn:{number}"), &people)));
    ingest_all(&service.ingest, stories).await;

    let quiet = offer(&service, 1, Duration::from_secs(1)).await;
    let alone = [Kind::Write, Kind::Page, Kind::Count].map(|kind| quiet.median_of(kind));
    let (crowd, peak) = peak(&service, alone, peak_for).await;
    // Each calls again as soon as it is answered, and soon after it is refused.
    let over = offer(&service, 10 * crowd, overload_for).await;
    let recovered = recovery(&service, quiet.percentile(0.5)).await;
    let (most, done) = (peak.goodput(alone, peak_for), over.goodput(alone, overload_for));
    let ratio = done / most;
    println!(
        "{crowd} clients: {most:.2} s of work a second, p99 {:?}; with ten times the clients {done:.2} ({ratio:.2}), p99 {:?}, \
         {} refused; as before after {:?}",
        peak.percentile(0.99),
        over.percentile(0.99),
        over.shed,
        recovered,
    );
    for came in [&quiet, &over] {
        assert!(came.wrong.is_empty(), "{:?}", came.wrong.first());
    }
    assert!(over.shed > 0 && !over.accepted.is_empty());
    if seconds.is_some() {
        assert!(ratio >= 0.8, "goodput fell to {ratio:.2} of its peak");
        assert!(over.percentile(0.99) < MAX_WAIT + 2 * peak.percentile(0.99), "those let in waited for too long");
        assert!(recovered < Duration::from_secs(5), "it took {recovered:?} to recover");
    }
}
