//! Messages are compared by content, not by spelling.

mod instants;
