//! Approvals through the real binary: `sallyport up` before a real stdio server, real clients, real crashes.
//!
//! The server writes a line for each call that it runs. What a client was told is one thing; that file proves how
//! often a call really ran.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test the panic is the report"
)]

mod accounts;
mod agent;
mod binding;
mod guard;
mod once;
mod voices;
mod waiting;
mod windows;
