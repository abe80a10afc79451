//! Recordings, read: verified, searched, replayed, exported, purged.
//!
//! The sidecar's spool writes the segments; this crate reads the same files and never touches a line of them. What it
//! writes itself are the audit chain beside them (who read what, what was purged, what is held) and an index that can
//! be thrown away. [`Recordings`] is the way in: every door that shows content writes down who came through it first.
//! The words on bytes, chains and checkpoints are `sallyport_policy::record`'s alone.

mod audit;
mod error;
pub mod export;
mod folder;
mod index;
pub mod purge;
mod query;
mod recordings;
pub mod show;
mod summary;
mod verify;

pub use audit::AuditLog;
pub use error::ReadError;
pub use folder::{Entry, Folder, Payload, Position};
pub use query::{CallFilter, SessionFilter};
pub use recordings::{Actor, Recordings, Session};
pub use summary::{CallSummary, SessionSummary};
pub use verify::{Report, VerifyOptions, verify, verify_export};
