//! The operator: what it watches becomes signed policy in pods, and nothing about a call passes through it.
//!
//! Resources flow one way. Reflectors hold what the API server has; `index` says which sources guard which gateway and which gateway guards which pod;
//! `distribute` compiles, signs and writes; sidecars acknowledge at `control`; `status` says what is true. `admission` and `inject` stand beside it:
//! they answer the API server about one object at a time and wait for nobody.

pub mod admission;
pub mod certs;
pub mod control;
pub mod controllers;
pub mod distribute;
pub mod index;
pub mod inject;
pub mod status;
