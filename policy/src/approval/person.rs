//! Who is the same person as whom (law 23).
//!
//! A person has many names: the token's subject, an e-mail address, a login, the agent that acts for them. Here
//! all of them are gathered and compared. A false "same" costs an approver the errand of asking a colleague; a
//! false "different" is a self-approval. So the comparison leans towards "same".

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::json::folded;
use crate::principal::{CallerKey, Principal, ServiceAccount};

/// Claims that name the person. They are read whether verified or not: they can only forbid.
const NAME_CLAIMS: [&str; 6] = [
    "email",
    "login",
    "preferred_username",
    "unique_name",
    "upn",
    "username",
];

/// Every name of one person, folded for comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(BTreeSet<String>);

impl Names {
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let folded = names.into_iter().map(|name| folded(name.trim()));
        Self(folded.filter(|name| !name.is_empty()).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether both may be one person: a name in common, or `ada` here and `ada@example.com` there.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        self.0
            .iter()
            .any(|mine| other.0.iter().any(|theirs| one_name(mine, theirs)))
    }
}

fn one_name(a: &str, b: &str) -> bool {
    a == b || is_local_part(a, b) || is_local_part(b, a)
}

fn is_local_part(bare: &str, address: &str) -> bool {
    !bare.contains('@')
        && address
            .split_once('@')
            .is_some_and(|(local, _)| local == bare)
}

/// Who asked: the key that approvals are bound to, and all names that must not approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    pub key: CallerKey,
    pub names: Names,
}

impl Requester {
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        let account = principal.service_account.as_ref().map(account_name);
        let claims = NAME_CLAIMS
            .iter()
            .filter_map(|claim| principal.claims.get(*claim)?.as_str());
        let names = [Some(principal.subject.as_str())]
            .into_iter()
            .chain([principal.email.as_deref()])
            .chain([principal.client.as_ref().map(|client| client.as_str())])
            .chain([principal.actor.as_deref(), account.as_deref()])
            .flatten()
            .chain(claims);
        Self {
            key: principal.key(),
            names: Names::new(names),
        }
    }
}

/// The user name that Kubernetes gives a ServiceAccount.
#[must_use]
pub fn account_name(account: &ServiceAccount) -> String {
    format!(
        "system:serviceaccount:{}:{}",
        account.namespace, account.name
    )
}

/// The ServiceAccount behind a Kubernetes user name.
#[must_use]
pub fn account_of(username: &str) -> Option<ServiceAccount> {
    let (namespace, name) = username
        .strip_prefix("system:serviceaccount:")?
        .split_once(':')?;
    Some(ServiceAccount {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}
