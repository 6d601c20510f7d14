//! Lanes of records: those of one key are written one after another, others at the same time.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::Result;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Item, Writer};

/// Records on their way, each lane one at a time.
pub struct Lanes {
    lanes: Vec<mpsc::Sender<Item>>,
    workers: JoinSet<Result<Vec<Item>>>,
}

impl Lanes {
    pub fn open(writer: &Writer, lanes: u16) -> Self {
        let mut workers = JoinSet::new();
        let lanes = (0..lanes)
            .map(|_| {
                let (lane, items) = mpsc::channel(1);
                workers.spawn(writer.clone().write_all(items));
                lane
            })
            .collect();
        Self { lanes, workers }
    }

    /// Gives a record to the lane of its key. `false`: the lane has ended, and `close` says why.
    pub async fn send(&self, item: Item) -> bool {
        let mut hasher = DefaultHasher::new();
        item.key.hash(&mut hasher);
        let lane = hasher.finish() % self.lanes.len() as u64;
        self.lanes[lane as usize].send(item).await.is_ok()
    }

    /// Waits until all are written; answers those that missed another record.
    pub async fn close(mut self) -> Result<Vec<Item>> {
        self.lanes.clear();
        let mut waiting = Vec::new();
        while let Some(worker) = self.workers.join_next().await {
            waiting.extend(worker??);
        }
        Ok(waiting)
    }
}
