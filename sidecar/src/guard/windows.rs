//! Windows that somebody asks for before there is a call (law 22): what the policy in force says about them.

use std::collections::BTreeSet;
use std::sync::Arc;

use sallyport_policy::approval::person::account_of;
use sallyport_policy::bundle::Bundle;
use sallyport_policy::decide::{Asker, ToolFacts};
use sallyport_policy::json::Document;
use sallyport_policy::name::{ClientId, Digest, Issuer, Subject};
use sallyport_policy::principal::Principal;
use serde_json::Map;

use crate::gateway::Gateway;
use crate::hold::local::{WindowBook, WindowTerms};
use crate::hold::protocol::AskedWindow;

/// The gateway's own book of windows.
#[derive(Debug)]
pub struct Windows(Arc<Gateway>);

impl Windows {
    pub fn of(gateway: Arc<Gateway>) -> Self {
        Self(gateway)
    }

    /// A window is bound to one definition of its tool, so there must be one.
    fn definition(&self, tool: &str) -> Result<(Digest, Document), String> {
        let mode = self.0.policy().pins;
        let mut known = self.0.catalog.definitions(tool, mode);
        match (known.pop_first(), known.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => Err(format!(
                "the server defines `{tool}` differently for different protocol revisions; call it, and have that call's request approved"
            )),
            (None, _) => Err(format!(
                "no trusted definition of a tool `{tool}` is known, so a window has nothing to be bound to; let a client list the server's tools once, or look at `sallyport pins`"
            )),
        }
    }
}

impl WindowBook for Windows {
    fn terms(&self, asked: &AskedWindow) -> Result<WindowTerms, String> {
        let policy = self.0.policy();
        let bundle = &policy.bundle;
        is_meant(bundle, asked.gateway.as_deref())?;
        let principal = principal(asked, issuer(bundle, asked.issuer.as_deref())?);
        let (pin, definition) = self.definition(&asked.tool)?;
        let settings = bundle.settings().approvals.clone();
        let from = self.0.now();
        let longest = asked.duration.get().min(settings.max_grant);
        let asker = Asker {
            principal: &principal,
            any_client: asked.client.is_none(),
            from,
            until: from.after(settings.request_ttl).after(longest),
        };
        let facts = ToolFacts {
            annotations: definition.root().get("annotations"),
            input_properties: &[],
            pin: Some(pin),
        };
        let rules = bundle
            .holds_ahead(&asked.tool, facts, &asker)
            .map_err(|why| why.to_string())?;
        Ok(WindowTerms {
            gateway: bundle.gateway().clone(),
            key: principal.key(),
            rules,
            pin: Some(pin),
            revision: bundle.revision(),
            settings,
        })
    }
}

fn is_meant(bundle: &Bundle, wanted: Option<&str>) -> Result<(), String> {
    let own = bundle.gateway();
    match wanted {
        Some(name) if name != own.name && name != own.to_string() => Err(format!(
            "this guard stands before gateway `{own}`, not `{name}`; name another state folder with --state"
        )),
        Some(_) | None => Ok(()),
    }
}

/// A principal is (issuer, subject), so where several issuers are trusted a name alone means nobody (law 10).
fn issuer(bundle: &Bundle, named: Option<&str>) -> Result<Issuer, String> {
    let configured = bundle.settings().authentication.issuers.iter();
    let mut trusted: Vec<Issuer> = configured
        .map(|issuer| Issuer::new(issuer.issuer.clone()))
        .collect();
    trusted.extend(bundle.issuers().standalone.clone());
    let list = || {
        let names: Vec<_> = trusted.iter().map(Issuer::as_str).collect();
        names.join(", ")
    };
    match (named, trusted.as_slice()) {
        (Some(named), _) => trusted
            .iter()
            .find(|issuer| issuer.as_str() == named)
            .cloned()
            .ok_or_else(|| {
                format!(
                    "`{named}` is not an issuer of this gateway; those are {}",
                    list()
                )
            }),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(format!(
            "say whose name that is with --issuer; this gateway trusts {}",
            list()
        )),
    }
}

/// The caller as far as it is known ahead; claims are not.
fn principal(asked: &AskedWindow, issuer: Issuer) -> Principal {
    Principal {
        issuer,
        subject: Subject::new(asked.by.trim()),
        email: None,
        groups: asked.groups.iter().cloned().collect(),
        client: asked.client.as_ref().map(ClientId::new),
        actor: None,
        scopes: BTreeSet::new(),
        service_account: account_of(asked.by.trim()),
        claims: Map::new(),
        expires_at: None,
        anonymous: false,
    }
}
