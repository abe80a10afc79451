//! The recording format: events, framing, hash chains, checkpoints, verification and replay, all pure.
//!
//! A recording must convince somebody who trusts neither the operator of the machine nor us. So the format is plain
//! (one line an event, `sha256sum` checks it), every event names the hash of the one before it in its session, and
//! signed checkpoints name the heads of all sessions. The sidecar's spool writes these lines and the recorder crate
//! reads them; both go through this module, so that there is one definition of each byte. Files, clocks and keys
//! come in as parameters; nothing here may ever open a file. The format is told in `docs/recording-format.md`.

pub mod chain;
pub mod checkpoint;
pub mod event;
pub mod layout;
pub mod line;
pub mod replay;
pub mod segment;
pub mod verify;

pub use chain::{ChainHead, EventRecord, EventRef, PayloadRef};
pub use checkpoint::{Checkpoint, Head, SigningKey, VerifyingKey};
pub use event::{Event, Outcome, PayloadKind};
