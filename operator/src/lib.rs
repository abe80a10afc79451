//! The operator: what it watches becomes signed policy in pods, and nothing about a call passes through it.
//!
//! Resources flow one way. `watch` fills the `index`, which says which sources guard which gateway and which gateway
//! guards which pod; `controllers` take what changed, `distribute` compiles, signs and writes; sidecars acknowledge at
//! `control`; `status` says what is true. `admission` and `inject` stand beside it: they answer the API server about one
//! object at a time and wait for nobody.

pub mod admission;
pub mod args;
pub mod certs;
pub mod clock;
pub mod control;
pub mod controllers;
pub mod distribute;
pub mod health;
pub mod index;
pub mod inject;
pub mod lease;
pub mod metrics;
pub mod queue;
mod random;
pub mod run;
pub mod server;
pub mod status;
pub mod watch;

/// Who we are to the API server, wherever somebody else may write too.
pub const FIELD_MANAGER: &str = "sallyport-operator";
