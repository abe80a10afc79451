//! The rules in a real network namespace, from where an attacker would stand. Each test prints what it shows.
//!
//! Namespaces need root and a kernel that lets us: where it does not, a test says `not shown here` and shows nothing.

mod bed;
mod paths;
mod proof;
