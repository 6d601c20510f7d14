//! Reads by key that are asked for at the same time share a query. A batch forms while those before it are being read;
//! nobody waits for a timer. It is read by a task of its own: a caller who goes away does not cancel it for the others.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use crate::store::{BATCH_TIMEOUT, StoreError};

/// A batch has at most so many keys but for those of a single larger call, and there are at most so many at a time.
const BATCH_KEYS: usize = 128;
const BATCHES: usize = 2;
/// Calls that may wait; whoever comes then waits to be let in.
const QUEUE: usize = 1_024;
/// A batch ends at so many bytes of records, and after at least one: as many as a message may have.
pub const BATCH_BYTES: i64 = 8 * 1024 * 1024;

/// What a batch read, by key; a key without an entry is that of nothing. `None`: it is there, and was too large to be
/// read with the others; some one of a batch always is read.
pub type BatchResult<K, V> = HashMap<K, Option<V>>;

/// Reads by key.
pub struct Coalesced<K, V>(Arc<Shared<K, V>>);

type Read<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, Result<BatchResult<K, V>, StoreError>> + Send + Sync;

struct Shared<K, V> {
    read: Box<Read<K, V>>,
    queue: Mutex<Queue<K, V>>,
    room: Semaphore,
}

struct Queue<K, V> {
    waiting: VecDeque<LoadRequest<K, V>>,
    /// Tasks that take batches from it.
    tasks: usize,
}

struct LoadRequest<K, V> {
    /// Those that are still to be read.
    keys: Vec<K>,
    found: HashMap<K, Arc<V>>,
    reply: oneshot::Sender<Answer<K, V>>,
}

type Answer<K, V> = Result<HashMap<K, Arc<V>>, Arc<StoreError>>;

impl<K, V> Clone for Coalesced<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> fmt::Debug for Coalesced<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Coalesced")
    }
}

impl<K, V> Coalesced<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Reads batches with `read`, which is given distinct keys.
    pub fn new<F>(read: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<BatchResult<K, V>, StoreError>> + Send + 'static,
    {
        Self(Arc::new(Shared {
            read: Box::new(move |keys| Box::pin(read(keys))),
            queue: Mutex::new(Queue { waiting: VecDeque::new(), tasks: 0 }),
            room: Semaphore::new(QUEUE),
        }))
    }

    /// What has this key, as of a moment after the call; `None` for nothing.
    #[tracing::instrument(name = "db.record.read", level = "debug", skip_all)]
    pub async fn get(&self, key: K) -> Result<Option<Arc<V>>, Arc<StoreError>> {
        // Where there is nobody to share with, a task would only cost time.
        if let Some(_alone) = Alone::begin(&self.0) {
            let found = in_time(&self.0.read, vec![key]).await.map_err(Arc::new)?;
            return Ok(found.into_values().next().flatten().map(Arc::new));
        }
        Ok(self.get_all(vec![key]).await?.into_values().next())
    }

    /// What has these keys, as of moments after the call. A key of nothing has no entry.
    #[tracing::instrument(name = "db.records.read", level = "debug", skip_all)]
    pub async fn get_all(&self, keys: Vec<K>) -> Answer<K, V> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        // A task answers all that it takes, unless it panics or its runtime ends.
        let ended = || Arc::new(StoreError::Unavailable(sqlx::Error::WorkerCrashed));
        let _room = self.0.room.acquire().await.map_err(|_| ended())?;
        let (reply, answer) = oneshot::channel();
        let is_enough = {
            let mut queue = self.0.queue();
            queue.waiting.push_back(LoadRequest { keys, found: HashMap::new(), reply });
            let is_enough = queue.tasks == BATCHES;
            queue.tasks += usize::from(!is_enough);
            is_enough
        };
        if !is_enough {
            tokio::spawn(Task { shared: Arc::clone(&self.0), is_counted: true }.run());
        }
        answer.await.map_err(|_| ended())?
    }
}

impl<K, V> Shared<K, V> {
    /// Nothing panics while it is held.
    fn queue(&self) -> MutexGuard<'_, Queue<K, V>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who reads for itself. It counts as a task: whoever comes meanwhile starts another one.
struct Alone<'a, K, V>(&'a Shared<K, V>);

