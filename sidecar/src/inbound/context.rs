//! What is known about a message besides its body: caller, session, revision, headers, and the policy it is judged by.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use sallyport_policy::decide::{Facts, Listed, ToolFacts};
use sallyport_policy::mcp::agreement::Features;
use sallyport_policy::mcp::call::TASKS_EXTENSION;
use sallyport_policy::mcp::list::Caching;
use sallyport_policy::mcp::revision::Revision;
use sallyport_policy::principal::Principal;
use sallyport_policy::sse::Item;
use sallyport_policy::time::UnixMillis;
use tokio::sync::mpsc;

use super::head;
use super::session::{Behind, Session};
use crate::gateway::{Gateway, InForce};
use crate::identity::{ProtectedResource, Verified};
use crate::journal::{Circumstances, Recording};
use crate::metrics::Transport;
use crate::upstream::Lane;
use crate::upstream::http::SESSION_HEADER;

/// Longest time that a client may keep a cacheable result (law 28).
const LONGEST_TTL_MS: u64 = 30_000;
/// Extensions whose messages the method table judges.
pub const EXTENSIONS: &[&str] = &[TASKS_EXTENSION, "io.modelcontextprotocol/ui"];

/// The circumstances of one message.
#[derive(Clone, Debug)]
pub struct Context {
    pub gateway: Arc<Gateway>,
    /// Read once, so that a call is judged by one policy.
    pub policy: Arc<InForce>,
    pub verified: Arc<Verified>,
    pub source: IpAddr,
    /// The URL of the gateway that the caller means; its metadata is what a challenge points at.
    pub resource: Option<Arc<ProtectedResource>>,
    /// Shared: a call takes its context along.
    pub headers: Arc<HeaderMap>,
    pub revision: Revision,
    pub session: Option<Arc<Session>>,
    pub transport: Transport,
    pub accepts_events: bool,
    pub accepts_json: bool,
    /// An element of a batch is never kept waiting (law 16).
    pub may_wait: bool,
    /// The id that a new session will have, where it is ours to mint.
    pub minted: Option<String>,
    /// Where messages go that answer no POST, for a new session of the 2024-11-05 transport.
    pub outlet: Option<mpsc::Sender<Item>>,
}

impl Context {
    pub fn principal(&self) -> &Principal {
        self.verified.principal()
    }

    pub fn now(&self) -> UnixMillis {
        self.gateway.now()
    }

    /// The policy in force now, which may be newer than the one the message was judged by, and the caller by the
    /// freshest token of its session.
    pub fn renewed(&self) -> Self {
        let freshest = self.session.as_ref().map(|session| session.freshest());
        Self {
            policy: self.gateway.policy(),
            verified: freshest.unwrap_or_else(|| Arc::clone(&self.verified)),
            ..self.clone()
        }
    }

    /// Whether the caller would be let in at this moment (law 11); ask it of a [`Self::renewed`] context.
    pub fn is_welcome(&self) -> bool {
        self.policy.verifier.still_valid(&self.verified).is_ok()
    }

    /// Returns when the caller's token is over; never for a caller without one.
    pub async fn expired(&self) {
        match self.principal().expires_at {
            Some(at) => tokio::time::sleep(self.now().until(at)).await,
            None => std::future::pending().await,
        }
    }

    /// The recording that this caller's messages go into.
    pub fn recording(&self, claimed_client: impl FnOnce() -> Option<String>) -> Recording {
        let gateway = &self.gateway;
        gateway.journal.session(
            &gateway.recorder,
            &self.policy,
            &self.verified,
            &gateway.clock,
            || Circumstances {
                protocol: self.revision,
                transport: match self.transport {
                    Transport::Streamable => "streamable-http",
                    Transport::Sse => "http+sse",
                },
                source: self.source,
                claimed_client: claimed_client(),
            },
        )
    }

    /// Calls `judge` with the facts of this message.
    pub fn with_facts<T>(
        &self,
        tool: Option<ToolFacts<'_>>,
        judge: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let header = |name: &str| {
            self.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        judge(&Facts {
            principal: self.principal(),
            now: self.now(),
            source: Some(self.source),
            header: &header,
            tool,
        })
    }

    /// How long the client may keep what it is told: until the next edge of a policy's validity at most.
    pub fn caching(&self) -> Caching {
        let now = self.now();
        let edge = self.policy.bundle.next_edge(self.principal(), now);
        let until = edge.map_or(u64::MAX, |edge| {
            u64::try_from(now.until(edge).as_millis()).unwrap_or(u64::MAX)
        });
        Caching {
            revision: self.revision,
            max_ttl_ms: until.min(LONGEST_TTL_MS),
        }
    }

    /// Whether a rule lets the server ask this of the client (law 1).
    pub fn server_may_ask(&self, method: &str) -> bool {
        self.with_facts(None, |facts| {
            self.policy.bundle.server_request_allowed(method, facts)
        })
    }

    /// Whether the caller could be let to `logging/setLevel`. In the newest revision there is none: each request says
    /// what it wants to hear.
    fn may_set_log_level(&self) -> bool {
        let method = Listed::Method {
            method: "logging/setLevel",
        };
        self.revision.is_modern()
            || self.with_facts(None, |facts| self.policy.bundle.visible(&method, facts))
    }

    /// What either side may see of the other's abilities, beside what the server may ask (law 1).
    pub fn features(&self) -> Features<'static> {
        Features {
            logging: self.may_set_log_level(),
            tasks: true,
            extensions: EXTENSIONS,
        }
    }

    /// The headers of a message to the server (law 12), the session as the server knows it.
    pub fn outbound_headers(&self) -> HeaderMap {
        let modern = self.revision.is_modern();
        let mut headers = head::allowed(&self.headers, modern, &self.policy.forward);
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(http::header::ACCEPT, both);
        headers.remove(SESSION_HEADER);
        if let Some(session) = &self.session {
            if let Behind::Header(Some(id)) = &session.behind
                && let Ok(value) = HeaderValue::try_from(id.as_str())
            {
                headers.insert(SESSION_HEADER, value);
            }
            let version = HeaderName::from_static("mcp-protocol-version");
            if self.transport == Transport::Sse && session.revision >= Revision::V2025_06_18 {
                headers.insert(version, HeaderValue::from_static(session.revision.as_str()));
            }
        }
        headers
    }

    /// The caller's headers that go on to the server beyond the protocol's own: part of what an approval binds.
    pub fn forwarded(&self) -> Vec<(String, String)> {
        let named = |name: &HeaderName| {
            let value = self.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        };
        self.policy.forward.iter().filter_map(named).collect()
    }

    /// Which pipe to a linked server this message takes.
    pub fn lane(&self) -> Lane {
        let session = self.session.as_ref().and_then(|session| session.lane());
        match (session, &self.minted) {
            (Some(lane), _) => lane,
            (None, Some(minted)) => Lane::Session(minted.clone()),
            (None, None) => Lane::Caller(Arc::clone(self.verified.key())),
        }
    }
}
