//! What every call passes through, from the outside in: its status is completed, its time is bounded.

pub mod complete;
pub mod deadline;
pub mod ending;

use std::time::Duration;

use tonic::service::Routes;

use self::{complete::Complete, deadline::Deadlines};

/// The services as calls reach them.
pub type Layers = Complete<Deadlines<Routes>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, call_timeout: Duration) -> Layers {
    Complete::new(Deadlines::new(routes.prepare(), call_timeout))
}
