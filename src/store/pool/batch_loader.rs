//! Batched reads by key: concurrent reads of one kind share a query. A batch collects requests while the batches before
//! it are being read; no caller waits for a timer, and callers are served in turn. Batches run in tasks of the loader, so a caller that disconnects
//! does not cancel a batch for the others. A read that finds no other in progress runs in its caller.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use crate::{
    fairness::{Backlog, Call},
    store::{BATCH_TIMEOUT, StoreError},
};

/// A batch takes further calls until it has this many keys. A call with more keys is a batch of its own.
const BATCH_KEYS: usize = 128;
/// Maximum number of concurrent batches.
const BATCHES: usize = 2;
/// Maximum number of calls in the queue. Further calls wait for room in it.
const QUEUE: usize = 1_024;
/// Maximum bytes of records in a batch, not counting its first record: the size limit of a message.
pub const BATCH_BYTES: i64 = 8 * 1024 * 1024;

/// The result of a batch by key. A key that is absent has no record. `None`: the record exists, and did not fit into
/// the batch. At least one record of a batch fits.
pub type BatchResult<K, V> = HashMap<K, Option<V>>;

/// Reads values by key, in batches.
pub struct BatchLoader<K, V>(Arc<LoaderInner<K, V>>);

type Read<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, Result<BatchResult<K, V>, StoreError>> + Send + Sync;

struct LoaderInner<K, V> {
    read: Box<Read<K, V>>,
    queue: Mutex<Queue<K, V>>,
    queue_permits: Semaphore,
}

struct Queue<K, V> {
    waiting: Backlog<LoadRequest<K, V>>,
    /// The number of tasks that take batches from the queue.
    tasks: usize,
}

struct LoadRequest<K, V> {
    /// The keys that are still to be read.
    keys: Vec<K>,
    found: HashMap<K, Arc<V>>,
    reply: oneshot::Sender<LoadResult<K, V>>,
}

type LoadResult<K, V> = Result<HashMap<K, Arc<V>>, Arc<StoreError>>;

impl<K, V> Clone for BatchLoader<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> fmt::Debug for BatchLoader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchLoader")
    }
}

impl<K, V> BatchLoader<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Creates a loader that reads batches with `read`, which gets distinct keys.
    pub fn new<F>(read: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<BatchResult<K, V>, StoreError>> + Send + 'static,
    {
        Self(Arc::new(LoaderInner {
            read: Box::new(move |keys| Box::pin(read(keys))),
            queue: Mutex::new(Queue { waiting: Backlog::default(), tasks: 0 }),
            queue_permits: Semaphore::new(QUEUE),
        }))
    }

    /// The value of a key, read after the call began; `None` if there is none.
    ///
    /// # Errors
    /// Those of the batch, which all of its callers get; `Unavailable` if it has no answer within `BATCH_TIMEOUT`.
    #[tracing::instrument(name = "db.record.read", level = "debug", skip_all)]
    pub async fn get(&self, key: K) -> Result<Option<Arc<V>>, Arc<StoreError>> {
        // Without concurrent reads to share a query with, a task would only add latency.
        if let Some(_solo) = SoloRead::begin(&self.0) {
            let found = read_in_time(&self.0.read, vec![key]).await.map_err(Arc::new)?;
            return Ok(found.into_values().next().flatten().map(Arc::new));
        }
        Ok(self.get_all(vec![key]).await?.into_values().next())
    }

    /// The values of keys, each read after the call began, not all in one snapshot. A key that is absent has no value.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    #[tracing::instrument(name = "db.records.read", level = "debug", skip_all)]
    pub async fn get_all(&self, keys: Vec<K>) -> LoadResult<K, V> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        // A task replies to every request that it takes, unless it panics or its runtime ends.
        let ended = || Arc::new(StoreError::Unavailable(sqlx::Error::WorkerCrashed));
        let _permit = self.0.queue_permits.acquire().await.map_err(|_| ended())?;
        let (reply, result) = oneshot::channel();
        let is_at_task_limit = {
            let mut queue = self.0.queue();
            let request = LoadRequest { keys, found: HashMap::new(), reply };
            queue.waiting.push(Call::current().caller().clone(), request);
            let is_at_task_limit = queue.tasks == BATCHES;
            queue.tasks += usize::from(!is_at_task_limit);
            is_at_task_limit
        };
        if !is_at_task_limit {
            tokio::spawn(Task { shared: Arc::clone(&self.0), is_counted: true }.run());
        }
        result.await.map_err(|_| ended())?
    }
}

