//! The messages and services of the contract, as generated code. No other module includes generated messages.

#![allow(clippy::all, clippy::missing_errors_doc, missing_docs, rustdoc::all)]

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

/// An encoded `FileDescriptorSet`: the contract and its imports, with comments and options.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/readout.fds"));

/// [`DESCRIPTORS`] in parsed form, for field paths and ProtoJSON. Parsed once.
pub fn pool() -> &'static prost_reflect::DescriptorPool {
    use std::sync::LazyLock;
    static POOL: LazyLock<prost_reflect::DescriptorPool> = LazyLock::new(|| {
        prost_reflect::DescriptorPool::decode(DESCRIPTORS).expect("build.rs writes a valid descriptor set")
    });
    &POOL
}
