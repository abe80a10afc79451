//! The endpoint for sidecars: who enforces what, and what they should enforce.
//!
//! `endpoint` takes streams in, `identity` says whose they are, `roster` remembers what they said. Nothing that a
//! sidecar says widens what it may do: it is told what to expect in its volume, and believed about itself alone.

pub mod certificate;
pub mod endpoint;
pub mod identity;
mod lines;
mod roster;

pub use roster::{Caller, Expected, Roster, Said};
