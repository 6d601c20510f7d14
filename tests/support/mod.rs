//! Helpers that the tests share.

pub mod allocations;
pub mod block_commits;
pub mod calls;
pub mod certificate_authority;
pub mod cluster;
pub mod data_dir;
pub mod follow;
pub mod frames;
pub mod http;
pub mod make;
pub mod program;
pub mod pty;
pub mod random_filter;
pub mod raw;
pub mod repository;
pub mod service;
pub mod status;
pub mod stored_records;
pub mod stories;
pub mod story_stream;

pub use self::{
    service::Service,
    status::{Refused, metadata_of, reason_of, refused},
};
