//! What every call passes through, from the outside in: it is observed, its status is completed, its time is bounded,
//! its caller is known, and it is let in when it is its turn.

pub mod access;
pub mod admission;
mod arrival;
pub mod complete;
pub mod deadline;
pub mod ending;
pub mod measures;
pub mod observe;
pub mod request_id;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::{access::Access, admission::Admission, complete::Complete, deadline::Deadlines, observe::Observe};
use crate::{access::Gate, config::Bounds};

/// The services as calls reach them.
pub type Layers = Observe<Complete<Deadlines<Access<Admission<Routes>>>>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, gate: Arc<Gate>, bounds: &Bounds, stopping: CancellationToken) -> Layers {
    let admitted = Access::new(Admission::new(routes.prepare(), bounds, stopping), gate);
    Observe::new(Complete::new(Deadlines::new(admitted, bounds.call_timeout)))
}
