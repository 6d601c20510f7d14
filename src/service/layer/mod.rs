//! What every call passes through, from the outside in: its status is completed, its time is bounded, it is let in when
//! it is its turn, and only large answers are compressed.

pub mod admission;
mod arrival;
pub mod complete;
pub mod compression;
pub mod deadline;
pub mod ending;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::{admission::Admission, complete::Complete, compression::Compression, deadline::Deadlines};
use crate::config::Bounds;

/// The services as calls reach them.
pub type Layers = Complete<Deadlines<Admission<Compression<Routes>>>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, bounds: &Bounds, stopping: CancellationToken) -> Layers {
    let admitted = Admission::new(Compression::new(routes.prepare()), bounds, stopping);
    Complete::new(Deadlines::new(admitted, bounds.call_timeout))
}
