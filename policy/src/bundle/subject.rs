//! Who a policy is about and who may approve: subject items with their issuers resolved.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::condition::Scalar;
use crate::condition::claim::ClaimPath;
use crate::name::Issuer;
use crate::principal::{Principal, ServiceAccount};

/// One item of `subjects` or `approvers`: every field given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectItem {
    /// None: the gateway's first issuer, or any that speaks for ServiceAccounts where only those are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub service_accounts: BTreeSet<ServiceAccount>,
    /// Every claim listed, any of its values; values are scalars as text of JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, BTreeSet<String>>,
}

/// Which issuer an item without one means, and which issuer stands in for it (law 10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerContext {
    /// The gateway's first issuer.
    pub first: Option<Issuer>,
    /// The standalone issuer, which stands in for the first one.
    pub standalone: Option<Issuer>,
}

impl IssuerContext {
    /// Whether a principal of `actual` is one of the issuer that an item names or leaves out.
    fn fits(&self, named: Option<&Issuer>, actual: &Issuer) -> bool {
        let stands_in = self.standalone.as_ref() == Some(actual);
        match named.or(self.first.as_ref()) {
            Some(wanted) => {
                wanted == actual || (stands_in && self.first.as_ref().is_none_or(|f| f == wanted))
            }
            None => stands_in,
        }
    }
}

impl SubjectItem {
    /// An item that names nobody; it is refused when compiling.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the item fits this principal.
    #[must_use]
    pub fn fits(&self, principal: &Principal, issuers: &IssuerContext) -> bool {
        self.issuer_fits(principal, issuers)
            && self.user_fits(principal)
            && (self.groups.is_empty() || !self.groups.is_disjoint(&principal.groups))
            && self.service_account_fits(principal)
            && self.claims_fit(principal)
    }

    /// A ServiceAccount is known by namespace and name alone: only the identity room sets it, from a token of
    /// the cluster. An anonymous caller has no issuer at all; the gateway's author names its user and groups.
    fn issuer_fits(&self, principal: &Principal, issuers: &IssuerContext) -> bool {
        let unnamed = self.issuer.is_none();
        if unnamed && (principal.anonymous || !self.service_accounts.is_empty()) {
            return true;
        }
        issuers.fits(self.issuer.as_ref(), &principal.issuer)
    }

    fn user_fits(&self, principal: &Principal) -> bool {
        self.users.is_empty()
            || self.users.contains(principal.subject.as_str())
            || principal
                .email
                .as_ref()
                .is_some_and(|email| self.users.contains(email))
    }

    fn service_account_fits(&self, principal: &Principal) -> bool {
        self.service_accounts.is_empty()
            || principal
                .service_account
                .as_ref()
                .is_some_and(|account| self.service_accounts.contains(account))
    }

    fn claims_fit(&self, principal: &Principal) -> bool {
        self.claims.iter().all(|(path, wanted)| {
            ClaimPath::parse(path).is_ok_and(|path| {
                path.select(&principal.claims)
                    .into_iter()
                    .flat_map(|value| match value.as_array() {
                        Some(items) => items.iter().collect(),
                        None => vec![value],
                    })
                    .any(|value| has_text(value, wanted))
            })
        })
    }
}

fn has_text(value: &serde_json::Value, wanted: &BTreeSet<String>) -> bool {
    match Scalar::of_value(value) {
        Scalar::Text(text) => wanted.contains(&*text),
        Scalar::Bool(flag) => wanted.contains(if flag { "true" } else { "false" }),
        Scalar::Number(lexeme) => wanted.contains(&*lexeme),
        Scalar::Null | Scalar::Compound => false,
    }
}
