//! The layers of every call, from the outside in: it is a call of gRPC, it is observed, its status is completed, its
//! time is bounded, its caller is known, it is let in when it is its turn, and only large answers are compressed.

pub mod access;
pub mod admission;
mod arrival;
pub mod complete;
pub mod compression;
pub mod deadline;
pub mod ending;
pub mod measures;
pub mod observe;
pub mod only_grpc;
pub mod request_id;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::{
    access::Access, admission::Admission, complete::Complete, compression::Compression, deadline::Deadlines,
    observe::Observe, only_grpc::OnlyGrpc,
};
use crate::{access::Gate, config::Bounds};

/// The services as calls reach them.
pub type Layers = OnlyGrpc<Observe<Complete<Deadlines<Access<Admission<Compression<Routes>>>>>>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, gate: Arc<Gate>, bounds: &Bounds, stopping: CancellationToken) -> Layers {
    let admitted = Admission::new(Compression::new(routes.prepare()), bounds, stopping);
    let bounded = Deadlines::new(Access::new(admitted, gate), bounds.call_timeout);
    OnlyGrpc::new(Observe::new(Complete::new(bounded)))
}
