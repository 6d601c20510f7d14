//! Pure rules on the messages of the contract. No SQL, no gRPC: whoever knows neither can read this.

pub mod aggregate;
pub mod article;
pub mod change;
pub mod changed;
pub mod codes;
pub mod copies;
pub mod cross_field;
pub mod dates;
pub mod evidence;
pub mod filter;
pub mod mask;
pub mod matching;
pub mod meeting;
pub mod merge;
pub mod names;
pub mod nearest;
pub mod order;
pub mod participant;
pub mod path;
pub mod report;
pub mod resource;
pub mod role;
pub mod rules;
pub mod search;
pub mod settle;
pub mod statement;
