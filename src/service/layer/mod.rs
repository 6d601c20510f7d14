//! What every call passes through, from the outside in: it is observed, its status is completed, its time is
//! bounded.

pub mod complete;
pub mod deadline;
pub mod ending;
pub mod measures;
pub mod observe;
pub mod request_id;

use std::time::Duration;

use tonic::service::Routes;

use self::{complete::Complete, deadline::Deadlines, observe::Observe};

/// The services as calls reach them.
pub type Layers = Observe<Complete<Deadlines<Routes>>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, call_timeout: Duration) -> Layers {
    Observe::new(Complete::new(Deadlines::new(routes.prepare(), call_timeout)))
}
