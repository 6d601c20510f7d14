//! Bad input: every rule of the contract, and the error of a request that breaks it.

mod account;
mod base;
mod declared;
mod implied;
mod invalid_cases;
mod invalid_values;
mod nul;
mod paging_and_names;
pub mod requests;
mod revisions;
mod size;
mod story;
pub mod world;
