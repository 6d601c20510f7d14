//! Helpers that the tests share.

pub mod authority;
pub mod block_commits;
pub mod calls;
pub mod cluster;
pub mod contents;
pub mod data_dir;
pub mod follow;
pub mod frames;
pub mod make;
pub mod program;
pub mod question;
pub mod raw;
pub mod service;
pub mod status;
pub mod stories;
pub mod stream;

pub use self::{
    service::Service,
    status::{Refused, metadata_of, reason_of, refused},
};
