//! More is asked than can be done in time, and instances that go and come.

mod admission;
mod drain;
mod life;
mod overload;
mod roll;
