//! Overload, and instances that stop and start.

mod admission;
mod drain;
mod life;
mod memory;
mod overload;
mod roll;
