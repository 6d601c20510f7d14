//! The API tokens, in memory: read anew every second, so that a token that was revoked anywhere is refused here soon, and
//! at once when an unknown one comes. While the database is away, those that are known go on.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
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
    principal::{Identity, Validity, name},
};
use crate::{
    model::role::Role,
    store::{
        Store, StoreError,
        token::{self, SecretHash, Token},
    },
};

/// How often they are read.
const PERIOD: Duration = Duration::from_secs(1);
/// However many unknown tokens come, they are not read more often than this.
const PAUSE: Duration = Duration::from_millis(100);
/// Whoever comes with an unknown one does not wait longer for the database.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// All API tokens.
#[derive(Debug)]
pub struct Tokens {
    store: Store,
    held: Arc<RwLock<Table>>,
    last: Arc<Mutex<Refresh>>,
}

/// By their ids.
type Table = HashMap<Uuid, Arc<HeldToken>>;

/// A token of the table.
#[derive(Debug)]
struct HeldToken {
    hash: SecretHash,
    name: Arc<str>,
    role: Role,
    expire_time: Option<SystemTime>,
    /// Also when its row is gone.
    revoked: CancellationToken,
}

/// The last time that they were read.
#[derive(Debug)]
struct Refresh {
    began: Instant,
    outcome: Result<(), Arc<StoreError>>,
}

impl Tokens {
    /// Those of the database.
    pub async fn new(store: Store) -> Result<Self, StoreError> {
        let began = Instant::now();
        let held =
            token::all(store.feed()).await?.into_iter().map(|token| (token.id, Arc::new(token.into()))).collect();
        let last = Arc::new(Mutex::new(Refresh { began, outcome: Ok(()) }));
        Ok(Self { store, held: Arc::new(RwLock::new(held)), last })
    }

    /// Reads them again and again. Does not end.
    pub async fn keep(&self) {
        loop {
            time::sleep(PERIOD).await;
            if let Err(error) = self.read_since(Instant::now()).await {
                tracing::debug!(%error, "the API tokens were not read; those that are known go on");
            }
        }
    }

    /// Whom a token names.
    pub async fn known(&self, presented: &ApiToken) -> Result<Identity, Denied> {
        let hash = presented.hash();
        let held = match self.held(presented.id) {
            Some(held) => held,
            None => {
                self.read_since(Instant::now()).await.map_err(Denied::Store)?;
                self.held(presented.id).ok_or(Denied::Invalid("there is no such API token"))?
            }
        };
        if held.hash != hash {
            return Err(Denied::Invalid("there is no such API token"));
        }
        if held.revoked.is_cancelled() {
            return Err(Denied::Revoked);
        }
        if held.expire_time.is_some_and(|expires| expires <= SystemTime::now()) {
            return Err(Denied::Expired);
        }
        Ok(Identity { name: held.name.clone(), role: Some(held.role), until: held.until() })
    }

    fn held(&self, id: Uuid) -> Option<Arc<HeldToken>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Answers once they have been read after this moment: one reading for all who wait. It is a task of its own: whoever
    /// asked for it may go away, and the others are not told that it was done when it was not.
    async fn read_since(&self, moment: Instant) -> Result<(), Arc<StoreError>> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if last.began >= moment {
            return last.outcome.clone();
        }
        let (store, held) = (self.store.clone(), Arc::clone(&self.held));
        let reading = tokio::spawn(async move {
            time::sleep_until(last.began + PAUSE).await;
            last.began = Instant::now();
            let read = time::timeout(READ_TIMEOUT, token::all(store.feed())).await;
            last.outcome =
                read.map_err(StoreError::silent).flatten().map(|tokens| take(&held, tokens)).map_err(Arc::new);
            last.outcome.clone()
        });
        // Only the end of the runtime ends it before.
        reading.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Unavailable(sqlx::Error::WorkerCrashed))))
    }
}

/// Takes what was read in place of what was known. A token that is still there stays the same, with those who wait for its
/// end.
fn take(held: &RwLock<Table>, tokens: Vec<Token>) {
    let mut held = held.write().unwrap_or_else(PoisonError::into_inner);
    let mut former = std::mem::take(&mut *held);
    for token in tokens {
        let (id, is_revoked) = (token.id, token.revoke_time.is_some());
        let one = former.remove(&id).unwrap_or_else(|| Arc::new(token.into()));
        if is_revoked {
            one.revoked.cancel();
        }
        held.insert(id, one);
    }
    former.values().for_each(|gone| gone.revoked.cancel());
}

impl HeldToken {
    fn until(&self) -> Validity {
        Validity::Token { revoked: self.revoked.clone(), expire_time: self.expire_time }
    }
}

impl From<Token> for HeldToken {
    fn from(token: Token) -> Self {
        let Token { id: _, name: said, role, hash, create_time: _, expire_time, revoke_time } = token;
        let held = Self {
            hash,
            name: name("token", &said),
            role,
            expire_time: expire_time.map(SystemTime::from),
            revoked: CancellationToken::new(),
        };
        if revoke_time.is_some() {
            held.revoked.cancel();
        }
        held
    }
}