impl<'a, K, V> Alone<'a, K, V> {
    fn begin(shared: &'a Shared<K, V>) -> Option<Self> {
        let mut queue = shared.queue();
        let is_alone = queue.tasks == 0;
        queue.tasks += usize::from(is_alone);
        is_alone.then(|| Self(shared))
    }
}

impl<K, V> Drop for Alone<'_, K, V> {
    fn drop(&mut self) {
        self.0.queue().tasks -= 1;
    }
}

/// Takes batches from the queue until it is empty.
struct Task<K, V> {
    shared: Arc<Shared<K, V>>,
    /// Whether the queue counts it.
    is_counted: bool,
}

impl<K: Clone + Eq + Hash + 'static, V: 'static> Task<K, V> {
    async fn run(mut self) {
        while let Some(batch) = self.take() {
            answer(batch, &self.shared.read).await;
        }
    }

    /// What has gathered since the last batch; `None` if that is nothing: who comes then starts another task.
    fn take(&mut self) -> Option<Vec<LoadRequest<K, V>>> {
        let mut queue = self.shared.queue();
        let (mut batch, mut count) = (Vec::new(), 0);
        while count < BATCH_KEYS
            && let Some(next) = queue.waiting.pop_front()
        {
            if !next.reply.is_closed() {
                count += next.keys.len();
                batch.push(next);
            }
        }
        if !batch.is_empty() {
            return Some(batch);
        }
        queue.tasks -= 1;
        drop(queue);
        self.is_counted = false;
        None
    }
}

impl<K, V> Drop for Task<K, V> {
    fn drop(&mut self) {
        // It panicked, or the runtime ends.
        if self.is_counted {
            let mut queue = self.shared.queue();
            queue.tasks -= 1;
            // Those who wait hear that nobody will answer.
            queue.waiting.clear();
        }
    }
}

/// Reads until everybody is answered: mostly once.
async fn answer<K: Clone + Eq + Hash, V>(mut batch: Vec<LoadRequest<K, V>>, read: &Read<K, V>) {
    while !batch.is_empty() {
        let keys: HashSet<K> = batch.iter().flat_map(|one| &one.keys).cloned().collect();
        let found = match in_time(read, keys.into_iter().collect()).await {
            Ok(found) => found,
            Err(error) => {
                let error = Arc::new(error);
                batch.into_iter().for_each(|one| reply(one, Some(&error)));
                return;
            }
        };
        let found: HashMap<K, Option<Arc<V>>> =
            found.into_iter().map(|(key, value)| (key, value.map(Arc::new))).collect();
        let mut left = Vec::new();
        for mut one in batch {
            let LoadRequest { keys, found: of_one, .. } = &mut one;
            keys.retain(|key| {
                let value = found.get(key);
                if let Some(Some(value)) = value {
                    of_one.insert(key.clone(), Arc::clone(value));
                }
                matches!(value, Some(None))
            });
            match one.keys.is_empty() {
                true => reply(one, None),
                false => left.push(one),
            }
        }
        // Those who have gone need not be read for.
        left.retain(|one| !one.reply.is_closed());
        batch = left;
    }
}

/// Reads, but not for ever: a database that has fallen silent must not hold up those who ask later.
async fn in_time<K: Clone, V>(read: &Read<K, V>, keys: Vec<K>) -> Result<BatchResult<K, V>, StoreError> {
    metrics::histogram!("readout_read_batch_keys").record(keys.len() as f64);
    timeout(BATCH_TIMEOUT, read_twice(read, keys)).await.map_err(StoreError::silent).flatten()
}

/// Reads, and once more if the connection turned out to be dead.
async fn read_twice<K: Clone, V>(read: &Read<K, V>, keys: Vec<K>) -> Result<BatchResult<K, V>, StoreError> {
    match read(keys.clone()).await {
        Err(error) if error.is_of_connection() => {
            tracing::debug!(%error, "a read is repeated");
            read(keys).await
        }
        result => result,
    }
}

