//! A principal that was verified: the proof is that the value exists.

use std::sync::Arc;

use sallyport_policy::name::Digest;
use sallyport_policy::principal::{CallerKey, Principal};
use sallyport_policy::source::authentication::Algorithm;
use sallyport_policy::time::UnixMillis;

/// The verified identity behind a request. Only the identity room makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    principal: Principal,
    /// What every message of the caller is filed under; made once.
    key: Arc<CallerKey>,
    credential: Option<Credential>,
}

/// The token that a principal was verified by, as far as anyone may know it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    /// SHA-256 of the token: tells a fresh token from the one before, and is safe to keep.
    pub(super) digest: Digest,
    /// The key of the issuer that signed it.
    pub(super) key: Digest,
    pub(super) algorithm: Algorithm,
}

impl Verified {
    pub(super) fn by_token(principal: Principal, credential: Credential) -> Self {
        Self {
            key: Arc::new(principal.key()),
            principal,
            credential: Some(credential),
        }
    }

    pub(super) fn anonymous(principal: Principal) -> Self {
        Self {
            key: Arc::new(principal.key()),
            principal,
            credential: None,
        }
    }

    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whose sessions, recordings and pipes these are.
    #[must_use]
    pub const fn key(&self) -> &Arc<CallerKey> {
        &self.key
    }

    /// The digest of the token, for telling a fresh token of a session from the old one (law 11); none for
    /// anonymous callers.
    #[must_use]
    pub fn token_digest(&self) -> Option<Digest> {
        self.credential.as_ref().map(|credential| credential.digest)
    }

    /// Whether both are the same principal, client and delegate, by whatever token: what sessions are bound to.
    #[must_use]
    pub fn same_caller(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Whether `exp` has come; there is no leeway.
    #[must_use]
    pub fn expired(&self, now: UnixMillis) -> bool {
        self.principal
            .expires_at
            .is_some_and(|expires| now >= expires)
    }

    pub(super) const fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }
}
