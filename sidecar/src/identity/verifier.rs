//! From a token to a [`Verified`] principal: the cache, then the one strict way through every check.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, header};
use sallyport_policy::name::{Digest, Issuer};
use serde_json::{Map, Value};

use super::cache::TokenCache;
use super::config::{ConfigError, IdentityConfig, IssuerConfig};
use super::error::{KeysError, TokenError};
use super::fetch::Fetcher;
use super::jwks::{Found, JwkSet};
use super::jwt::{self, UnverifiedToken};
use super::keys::KeyStore;
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
    pub fn new(
        config: IdentityConfig,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Self::with_keys_of(&BTreeMap::new(), config, fetcher, clock)
    }

    /// A verifier for changed settings. Keys of issuers whose source is the same are kept, so that a policy change
    /// does not depend on the issuer being up; verified tokens are not, as other claims may count now.
    pub fn successor(&self, config: IdentityConfig) -> Result<Self, ConfigError> {
        Self::with_keys_of(
            &self.issuers,
            config,
            self.fetcher.clone(),
            Arc::clone(&self.clock),
        )
    }

    /// Whether no caller whatever could be accepted.
    #[must_use]
    pub fn trusts_nobody(&self) -> bool {
        self.issuers.is_empty() && self.anonymous.is_none()
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
        if let Some(known) = self.known(&digest) {
            return Ok(known);
        }
        let unverified = UnverifiedToken::parse(token)?;
        let trusted = self.trusted(unverified.issuer())?;
        let (key, claims) = trusted.verify_signature(&unverified).await?;
        mapping::judge_purpose(claims, unverified.is_explicit_access_token())?;
        let principal = mapping::principal(&trusted.config, claims, self.clock.now())?;
        let credential = Credential {
            algorithm: unverified.algorithm(),
            digest,
            key,
        };
        let verified = Arc::new(Verified::by_token(principal, credential));
        self.cache.insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// Whether a principal verified earlier would be accepted now, and as the same: `exp`, its issuer, its key, and
    /// every setting that its claims are read by (law 11). For calls that waited, for streams and for sessions. After
    /// [`Self::successor`] ask the successor.
    pub fn still_valid(&self, verified: &Verified) -> Result<(), TokenError> {
        let Some(credential) = verified.credential() else {
            return self.still_guest(verified);
        };
        if verified.expired(self.clock.now()) {
            return Err(TokenError::Expired);
        }
        let trusted = self.trusted(&verified.principal().issuer)?;
        trusted.judge_key(credential)?;
        let claims = &verified.principal().claims;
        let now = mapping::principal(&trusted.config, claims, self.clock.now())?;
        if now == *verified.principal() {
            Ok(())
        } else {
            Err(TokenError::ReadOtherwise)
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

    fn with_keys_of(
        former: &BTreeMap<Issuer, Trusted>,
        config: IdentityConfig,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let mut issuers = BTreeMap::new();
        for config in config.issuers {
            config.judge(&fetcher)?;
            let kept = former.get(&config.issuer).map(|former| &former.keys);
            let keys = match kept.filter(|keys| keys.is_of(&config.jwks)) {
                Some(keys) => Arc::clone(keys),
                None => Arc::new(KeyStore::new(
                    config.issuer.clone(),
                    config.jwks.clone(),
                    fetcher.clone(),
                    Arc::clone(&clock),
                )),
            };
            let issuer = config.issuer.clone();
            if issuers
                .insert(issuer.clone(), Trusted { config, keys })
                .is_some()
            {
                return Err(ConfigError::DuplicateIssuer(issuer));
            }
        }
        let guest = config.anonymous.map(mapping::guest);
        Ok(Self {
            issuers,
            anonymous: guest.map(|guest| Arc::new(Verified::anonymous(guest))),
            cache: TokenCache::new(CACHED_TOKENS),
            fetcher,
            clock,
        })
    }

    fn trusted(&self, issuer: &Issuer) -> Result<&Trusted, TokenError> {
        self.issuers.get(issuer).ok_or(TokenError::UnknownIssuer)
    }

    /// A token from the cache, if it has not expired and the key that signed it is still published.
    fn known(&self, token: &Digest) -> Option<Arc<Verified>> {
        let known = self.cache.get(token)?;
        if self.still_known(&known) {
            return Some(known);
        }
        self.cache.remove(token);
        None
    }

    fn still_known(&self, known: &Verified) -> bool {
        let judged = known
            .credential()
            .zip(self.trusted(&known.principal().issuer).ok())
            .map(|(credential, trusted)| trusted.judge_key(credential));
        !known.expired(self.clock.now()) && judged == Some(Ok(()))
    }

    fn still_guest(&self, verified: &Verified) -> Result<(), TokenError> {
        match &self.anonymous {
            Some(guest) if **guest == *verified => Ok(()),
            Some(_) | None => Err(TokenError::Missing),
        }
    }
}

impl Trusted {
    /// Whether the key that signed a token is still published, and young enough.
    fn judge_key(&self, credential: &Credential) -> Result<(), TokenError> {
        if !self.config.algorithms.contains(&credential.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let held = self
            .keys
            .usable()
            .ok_or(TokenError::Keys(KeysError::TooOld))?;
        if held.set.contains(&credential.key) {
            Ok(())
        } else {
            Err(TokenError::UnknownKey)
        }
    }

    /// The key that signed the token, and the claims, which nobody sees before. A key that is not there is asked for
    /// once; a wrong signature is not: anyone can send one.
    async fn verify_signature<'t>(
        &self,
        token: &'t UnverifiedToken<'_>,
    ) -> Result<(Digest, &'t Map<String, Value>), TokenError> {
        if !self.config.algorithms.contains(&token.algorithm()) {
            return Err(TokenError::Algorithm);
        }
        let held = self.keys.keys().await.map_err(TokenError::Keys)?;
        match signed_by(&held.set, token) {
            Err(TokenError::UnknownKey) => {}
            found => return found,
        }
        let newer = self
            .keys
            .newer_than(&held)
            .await
            .map_err(TokenError::Keys)?;
        let newer = newer.ok_or(TokenError::UnknownKey)?;
        signed_by(&newer.set, token)
    }
}

fn signed_by<'t>(
    keys: &JwkSet,
    token: &'t UnverifiedToken<'_>,
) -> Result<(Digest, &'t Map<String, Value>), TokenError> {
    let candidates = match keys.find(token.kid(), token.algorithm()) {
        Found::Nothing => return Err(TokenError::UnknownKey),
        Found::Ambiguous => return Err(TokenError::AmbiguousKey),
        Found::Keys(candidates) => candidates,
    };
    for (digest, key) in candidates {
        if let Some(claims) = token.claims_signed_by(key) {
            return Ok((digest, claims));
        }
    }
    Err(TokenError::Signature)
}
