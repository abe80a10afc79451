//! From sources to signed policy in the cluster: compile, sign, write, touch.

pub mod names;
