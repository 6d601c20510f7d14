//! A run: some who write and some who watch, at two instances, and what comes of it.

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
    store::change::Logged,
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::Status;

use super::{
    fleet::{Door, Fleet},
    history::{HandOff, History, Told, Watcher, Write},
    plan::Plan,
    validator::validate,
    watcher,
    writer::{Scene, Writer, connect},
};
use crate::support::{data_dir::patiently, follow::position};

const WRITERS: usize = 6;
/// Those who watch, at each instance: what they are told of.
const WATCHERS: [&str; 3] = ["", "", "meetings"];
/// Between two hand-offs there are so many acknowledged writes.
const BETWEEN_HAND_OFFS: usize = 150;
/// A list takes no longer.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// What came of a fault.
#[derive(Debug, Default)]
pub struct Outcome {
    pub histories: usize,
    pub changes: usize,
    pub wrong: Vec<String>,
}

impl Outcome {
    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.histories += other.histories;
        self.changes += other.changes;
        self.wrong.extend(other.wrong);
        self
    }

    /// Something else that has to hold.
    pub fn require(mut self, holds: bool, what: impl FnOnce() -> String) -> Self {
        self.wrong.extend((!holds).then(what));
        self
    }
}

/// What those who write and watch have in common.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    epoch: String,
    /// Tells what is written from what former runs have written.
    tag: u64,
    ending: watch::Sender<bool>,
    /// The head when all have written.
    goal: watch::Sender<Option<i64>>,
    /// How many writes were acknowledged, and the highest position that was.
    acknowledged: watch::Sender<(usize, i64)>,
    surprises: Mutex<Vec<String>>,
    /// How often somebody fell behind, or came when what they wanted was gone.
    fell_behind: AtomicU64,
    came_too_late: AtomicU64,
}

impl Shared {
    /// A name for a request that no other run has.
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

    /// The highest position that was acknowledged.
    pub fn acknowledged(&self) -> i64 {
        self.0.acknowledged.borrow().1
    }

    /// Waits for the writers to end.
    pub async fn is_written(&self) {
        // We hold the sender.
        let _ = self.0.goal.subscribe().wait_for(Option::is_some).await;
    }

    /// A position of the run's epoch.
    pub fn position(&self, number: i64) -> String {
        format!("{}.{number}", self.0.epoch)
    }

    /// Whether this is the end of the run.
    pub fn is_told(&self, position: i64) -> bool {
        self.0.goal.borrow().is_some_and(|goal| goal <= position)
    }

    /// The number of a position of the epoch that the run began in.
    pub fn number(&self, text: &str) -> i64 {
        let (epoch, number) = position(text);
        if epoch != self.0.epoch {
            self.surprise(format!("{text} is of another epoch than {}", self.0.epoch));
        }
        number
    }

    /// Something happened that no fault explains.
    pub fn surprise(&self, what: String) {
        self.surprises().push(what);
    }

