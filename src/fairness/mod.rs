//! Shares of the service's capacity: each bounded resource is divided among the callers that want it.
//!
//! A resource is a [`FairQueue`]: places, connections or bytes. Of several waiting callers the one that holds least is
//! next (max-min fairness). One caller alone may hold the whole shared part; a reserve beyond it is kept for callers
//! that hold less than others, so that a new caller does not wait for the calls of another one to end.
//!
//! `caller` names the unit that has a share, `call` the call that the current task works for. `backlog` orders work
//! that is done in batches, `heavy` bounds work that takes a processor for long, and `held_back` reports who had to
//! wait.

mod backlog;
pub mod call;
pub mod caller;
pub mod fair_queue;
pub mod heavy;
pub mod held_back;

pub use self::{
    backlog::Backlog,
    call::Call,
    caller::Caller,
    fair_queue::{FairQueue, Permit},
};
