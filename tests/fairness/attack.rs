//! An attack in progress: its tasks, its tally, and the service that it is directed at.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::connection::{Call, Connection};

/// The number of the next call.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The service, and what a caller has to know to call it.
pub struct Target {
    pub address: SocketAddr,
    /// The hostile caller's token.
    pub token: String,
    pub records: Records,
}

/// Records that the service holds.
#[derive(Clone, Default)]
pub struct Records {
    pub articles: Vec<String>,
    pub participants: Vec<String>,
    pub meetings: Vec<String>,
    /// Meetings with many participants.
    pub conferences: Vec<String>,
    /// A position that the feed does not reach during a test.
    pub future_position: String,
}

/// An attack. Clones are handles to the same one.
#[derive(Clone)]
pub struct Attack {
    pub target: Arc<Target>,
    /// The address that its connections come from.
    pub source: Ipv4Addr,
    stop: CancellationToken,
    tasks: TaskTracker,
    tally: Arc<Tally>,
}

/// The number of calls, or of connections, by outcome.
#[derive(Default)]
struct Tally {
    begun: AtomicUsize,
    ended: Mutex<BTreeMap<String, usize>>,
}

impl Attack {
    pub fn new(target: Arc<Target>, source: Ipv4Addr) -> Self {
        Self { target, source, stop: CancellationToken::new(), tasks: TaskTracker::new(), tally: Arc::default() }
    }

    /// Runs a task to its end, or to that of the attack.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Keeps this number of calls in flight on this number of connections: each call that ends is followed by the next.
    /// `call` gets a number that no other call of any attack has.
    pub fn keep(&self, calls: usize, connections: usize, call: impl Fn(u64) -> Call + Send + Sync + 'static) {
        let connections: Vec<_> = (0..connections).map(|_| Arc::new(Connection::new(self.clone()))).collect();
        let call = Arc::new(call);
        for number in 0..calls {
            let (attack, connection) = (self.clone(), Arc::clone(&connections[number % connections.len()]));
            let call = Arc::clone(&call);
            self.spawn(async move {
                loop {
                    let call = call(NEXT.fetch_add(1, Ordering::Relaxed));
                    attack.begin();
                    let outcome = connection.call(call).await;
                    attack.end_with(&outcome);
                    // A call may end without ever waiting.
                    tokio::task::yield_now().await;
                }
            });
        }
    }

    /// Counts a call as begun.
    pub fn begin(&self) {
        self.tally.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call as ended.
    pub fn end_with(&self, outcome: &str) {
        let mut ended = self.tally.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match ended.get_mut(outcome) {
            Some(count) => *count += 1,
            None => drop(ended.insert(outcome.to_owned(), 1)),
        }
    }

    /// The calls so far by outcome, those that are open included.
    pub fn tally(&self) -> String {
        let ended = self.tally.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let open = self.tally.begun.load(Ordering::Relaxed).saturating_sub(ended.values().sum());
        let open = (open > 0).then(|| format!("open {open}"));
        let parts = ended.iter().map(|(outcome, count)| format!("{outcome} {count}")).chain(open);
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Ends the attack: its tasks have ended and its connections are closed.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
