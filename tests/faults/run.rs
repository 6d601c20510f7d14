//! A run: writers and watchers at two instances, and the history that they record.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use readout::{
    pb::{
        ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest,
        article_service_client::ArticleServiceClient, meeting_service_client::MeetingServiceClient, notice,
        participant_service_client::ParticipantServiceClient,
    },
    store::change::StoredChange,
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{Request, Status};

use super::{
    history::{HandOff, History, RecordedChange, Watcher, Write},
    instances::{Fleet, InstanceAddress},
    run_options::Plan,
    validator::validate,
    watcher,
    writer::{Scene, Writer, connect},
};
use crate::support::{data_dir::within_timeout, follow::position};

const WRITERS: usize = 6;
/// The watchers at each instance, by the collection to which they subscribe; empty for all.
const WATCHERS: [&str; 3] = ["", "", "meetings"];
/// The number of acknowledged writes between two hand-offs.
const WRITES_PER_HAND_OFF: usize = 150;
/// The time limit of a list.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of a fault.
#[derive(Debug, Default)]
pub struct Outcome {
    pub histories: usize,
    pub changes: usize,
    pub failures: Vec<String>,
}

impl Outcome {
    /// Combines two results.
    pub fn merge(mut self, other: Self) -> Self {
        self.histories += other.histories;
        self.changes += other.changes;
        self.failures.extend(other.failures);
        self
    }

    /// Adds a failure unless a further condition holds.
    pub fn require(mut self, holds: bool, what: impl FnOnce() -> String) -> Self {
        self.failures.extend((!holds).then(what));
        self
    }
}

/// The state that writers and watchers share.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    epoch: String,
    /// Distinguishes the records of this run from those of earlier runs.
    tag: u64,
    ending: watch::Sender<bool>,
    /// The head of the feed once all writers have ended.
    goal: watch::Sender<Option<i64>>,
    /// The number of acknowledged writes, and the highest position among them.
    acknowledged: watch::Sender<(usize, i64)>,
    unexpected: Mutex<Vec<String>>,
    /// Number of times that a watcher fell behind.
    fell_behind: AtomicU64,
    /// Number of times that the cursor of a watcher had expired.
    expired_cursors: AtomicU64,
}

impl Shared {
    /// A request id that no other run uses.
    pub fn request_id(&self, writer: usize, write: usize) -> String {
        format!("{}-{writer}-{write}", self.0.tag)
    }

    pub fn is_ending(&self) -> bool {
        *self.0.ending.borrow()
    }

    pub fn acknowledge(&self, position: i64) {
        self.0.acknowledged.send_modify(|(count, highest)| {
            *count += 1;
            *highest = position.max(*highest);
        });
    }

    /// The highest acknowledged position.
    pub fn acknowledged(&self) -> i64 {
        self.0.acknowledged.borrow().1
    }

    /// Waits until all writers have ended.
    pub async fn wait_for_writers(&self) {
        // `self` owns the sender, so that waiting cannot fail.
        let _ = self.0.goal.subscribe().wait_for(Option::is_some).await;
    }

    /// A position in the epoch of the run.
    pub fn position(&self, number: i64) -> String {
        format!("{}.{number}", self.0.epoch)
    }

    /// True if this position is the end of the run.
    pub fn is_end(&self, position: i64) -> bool {
        self.0.goal.borrow().is_some_and(|goal| goal <= position)
    }

    /// The number of a position, which must be in the epoch of the run.
    pub fn number(&self, text: &str) -> i64 {
        let (epoch, number) = position(text);
        if epoch != self.0.epoch {
            self.report_unexpected(format!("{text} is of another epoch than {}", self.0.epoch));
        }
        number
    }

    /// Reports something that no fault explains.
    pub fn report_unexpected(&self, what: String) {
        self.unexpected().push(what);
    }