fn reply<K, V>(asked: LoadRequest<K, V>, error: Option<&Arc<StoreError>>) {
    // A caller who has gone does not want to know.
    let _ = asked.reply.send(error.map_or(Ok(asked.found), |error| Err(Arc::clone(error))));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;

    /// Reads that go on when they are let, answer the key doubled, and only the first two of large keys, which are
    /// those over 100. There is nothing under odd keys.
    struct Reads {
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
        let_on: Arc<Semaphore>,
        doubled: Coalesced<u32, u32>,
    }

    fn reads(mut errors: Vec<StoreError>) -> Reads {
        let (batches, let_on) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        errors.reverse();
        let errors = Arc::new(Mutex::new(errors));
        let (told, wait) = (Arc::clone(&batches), Arc::clone(&let_on));
        let doubled = Coalesced::new(move |keys: Vec<u32>| {
            let (told, wait, errors) = (Arc::clone(&told), Arc::clone(&wait), Arc::clone(&errors));
            async move {
                told.lock().unwrap().push(keys.clone());
                wait.acquire().await.unwrap().forget();
                if let Some(error) = errors.lock().unwrap().pop() {
                    return Err(error);
                }
                let even = keys.into_iter().filter(|key| key % 2 == 0);
                Ok(even.enumerate().map(|(at, key)| (key, (at < 2 || key <= 100).then_some(2 * key))).collect())
            }
        });
        Reads { batches, let_on, doubled }
    }

    fn dead() -> StoreError {
        StoreError::from(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into()))
    }

    #[tokio::test]
    async fn a_batch_forms_while_those_before_it_are_read() {
        let reads = reads(Vec::new());
        let asked = join_all([2, 4, 6, 8, 6, 7].map(|key| reads.doubled.get(key)));
        let let_on = async {
            while reads.batches.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            reads.let_on.add_permits(10);
        };
        let (answers, ()) = tokio::join!(asked, let_on);
        let answers: Vec<_> = answers.into_iter().map(|one| one.unwrap().map(|value| *value)).collect();
        assert_eq!(answers, [Some(4), Some(8), Some(12), Some(16), Some(12), None]);
        let batches = reads.batches.lock().unwrap().clone();
        assert!(batches.len() <= BATCHES + 1, "{batches:?}");
        assert!(batches.iter().all(|keys| keys.iter().filter(|key| **key == 6).count() <= 1), "{batches:?}");
    }

    #[tokio::test]
    async fn what_is_too_large_for_a_batch_is_read_after_it() {
        let reads = reads(Vec::new());
        reads.let_on.add_permits(100);
        let answers = join_all([102, 104, 106, 108, 110].map(|key| reads.doubled.get(key))).await;
        let answers: Vec<_> = answers.into_iter().map(|one| *one.unwrap().unwrap()).collect();
        assert_eq!(answers, [204, 208, 212, 216, 220]);

        let all = reads.doubled.get_all((101..=120).collect()).await.unwrap();
        assert_eq!(all.len(), 10);
        assert!(all.into_iter().all(|(key, value)| *value == 2 * key));
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_harms_nobody() {
        let reads = reads(Vec::new());
        let gone = tokio::spawn({
            let doubled = reads.doubled.clone();
            async move { doubled.get(2).await }
        });
        while reads.batches.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        gone.abort();
        reads.let_on.add_permits(100);
        assert_eq!(reads.doubled.get(4).await.unwrap(), Some(Arc::new(8)));
    }

    #[tokio::test]
    async fn a_dead_connection_is_forgiven_once_and_another_failure_reaches_everybody() {
        let once = reads(vec![dead()]);
        once.let_on.add_permits(100);
        assert_eq!(once.doubled.get(2).await.unwrap(), Some(Arc::new(4)));

        let twice = reads(vec![dead(), dead()]);
        twice.let_on.add_permits(100);
        assert!(matches!(*twice.doubled.get(2).await.unwrap_err(), StoreError::Unavailable(_)));

        let damaged = || StoreError::Damaged("participants/1".to_owned());
        let wrong = reads(vec![damaged(), damaged(), damaged()]);
        wrong.let_on.add_permits(100);
        let answers = join_all([2, 4, 6].map(|key| wrong.doubled.get(key))).await;
        assert!(answers.into_iter().all(|answer| matches!(*answer.unwrap_err(), StoreError::Damaged(_))));
    }
}
