//! Charges a request in flight to its caller: the bytes of its messages while they arrive, and the memory that they take
//! once decoded.
//!
//! A message is charged as soon as its length is known, before it is read. A caller that has its share waits; meanwhile
//! nothing more is read of its requests. A message must arrive within a limited time, so that it does not hold its share
//! for longer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    fairness::{Caller, FairQueue, Permit},
    service::error::ServiceError,
};

/// The bytes that a call takes while it waits for its request.
const UNFINISHED_BYTES: u64 = 16 * 1024;
/// Smaller messages are not charged: the limit of calls bounds them.
const MIN_CHARGED: usize = 8 * 1024;
/// The rate at which a message must arrive after the time that each has, in bytes per second.
const MIN_RATE: u64 = 64 * 1024;

/// The limits of requests in flight. Clones share the bytes.
#[derive(Debug, Clone)]
pub struct Arrivals {
    /// The bytes of all requests.
    pub bytes: FairQueue,
    /// The time that a message has to arrive, besides a second for each 64 KiB.
    pub timeout: Duration,
}

/// The bytes charged for a request. Dropping the last clone returns them.
#[derive(Debug, Clone, Default)]
pub struct Charges(Arc<Mutex<Vec<Permit>>>);

impl Charges {
    /// The bytes that are charged.
    pub fn bytes(&self) -> usize {
        let permits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        permits.iter().map(|permit| permit.amount() as usize).sum()
    }

    /// Takes the charges of the messages that were read since the last time, to hold them until these messages are
    /// dealt with.
    pub fn take(&self) -> Vec<Permit> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, permit: Permit) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
    }
}

/// Charges the messages of one request.
pub struct Account {
    arrivals: Arrivals,
    caller: Caller,
    charges: Charges,
    /// True if the request waits for its share without a limit of time, as a stream does.
    is_patient: bool,
    /// An amount that is to be charged.
    due: u64,
    /// The amount of the message that is being read that was charged.
    charged: u64,
    waiting: Option<Pin<Box<dyn Future<Output = Option<Permit>> + Send>>>,
    unfinished: Option<Unfinished>,
}

/// A message that has not arrived in whole.
struct Unfinished {
    since: Instant,
    late: Pin<Box<Sleep>>,
    _permit: Permit,
}

impl Account {
    /// An account of `caller`, which holds nothing yet.
    pub fn new(arrivals: Arrivals, caller: Caller, is_patient: bool) -> Self {
        let charges = Charges::default();
        Self { arrivals, caller, charges, is_patient, due: 0, charged: 0, waiting: None, unfinished: None }
    }

    /// True if the request is a stream of messages.
    pub fn is_patient(&self) -> bool {
        self.is_patient
    }

    /// The charges, which grow as messages are read.
    pub fn charges(&self) -> Charges {
        self.charges.clone()
    }

    /// Charges a message up to `bytes` in total.
    pub fn charge(&mut self, bytes: usize) {
        if bytes >= MIN_CHARGED {
            self.due = (bytes as u64).saturating_sub(self.charged);
        }
    }

    /// Waits until everything is charged.
    pub fn poll_charged(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ServiceError>> {
        if self.due == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.waiting.is_none() {
            if let Some(permit) = self.arrivals.bytes.try_acquire_quietly(&self.caller, self.due) {
                self.add(permit);
                return Poll::Ready(Ok(()));
            }
            let (bytes, caller, due, is_patient) =
                (self.arrivals.bytes.clone(), self.caller.clone(), self.due, self.is_patient);
            self.waiting = Some(Box::pin(async move {
                match is_patient {
                    true => Some(bytes.acquire_patiently(&caller, due).await),
                    false => bytes.acquire(&caller, due).await,
                }
            }));
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        let permit = ready!(waiting.as_mut().poll(context));
        self.waiting = None;
        self.add(permit.ok_or(ServiceError::Overloaded)?);
        Poll::Ready(Ok(()))
    }

    fn add(&mut self, permit: Permit) {
        self.charged += self.due;
        self.due = 0;
        self.charges.add(permit);
    }

    /// Begins the account of the next message. The charges of the one before remain.
    pub fn begin_next(&mut self) {
        self.charged = 0;
        self.unfinished = None;
    }

    /// Fails once the message, of which `len` bytes are announced, should have arrived.
    pub fn poll_late(&mut self, context: &mut Context<'_>, len: usize) -> Poll<ServiceError> {
        if self.unfinished.is_none() {
            let Some(permit) = self.arrivals.bytes.try_acquire(&self.caller, UNFINISHED_BYTES) else {
                return Poll::Ready(ServiceError::Overloaded);
            };
            let since = Instant::now();
            self.unfinished = Some(Unfinished { since, late: Box::pin(sleep_until(since)), _permit: permit });
        }
        let Some(unfinished) = &mut self.unfinished else { return Poll::Pending };
        let time = self.arrivals.timeout + Duration::from_secs(len as u64 / MIN_RATE);
        let end = unfinished.since + time;
        if unfinished.late.deadline() != end {
            unfinished.late.as_mut().reset(end);
        }
        unfinished.late.as_mut().poll(context).map(|()| ServiceError::NotArrived(time))
    }
}
