//! What must hold for any bytes from outside: one target a parser, its laws as one property each.
//!
//! A property takes bytes and panics where a law does not hold; it must never judge by anything but its input, so
//! that a finding repeats. libFuzzer drives the properties over instrumented code (`cargo xtask fuzz`), and an
//! ordinary `cargo test` replays the seeds and the kept corpus through the same functions.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "the panic is the finding, and a target is read as one table of what must hold"
)]

pub mod corpus;
mod input;
mod targets;

pub use targets::{TARGETS, Target, named};
