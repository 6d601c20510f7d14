//! What every call passes through, from the outside in: its status is completed, its time is bounded, and only
//! large answers are compressed.

pub mod complete;
pub mod compression;
pub mod deadline;
pub mod ending;

use std::time::Duration;

use tonic::service::Routes;

use self::{complete::Complete, compression::Compression, deadline::Deadlines};

/// The services as calls reach them.
pub type Layers = Complete<Deadlines<Compression<Routes>>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, call_timeout: Duration) -> Layers {
    Complete::new(Deadlines::new(Compression::new(routes.prepare()), call_timeout))
}
