//! The laws of approvals, by table and by property.

mod binding;
mod case;
mod object;
mod voice;

use std::time::Duration;

use super::{
    Approver, Assurance, Claim, Names, Requester, RuleTerms, Scope, Terms, Verdict, Voice,
};
use crate::name::{CallId, ClientId, Digest, GatewayName, Issuer, RuleId, RuleSource, Subject};
use crate::principal::CallerKey;
use crate::source::policy;
use crate::time::UnixMillis;

const MINUTE: i64 = 60_000;

fn gateway() -> GatewayName {
    GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    }
}

fn caller() -> CallerKey {
    CallerKey {
        issuer: Issuer::new("https://idp.example.com"),
        subject: Subject::new("ada@example.com"),
        client: Some(ClientId::new("https://agents.example.com/restocker")),
        actor: None,
    }
}

fn group(name: &str) -> policy::Subject {
    policy::Subject {
        groups: vec![name.to_owned()],
        ..policy::Subject::default()
    }
}

fn rule(name: &str, approvers: Vec<policy::Subject>, required: u32) -> RuleTerms {
    RuleTerms {
        id: RuleId {
            source: RuleSource::Policy,
            object: "stock-clerks".to_owned(),
            rule: name.to_owned(),
        },
        digest: Digest::of(name.as_bytes()),
        approvers,
        required,
        reason_required: false,
    }
}

/// One call, pending for an hour from 0, with a grant of 15 minutes.
fn terms(rules: Vec<RuleTerms>) -> Terms {
    Terms {
        gateway: gateway(),
        requester: Requester {
            key: caller(),
            names: Names::new(["ada@example.com", "https://agents.example.com/restocker"]),
        },
        email: Some("ada@example.com".to_owned()),
        method: "tools/call".to_owned(),
        target: Some("update_price".to_owned()),
        pin: Some(Digest::of(b"pin")),
        scope: Scope::Call {
            digest: Digest::of(b"call"),
        },
        rules,
        revision: Digest::of(b"revision"),
        reason: None,
        preview: Some(r#"{"price":5}"#.to_owned()),
        opened: UnixMillis(0),
        expires: UnixMillis(60 * MINUTE),
        window: Duration::from_secs(15 * 60),
    }
}

fn claim(terms: &Terms) -> Claim {
    Claim {
        gateway: gateway(),
        caller: caller(),
        digest: Digest::of(b"call"),
        tool: Some("update_price".to_owned()),
        pin: Some(Digest::of(b"pin")),
        rules: terms.rules.iter().map(|rule| rule.digest).collect(),
        revision: Digest::of(b"later revision"),
        when_holds: false,
    }
}

fn approver(username: &str, groups: &[&str]) -> Approver {
    Approver {
        username: username.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        issuers: [Issuer::new("https://idp.example.com")].into(),
        aliases: std::collections::BTreeSet::new(),
        assurance: Assurance::Asserted,
        uid: Some(1000),
    }
}

/// A word at `at`, by somebody who saw the preview of [`terms`].
fn says(verdict: Verdict, by: Approver, at: i64) -> Voice {
    Voice {
        by,
        verdict,
        reason: None,
        preview: Some(Digest::of(br#"{"price":5}"#)),
        at: UnixMillis(at),
    }
}

fn call(name: &str) -> CallId {
    CallId::new(name)
}
