//! The data path from socket to socket: a real guard, a real server behind it, and clients that send bytes.
//!
//! Each test's name says the law of `semantics.md` or the trap that it proves. For every refusal three things are
//! looked at: what the client is told, that the server never heard of it, and that one record tells the reason.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    reason = "in a test the panic is the report, and a table of cases may be long"
)]

mod batches;
mod bodies;
mod callers;
mod drain;
mod eras;
mod heads;
mod identities;
mod limits;
mod linked;
mod lists;
mod marks;
mod masking;
mod mirrors;
mod old_transport;
mod policy_changes;
mod recordings;
mod server_asks;
mod sessions;
mod streams;
mod support;
mod transports;
