//! How every connection to a pod is made to reach the sidecar (layer 1), as text and as a deed.
//!
//! `rules` is pure: facts in, the text of a rule set out. It does not know who loads it, so that an init container and
//! a CNI plugin load the same. `apply` loads it into the network namespace that it finds itself in; `validate` proves,
//! from where an attacker in the pod would stand, that what was loaded holds.

pub mod apply;
pub mod facts;
pub mod rules;
pub mod validate;
