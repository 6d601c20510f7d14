//! The messages and services of the contract: the only place that includes generated code.

#![allow(clippy::all, missing_docs, rustdoc::all)]

/// `google.type`: dates, times of day, coordinates.
pub mod google {
    pub mod r#type {
        include!(concat!(env!("OUT_DIR"), "/google.r#type.rs"));
    }
}

mod readout {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/readout.v1.rs"));
    }
}

pub use self::google::r#type::{Date, LatLng, TimeOfDay};
pub use self::readout::v1::*;

/// The descriptors of the contract with its imports, comments and options: a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/readout.fds"));

/// The same, parsed: for field paths and for ProtoJSON.
pub fn pool() -> &'static prost_reflect::DescriptorPool {
    use std::sync::LazyLock;
    static POOL: LazyLock<prost_reflect::DescriptorPool> =
        LazyLock::new(|| prost_reflect::DescriptorPool::decode(DESCRIPTORS).expect("build.rs wrote it"));
    &POOL
}
