//! Writes records concurrently by workers. Records of one key go to one worker, which writes them one after another.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::Result;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Item, Writer};

/// Worker tasks, each with a queue.
pub struct KeyedWorkers {
    queues: Vec<mpsc::Sender<Item>>,
    tasks: JoinSet<Result<Vec<Item>>>,
}

impl KeyedWorkers {
    pub fn open(writer: &Writer, count: u16) -> Self {
        let mut tasks = JoinSet::new();
        let queues = (0..count)
            .map(|_| {
                let (queue, items) = mpsc::channel(1);
                tasks.spawn(writer.clone().write_all(items));
                queue
            })
            .collect();
        Self { queues, tasks }
    }

    /// Sends a record to the worker of its key. Returns `false` if the worker has ended with an error, which `close`
    /// returns.
    pub async fn send(&self, item: Item) -> bool {
        let mut hasher = DefaultHasher::new();
        item.key.hash(&mut hasher);
        let index = hasher.finish() % self.queues.len() as u64;
        self.queues[index as usize].send(item).await.is_ok()
    }

    /// Waits until all records are written. Returns those that refer to a missing record.
    ///
    /// # Errors
    /// The error that ended a worker.
    pub async fn close(mut self) -> Result<Vec<Item>> {
        self.queues.clear();
        let mut waiting = Vec::new();
        while let Some(task) = self.tasks.join_next().await {
            waiting.extend(task??);
        }
        Ok(waiting)
    }
}
