//! Clients of the change feed.

use readout::pb::{
    Change, ListChangesRequest, Origin, WatchChangesRequest, WatchChangesResponse,
    change_service_client::ChangeServiceClient, list_changes_request, notice, watch_changes_request::Start,
    watch_changes_response::Event,
};
use tonic::{Status, Streaming, transport::Channel};

use super::{Service, data_dir::within_timeout};

/// A watch, and the cursor of the last message.
pub struct Watch {
    stream: Streaming<WatchChangesResponse>,
    pub cursor: String,
}

/// Starts at the first change, or at the oldest that is kept.
pub fn beginning() -> Start {
    Start::Origin(Origin::Beginning.into())
}

/// Starts after the newest change.
pub fn now() -> Start {
    Start::Origin(Origin::Now.into())
}

/// Requests all changes from a start on.
pub fn all(start: Start) -> WatchChangesRequest {
    WatchChangesRequest { start: Some(start), ..Default::default() }
}

/// Requests the changes that match a filter.
pub fn matching(start: Start, filter: &str) -> WatchChangesRequest {
    WatchChangesRequest { filter: filter.into(), ..all(start) }
}

impl Watch {
    /// Opens a watch. A refusal comes with the first message at the latest.
    pub async fn begin(client: &ChangeServiceClient<Channel>, request: WatchChangesRequest) -> Result<Self, Status> {
        let stream = within_timeout("a watch", client.clone().watch_changes(request)).await?.into_inner();
        Ok(Self { stream, cursor: String::new() })
    }

    /// The next message.
    pub async fn next(&mut self) -> Result<Event, Status> {
        let message = within_timeout("a message", self.stream.message()).await?;
        let message = message.expect("a watch does not end by itself");
        assert!(!message.cursor.is_empty());
        self.cursor = message.cursor;
        Ok(message.event.expect("every message has an event"))
    }

    /// The next change; skips other messages.
    pub async fn change(&mut self) -> Change {
        loop {
            if let Event::Change(change) = self.next().await.expect("the watch continues") {
                return change;
            }
        }
    }

    /// The next `count` changes.
    pub async fn changes(&mut self, count: usize) -> Vec<Change> {
        let mut changes = Vec::with_capacity(count);
        while changes.len() < count {
            changes.push(self.change().await);
        }
        changes
    }

    /// All changes until the watch has caught up.
    pub async fn caught_up(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        loop {
            match self.next().await.expect("the watch continues") {
                Event::Change(change) => changes.push(change),
                Event::Notice(notice) if notice.kind() == notice::Kind::CaughtUp => return changes,
                _ => {}
            }
        }
    }
}

impl Service {
    /// A watch of this service.
    pub async fn watch(&self, request: WatchChangesRequest) -> Watch {
        Watch::begin(&self.changes, request).await.expect("a watch")
    }

    /// Lists all changes from the beginning to the end of the feed.
    pub async fn all_changes(&self) -> Vec<Change> {
        let start = list_changes_request::Start::Origin(Origin::Beginning.into());
        let mut request = ListChangesRequest { start: Some(start), page_size: 1_000, ..Default::default() };
        let mut changes = Vec::new();
        loop {
            let page = self.changes.clone().list_changes(request.clone()).await.expect("a page").into_inner();
            changes.extend(page.changes);
            if page.caught_up {
                return changes;
            }
            request.start = Some(list_changes_request::Start::Cursor(page.cursor));
        }
    }
}

/// Splits a position into its epoch and its number.
pub fn position(text: &str) -> (&str, i64) {
    let (epoch, number) = text.split_once('.').expect("an epoch and a number");
    (epoch, number.parse().expect("a number"))
}

/// The number of a change's position.
pub fn number(change: &Change) -> i64 {
    position(&change.position).1
}
