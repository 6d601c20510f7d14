//! What every call passes through, from the outside in: it is observed, its status is completed, its time is bounded,
//! its caller is let in, and only large answers are compressed.

pub mod access;
pub mod complete;
pub mod compression;
pub mod deadline;
pub mod ending;
pub mod measures;
pub mod observe;
pub mod request_id;

use std::{sync::Arc, time::Duration};

use tonic::service::Routes;

use self::{access::Access, complete::Complete, compression::Compression, deadline::Deadlines, observe::Observe};
use crate::access::Gate;

/// The services as calls reach them.
pub type Layers = Observe<Complete<Deadlines<Access<Compression<Routes>>>>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, gate: Arc<Gate>, call_timeout: Duration) -> Layers {
    Observe::new(Complete::new(Deadlines::new(Access::new(Compression::new(routes.prepare()), gate), call_timeout)))
}
