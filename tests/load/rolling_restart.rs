//! A rolling restart of two instances under load, with clients that retry where the status allows it: no call fails,
//! and each write is in the feed once.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use readout::pb::{
    CreateParticipantRequest, GetParticipantRequest, Origin, WatchChangesRequest,
    change_service_client::ChangeServiceClient, participant_service_client::ParticipantServiceClient,
    watch_changes_request::Start, watch_changes_response::Event,
};
use serde_json::Value;
use sqlx::ConnectOptions;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, sleep},
};
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};

use crate::support::{
    cluster,
    data_dir::{DataDir, PATIENCE, within_timeout},
    make,
    program::Program,
};

/// The pause between two attempts of a call.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
const WORKERS: usize = 8;

/// Channels to both instances. A call that one of them refuses goes to the other.
#[derive(Clone)]
struct Pair([Channel; 2]);

impl Pair {
    fn new(addresses: [SocketAddr; 2]) -> Self {
        let channel = |address| Endpoint::from_shared(format!("http://{address}")).expect("a url").connect_lazy();
        Self(addresses.map(channel))
    }

    /// Calls one instance after the other until the answer is not UNAVAILABLE.
    async fn call<T, F>(&self, first: usize, call: impl Fn(Channel) -> F) -> T
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let start = Instant::now();
        for turn in first.. {
            match call(self.0[turn % 2].clone()).await {
                Ok(answer) => return answer.into_inner(),
                Err(status) if is_retriable(&status) && start.elapsed() < PATIENCE => sleep(RETRY_PAUSE).await,
                Err(status) => panic!("a call failed: {status:?}"),
            }
        }
        unreachable!("the range has no end")
    }
}

/// Creates participants and reads them back until the end of the run. Returns their names.
async fn work(pair: Pair, worker: usize, is_over: Arc<AtomicBool>, done: watch::Sender<usize>) -> Vec<String> {
    let mut names = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let number = names.len();
        let id = format!("{worker}-{number}");
        let participant = Some(make::person(&id, "AZ"));
        let request = CreateParticipantRequest { participant, request_id: id, ..Default::default() };
        let written = pair
            .call(number, |channel| {
                let request = request.clone();
                async move { ParticipantServiceClient::new(channel).create_participant(request).await }
            })
            .await;
        let request = GetParticipantRequest { name: written.name.clone(), ..Default::default() };
        let read = pair
            .call(number + 1, |channel| {
                let request = request.clone();
                async move { ParticipantServiceClient::new(channel).get_participant(request).await }
            })
            .await;
        assert_eq!(read, written);
        names.push(written.name);
        done.send_modify(|done| *done += 1);
    }
    names
}

/// Watches from the beginning and resumes from the cursor after each interruption. Counts the changes per name.
async fn follow(pair: Pair, counts: watch::Sender<HashMap<String, usize>>, cuts: Arc<AtomicUsize>) {
    let mut start = Start::Origin(Origin::Beginning.into());
    for turn in 0.. {
        let request = WatchChangesRequest { start: Some(start.clone()), ..Default::default() };
        let mut watch = pair
            .call(turn, |channel| {
                let request = request.clone();
                async move { ChangeServiceClient::new(channel).watch_changes(request).await }
            })
            .await;
        let status = loop {
            match watch.message().await {
                Ok(message) => {
                    let message = message.expect("a watch does not end by itself");
                    start = Start::Cursor(message.cursor);
                    if let Some(Event::Change(change)) = message.event {
                        counts.send_modify(|counts| *counts.entry(change.name).or_default() += 1);
                    }
                }
                Err(status) => break status,
            }
        };
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        cuts.fetch_add(1, Ordering::Relaxed);
    }
}

/// True for UNAVAILABLE, and for a connection that ended before the answer: tonic has other codes for that than the
/// UNAVAILABLE of other gRPC clients.
fn is_retriable(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// A free port; no other test uses it meanwhile.
async fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound")
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_rolled_under_load_without_a_failed_call() {
    let (dir, database) = (DataDir::new(), cluster::database().await);
    let url = database.to_url_lossy().to_string();
    let addresses = [free_port().await, free_port().await];
    let start = async |address: SocketAddr| {
        let listen = address.to_string();
        Program::serve_beside(&dir, &url, &["--listen", &listen, "--drain-delay", "0.1"]).await
    };
    let mut programs = [start(addresses[0]).await, start(addresses[1]).await];
    let pair = Pair::new(addresses);
    let (is_over, done) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(0));
    let (counts, cuts) = (watch::Sender::new(HashMap::new()), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| tokio::spawn(work(pair.clone(), worker, Arc::clone(&is_over), done.clone())))
        .collect();
    let following = tokio::spawn(follow(pair, counts.clone(), Arc::clone(&cuts)));

    for round in 0..4 {
        let seen = *done.borrow();
        within_timeout("calls continue", done.subscribe().wait_for(|done| *done > seen + 100)).await.expect("open");
        let (rolled, address) = (&mut programs[round % 2], addresses[round % 2]);
        // The next instance cannot bind the port before this one has stopped.
        rolled.signal("TERM");
        rolled.logged("stopped").await;
        let stopped = std::mem::replace(rolled, start(address).await);
        let (code, log) = stopped.ended().await;
        assert_eq!(code, Some(0), "{log:#?}");
        // Numbers as names have too much in common, which is logged.
        let is_expected = |line: &Value| line["level"] == "INFO" || line["target"] == "readout::jobs::identity";
        assert!(log.iter().all(is_expected), "{log:#?}");
    }
    let seen = *done.borrow();
    within_timeout("calls continue", done.subscribe().wait_for(|done| *done > seen + 100)).await.expect("open");
    is_over.store(true, Ordering::Relaxed);
    let mut names = Vec::new();
    for worker in workers {
        names.extend(worker.await.expect("no call failed"));
    }
    let all = counts.subscribe().wait_for(|counts| names.iter().all(|name| counts.contains_key(name))).await.is_ok();
    assert!(all && !following.is_finished());
    following.abort();
    let counts = counts.borrow();
    assert_eq!(counts.len(), names.len(), "the feed and the answers name different records");
    assert!(counts.values().all(|times| *times == 1), "{counts:#?}");
    assert!(cuts.load(Ordering::Relaxed) > 0, "the watch was never cut off");
    for program in programs {
        program.stop().await;
    }
}
