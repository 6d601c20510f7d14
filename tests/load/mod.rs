//! Overload, and instances that stop and start.

mod admission;
mod drain;
mod memory;
mod message_bounds;
mod overload;
mod rolling_restart;
mod stream_lifetime;
