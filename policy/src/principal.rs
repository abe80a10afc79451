//! Who is behind a call, after verification.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::name::{ClientId, Issuer, Subject};
use crate::time::UnixMillis;

/// The verified identity behind a call. A principal *is* (issuer, subject), law 10; the rest qualifies it.
///
/// Made by the identity room from a verified token, or from a gateway's `anonymous` section; nowhere else.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    pub issuer: Issuer,
    pub subject: Subject,
    /// `email`, only where the token says `email_verified: true`.
    pub email: Option<String>,
    pub groups: BTreeSet<String>,
    /// The agent: `azp` or `client_id`.
    pub client: Option<ClientId>,
    /// The delegate that acts for the subject: `act.sub`.
    pub actor: Option<String>,
    /// Scopes of the token, split at spaces.
    pub scopes: BTreeSet<String>,
    /// Set for Kubernetes projected tokens.
    pub service_account: Option<ServiceAccount>,
    /// Every claim of the token, for `claims:` and `principal:` operands.
    pub claims: Map<String, Value>,
    /// The token's `exp`; none for anonymous callers.
    pub expires_at: Option<UnixMillis>,
    pub anonymous: bool,
}

/// A Kubernetes ServiceAccount as a caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceAccount {
    pub namespace: String,
    pub name: String,
}

/// The part of a principal that identifies it: what sessions, approvals and recordings are bound to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerKey {
    pub issuer: Issuer,
    pub subject: Subject,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<String>,
}

impl Principal {
    #[must_use]
    pub fn key(&self) -> CallerKey {
        CallerKey {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            client: self.client.clone(),
            actor: self.actor.clone(),
        }
    }
}
