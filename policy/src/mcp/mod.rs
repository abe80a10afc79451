//! The Model Context Protocol as a guard must know it: messages, revisions, methods, headers, answers.
//!
//! Everything is pure. What may be said at all is one table ([`method`]); what a message says is read once
//! ([`message`], [`call`]); what we say ourselves is made in one place ([`answer`]).

pub mod agreement;
pub mod answer;
pub mod call;
pub mod era;
pub mod header_schema;
pub mod headers;
pub mod list;
pub mod message;
pub mod method;
pub mod progress;
pub mod refusal;
pub mod result;
pub mod revision;
pub mod rewrite;
mod twins;
pub mod uri;

pub use call::{Call, Target};
pub use message::{Body, Id, Message};
pub use method::{Direction, Method, Surface};
pub use revision::{Era, Revision};

#[cfg(test)]
mod tests;
