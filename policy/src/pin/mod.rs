//! Pins: the reviewed digest of each tool's definition, and what to do when a server shows another one (law 29).
//!
//! A server may change what a tool says it does after somebody has reviewed it. Definitions are compared before
//! masking, in canonical form, so that a mere reordering is no change and a single hidden letter is one. Nothing
//! here stores anything: where pins are kept is the caller's business.

mod book;
mod definition;
mod diff;

pub use book::{PinBook, PinVerdict, TrustedPin};
pub use definition::Definition;
pub use diff::{Change, diff};

use crate::json::JsonError;

/// Why a definition cannot be pinned. All but `TooManyPins` are the server's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    #[error("a tool definition that is not an object")]
    NotAnObject,
    #[error("a tool definition without a `name` that is a string")]
    NoName,
    #[error(
        "the definition of tool `{tool}` has a member `{key}` that imitates one of the protocol's own"
    )]
    Twin { tool: String, key: String },
    #[error("the definition of tool `{tool}` has no canonical form: {error}")]
    NotCanonical { tool: String, error: JsonError },
    #[error("tool `{tool}` cannot be pinned: {limit} tools are; forget those that are gone")]
    TooManyPins { tool: String, limit: usize },
}

#[cfg(test)]
mod tests;
