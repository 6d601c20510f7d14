//! The readiness state of the service, which the operations port reports.

use std::sync::Arc;

use tokio::sync::watch;

/// The state of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The database is being created, opened or migrated.
    Starting,
    /// The service takes calls.
    Ready,
    /// The database does not answer.
    DatabaseUnavailable,
    /// The service is stopping. No other state follows.
    Draining,
}

impl State {
    /// The reason why the service is not ready. `None` if it is.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Ready => None,
            Self::Starting => Some("the service is starting"),
            Self::DatabaseUnavailable => Some("the database does not answer"),
            Self::Draining => Some("the service is draining"),
        }
    }
}

/// The state of a service. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }
}

impl Readiness {
    /// The current state.
    pub fn state(&self) -> State {
        *self.0.borrow()
    }

    /// Changes the state, unless it is `Draining`.
    pub fn set(&self, next: State) {
        self.0.send_if_modified(|state| {
            let changes = *state != State::Draining && *state != next;
            if changes {
                *state = next;
            }
            changes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_service_does_not_become_ready() {
        let readiness = Readiness::default();
        assert_eq!(readiness.state(), State::Starting);
        for state in [State::Ready, State::DatabaseUnavailable, State::Ready, State::Draining] {
            readiness.set(state);
            assert_eq!(readiness.state(), state);
        }
        readiness.set(State::Ready);
        assert_eq!(readiness.state().reason(), Some("the service is draining"));
    }
}