impl<K, V> LoaderInner<K, V> {
    /// The lock is never poisoned: no code that holds it panics.
    fn queue(&self) -> MutexGuard<'_, Queue<K, V>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read by the caller itself. It counts as a task: a call that arrives meanwhile starts another one.
struct SoloRead<'a, K, V>(&'a LoaderInner<K, V>);

impl<'a, K, V> SoloRead<'a, K, V> {
    fn begin(shared: &'a LoaderInner<K, V>) -> Option<Self> {
        let mut queue = shared.queue();
        let is_solo = queue.tasks == 0;
        queue.tasks += usize::from(is_solo);
        is_solo.then(|| Self(shared))
    }
}

impl<K, V> Drop for SoloRead<'_, K, V> {
    fn drop(&mut self) {
        self.0.queue().tasks -= 1;
    }
}

/// Takes batches from the queue until it is empty.
struct Task<K, V> {
    shared: Arc<LoaderInner<K, V>>,
    /// True while `Queue::tasks` counts this task.
    is_counted: bool,
}

impl<K: Clone + Eq + Hash + 'static, V: 'static> Task<K, V> {
    async fn run(mut self) {
        while let Some(batch) = self.take() {
            load(batch, &self.shared.read).await;
        }
    }

    /// The requests that have arrived since the last batch. `None` if there are none: the task ends, and the next
    /// request starts another one.
    fn take(&mut self) -> Option<Vec<LoadRequest<K, V>>> {
        let mut queue = self.shared.queue();
        let (mut batch, mut count) = (Vec::new(), 0);
        let fits = |count: usize, next: &LoadRequest<K, V>| count == 0 || count + next.keys.len() <= BATCH_KEYS;
        while let Some(next) = queue.waiting.pop_if(|next| fits(count, next)) {
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
        // The task panicked, or the runtime ends.
        if self.is_counted {
            let mut queue = self.shared.queue();
            queue.tasks -= 1;
            // Dropping the requests fails their callers.
            queue.waiting = Backlog::default();
        }
    }
}

/// Reads until every request has its reply, usually in one query.
async fn load<K: Clone + Eq + Hash, V>(mut batch: Vec<LoadRequest<K, V>>, read: &Read<K, V>) {
    while !batch.is_empty() {
        let keys: HashSet<K> = batch.iter().flat_map(|request| &request.keys).cloned().collect();
        let found = match read_in_time(read, keys.into_iter().collect()).await {
            Ok(found) => found,
            Err(error) => {
                let error = Arc::new(error);
                batch.into_iter().for_each(|request| reply(request, Some(&error)));
                return;
            }
        };
        let found: HashMap<K, Option<Arc<V>>> =
            found.into_iter().map(|(key, value)| (key, value.map(Arc::new))).collect();
        let mut unfinished = Vec::new();
        for mut request in batch {
            let LoadRequest { keys, found: request_found, .. } = &mut request;
            keys.retain(|key| {
                let value = found.get(key);
                if let Some(Some(value)) = value {
                    request_found.insert(key.clone(), Arc::clone(value));
                }
                matches!(value, Some(None))
            });
            match request.keys.is_empty() {
                true => reply(request, None),
                false => unfinished.push(request),
            }
        }
        // Requests whose callers have disconnected are dropped.
        unfinished.retain(|request| !request.reply.is_closed());
        batch = unfinished;
    }
}

/// Reads with a timeout: a database that does not answer must not delay later reads indefinitely.
async fn read_in_time<K: Clone, V>(read: &Read<K, V>, keys: Vec<K>) -> Result<BatchResult<K, V>, StoreError> {
    metrics::histogram!("readout_read_batch_keys").record(keys.len() as f64);
    timeout(BATCH_TIMEOUT, read_with_retry(read, keys)).await.map_err(StoreError::no_answer).flatten()
}

/// Reads, and retries once if the connection was lost or a standby ended the read.
async fn read_with_retry<K: Clone, V>(read: &Read<K, V>, keys: Vec<K>) -> Result<BatchResult<K, V>, StoreError> {
    match read(keys.clone()).await {
        Err(error) if error.is_retryable_read() => {
            tracing::debug!(%error, "a read failed and is retried");
            read(keys).await
        }
        result => result,
    }
}

fn reply<K, V>(request: LoadRequest<K, V>, error: Option<&Arc<StoreError>>) {
    // Sending fails if the caller has disconnected.
    let _ = request.reply.send(error.map_or(Ok(request.found), |error| Err(Arc::clone(error))));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;

    /// A loader whose reads wait for a permit of `proceed`. The value of a key is its double; odd keys have no value.
    /// Of the large keys, which are those over 100, only the first two fit into a batch.
    struct Reads {
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
        proceed: Arc<Semaphore>,
        doubled: BatchLoader<u32, u32>,
    }

    fn reads(mut errors: Vec<StoreError>) -> Reads {
        let (batches, proceed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        errors.reverse();
        let errors = Arc::new(Mutex::new(errors));
        let (recorded, wait) = (Arc::clone(&batches), Arc::clone(&proceed));
        let doubled = BatchLoader::new(move |keys: Vec<u32>| {
            let (recorded, wait, errors) = (Arc::clone(&recorded), Arc::clone(&wait), Arc::clone(&errors));
            async move {
                recorded.lock().unwrap().push(keys.clone());
                wait.acquire().await.unwrap().forget();
                if let Some(error) = errors.lock().unwrap().pop() {
                    return Err(error);
                }
                let even = keys.into_iter().filter(|key| key % 2 == 0);
                Ok(even.enumerate().map(|(at, key)| (key, (at < 2 || key <= 100).then_some(2 * key))).collect())
            }
        });
        Reads { batches, proceed, doubled }
    }

    fn dead() -> StoreError {
        StoreError::from(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into()))
    }

    #[tokio::test]
    async fn batch_collects_requests_while_earlier_batches_are_read() {
        let reads = reads(Vec::new());
        let reading = join_all([2, 4, 6, 8, 6, 7].map(|key| reads.doubled.get(key)));
        let proceed = async {
            while reads.batches.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            reads.proceed.add_permits(10);
        };
        let (answers, ()) = tokio::join!(reading, proceed);
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().map(|value| *value)).collect();
        assert_eq!(answers, [Some(4), Some(8), Some(12), Some(16), Some(12), None]);
        let batches = reads.batches.lock().unwrap().clone();
        assert!(batches.len() <= BATCHES + 1, "{batches:?}");
        assert!(batches.iter().all(|keys| keys.iter().filter(|key| **key == 6).count() <= 1), "{batches:?}");
    }

