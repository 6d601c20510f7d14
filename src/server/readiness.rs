//! Whether a service can take calls, for those who ask over plain HTTP.

use std::sync::Arc;

use tokio::sync::watch;

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It makes or waits for its database, or migrates it.
    Starting,
    /// It serves.
    Ready,
    /// Its database does not answer.
    DatabaseAway,
    /// It is ending. Nothing comes after it.
    Draining,
}

impl State {
    /// Why it cannot take calls, if it cannot.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Ready => None,
            Self::Starting => Some("the service is starting"),
            Self::DatabaseAway => Some("the database does not answer"),
            Self::Draining => Some("the service is draining"),
        }
    }
}

/// The state of a service, shared by those who change it and those who ask.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }
}

impl Readiness {
    /// What the service is doing.
    pub fn state(&self) -> State {
        *self.0.borrow()
    }

    /// It does something else from here on, unless it is ending.
    pub fn set(&self, next: State) {
        self.0.send_if_modified(|state| {
            let is_other = *state != State::Draining && *state != next;
            if is_other {
                *state = next;
            }
            is_other
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_ending_does_not_become_ready_again() {
        let readiness = Readiness::default();
        assert_eq!(readiness.state(), State::Starting);
        for state in [State::Ready, State::DatabaseAway, State::Ready, State::Draining] {
            readiness.set(state);
            assert_eq!(readiness.state(), state);
        }
        readiness.set(State::Ready);
        assert_eq!(readiness.state().reason(), Some("the service is draining"));
    }
}
