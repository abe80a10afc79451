//! The life of one access request as a state machine whose steps consume it.

use crate::name::{CallId, Digest, Revision};
use crate::time::UnixMillis;

/// How a use of a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Succeeded,
    Failed,
    /// Something may have happened: a crash, a lost connection, a revocation.
    Unknown,
}

/// One use of a grant, written down before the first byte goes upstream (law 21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub call: CallId,
    /// The digest of the call that used it.
    pub digest: Digest,
    /// The policy in force when it was used.
    pub revision: Revision,
    pub at: UnixMillis,
    /// None while it runs.
    pub ended: Option<(UnixMillis, Outcome)>,
    /// The hash of the server's `requestState`: the one leg that may go on with this use.
    pub continuation: Option<Digest>,
}
/// Waiting for reviews.
#[derive(Clone, Debug)]
pub struct Pending;
/// Approved, and not used up.
#[derive(Clone, Debug)]
pub struct Approved;
/// Nothing more can be decided.
#[derive(Clone, Debug)]
pub struct Closed;
/// Why a request is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closing {
    Denied,
    Expired,
    Withdrawn,
    Consumed,
    Revoked,
}
/// Any state.
#[derive(Clone, Debug)]
pub enum Case {
    Pending(Pending),
    Approved(Approved),
    Closed(Closed),
}
/// Why a grant was not consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeRefusal {
    #[error("it is not approved")]
    NotApproved,
    #[error("it has been used")]
    Used,
}
