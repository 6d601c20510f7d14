//! Those who watch: each goes on from its last cursor after whatever broke its call, and breaks it off by itself now
//! and then.

use std::time::Duration;

use readout::pb::{
    ErrorReason, WatchChangesRequest, WatchChangesResponse, change_service_client::ChangeServiceClient,
    watch_changes_request::Start as Asked, watch_changes_response::Event,
};
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming, transport::Channel};
use tonic_types::StatusExt;

use super::{
    chance::Chance,
    fleet::Door,
    history::{Message, Session, Start, Told, Watcher},
    recorder::Shared,
    writer::{connect, may_be_there_after},
};
use crate::support::{
    follow::{beginning, matching},
    metadata_of, reason_of,
};

/// Signs of life come more often than this: who hears nothing for so long calls again.
const SILENCE: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// How somebody reads.
#[derive(Debug, Clone)]
pub enum Pace {
    /// As fast as it comes, and breaks off now and then.
    Eager,
    /// As fast as it comes, over a connection with others.
    Together(Channel),
    /// A message in so much time, as long as there are writers.
    OneEach(Duration),
    /// One message, and the others only when all have written.
    Stuck,
    /// So many messages at a time, and nothing for as many acknowledged writes.
    Rests { after: usize, writes: usize },
}

/// One who watches, and writes down what it is told.
pub struct Recorder {
    pub pace: Pace,
    /// Whether they want the resources too.
    pub include_resource: bool,
    pub chance: Chance,
    /// Where it calls first; the others after a break, at times.
    pub door: usize,
    pub doors: Vec<Door>,
    pub shared: Shared,
    pub watcher: Watcher,
    pub next: Asked,
    pub start: Start,
}

/// How a call ended.
enum End {
    /// All was told.
    Done,
    /// It can go on at once.
    Broken,
    /// It can go on later.
    Rested,
    /// It cannot.
    Over,
}

impl Recorder {
    /// One who begins at the first change there ever was.
    pub fn new(shared: Shared, chance: Chance, door: usize, doors: Vec<Door>, collection: &'static str) -> Self {
        let watcher = Watcher { collection, sessions: Vec::new(), to_the_end: true };
        Self {
            pace: Pace::Eager,
            include_resource: false,
            chance,
            door,
            doors,
            shared,
            watcher,
            next: beginning(),
            start: Start::After(0),
        }
    }

    /// Watches until it has all there is at the end of the run.
    pub async fn run(mut self) -> Watcher {
        loop {
            match self.call().await {
                End::Done => return self.watcher,
                End::Over => {
                    self.watcher.to_the_end = false;
                    return self.watcher;
                }
                End::Rested => self.rest().await,
                End::Broken => {
                    sleep(PAUSE).await;
                    if self.chance.once_in(4) {
                        self.door = self.chance.below(self.doors.len() as u64) as usize;
                    }
                }
            }
        }
    }

    async fn rest(&self) {
        let Pace::Rests { writes, .. } = self.pace else { return };
        tokio::select! {
            _ = self.shared.more(writes) => {}
            () = self.shared.is_written() => {}
        }
    }

    async fn call(&mut self) -> End {
        let channel = match &self.pace {
            Pace::Together(channel) => Some(channel.clone()),
            _ => connect(&self.doors[self.door]).await,
        };
        let Some(channel) = channel else { return End::Broken };
        let filter = match self.watcher.collection {
            "" => String::new(),
            collection => format!("collection = {collection}"),
        };
        let include_resource = self.include_resource;
        let request = WatchChangesRequest { include_resource, ..matching(self.next.clone(), &filter) };
        let mut client = ChangeServiceClient::new(channel);
        let begun = timeout(SILENCE, client.watch_changes(request)).await;
        let Ok(begun) = begun else { return End::Broken };
        self.watcher.sessions.push(Session { start: self.start, messages: Vec::new() });
        match begun {
            Ok(stream) => self.listen(stream.into_inner()).await,
            Err(status) => self.ended(&status),
        }
    }

    async fn listen(&mut self, mut stream: Streaming<WatchChangesResponse>) -> End {
        for heard in 1.. {
            let message = match timeout(SILENCE, stream.message()).await {
                Err(_) | Ok(Ok(None)) => return End::Broken,
                Ok(Err(status)) => return self.ended(&status),
                Ok(Ok(Some(message))) => message,
            };
            let told = match message.event.expect("every message tells something") {
                Event::Change(change) => {
                    self.shared.number(&change.position);
                    Some(Message::Change(Told::from(change)))
                }
                Event::Heartbeat(heartbeat) => Some(Message::Heartbeat(self.shared.number(&heartbeat.position))),
                Event::Notice(notice) => {
                    self.shared.notice(notice.kind());
                    None
                }
            };
            self.next = Asked::Cursor(message.cursor);
            if let Some(told) = told {
                let (Message::Change(Told { position, .. }) | Message::Heartbeat(position)) = told;
                self.start = Start::After(position);
                self.watcher.sessions.last_mut().expect("begun").messages.push(told);
                if self.shared.is_told(position) {
                    return End::Done;
                }
            }
            match self.pace {
                Pace::Eager if self.chance.once_in(200) => return End::Broken,
                Pace::Rests { after, .. } if heard == after => return End::Rested,
                Pace::Stuck => self.shared.is_written().await,
                Pace::OneEach(time) => tokio::select! {
                    () = sleep(time) => {}
                    () = self.shared.is_written() => return End::Over,
                },
                _ => {}
            }
        }
        End::Broken
    }

    fn ended(&mut self, status: &Status) -> End {
        if status.get_details_error_info().is_some() && reason_of(status) == ErrorReason::CursorExpired {
            self.shared.came_too_late();
            self.next = Asked::Cursor(metadata_of(status, "oldest_cursor"));
            self.start = Start::Oldest;
            return End::Broken;
        }
        if may_be_there_after(status) {
            return End::Broken;
        }
        self.shared.surprise(format!("a watch ended: {status:?}"));
        End::Over
    }
}
