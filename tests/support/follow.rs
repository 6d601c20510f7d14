//! Those who follow the change feed.

use readout::pb::{
    Change, ListChangesRequest, Origin, WatchChangesRequest, WatchChangesResponse,
    change_service_client::ChangeServiceClient, list_changes_request, notice, watch_changes_request::Start,
    watch_changes_response::Event,
};
use tonic::{Status, Streaming, transport::Channel};

use super::{Service, data_dir::patiently};

/// A watch, and the cursor of the last message.
pub struct Watch {
    stream: Streaming<WatchChangesResponse>,
    pub cursor: String,
}

/// From the first change on, or the oldest that is kept.
pub fn beginning() -> Start {
    Start::Origin(Origin::Beginning.into())
}

/// After the newest change.
pub fn now() -> Start {
    Start::Origin(Origin::Now.into())
}

/// All changes from a start on.
pub fn all(start: Start) -> WatchChangesRequest {
    WatchChangesRequest { start: Some(start), ..Default::default() }
}

/// Those that match.
pub fn matching(start: Start, filter: &str) -> WatchChangesRequest {
    WatchChangesRequest { filter: filter.into(), ..all(start) }
}

impl Watch {
    /// Begins, or is refused; at the latest with the first message.
    pub async fn begin(client: &ChangeServiceClient<Channel>, request: WatchChangesRequest) -> Result<Self, Status> {
        let stream = patiently("a watch", client.clone().watch_changes(request)).await?.into_inner();
        Ok(Self { stream, cursor: String::new() })
    }

    /// The next message.
    pub async fn next(&mut self) -> Result<Event, Status> {
        let message = patiently("a message", self.stream.message()).await?;
        let message = message.expect("a watch does not end by itself");
        assert!(!message.cursor.is_empty());
        self.cursor = message.cursor;
        Ok(message.event.expect("every message tells something"))
    }

    /// The next change, whatever comes before it.
    pub async fn change(&mut self) -> Change {
        loop {
            if let Event::Change(change) = self.next().await.expect("the watch goes on") {
                return change;
            }
        }
    }

    /// As many changes.
    pub async fn changes(&mut self, count: usize) -> Vec<Change> {
        let mut changes = Vec::with_capacity(count);
        while changes.len() < count {
            changes.push(self.change().await);
        }
        changes
    }

    /// All changes until it has caught up.
    pub async fn caught_up(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        loop {
            match self.next().await.expect("the watch goes on") {
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

    /// All changes from the beginning to the end, by pages.
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

/// The epoch and the number of a position.
pub fn position(text: &str) -> (&str, i64) {
    let (epoch, number) = text.split_once('.').expect("an epoch and a number");
    (epoch, number.parse().expect("a number"))
}

/// The number of a change's position.
pub fn number(change: &Change) -> i64 {
    position(&change.position).1
}