    #[tokio::test]
    async fn batch_reads_values_that_did_not_fit_in_the_next_query() {
        let reads = reads(Vec::new());
        reads.proceed.add_permits(100);
        let answers = join_all([102, 104, 106, 108, 110].map(|key| reads.doubled.get(key))).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| *answer.unwrap().unwrap()).collect();
        assert_eq!(answers, [204, 208, 212, 216, 220]);

        let all = reads.doubled.get_all((101..=120).collect()).await.unwrap();
        assert_eq!(all.len(), 10);
        assert!(all.into_iter().all(|(key, value)| *value == 2 * key));
    }

    #[tokio::test]
    async fn loader_serves_others_when_a_caller_disconnects() {
        let reads = reads(Vec::new());
        let cancelled = tokio::spawn({
            let doubled = reads.doubled.clone();
            async move { doubled.get(2).await }
        });
        while reads.batches.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        cancelled.abort();
        reads.proceed.add_permits(100);
        assert_eq!(reads.doubled.get(4).await.unwrap(), Some(Arc::new(8)));
    }

    #[tokio::test]
    async fn loader_retries_a_lost_connection_once_and_reports_other_errors_to_all_callers() {
        let once = reads(vec![dead()]);
        once.proceed.add_permits(100);
        assert_eq!(once.doubled.get(2).await.unwrap(), Some(Arc::new(4)));

        let twice = reads(vec![dead(), dead()]);
        twice.proceed.add_permits(100);
        assert!(matches!(*twice.doubled.get(2).await.unwrap_err(), StoreError::Unavailable(_)));

        let damaged = || StoreError::Damaged("participants/1".to_owned());
        let wrong = reads(vec![damaged(), damaged(), damaged()]);
        wrong.proceed.add_permits(100);
        let answers = join_all([2, 4, 6].map(|key| wrong.doubled.get(key))).await;
        assert!(answers.into_iter().all(|answer| matches!(*answer.unwrap_err(), StoreError::Damaged(_))));
    }
}
