//! The guard's view of approvals: ask, wait, use once, say how it ended.

use std::sync::Arc;

use sallyport_policy::approval::{
    Assurance, Claim, ConsumeRefusal, Outcome, Requester, Scope, Terms,
};
use sallyport_policy::bundle::ApprovalSettings;
use sallyport_policy::decide::{GrantUse, HoldRule};
use sallyport_policy::name::{CallId, Digest, GatewayName, RequestId, Revision};
use sallyport_policy::source::rule::Condition;
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
        let (request, claim, call) = (request.clone(), claim.clone(), call.clone());
        self.port.consume(request, claim, call).await
    }

    /// Goes on with a use whose server answered `input_required`: `state` is the hash of the server's
    /// `requestState` that the client sent back (law 21). Accepted once.
    pub async fn continuation(
        &self,
        state: &Digest,
        claim: &Claim,
        call: &CallId,
    ) -> Result<Consumed, ConsumeError> {
        self.port.take_up(*state, claim.clone(), call.clone()).await
    }

    /// Every revocation from now on.
    #[must_use]
    pub fn revocations(&self) -> Revocations {
        Revocations(self.port.revocations())
    }
}

/// What the guard asks approval for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Of [`sallyport_policy::approval::Binding`].
    pub digest: Digest,
    pub gateway: GatewayName,
    pub requester: Requester,
    /// The requester's verified e-mail address, for approvers to read.
    pub email: Option<String>,
    pub method: String,
    /// The tool or prompt name, or the resource's URI.
    pub target: Option<String>,
    pub pin: Option<Digest>,
    /// The masked preview of the arguments as JSON text, as approvers will see it (law 23).
    pub preview: Option<String>,
    /// All hold rules that match, as the decision named them.
    pub rules: Vec<Arc<HoldRule>>,
    pub revision: Revision,
    /// Why the caller wants it, where the protocol had a place for that.
    pub reason: Option<String>,
    /// As in its claim: a window that would not cover the very call that asks for it is not opened; the call's
    /// own approval is asked instead.
    pub when_holds: bool,
    /// As in force now.
    pub settings: ApprovalSettings,
}

impl Ask {
    /// The terms of the request that this opens at `now`. Where rules differ the narrowest grant counts.
    #[must_use]
    pub fn terms(&self, now: UnixMillis) -> Terms {
        let grants: Vec<_> = self.rules.iter().map(|rule| rule.grant.clone()).collect();
        let scope = match self.tool().filter(|_| self.when_holds) {
            Some(_) => Scope::of(&grants, self.digest),
            None => Scope::Call {
                digest: self.digest,
            },
        };
        let longest = self.settings.max_grant;
        let window = grants.iter().map(|grant| grant.duration).min();
        Terms {
            gateway: self.gateway.clone(),
            requester: self.requester.clone(),
            email: self.email.clone(),
            method: self.method.clone(),
            target: self.target.clone(),
            pin: self.pin,
            scope,
            rules: self.rules.iter().map(|rule| (&**rule).into()).collect(),
            revision: self.revision,
            reason: self.reason.clone(),
            preview: self.preview.clone(),
            opened: now,
            expires: now.after(self.settings.request_ttl),
            window: window.unwrap_or(longest).min(longest),
        }
    }

    /// The claim that the asked call has on grants.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            gateway: self.gateway.clone(),
            caller: self.requester.key.clone(),
            digest: self.digest,
            tool: self.tool().map(ToOwned::to_owned),
            pin: self.pin,
            rules: self.rules.iter().map(|rule| rule.digest).collect(),
            revision: self.revision,
            when_holds: self.when_holds,
        }
    }

    fn tool(&self) -> Option<&str> {
        self.target
            .as_deref()
            .filter(|_| self.method == "tools/call")
    }
}

/// A place in the queue of one access request. Dropping it ends the waiting, not the request.
#[derive(Clone, Debug)]
pub struct Ticket {
    request: RequestId,
    status: watch::Receiver<Status>,
    joined: bool,
}

impl Ticket {
    /// `joined`: the request was there already.
    pub fn new(request: RequestId, status: watch::Receiver<Status>, joined: bool) -> Self {
        Self {
            request,
            status,
            joined,
        }
    }

    /// Whether the call shares the request of an identical one that came before.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.joined
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
        /// Everybody whose approval counted.
        by: Vec<Spoken>,
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

/// Somebody whose voice counted, and how sure we are that it was they (law 24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    pub user: String,
    pub assurance: Assurance,
    /// Uid of the peer on the approval socket.
    pub uid: Option<u32>,
    pub reason: Option<String>,
}

/// A window that covers a call.
#[derive(Clone, Debug)]
pub struct Grant {
    pub request: RequestId,
    pub ends: UnixMillis,
    /// None: as many as the window lasts.
    pub uses_left: Option<usize>,
    /// What each use must meet, for readers; the claim's `when_holds` says whether this call does.
    pub when: Vec<Condition>,
}

/// A use as the keeper hands it out.
#[derive(Debug)]
pub struct Consumption {
    pub of: UseRef,
    pub grant: GrantUse,
    pub opened_under: Revision,
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
    /// For keepers: from now on the use ends whatever happens.
    #[must_use]
    pub fn new(taken: Consumption, port: Arc<dyn ApprovalPort>) -> Self {
        Self {
            taken,
            port,
            finished: false,
        }
    }

    #[must_use]
    pub fn request(&self) -> &RequestId {
        &self.taken.of.request
    }

    /// The revision under which the request was opened; recorded beside the one in force (law 19).
    #[must_use]
    pub fn opened_under(&self) -> Revision {
        self.taken.opened_under
    }

    /// For `Bundle::decide_granted`.
    #[must_use]
    pub fn grant(&self) -> &GrantUse {
        &self.taken.grant
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
    #[error("cannot {what}: {why}")]
    Disk { what: String, why: String },
    #[error("`{0}` was changed by somebody else while we run; restart to read it again")]
    Changed(String),
    #[error("another process keeps the approvals of `{0}`; stop it, or give another state folder")]
    InUse(String),
    #[error("approvals are not served any more")]
    Stopped,
}

/// Why no request was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("{limit} requests of this caller are pending already; wait until one is decided")]
    TooManyPending { limit: u32 },
    #[error("rule `{0}` names no approvers, so nobody can approve this call")]
    NoApprovers(String),
    #[error("no rule holds this call, so there is nothing to approve")]
    NothingToApprove,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a grant was not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    #[error("request `{0}` is not known")]
    Unknown(RequestId),
    #[error("no call of this caller waits for this continuation, or it was accepted already")]
    NoSuchLeg,
    #[error("the approval cannot be used: {0}")]
    Refused(#[from] ConsumeRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}
