//! From a token to a [`Verified`] principal: the cache, then the one strict way through every check.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, header};
use sallyport_policy::name::{Digest, Issuer};
use sallyport_policy::principal::Principal;
use sallyport_policy::time::UnixMillis;

use super::cache::TokenCache;
use super::config::{Anonymous, ConfigError, IdentityConfig, IssuerConfig};
use super::error::{KeysError, TokenError};
use super::fetch::Fetcher;
use super::jwt::{self, UnverifiedToken};
use super::keys::{Held, KeyStore};
use super::principal as mapping;
use super::verified::{Credential, Verified};
use crate::clock::Clock;

/// How many verified tokens are kept; some 2 KiB each.
const CACHED_TOKENS: usize = 8192;

/// Verifies the tokens of one gateway's callers. Shared by all connections; settings change by [`Self::successor`].
#[derive(Debug)]
pub struct Verifier {
    issuers: BTreeMap<Issuer, Trusted>,
    anonymous: Option<Arc<Verified>>,
    cache: TokenCache,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
}

/// One issuer with its keys, which outlive a change of settings that does not touch them.
#[derive(Debug)]
struct Trusted {
    config: IssuerConfig,
    keys: Arc<KeyStore>,
}

/// The token of a request: exactly one `Authorization: Bearer` header (RFC 6750 section 2.1). A token in the query
/// or the body is never looked for.
pub fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenError::Missing)?;
    if values.next().is_some() {
        return Err(TokenError::Repeated);
    }
    let text = value.to_str().map_err(|_| TokenError::NotBearer)?;
    let (scheme, token) = text.split_once(' ').ok_or(TokenError::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::NotBearer);
    }
    Ok(token.trim_matches(' '))
}

impl Verifier {
    /// Checks the settings; fetches nothing yet.
    pub fn new(config: IdentityConfig, fetcher: Fetcher, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        Self::with_keys_of(&BTreeMap::new(), config, fetcher, clock)
    }

    /// A verifier for changed settings. Keys of issuers whose source is the same are kept, so that a policy change
    /// does not depend on the issuer being up; verified tokens are not, as other claims may count now.
    pub fn successor(&self, config: IdentityConfig) -> Result<Self, ConfigError> {
        Self::with_keys_of(&self.issuers, config, self.fetcher.clone(), Arc::clone(&self.clock))
    }

    /// The caller of a request: by its token, or as the gateway's guest where it has none and guests are allowed.
    /// A bad token never falls back to the guest.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Verified>, TokenError> {
        match (bearer(headers), &self.anonymous) {
            (Ok(token), _) => self.verify(token).await,
            (Err(TokenError::Missing), Some(guest)) => Ok(Arc::clone(guest)),
            (Err(error), _) => Err(error),
        }
    }

    /// The principal of a token. Asks the issuer for keys at most once, and only where they are missing, too old or
    /// do not include the one the token names.
    pub async fn verify(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        if token.len() > jwt::MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong {
                limit: jwt::MAX_TOKEN_BYTES,
            });
        }
        let digest = Digest::of(token.as_bytes());
        if let Some(known) = self.cached(&digest)? {
            return Ok(known);
        }
        let unverified = UnverifiedToken::parse(token)?;
        let trusted = self
            .issuers
            .get(unverified.issuer())
            .ok_or(TokenError::UnknownIssuer)?;
        let (claims, key_set) = trusted.verify_signature(&unverified).await?;
        let principal = mapping::principal(&trusted.config, claims, self.clock.now())?;
        let credential = Credential {
            issuer: trusted.config.issuer.clone(),
            digest,
            key_set,
        };
        let verified = Arc::new(Verified::by_token(principal, credential));
        self.cache.insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// Whether a principal verified earlier would still be accepted now: `exp`, its issuer, its key (law 11). For
    /// calls that waited and for streams. After [`Self::successor`] ask the successor.
    pub fn still_valid(&self, verified: &Verified) -> Result<(), TokenError> {
        let Some(credential) = verified.credential() else {
            return self.still_guest(verified);
        };
        if verified.expired(self.clock.now()) {
            return Err(TokenError::Expired);
        }
        let trusted = self
            .issuers
            .get(&credential.issuer)
            .ok_or(TokenError::UnknownIssuer)?;
        let held = trusted.keys.usable().ok_or(TokenError::UnknownKey)?;
        if held.digest() == credential.key_set {
            Ok(())
        } else {
            Err(TokenError::UnknownKey)
        }
    }

    /// Fetches the keys of every issuer that has none yet; to be called before the gateway says that it is ready.
    /// Failures are told, not fatal: the first token tries again.
    pub async fn warm(&self) -> Vec<(Issuer, KeysError)> {
        let mut failures = Vec::new();
        for trusted in self.issuers.values() {
            if let Err(error) = trusted.keys.keys().await {
                failures.push((trusted.config.issuer.clone(), error));
            }
        }
        failures
    }
}
