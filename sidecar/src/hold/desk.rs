//! The guard's view of approvals: ask, wait, use once, say how it ended.

use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::{Claim, ConsumeRefusal, Misfit, Outcome, Requester, RuleTerms};
use sallyport_policy::name::{CallId, ClientId, Digest, GatewayName, RequestId, Revision};
use sallyport_policy::time::UnixMillis;
use tokio::sync::{broadcast, watch};

use super::port::{ApprovalPort, UseRef};

/// The desk where approvals are asked for and used. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    port: Arc<dyn ApprovalPort>,
}

impl Desk {
    pub fn new(port: Arc<dyn ApprovalPort>) -> Self {
        Self { port }
    }

    /// Opens an access request, or joins the identical one that is pending, approved, denied or just used.
    pub async fn ask(&self, ask: Ask) -> Result<Ticket, AskError> {
        self.port.ask(ask).await
    }

    /// Windows (`scope: Tool`) that cover the call; the guard evaluates their `when` before it consumes one.
    pub async fn grants_for(&self, claim: &Claim) -> Result<Vec<Grant>, StoreError> {
        self.port.grants_for(claim.clone()).await
    }

    /// Uses a grant. It is written down durably before this returns, so at most one of any number of racing
    /// callers, of any number of processes one after the other, gets it.
    pub async fn consume(
        &self,
        request: &RequestId,
        claim: &Claim,
        call: &CallId,
    ) -> Result<Consumed, ConsumeError> {
        let taken = self
            .port
            .consume(request.clone(), claim.clone(), call.clone());
        taken.await.map(|taken| self.consumed(taken))
    }

    /// Goes on with a use whose server answered `input_required`: `state` is the hash of the server's
    /// `requestState` that the client sent back (law 21). Accepted once.
    pub async fn continuation(
        &self,
        state: &Digest,
        claim: &Claim,
        call: &CallId,
    ) -> Result<Consumed, ConsumeError> {
        let taken = self.port.take_up(*state, claim.clone(), call.clone());
        taken.await.map(|taken| self.consumed(taken))
    }

    /// Every revocation from now on.
    #[must_use]
    pub fn revocations(&self) -> Revocations {
        Revocations(self.port.revocations())
    }

    fn consumed(&self, taken: Consumption) -> Consumed {
        Consumed {
            taken,
            port: Arc::clone(&self.port),
            finished: false,
        }
    }
}

/// What the guard asks approval for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Of [`sallyport_policy::approval::Binding`].
    pub digest: Digest,
    pub gateway: GatewayName,
    pub requester: Requester,
    pub method: String,
    /// The tool or prompt name, or the resource's URI.
    pub target: Option<String>,
    pub pin: Option<Digest>,
    /// The masked preview of the arguments, as approvers will see it (law 23).
    pub preview: Option<String>,
    /// All hold rules that match.
    pub rules: Vec<RuleTerms>,
    pub revision: Revision,
    /// Why the caller wants it, where the protocol had a place for that.
    pub reason: Option<String>,
    pub limits: AskLimits,
}

/// The gateway's `approvals` section, as in force now.
#[derive(Clone, Copy, Debug)]
pub struct AskLimits {
    /// How long a request may wait for reviews, and how long a denial refuses.
    pub request_ttl: Duration,
    /// Longest grant, whatever the rules say.
    pub max_grant: Duration,
    /// Most pending requests of one principal.
    pub max_pending: usize,
}

/// A place in the queue of one access request. Dropping it ends the waiting, not the request.
#[derive(Clone, Debug)]
pub struct Ticket {
    request: RequestId,
    status: watch::Receiver<Status>,
}

impl Ticket {
    pub fn new(request: RequestId, status: watch::Receiver<Status>) -> Self {
        Self { request, status }
    }

    #[must_use]
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits for the next status. When the keeper is gone nothing will ever be approved: `Expired`.
    pub async fn changed(&mut self) -> Status {
        match self.status.changed().await {
            Ok(()) => self.status.borrow_and_update().clone(),
            Err(_) => Status::Expired,
        }
    }

