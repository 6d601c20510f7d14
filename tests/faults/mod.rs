//! What the change feed promises, whatever happens: histories of writers and watchers around faults, each checked by
//! one validator.

mod chance;
mod hand_made;
mod history;
mod sequence;
mod validator;