    /// Counts a notice that a watcher received.
    pub fn count_notice(&self, kind: notice::Kind) {
        if kind == notice::Kind::FellBehind {
            self.0.fell_behind.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Number of times that a watcher fell behind.
    pub fn fell_behind(&self) -> u64 {
        self.0.fell_behind.load(Ordering::Relaxed)
    }

    /// Counts an expired cursor.
    pub fn count_expired_cursor(&self) {
        self.0.expired_cursors.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of times that the cursor of a watcher had expired.
    pub fn expired_cursors(&self) -> u64 {
        self.0.expired_cursors.load(Ordering::Relaxed)
    }

    fn unexpected(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.unexpected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `count` further writes are acknowledged. Returns the highest acknowledged position.
    pub async fn wait_for_writes(&self, count: usize) -> i64 {
        let mut acknowledged = self.0.acknowledged.subscribe();
        let goal = acknowledged.borrow().0 + count;
        let reached =
            within_timeout("writes are acknowledged", acknowledged.wait_for(|(count, _)| *count >= goal)).await;
        reached.expect("self owns the sender").1
    }
}

/// A run in progress.
pub struct Recording {
    pub shared: Shared,
    database: PgConnectOptions,
    writers: Vec<JoinHandle<Vec<Write>>>,
    watchers: Vec<JoinHandle<Watcher>>,
    lister: JoinHandle<Vec<HandOff>>,
}

impl Recording {
    /// Starts writers and watchers at the instances of a fleet.
    pub async fn begin(fleet: &Fleet, plan: Plan) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let addresses = fleet.addresses();
        let mut connection = PgConnection::connect_with(&fleet.database).await.expect("the database answers");
        let epoch = sqlx::query_scalar("select epoch from feed").fetch_one(&mut connection).await.expect("a row");
        connection.close().await.expect("closed");
        let shared = Shared(Arc::new(Inner {
            epoch,
            tag: NUMBER.fetch_add(1, Ordering::Relaxed),
            ending: watch::Sender::new(false),
            goal: watch::Sender::new(None),
            acknowledged: watch::Sender::default(),
            unexpected: Mutex::default(),
            fell_behind: AtomicU64::new(0),
            expired_cursors: AtomicU64::new(0),
        }));
        let scene = Scene::create(&addresses[0], shared.0.tag).await;
        let writer = |number| Writer {
            number,
            chance: plan.chance(&format!("writer {number}")),
            addresses: addresses.clone(),
            scene: scene.clone(),
            shared: shared.clone(),
            channel: None,
        };
        let writers = (0..WRITERS).map(|number| tokio::spawn(writer(number).run())).collect();
        let mut watchers = Vec::new();
        for instance in 0..addresses.len() {
            for (number, collection) in WATCHERS.into_iter().enumerate() {
                let chance = plan.chance(&format!("watcher {instance} {number}"));
                let recorder = watcher::Recorder::new(shared.clone(), chance, instance, addresses.clone(), collection);
                watchers.push(tokio::spawn(recorder.run()));
            }
        }
        let lister = tokio::spawn(list_periodically(shared.clone(), addresses));
        Self { shared, database: fleet.database.clone(), writers, watchers, lister }
    }

    /// Waits until `count` further writes are acknowledged.
    pub async fn wait_for_writes(&self, count: usize) {
        self.shared.wait_for_writes(count).await;
    }

    /// Adds a watcher.
    pub fn join(&mut self, watching: impl Future<Output = Watcher> + Send + 'static) {
        self.watchers.push(tokio::spawn(watching));
    }

    /// Waits until all tasks finish and returns the violations.
    pub async fn end(self) -> Outcome {
        let (history, unexpected) = self.history().await;
        let violations = validate(&history).into_iter().map(|violation| violation.to_string());
        let failures = unexpected.into_iter().chain(violations).collect();
        Outcome { histories: 1, changes: history.table.len().max(history.floor as usize), failures }
    }

    /// Waits until all tasks finish. Returns the history, and the events that no fault explains.
    async fn history(self) -> (History, Vec<String>) {
        let Self { shared, database, writers, watchers, lister } = self;
        shared.0.ending.send_replace(true);
        let writes = within_timeout("the writers end", join_all(writers)).await;
        let mut connection = PgConnection::connect_with(&database).await.expect("the database answers");
        let head = "select greatest(floor, (select max(position) from change)) from feed";
        let head: i64 = sqlx::query_scalar(head).fetch_one(&mut connection).await.expect("a row");
        shared.0.goal.send_replace(Some(head));
        let watchers = within_timeout("the watchers reach the end", join_all(watchers)).await;
        let hand_offs = within_timeout("the lists end", lister).await.expect("no panic");

        let changes: Vec<StoredChange> =
            sqlx::query_as("select * from change order by position").fetch_all(&mut connection).await.expect("rows");
        let floor = sqlx::query_scalar("select floor from feed").fetch_one(&mut connection).await.expect("a row");
        let records: Vec<(String, i64)> = sqlx::query_as(
            "select 'participants/' || id, revision from participant
             union all
             select 'articles/' || id, revision from article
             union all
             select 'meetings/' || id, revision from meeting",
        )
        .fetch_all(&mut connection)
        .await
        .expect("rows");
        let history = History {
            writes: writes.into_iter().flat_map(|writes| writes.expect("no panic")).collect(),
            watchers: watchers.into_iter().map(|watcher| watcher.expect("no panic")).collect(),
            hand_offs,
            table: changes.into_iter().map(recorded).collect(),
            floor,
            records: records.into_iter().collect(),
        };
        (history, std::mem::take(&mut shared.unexpected()))
    }
}

fn recorded(logged: StoredChange) -> RecordedChange {
    RecordedChange {
        position: logged.position,
        name: logged.collection.name(logged.id),
        kind: logged.kind.into(),
        revision: logged.revision,
        time: logged.time.timestamp_micros(),
        request_id: logged.request_id,
        last: logged.last,
    }
}

/// Lists all records as of the last acknowledged write, at the instances in turn, while others write.
async fn list_periodically(shared: Shared, addresses: Vec<InstanceAddress>) -> Vec<HandOff> {
    let mut hand_offs = Vec::new();
    let mut acknowledged = shared.0.acknowledged.subscribe();
    let mut ending = shared.0.ending.subscribe();
    for (round, address) in addresses.iter().cycle().enumerate() {
        let goal = round * WRITES_PER_HAND_OFF + 1;
        tokio::select! {
            _ = acknowledged.wait_for(|(count, _)| *count >= goal) => {}
            _ = ending.wait_for(|is_ending| *is_ending) => return hand_offs,
        }
        let as_of = acknowledged.borrow().1;
        match timeout(LIST_TIMEOUT, list(address, &shared.position(as_of))).await {
            Ok(Ok(listed)) => hand_offs.push(HandOff { as_of, listed }),
            // The fault interrupted the list.
            Ok(Err(_)) | Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
    hand_offs
}

/// Lists all records. What is listed includes the position, even from a standby.
async fn list(address: &InstanceAddress, position: &str) -> Result<BTreeMap<String, i64>, Status> {
    fn including<T>(position: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("readout-min-position", position.parse().expect("ASCII"));
        request
    }
    let channel = connect(address).await.ok_or_else(|| Status::unavailable("the instance does not listen"))?;
    let mut listed = BTreeMap::new();
    let all = ListParticipantsRequest { page_size: 1_000, ..Default::default() };
    let mut pages = ParticipantServiceClient::new(channel.clone())
        .stream_participants(including(position, all))
        .await?
        .into_inner();
    while let Some(page) = pages.message().await? {
        listed.extend(page.participants.into_iter().map(|participant| (participant.name, participant.revision)));
    }
    let all = ListArticlesRequest { page_size: 1_000, ..Default::default() };
    let mut pages =
        ArticleServiceClient::new(channel.clone()).stream_articles(including(position, all)).await?.into_inner();
    while let Some(page) = pages.message().await? {
        listed.extend(page.articles.into_iter().map(|article| (article.name, article.revision)));
    }
    let all = ListMeetingsRequest { page_size: 1_000, ..Default::default() };
    let mut pages = MeetingServiceClient::new(channel).stream_meetings(including(position, all)).await?.into_inner();
    while let Some(page) = pages.message().await? {
        listed.extend(page.meetings.into_iter().map(|meeting| (meeting.name, meeting.revision)));
    }
    Ok(listed)
}
