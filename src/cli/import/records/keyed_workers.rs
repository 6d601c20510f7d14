//! Writes records concurrently in lanes. Records of one key are in one lane, which writes them one after another.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::Result;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Item, Writer};

/// The lanes, each with a queue and a task.
pub struct KeyedWorkers {
    lanes: Vec<mpsc::Sender<Item>>,
    workers: JoinSet<Result<Vec<Item>>>,
}

impl KeyedWorkers {
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

    /// Sends a record to the lane of its key. Returns `false` if the lane has ended with an error, which `close`
    /// returns.
    pub async fn send(&self, item: Item) -> bool {
        let mut hasher = DefaultHasher::new();
        item.key.hash(&mut hasher);
        let lane = hasher.finish() % self.lanes.len() as u64;
        self.lanes[lane as usize].send(item).await.is_ok()
    }

    /// Waits until all records are written. Returns those that refer to a missing record.
    ///
    /// # Errors
    /// The error that ended a lane.
    pub async fn close(mut self) -> Result<Vec<Item>> {
        self.lanes.clear();
        let mut waiting = Vec::new();
        while let Some(worker) = self.workers.join_next().await {
            waiting.extend(worker??);
        }
        Ok(waiting)
    }
}
