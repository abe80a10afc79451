//! Who a policy is about: subject items made ready, with the issuers they mean (law 10).

use std::collections::BTreeSet;

use crate::condition::Scalar;
use crate::condition::claim::{ClaimPath, ClaimPathError};
use crate::json::Decimal;
use crate::name::Issuer;
use crate::principal::{Principal, ServiceAccount};
use crate::source::{Literal, Subject};

/// Which issuer an item without one means, and which issuer stands in for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerContext {
    /// The gateway's first issuer.
    pub first: Option<Issuer>,
    /// The standalone issuer, which stands in for the first one.
    pub standalone: Option<Issuer>,
}

impl IssuerContext {
    /// Whether tokens of `actual` count for an item that names this issuer, or none.
    #[must_use]
    pub fn fits(&self, named: Option<&str>, actual: &Issuer) -> bool {
        let first = self.first.as_ref().map(Issuer::as_str);
        let stands_in = self.standalone.as_ref() == Some(actual);
        match named.or(first) {
            Some(wanted) => {
                wanted == actual.as_str()
                    || (stands_in && first.is_none_or(|first| first == wanted))
            }
            None => stands_in,
        }
    }
}

/// One item of `subjects`; every field given must fit.
#[derive(Clone, Debug)]
pub(crate) struct ActiveSubject {
    issuer: Option<String>,
    pub(crate) users: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) accounts: BTreeSet<ServiceAccount>,
    claims: Vec<(ClaimPath, Vec<Literal>)>,
}

impl ActiveSubject {
    pub(crate) fn new(subject: &Subject) -> Result<Self, ClaimPathError> {
        let claims: Result<_, _> = subject
            .claims
            .iter()
            .map(|(path, values)| Ok((ClaimPath::parse(path)?, values.0.clone())))
            .collect();
        Ok(Self {
            issuer: subject.issuer.clone(),
            users: subject.users.iter().cloned().collect(),
            groups: subject.groups.iter().cloned().collect(),
            accounts: subject
                .service_accounts
                .iter()
                .map(|account| ServiceAccount {
                    namespace: account.namespace.clone(),
                    name: account.name.clone(),
                })
                .collect(),
            claims: claims?,
        })
    }

    pub(crate) fn fits(&self, principal: &Principal, issuers: &IssuerContext) -> bool {
        self.may_fit(principal, issuers)
            && self
                .claims
                .iter()
                .all(|(path, wanted)| has_claim(principal, path, wanted))
    }

    /// Whether it fits whatever the claims are.
    pub(crate) fn may_fit(&self, principal: &Principal, issuers: &IssuerContext) -> bool {
        self.issuer_fits(principal, issuers)
            && self.user_fits(principal)
            && (self.groups.is_empty() || !self.groups.is_disjoint(&principal.groups))
            && self.account_fits(principal)
    }

    /// A ServiceAccount is known by namespace and name alone: only the identity room sets it, from a token of
    /// the cluster. An anonymous caller has no issuer; the gateway's author names its user and groups.
    fn issuer_fits(&self, principal: &Principal, issuers: &IssuerContext) -> bool {
        match &self.issuer {
            Some(named) => issuers.fits(Some(named), &principal.issuer),
            None if principal.anonymous || !self.accounts.is_empty() => true,
            None => issuers.fits(None, &principal.issuer),
        }
    }

    /// `email` is set only where it is verified.
    fn user_fits(&self, principal: &Principal) -> bool {
        self.users.is_empty()
            || self.users.contains(principal.subject.as_str())
            || principal
                .email
                .as_ref()
                .is_some_and(|email| self.users.contains(email))
    }

    fn account_fits(&self, principal: &Principal) -> bool {
        self.accounts.is_empty()
            || principal
                .service_account
                .as_ref()
                .is_some_and(|account| self.accounts.contains(account))
    }
}

fn has_claim(principal: &Principal, path: &ClaimPath, wanted: &[Literal]) -> bool {
    path.select(&principal.claims)
        .into_iter()
        .any(|value| match value.as_array() {
            Some(items) => items.iter().any(|item| is_one_of(item, wanted)),
            None => is_one_of(value, wanted),
        })
}

fn is_one_of(value: &serde_json::Value, wanted: &[Literal]) -> bool {
    let value = Scalar::of_value(value);
    wanted.iter().any(|literal| match (&value, literal) {
        (Scalar::Text(found), Literal::Text(text)) => found == text,
        (Scalar::Bool(found), Literal::Bool(flag)) => found == flag,
        (Scalar::Number(found), Literal::Number(number)) => {
            let number = number.to_string();
            let found = Decimal::parse(found);
            found.is_some() && found == Decimal::parse(&number)
        }
        (
            Scalar::Null | Scalar::Compound | Scalar::Text(_) | Scalar::Bool(_) | Scalar::Number(_),
            Literal::Text(_) | Literal::Bool(_) | Literal::Number(_),
        ) => false,
    })
}