    /// Somebody was told how they stand.
    pub fn notice(&self, kind: notice::Kind) {
        if kind == notice::Kind::FellBehind {
            self.0.fell_behind.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often somebody fell behind.
    pub fn fell_behind(&self) -> u64 {
        self.0.fell_behind.load(Ordering::Relaxed)
    }

    /// Somebody was told that what they wanted is gone.
    pub fn came_too_late(&self) {
        self.0.came_too_late.fetch_add(1, Ordering::Relaxed);
    }

    /// How often somebody came too late.
    pub fn too_late(&self) -> u64 {
        self.0.came_too_late.load(Ordering::Relaxed)
    }

    fn surprises(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.surprises.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so many more acknowledged writes.
    pub async fn more(&self, count: usize) -> i64 {
        let mut acknowledged = self.0.acknowledged.subscribe();
        let goal = acknowledged.borrow().0 + count;
        let reached = patiently("writes are acknowledged", acknowledged.wait_for(|(count, _)| *count >= goal)).await;
        reached.expect("we hold the sender").1
    }
}

/// A run that goes on.
pub struct Recording {
    pub shared: Shared,
    database: PgConnectOptions,
    writers: Vec<JoinHandle<Vec<Write>>>,
    watchers: Vec<JoinHandle<Watcher>>,
    lister: JoinHandle<Vec<HandOff>>,
}

impl Recording {
    /// Begins at the instances of a fleet.
    pub async fn begin(fleet: &Fleet, plan: Plan) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let doors = fleet.doors();
        let mut connection = PgConnection::connect_with(&fleet.database).await.expect("it answers");
        let epoch = sqlx::query_scalar("select epoch from feed").fetch_one(&mut connection).await.expect("one");
        connection.close().await.expect("closed");
        let shared = Shared(Arc::new(Inner {
            epoch,
            tag: NUMBER.fetch_add(1, Ordering::Relaxed),
            ending: watch::Sender::new(false),
            goal: watch::Sender::new(None),
            acknowledged: watch::Sender::default(),
            surprises: Mutex::default(),
            fell_behind: AtomicU64::new(0),
            came_too_late: AtomicU64::new(0),
        }));
        let scene = Scene::set(&doors[0], shared.0.tag).await;
        let writer = |number| Writer {
            number,
            chance: plan.chance(&format!("writer {number}")),
            doors: doors.clone(),
            scene: scene.clone(),
            shared: shared.clone(),
            channel: None,
        };
        let writers = (0..WRITERS).map(|number| tokio::spawn(writer(number).run())).collect();
        let mut watchers = Vec::new();
        for door in 0..doors.len() {
            for (number, collection) in WATCHERS.into_iter().enumerate() {
                let chance = plan.chance(&format!("watcher {door} {number}"));
                let recorder = watcher::Recorder::new(shared.clone(), chance, door, doors.clone(), collection);
                watchers.push(tokio::spawn(recorder.run()));
            }
        }
        let lister = tokio::spawn(list_again_and_again(shared.clone(), doors));
        Self { shared, database: fleet.database.clone(), writers, watchers, lister }
    }

    /// Waits for so many more acknowledged writes.
    pub async fn more(&self, count: usize) {
        self.shared.more(count).await;
    }

    /// One more who watches, to the end of the run or their own.
    pub fn join(&mut self, watching: impl Future<Output = Watcher> + Send + 'static) {
        self.watchers.push(tokio::spawn(watching));
    }

    /// Lets all finish, and answers what was wrong.
    pub async fn end(self) -> Outcome {
        let (history, surprises) = self.history().await;
        let violations = validate(&history).into_iter().map(|violation| violation.to_string());
        let wrong = surprises.into_iter().chain(violations).collect();
        Outcome { histories: 1, changes: history.table.len().max(history.floor as usize), wrong }
    }

    /// Lets all finish, and answers what happened.
    async fn history(self) -> (History, Vec<String>) {
        let Self { shared, database, writers, watchers, lister } = self;
        shared.0.ending.send_replace(true);
        let writes = patiently("all have written", join_all(writers)).await;
        let mut connection = PgConnection::connect_with(&database).await.expect("it answers");
        let head = "select greatest(floor, (select max(position) from change)) from feed";
        let head: i64 = sqlx::query_scalar(head).fetch_one(&mut connection).await.expect("one");
        shared.0.goal.send_replace(Some(head));
        let watchers = patiently("all were told all", join_all(watchers)).await;
        let hand_offs = patiently("the lists end", lister).await.expect("it lists");

        let changes: Vec<Logged> =
            sqlx::query_as("select * from change order by position").fetch_all(&mut connection).await.expect("rows");
        let floor = sqlx::query_scalar("select floor from feed").fetch_one(&mut connection).await.expect("one");
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
            writes: writes.into_iter().flat_map(|writes| writes.expect("it writes")).collect(),
            watchers: watchers.into_iter().map(|watcher| watcher.expect("it watches")).collect(),
            hand_offs,
            table: changes.into_iter().map(told).collect(),
            floor,
            records: records.into_iter().collect(),
        };
        (history, std::mem::take(&mut shared.surprises()))
    }
}

fn told(logged: Logged) -> Told {
    Told {
        position: logged.position,
        name: logged.collection.name(logged.id),
        kind: logged.kind.into(),
        revision: logged.revision,
        time: logged.time.timestamp_micros(),
        request_id: logged.request_id,
        last: logged.last,
    }
}

/// Lists everything as of what was acknowledged last, at one instance after the other, while others write.
async fn list_again_and_again(shared: Shared, doors: Vec<Door>) -> Vec<HandOff> {
    let mut hand_offs = Vec::new();
    let mut acknowledged = shared.0.acknowledged.subscribe();
    let mut ending = shared.0.ending.subscribe();
    for (round, door) in doors.iter().cycle().enumerate() {
        let goal = round * BETWEEN_HAND_OFFS + 1;
        tokio::select! {
            _ = acknowledged.wait_for(|(count, _)| *count >= goal) => {}
            _ = ending.wait_for(|is_ending| *is_ending) => return hand_offs,
        }
        let as_of = acknowledged.borrow().1;
        match timeout(LIST_TIMEOUT, list(door)).await {
            Ok(Ok(listed)) => hand_offs.push(HandOff { as_of, listed }),
            // A fault was in the way.
            Ok(Err(_)) | Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
    hand_offs
}

async fn list(door: &Door) -> Result<BTreeMap<String, i64>, Status> {
    let channel = connect(door).await.ok_or_else(|| Status::unavailable("nobody is there"))?;
    let mut listed = BTreeMap::new();
    let all = ListParticipantsRequest { page_size: 1_000, ..Default::default() };
    let mut pages = ParticipantServiceClient::new(channel.clone()).stream_participants(all).await?.into_inner();
    while let Some(page) = pages.message().await? {
        listed.extend(page.participants.into_iter().map(|one| (one.name, one.revision)));
    }
    let all = ListArticlesRequest { page_size: 1_000, ..Default::default() };
    let mut pages = ArticleServiceClient::new(channel.clone()).stream_articles(all).await?.into_inner();
    while let Some(page) = pages.message().await? {
        listed.extend(page.articles.into_iter().map(|one| (one.name, one.revision)));
    }
    let all = ListMeetingsRequest { page_size: 1_000, ..Default::default() };
    let mut pages = MeetingServiceClient::new(channel).stream_meetings(all).await?.into_inner();
    while let Some(page) = pages.message().await? {
        listed.extend(page.meetings.into_iter().map(|one| (one.name, one.revision)));
    }
    Ok(listed)
}
