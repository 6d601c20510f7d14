//! The API tokens, cached in memory. The cache is refreshed every second, so that tokens revoked by another instance
//! are soon refused here, and at once when an unknown token is presented. While the database is unavailable, cached
//! tokens stay valid.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    sync::Mutex,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    api_token::ApiToken,
    denied::Denied,
    principal::{Identity, UnusedToken, Validity, principal_name},
};
use crate::{
    model::{role::Role, scope::Scopes},
    store::{
        Store, StoreError,
        token::{self, SecretHash, Token},
    },
};

/// The pause between two refreshes.
const REFRESH_PERIOD: Duration = Duration::from_secs(1);
/// Minimum time between two refreshes, however many unknown tokens are presented.
const MIN_REFRESH_PAUSE: Duration = Duration::from_millis(100);
/// Maximum time that a call with an unknown token waits for the database.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The cache of all API tokens.
#[derive(Debug)]
pub struct Tokens {
    store: Store,
    cache: Arc<RwLock<Cache>>,
    last: Arc<Mutex<Refresh>>,
}

/// Tokens by id.
type Cache = HashMap<Uuid, Arc<CachedToken>>;

/// A cached token.
#[derive(Debug)]
struct CachedToken {
    hash: SecretHash,
    name: Arc<str>,
    role: Role,
    scopes: Option<Arc<Scopes>>,
    expire_time: Option<SystemTime>,
    /// Cancelled when the token is revoked, or its row is deleted.
    revoked: CancellationToken,
    /// True once this instance has recorded its use.
    is_used: Arc<AtomicBool>,
}

/// The last refresh.
#[derive(Debug)]
struct Refresh {
    began: Instant,
    outcome: Result<(), Arc<StoreError>>,
}

impl Tokens {
    /// Reads all tokens from the database.
    ///
    /// # Errors
    /// The database failed.
    pub async fn new(store: Store) -> Result<Self, StoreError> {
        let began = Instant::now();
        let cache =
            token::all(store.feed()).await?.into_iter().map(|token| (token.id, Arc::new(token.into()))).collect();
        let last = Arc::new(Mutex::new(Refresh { began, outcome: Ok(()) }));
        Ok(Self { store, cache: Arc::new(RwLock::new(cache)), last })
    }

    /// Refreshes the cache periodically. Never returns.
    pub async fn refresh(&self) {
        loop {
            time::sleep(REFRESH_PERIOD).await;
            if let Err(error) = self.refresh_since(Instant::now()).await {
                tracing::debug!(%error, "the API tokens were not read; the cached ones stay valid");
            }
        }
    }

    /// The identity of the holder of a token.
    ///
    /// # Errors
    /// The token is unknown, revoked or expired, or the database failed.
    pub async fn authenticate(&self, presented: &ApiToken) -> Result<Identity, Denied> {
        let hash = presented.hash();
        let cached = match self.cached(presented.id) {
            Some(cached) => cached,
            None => {
                self.refresh_since(Instant::now()).await.map_err(Denied::Store)?;
                self.cached(presented.id).ok_or(Denied::Invalid("there is no such API token"))?
            }
        };
        if cached.hash != hash {
            return Err(Denied::Invalid("there is no such API token"));
        }
        if cached.revoked.is_cancelled() {
            return Err(Denied::Revoked);
        }
        if cached.expire_time.is_some_and(|expires| expires <= SystemTime::now()) {
            return Err(Denied::Expired);
        }
        let is_used = cached.is_used.load(Ordering::Relaxed);
        Ok(Identity {
            name: cached.name.clone(),
            role: Some(cached.role),
            scopes: cached.scopes.clone(),
            until: cached.validity(),
            unused_token: (!is_used).then(|| UnusedToken { id: presented.id, is_used: Arc::clone(&cached.is_used) }),
        })
    }

    fn cached(&self, id: Uuid) -> Option<Arc<CachedToken>> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Returns once a refresh has begun after `moment` and ended. Concurrent callers share one refresh. It runs in a
    /// task, so that it completes, and its outcome is recorded for the others, even if the caller that began it
    /// disconnects.
    async fn refresh_since(&self, moment: Instant) -> Result<(), Arc<StoreError>> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if last.began >= moment {
            return last.outcome.clone();
        }
        let (store, cache) = (self.store.clone(), Arc::clone(&self.cache));
        let reading = tokio::spawn(async move {
            time::sleep_until(last.began + MIN_REFRESH_PAUSE).await;
            last.began = Instant::now();
            let read = time::timeout(READ_TIMEOUT, token::all(store.feed())).await;
            last.outcome =
                read.map_err(StoreError::no_answer).flatten().map(|tokens| replace(&cache, tokens)).map_err(Arc::new);
            last.outcome.clone()
        });
        // The task only fails when the runtime ends.
        reading.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Unavailable(sqlx::Error::WorkerCrashed))))
    }
}

/// Replaces the contents of the cache. A token that was cached before keeps its entry, since streams wait for its
/// revocation.
fn replace(cache: &RwLock<Cache>, tokens: Vec<Token>) {
    let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
    let mut former = std::mem::take(&mut *cache);
    for token in tokens {
        let (id, is_revoked) = (token.id, token.revoke_time.is_some());
        let cached = former.remove(&id).unwrap_or_else(|| Arc::new(token.into()));
        if is_revoked {
            cached.revoked.cancel();
        }
        cache.insert(id, cached);
    }
    former.values().for_each(|deleted| deleted.revoked.cancel());
}

impl CachedToken {
    fn validity(&self) -> Validity {
        Validity::Token { revoked: self.revoked.clone(), expire_time: self.expire_time }
    }
}

impl From<Token> for CachedToken {
    fn from(token: Token) -> Self {
        let Token { id: _, name: token_name, role, scopes, hash, create_time: _, expire_time, revoke_time } = token;
        let cached = Self {
            hash,
            name: principal_name("token", &token_name),
            role,
            scopes: scopes.map(Arc::new),
            expire_time: expire_time.map(SystemTime::from),
            revoked: CancellationToken::new(),
            is_used: Arc::default(),
        };
        if revoke_time.is_some() {
            cached.revoked.cancel();
        }
        cached
    }
}
