//! The rules in a real network namespace, from where an attacker would stand. Each test prints what it shows.
//!
//! Namespaces need root and a kernel that lets us: where it does not, a test says `not shown here` and shows nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a lab that cannot be set up ends the test, and each test prints what it shows"
)]

mod bed;
mod paths;
mod proof;