    /// Waits until the request is no longer pending.
    pub async fn settled(&mut self) -> Status {
        let settled = self
            .status
            .wait_for(|status| !matches!(status, Status::Pending { .. }))
            .await;
        settled.map_or(Status::Expired, |status| status.clone())
    }
}

/// Where an access request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Pending {
        since: UnixMillis,
        expires: UnixMillis,
    },
    /// Usable until `ends`.
    Approved {
        ends: UnixMillis,
    },
    Denied {
        by: String,
        reason: Option<String>,
        until: UnixMillis,
    },
    Expired,
    Withdrawn,
    /// None while the use runs.
    Used {
        outcome: Option<Outcome>,
    },
    Revoked {
        by: String,
        reason: Option<String>,
    },
}

/// A window that covers a call.
#[derive(Clone, Debug)]
pub struct Grant {
    pub request: RequestId,
    pub ends: UnixMillis,
    /// None: as many as the window lasts.
    pub uses_left: Option<u32>,
}

/// A use as the keeper hands it out.
#[derive(Debug)]
pub struct Consumption {
    pub of: UseRef,
    pub opened_under: Revision,
    pub client: Option<ClientId>,
    pub status: watch::Receiver<Status>,
}

/// A grant in use. Ends with [`Consumed::finish`] or [`Consumed::expect`]; dropped without either, the use is
/// written down as ended with an unknown outcome.
#[derive(Debug)]
pub struct Consumed {
    taken: Consumption,
    port: Arc<dyn ApprovalPort>,
    finished: bool,
}

impl Consumed {
    #[must_use]
    pub fn request(&self) -> &RequestId {
        &self.taken.of.request
    }

    /// The revision under which the request was opened; recorded beside the one in force (law 19).
    #[must_use]
    pub fn opened_under(&self) -> Revision {
        self.taken.opened_under
    }

    /// Returns when the grant is revoked; pending for ever otherwise. To be raced against the upstream call.
    pub async fn revoked(&self) {
        let mut status = self.taken.status.clone();
        let revoked = status.wait_for(|status| matches!(status, Status::Revoked { .. }));
        if revoked.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Writes down how the call ended.
    pub async fn finish(mut self, outcome: Outcome) -> Result<(), StoreError> {
        self.finished = true;
        self.port.finish(self.taken.of.clone(), outcome).await
    }

    /// The server wants another leg: the use goes on with the call that carries this `requestState` (its hash).
    pub async fn expect(mut self, state: Digest) -> Result<(), StoreError> {
        self.finished = true;
        self.port.expect(self.taken.of.clone(), state).await
    }
}

impl Drop for Consumed {
    fn drop(&mut self) {
        if !self.finished {
            self.port.abandon(self.taken.of.clone());
        }
    }
}

/// A grant that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub request: RequestId,
    /// Calls that were using it.
    pub calls: Vec<CallId>,
}

/// The stream of revocations.
#[derive(Debug)]
pub struct Revocations(broadcast::Receiver<Revoked>);

impl Revocations {
    /// The next revocation; `Err` when some were missed and every live stream of a grant must be judged again;
    /// `None` when the desk is closed.
    pub async fn next(&mut self) -> Option<Result<Revoked, MissedRevocations>> {
        match self.0.recv().await {
            Ok(revoked) => Some(Ok(revoked)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Err(MissedRevocations)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Revocations came faster than they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("some revocations were missed")]
pub struct MissedRevocations;

/// The keeper could not read or write: ours to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("approvals cannot be stored: {0}")]
    Disk(String),
    #[error("approvals are not served any more")]
    Stopped,
}

/// Why no request was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error(
        "{limit} requests of this principal are pending already; wait for one of them to be decided"
    )]
    TooManyPending { limit: usize },
    #[error(
        "rule `{0}` names no approvers, so nobody can approve this call; name them in the policy"
    )]
    NoApprovers(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a grant was not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    #[error("request `{0}` is not known")]
    Unknown(RequestId),
    #[error("the approval does not cover this call: {0}")]
    Misfit(#[from] Misfit),
    #[error("the approval cannot be used: {0}")]
    Refused(#[from] ConsumeRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}
