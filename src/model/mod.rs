//! The rules of the domain, as pure functions on the messages of the contract. No SQL and no gRPC.

pub mod article;
pub mod article_copies;
pub mod canonical;
pub mod change;
pub mod evidence;
pub mod identity;
pub mod mask;
pub mod meeting;
pub mod message_bound;
pub mod participant;
pub mod query;
pub mod report;
pub mod resource;
pub mod role;
pub mod rules;
pub mod scope;
pub mod settle;
pub mod statement;
pub mod story;
pub mod text;
pub mod time;
