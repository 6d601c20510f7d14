//! Bad input: every rule of the contract, and the error of a request that breaks it.

mod account;
mod base;
mod broken;
mod call;
mod declared;
mod implied;
mod nul;
mod requests;
mod revisions;
mod size;
mod story;
mod walk;
mod world;
