//! The desk over real folders and a real socket.

mod crash;
mod desk;
mod socket;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::object::RequestObject;
use sallyport_policy::approval::{Requester, Verdict};
use sallyport_policy::bundle::{ApprovalSettings, Bundle};
use sallyport_policy::decide::{
    Budgets, Decision, Facts, GrantScope, HoldRule, Operation, no_header,
};
use sallyport_policy::name::{CallId, ClientId, Digest, GatewayName, Issuer, RequestId, Subject};
use sallyport_policy::principal::Principal;
use sallyport_policy::source::policy;
use sallyport_policy::time::UnixMillis;

use super::keeper::{Peer, WordError};
use super::{LocalDesk, LocalOptions};
use crate::clock::hand::HandClock;
use crate::hold::protocol::Word;
use crate::hold::{Ask, Desk, Status, Ticket};

const MINUTE: Duration = Duration::from_secs(60);
const PREVIEW: &str = r#"{"price":5}"#;

fn issuer() -> Issuer {
    Issuer::new("https://idp.example.com")
}

fn gateway() -> GatewayName {
    GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    }
}

fn ada() -> Principal {
    Principal {
        issuer: issuer(),
        subject: Subject::new("ada@example.com"),
        email: Some("ada@example.com".to_owned()),
        groups: BTreeSet::new(),
        client: Some(ClientId::new("restocker")),
        actor: None,
        scopes: BTreeSet::new(),
        service_account: None,
        claims: serde_json::Map::new(),
        expires_at: None,
        anonymous: false,
    }
}

/// A hold rule as the evaluator makes it, then given approvers.
fn rule(required: u32, change: impl FnOnce(&mut HoldRule)) -> Arc<HoldRule> {
    let bundle = Bundle::built_in(gateway(), &issuer()).unwrap();
    let principal = ada();
    let facts = Facts {
        principal: &principal,
        now: UnixMillis(0),
        source: None,
        header: &no_header,
        tool: None,
    };
    let operation = Operation::Tool {
        name: "update_price",
        arguments: None,
    };
    let Decision::Hold(needed, _) = bundle.decide(&operation, &facts, &mut Budgets::new()) else {
        panic!("the built-in policy holds tools that are not read-only")
    };
    let mut rule = HoldRule::clone(&needed.rules[0]);
    rule.approvers = vec![policy::Subject {
        groups: vec!["stock-leads".to_owned()],
        ..policy::Subject::default()
    }];
    rule.required = required;
    change(&mut rule);
    Arc::new(rule)
}

fn window(rule: &mut HoldRule) {
    rule.grant.scope = GrantScope::Tool;
    rule.grant.max_uses = Some(2);
}

fn ask(arguments: &str, rule: Arc<HoldRule>) -> Ask {
    Ask {
        digest: Digest::of(arguments.as_bytes()),
        gateway: gateway(),
        requester: Requester::of(&ada()),
        email: Some("ada@example.com".to_owned()),
        method: "tools/call".to_owned(),
        target: Some("update_price".to_owned()),
        pin: Some(Digest::of(b"pin")),
        preview: Some(PREVIEW.to_owned()),
        rules: vec![rule],
        revision: Digest::of(b"revision"),
        reason: None,
        when_holds: true,
        settings: ApprovalSettings {
            hold: Duration::from_secs(45),
            request_ttl: 60 * MINUTE,
            max_grant: 480 * MINUTE,
            max_pending: 3,
        },
    }
}

fn call(name: &str) -> CallId {
    CallId::new(name)
}

/// A desk over a folder, at a time that the test moves.
struct Bench {
    desk: Desk,
    local: LocalDesk,
    clock: Arc<HandClock>,
}

impl Bench {
    fn over(state: &Path) -> Self {
        Self::with(state, UnixMillis(1_000_000), |_| ())
    }

    fn with(state: &Path, now: UnixMillis, change: impl FnOnce(&mut LocalOptions)) -> Self {
        let clock = Arc::new(HandClock::at(now));
        let mut options = LocalOptions::new(state, clock.clone());
        options.issuers = [issuer()].into();
        change(&mut options);
        let local = LocalDesk::open(options).unwrap();
        Self {
            desk: Desk::new(Arc::new(local.clone())),
            local,
            clock,
        }
    }

    async fn ask(&self, arguments: &str) -> Ticket {
        self.desk
            .ask(ask(arguments, rule(1, |_| ())))
            .await
            .unwrap()
    }

    async fn say(&self, verdict: Verdict, request: &RequestId, by: &str) -> Result<(), WordError> {
        let peer = Peer {
            uid: 1000,
            beside: None,
        };
        self.say_from(peer, verdict, request, by).await
    }

    async fn say_from(
        &self,
        peer: Peer,
        verdict: Verdict,
        request: &RequestId,
        by: &str,
    ) -> Result<(), WordError> {
        let word = Word {
            name: request.clone(),
            verdict,
            by: by.to_owned(),
            groups: vec!["stock-leads".to_owned()],
            reason: Some("seen".to_owned()),
            preview_digest: Some(Digest::of(PREVIEW.as_bytes())),
        };
        let said = self.local.run(move |keeper| keeper.review(&word, peer));
        said.await.unwrap()
    }

    async fn approved(&self, arguments: &str) -> Ticket {
        let ticket = self.ask(arguments).await;
        self.say(Verdict::Approve, ticket.request(), "bob")
            .await
            .unwrap();
        assert!(matches!(ticket.status(), Status::Approved { .. }));
        ticket
    }

    async fn objects(&self) -> Vec<RequestObject> {
        self.local
            .run(|keeper| keeper.list())
            .await
            .unwrap()
            .unwrap()
    }
}
