//! The seam between the desk and the place where approvals are kept.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use sallyport_policy::approval::{Claim, Outcome};
use sallyport_policy::name::{CallId, Digest, RequestId};
use tokio::sync::broadcast;

use super::desk::{Ask, AskError, ConsumeError, Consumed, Grant, Revoked, StoreError, Ticket};

/// One use of one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseRef {
    pub request: RequestId,
    pub call: CallId,
}

/// A keeper of approvals. Each future does all of its work even if nobody waits for it any more; a [`Consumed`] that
/// nobody takes is made by the keeper all the same, so that its end is written down when it is dropped.
pub trait ApprovalPort: Debug + Send + Sync {
    /// Opens a request, or joins the identical one.
    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Ticket, AskError>>;
    /// Windows that cover the call.
    fn grants_for(&self, claim: Claim) -> BoxFuture<'static, Result<Vec<Grant>, StoreError>>;
    /// Takes one use, durably; at most one caller gets the last one.
    fn consume(
        &self,
        request: RequestId,
        claim: Claim,
        call: CallId,
    ) -> BoxFuture<'static, Result<Consumed, ConsumeError>>;
    /// Takes up a use that waits for the leg with this `requestState`; once.
    fn take_up(
        &self,
        state: Digest,
        claim: Claim,
        call: CallId,
    ) -> BoxFuture<'static, Result<Consumed, ConsumeError>>;
    /// Writes how a use ended.
    fn finish(&self, of: UseRef, outcome: Outcome) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Writes that a use goes on with the leg that carries this `requestState`.
    fn expect(&self, of: UseRef, state: Digest) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Like `finish` with an unknown outcome, from a destructor: must return at once.
    fn abandon(&self, of: UseRef);
    fn revocations(&self) -> broadcast::Receiver<Revoked>;
}
