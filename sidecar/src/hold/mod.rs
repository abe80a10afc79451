//! Held calls: how the data path asks for an approval, waits for it and uses it once (laws 19 to 24).
//!
//! The guard talks to a [`Desk`] and never learns where approvals are kept. Behind the desk stands a
//! [`port::ApprovalPort`]: [`local`] keeps requests and reviews as files of a state folder; in a cluster the
//! operator's control endpoint takes its place. Nothing here decides policy: what is asked comes from
//! `policy::decide`, what counts is judged by `policy::approval`.

pub mod client;
pub mod desk;
pub mod local;
pub mod notify;
pub mod port;
pub mod protocol;
pub mod secret;

pub use desk::{
    Ask, AskError, ConsumeError, Consumed, Desk, Grant, Revocations, Revoked, Spoken, Status,
    StoreError, Ticket,
};
