//! Asynchronous failovers under load: each loses changes that were acknowledged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use readout::pb::{
    CreateParticipantRequest, ErrorReason, ListParticipantsRequest, change_service_client::ChangeServiceClient,
    participant_service_client::ParticipantServiceClient, watch_changes_request::Start, watch_changes_response::Event,
};
use sqlx::{Connection, PgConnection};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::{instances::InstanceAddress, pair::Pair, run::Outcome, run_options::Plan, writer::connect};
use crate::support::{
    data_dir::{PATIENCE, eventually},
    follow::{Watch, all, beginning, position},
    make, reason_of,
};

const WRITERS: usize = 8;
/// The number of acknowledged writes in each phase of a round.
const KEPT: usize = 40;
const LOST: usize = 15;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(5);

/// Fails over to a standby that lacks the last changes, again and again, while both instances write.
pub async fn failovers_that_lose_changes(plan: Plan) -> Outcome {
    let mut pair = Pair::start(false).await;
    let fleet = pair.fleet().await;
    let addresses = fleet.addresses();
    let (ledger, ending) = (Ledger::default(), CancellationToken::new());
    let mut tasks = Vec::new();
    for number in 0..WRITERS {
        let address = addresses[number % addresses.len()].clone();
        tasks.push(run_until(&ending, write(number, address, ledger.clone())));
    }
    for address in &addresses {
        tasks.push(run_until(&ending, follow(address.clone(), ledger.clone())));
    }
    for _ in 0..if plan.is_long { 20 } else { 2 } {
        ledger.wait_for_writes(KEPT).await;
        pair.disconnect().await;
        ledger.wait_for_writes(LOST).await;
        let lost = ledger.newest();
        pair.fail_over().await;
        for address in &addresses {
            read_lost(address, &lost, &ledger).await;
        }
        ledger.wait_for_writes(KEPT).await;
        let newest = ledger.newest();
        ledger.require(position(&newest).0 != position(&lost).0, || format!("{newest} follows {lost}"));
        pair = pair.replace_primary().await;
    }
    ledger.wait_for_writes(KEPT).await;
    ending.cancel();
    for task in tasks {
        task.await.expect("no panic");
    }
    let changes = check_table(&pair, &ledger).await;
    fleet.stop().await;
    pair.stop().await;
    Outcome { histories: 1, changes, failures: std::mem::take(&mut ledger.0.lock().expect("no panic").failures) }
}

/// The change at each position, from the answers to writers and from the messages to watchers.
#[derive(Debug, Clone, Default)]
struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    names: HashMap<String, String>,
    /// The acknowledged positions, in the order in which the answers arrived.
    acknowledged: Vec<String>,
    failures: Vec<String>,
}

impl Ledger {
    /// Records the change at a position, which must always be the same one.
    fn record(&self, position: &str, name: &str, is_acknowledged: bool) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.names.entry(position.to_owned()).or_insert_with(|| name.to_owned()).clone();
        if known != name {
            entries.failures.push(format!("{position} was given to {known} and to {name}"));
        }
        if is_acknowledged {
            entries.acknowledged.push(position.to_owned());
        }
    }

    fn require(&self, holds: bool, what: impl FnOnce() -> String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failures.extend((!holds).then(what));
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).acknowledged.len()
    }

    /// The highest acknowledged position of the newest epoch.
    fn newest(&self) -> String {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = position(entries.acknowledged.last().expect("a write")).0;
        let of_epoch = entries.acknowledged.iter().filter(|acknowledged| position(acknowledged).0 == epoch);
        of_epoch.max_by_key(|acknowledged| position(acknowledged).1).expect("a write").clone()
    }

    /// Waits until `count` further writes are acknowledged.
    async fn wait_for_writes(&self, count: usize) {
        let goal = self.count() + count;
        eventually("writes are acknowledged", async || self.count() >= goal).await;
    }
}

fn run_until(ending: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let ending = ending.clone();
    tokio::spawn(async move {
        ending.run_until_cancelled(task).await;
    })
}

