//! Watchers. Each resumes from its last cursor when its call ends, and cancels its call at random.

use std::time::Duration;

use readout::pb::{
    ErrorReason, WatchChangesRequest, WatchChangesResponse, change_service_client::ChangeServiceClient,
    watch_changes_request::Start as RequestStart, watch_changes_response::Event,
};
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming, transport::Channel};
use tonic_types::StatusExt;

use super::{
    history::{Message, RecordedChange, Session, Start, Watcher},
    instances::InstanceAddress,
    rng::Chance,
    run::Shared,
    writer::{connect, is_outcome_unknown},
};
use crate::support::{
    follow::{beginning, matching},
    metadata_of, reason_of,
};

/// Heartbeats are more frequent: a watcher that receives nothing for this time calls again.
const SILENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// The way a watcher reads.
#[derive(Debug, Clone)]
pub enum Pace {
    /// As fast as possible, with random cancellations.
    Eager,
    /// As fast as possible, over a shared connection.
    Together(Channel),
    /// One message per duration until the writers have ended.
    OneEach(Duration),
    /// Reads one message, then waits until the writers have ended.
    Stuck,
    /// After `after` messages, waits for `writes` acknowledged writes.
    Rests { after: usize, writes: usize },
}

/// A watcher that records the messages it receives.
pub struct Recorder {
    pub pace: Pace,
    /// True if it asks for the resources too.
    pub include_resource: bool,
    pub chance: Chance,
    /// The instance to call; sometimes another one after an interruption.
    pub instance: usize,
    pub addresses: Vec<InstanceAddress>,
    pub shared: Shared,
    pub watcher: Watcher,
    pub next: RequestStart,
    pub start: Start,
}

/// The end of a call.
enum End {
    /// The watcher has reached the end of the run.
    Done,
    /// The watcher can resume at once.
    Broken,
    /// The watcher resumes later.
    Rested,
    /// The watcher cannot resume.
    Over,
}

impl Recorder {
    /// A watcher that starts at the first change.
    pub fn new(
        shared: Shared,
        chance: Chance,
        instance: usize,
        addresses: Vec<InstanceAddress>,
        collection: &'static str,
    ) -> Self {
        let watcher = Watcher { collection, sessions: Vec::new(), reads_to_end: true };
        Self {
            pace: Pace::Eager,
            include_resource: false,
            chance,
            instance,
            addresses,
            shared,
            watcher,
            next: beginning(),
            start: Start::After(0),
        }
    }

    /// Watches until the end of the run.
    pub async fn run(mut self) -> Watcher {
        loop {
            match self.call().await {
                End::Done => return self.watcher,
                End::Over => {
                    self.watcher.reads_to_end = false;
                    return self.watcher;
                }
                End::Rested => self.rest().await,
                End::Broken => {
                    sleep(PAUSE).await;
                    if self.chance.once_in(4) {
                        self.instance = self.chance.below(self.addresses.len() as u64) as usize;
                    }
                }
            }
        }
    }

    async fn rest(&self) {
        let Pace::Rests { writes, .. } = self.pace else { return };
        tokio::select! {
            _ = self.shared.wait_for_writes(writes) => {}
            () = self.shared.wait_for_writers() => {}
        }
    }

    async fn call(&mut self) -> End {
        let channel = match &self.pace {
            Pace::Together(channel) => Some(channel.clone()),
            _ => connect(&self.addresses[self.instance]).await,
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
        for count in 1.. {
            let message = match timeout(SILENCE, stream.message()).await {
                Err(_) | Ok(Ok(None)) => return End::Broken,
                Ok(Err(status)) => return self.ended(&status),
                Ok(Ok(Some(message))) => message,
            };
            let recorded = match message.event.expect("every message has an event") {
                Event::Change(change) => {
                    self.shared.number(&change.position);
                    Some(Message::Change(RecordedChange::from(change)))
                }
                Event::Heartbeat(heartbeat) => Some(Message::Heartbeat(self.shared.number(&heartbeat.position))),
                Event::Notice(notice) => {
                    self.shared.count_notice(notice.kind());
                    None
                }
            };
            self.next = RequestStart::Cursor(message.cursor);
            if let Some(recorded) = recorded {
                let (Message::Change(RecordedChange { position, .. }) | Message::Heartbeat(position)) = recorded;
                self.start = Start::After(position);
                self.watcher.sessions.last_mut().expect("begun").messages.push(recorded);
                if self.shared.is_end(position) {
                    return End::Done;
                }
            }
            match self.pace {
                Pace::Eager if self.chance.once_in(200) => return End::Broken,
                Pace::Rests { after, .. } if count == after => return End::Rested,
                Pace::Stuck => self.shared.wait_for_writers().await,
                Pace::OneEach(time) => tokio::select! {
                    () = sleep(time) => {}
                    () = self.shared.wait_for_writers() => return End::Over,
                },
                _ => {}
            }
        }
        End::Broken
    }

    fn ended(&mut self, status: &Status) -> End {
        if status.get_details_error_info().is_some() && reason_of(status) == ErrorReason::CursorExpired {
            self.shared.count_expired_cursor();
            self.next = RequestStart::Cursor(metadata_of(status, "oldest_cursor"));
            self.start = Start::Oldest;
            return End::Broken;
        }
        if is_outcome_unknown(status) {
            return End::Broken;
        }
        self.shared.report_unexpected(format!("a watch ended: {status:?}"));
        End::Over
    }
}