/// Creates participants. A failed write is not repeated, so that each position belongs to one answer.
async fn write(writer: usize, address: InstanceAddress, ledger: Ledger) {
    let channel = connect(&address).await.expect("the instance listens");
    for count in 0.. {
        let name = format!("Person {writer} {count}");
        let participant = Some(make::person(&name, "AZ"));
        let request = CreateParticipantRequest { participant, request_id: name, ..Default::default() };
        match ParticipantServiceClient::new(channel.clone()).create_participant(request).await {
            Ok(written) => {
                let position = written.metadata().get("readout-position").expect("a position").to_str();
                let position = position.expect("ASCII").to_owned();
                ledger.record(&position, &written.into_inner().name, true);
            }
            Err(status) => {
                let is_expected = [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted].contains(&status.code());
                ledger.require(is_expected, || format!("a write failed: {status:?}"));
                sleep(PAUSE).await;
            }
        }
    }
}

/// Watches the feed, from the beginning after each end of an epoch.
async fn follow(address: InstanceAddress, ledger: Ledger) {
    let changes = ChangeServiceClient::new(connect(&address).await.expect("the instance listens"));
    let (mut start, mut last) = (beginning(), 0);
    loop {
        let mut watch = match Watch::begin(&changes, all(start.clone())).await {
            Ok(watch) => watch,
            Err(status) => {
                ledger.require(status.code() == Code::Unavailable, || format!("a watch was refused: {status:?}"));
                sleep(PAUSE).await;
                continue;
            }
        };
        let status = loop {
            match watch.next().await {
                Ok(Event::Change(change)) => {
                    let next = position(&change.position).1;
                    ledger.require(next == last + 1, || format!("a watch received {next} after {last}"));
                    last = next;
                    ledger.record(&change.position, &change.name, false);
                }
                Ok(_) => {}
                Err(status) => break status,
            }
        };
        let has_reason = status.get_details_error_info().is_some();
        if has_reason && reason_of(&status) == ErrorReason::EpochChanged {
            (start, last) = (beginning(), 0);
            continue;
        }
        ledger.require(status.code() == Code::Unavailable, || format!("a watch ended: {status:?}"));
        if !watch.cursor.is_empty() {
            start = Start::Cursor(watch.cursor);
        }
        sleep(PAUSE).await;
    }
}

/// Reads with a lost position as the least, until the instance answers otherwise than that it is not available.
async fn read_lost(address: &InstanceAddress, lost: &str, ledger: &Ledger) {
    let channel = connect(address).await.expect("the instance listens");
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let mut request = Request::new(ListParticipantsRequest { page_size: 1, ..Default::default() });
        request.metadata_mut().insert("readout-min-position", lost.parse().expect("ASCII"));
        let read = timeout(PATIENCE, ParticipantServiceClient::new(channel.clone()).list_participants(request)).await;
        match read.expect("an answer") {
            Err(status) if status.code() == Code::Unavailable => sleep(PAUSE).await,
            Err(status) => {
                let is_refused = reason_of(&status) == ErrorReason::EpochChanged;
                return ledger.require(is_refused, || format!("{lost} is lost: {status:?}"));
            }
            Ok(_) => return ledger.require(false, || format!("a read answered as if it had {lost}, which is lost")),
        }
    }
    ledger.require(false, || format!("no answer to a read of {lost}"));
}

/// Checks that the database has all acknowledged changes of its epoch. Returns their number.
async fn check_table(pair: &Pair, ledger: &Ledger) -> usize {
    let mut connection = PgConnection::connect_with(&pair.primary.database()).await.expect("the database answers");
    let changes: Vec<(String, String)> =
        sqlx::query_as("select epoch || '.' || position, 'participants/' || id from feed, change")
            .fetch_all(&mut connection)
            .await
            .expect("rows");
    let table: HashMap<_, _> = changes.into_iter().collect();
    let epoch = position(table.keys().next().expect("a change")).0;
    let names = ledger.0.lock().unwrap_or_else(PoisonError::into_inner).names.clone();
    for (at, name) in names.iter().filter(|(at, _)| position(at).0 == epoch) {
        ledger.require(table.get(at) == Some(name), || format!("{at} is {:?}, and was {name}", table.get(at)));
    }
    table.len()
}
