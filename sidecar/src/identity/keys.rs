//! The keys of one issuer over time: fetched when first needed, renewed in the background, trusted up to an age,
//! asked for again when a token names an unknown one, and never more often than the issuer can bear.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::Uri;
use sallyport_policy::name::Issuer;
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};

use super::config::JwksSource;
use super::error::KeysError;
use super::fetch::{FetchError, Fetcher};
use super::jwks::JwkSet;
use crate::clock::Clock;

/// From this age keys are renewed while they are still used: a withdrawn key is out after this time at most, as long
/// as the issuer can be reached.
pub(super) const RENEW_AFTER: Duration = Duration::from_secs(10 * 60);
/// From this age keys are not used any more, whatever the issuer's state.
pub(super) const UNUSABLE_AFTER: Duration = Duration::from_secs(6 * 60 * 60);
/// Unknown `kid`s, which anyone can send, cause a fetch at most this often.
pub(super) const BETWEEN_FETCHES: Duration = Duration::from_secs(10);
/// After failures the wait doubles from one second up to this.
pub(super) const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeyStore {
    issuer: Issuer,
    source: JwksSource,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    current: ArcSwapOption<Held>,
    attempts: Mutex<Attempts>,
}

/// Keys in hand.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) set: JwkSet,
    /// On the monotonic clock; none for inline keys, which are as old as the settings that carry them.
    fetched: Option<Duration>,
}

/// What was tried so far. Whoever holds its lock is the only one who fetches.
#[derive(Debug, Default)]
struct Attempts {
    last: Option<Duration>,
    failures: u32,
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
}

impl KeyStore {
    pub(super) fn new(
        issuer: Issuer,
        source: JwksSource,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let held = match &source {
            JwksSource::Inline(set) => Some(Arc::new(Held {
                set: set.clone(),
                fetched: None,
            })),
            JwksSource::Discovery | JwksSource::JwksUri(_) => None,
        };
        Self {
            issuer,
            source,
            fetcher,
            clock,
            current: ArcSwapOption::new(held),
            attempts: Mutex::default(),
        }
    }

    /// Whether this store serves an issuer with that source too.
    pub(super) fn is_of(&self, source: &JwksSource) -> bool {
        self.source == *source
    }

    /// Keys that may be used now, without waiting; starts a renewal where they are getting old.
    pub(super) fn usable(self: &Arc<Self>) -> Option<Arc<Held>> {
        let held = self.in_hand()?;
        if self.age(&held).is_some_and(|age| age >= RENEW_AFTER) {
            self.renew_in_background();
        }
        Some(held)
    }

    /// Keys that may be used now, fetched if there are none.
    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<Held>, KeysError> {
        if let Some(held) = self.usable() {
            return Ok(held);
        }
        let store = Arc::clone(self);
        detached(async move {
            let mut attempts = store.attempts.lock().await;
            match store.in_hand() {
                Some(held) => Ok(held),
                None => store.fetch(&mut attempts).await,
            }
        })
        .await
    }

    /// Newer keys than `seen`, for a token whose key is not in it; none if the issuer was asked just now.
    pub(super) async fn newer_than(
        self: &Arc<Self>,
        seen: &Arc<Held>,
    ) -> Result<Option<Arc<Held>>, KeysError> {
        if seen.fetched.is_none() {
            return Ok(None);
        }
        let (store, seen) = (Arc::clone(self), Arc::clone(seen));
        detached(async move {
            let mut attempts = store.attempts.lock().await;
            let current = store.in_hand();
            if let Some(newer) = current.filter(|held| !Arc::ptr_eq(held, &seen)) {
                return Ok(Some(newer));
            }
            if store.asked_just_now(&attempts) {
                return Ok(None);
            }
            store.fetch(&mut attempts).await.map(Some)
        })
        .await
    }

    fn in_hand(&self) -> Option<Arc<Held>> {
        let held = self.current.load_full()?;
        let usable = self.age(&held).is_none_or(|age| age < UNUSABLE_AFTER);
        usable.then_some(held)
    }

    fn age(&self, held: &Held) -> Option<Duration> {
        held.fetched
            .map(|fetched| self.clock.monotonic().saturating_sub(fetched))
    }

    /// Nobody waits for it. Where somebody fetches already, or the issuer is left alone after failures, or there is
    /// no runtime to do it in, the next use tries again.
    fn renew_in_background(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let due = self
            .attempts
            .try_lock()
            .is_ok_and(|attempts| self.waiting(&attempts).is_none());
        if due {
            runtime.spawn(Arc::clone(self).renew());
        }
    }

    async fn renew(self: Arc<Self>) {
        let mut attempts = self.attempts.lock().await;
        let age = self.in_hand().and_then(|held| self.age(&held));
        if age.is_some_and(|age| age < RENEW_AFTER) {
            return; // somebody was faster
        }
        if let Err(error) = self.fetch(&mut attempts).await {
            tracing::warn!(issuer = %self.issuer, %error, "the issuer's keys could not be renewed");
        }
    }

    fn asked_just_now(&self, attempts: &Attempts) -> bool {
        let now = self.clock.monotonic();
        attempts
            .last
            .is_some_and(|last| now.saturating_sub(last) < BETWEEN_FETCHES)
    }

    /// How long the issuer is to be left alone after failures.
    fn waiting(&self, attempts: &Attempts) -> Option<Duration> {
        let last = attempts.last?;
        let doublings = attempts.failures.checked_sub(1)?.min(16);
        let pause = Duration::from_secs(1 << doublings).min(LONGEST_BACK_OFF);
        let until = last + pause;
        until
            .checked_sub(self.clock.monotonic())
            .filter(|left| !left.is_zero())
    }

    async fn fetch(&self, attempts: &mut MutexGuard<'_, Attempts>) -> Result<Arc<Held>, KeysError> {
        if let Some(left) = self.waiting(attempts) {
            return Err(KeysError::BackingOff {
                seconds: left.as_secs() + 1,
            });
        }
        attempts.last = Some(self.clock.monotonic());
        match self.download().await {
            Ok(set) => {
                attempts.failures = 0;
                Ok(self.publish(set))
            }
            Err(error) => {
                attempts.failures = attempts.failures.saturating_add(1);
                Err(error)
            }
        }
    }

    fn publish(&self, set: JwkSet) -> Arc<Held> {
        for key in set.skipped() {
            tracing::debug!(issuer = %self.issuer, kid = ?key.kid, why = key.why, "a published key is not used");
        }
        let held = Arc::new(Held {
            set,
            fetched: Some(self.clock.monotonic()),
        });
        self.current.store(Some(Arc::clone(&held)));
        held
    }

    async fn download(&self) -> Result<JwkSet, KeysError> {
        let uri = match &self.source {
            JwksSource::Inline(set) => return Ok(set.clone()),
            JwksSource::JwksUri(uri) => uri.clone(),
            JwksSource::Discovery => self.discover().await?,
        };
        let body = self.fetcher.get(&uri).await.map_err(fetch_failed)?;
        JwkSet::parse(&body).map_err(|error| KeysError::Jwks(error.to_string()))
    }

    /// The key address from the issuer's own document, whose `issuer` must be the one asked for, or one tenant could
    /// speak for another (OpenID Connect Discovery section 4.3, RFC 8414 section 3.3).
    async fn discover(&self) -> Result<Uri, KeysError> {
        let mut not_found = KeysError::Discovery("its address is not usable".to_owned());
        for address in discovery_addresses(&self.issuer) {
            match self.fetcher.get(&address).await {
                Ok(body) => return self.jwks_uri(&body),
                Err(error @ FetchError::Status { .. }) => not_found = fetch_failed(error),
                Err(error) => return Err(fetch_failed(error)),
            }
        }
        Err(not_found)
    }

    fn jwks_uri(&self, body: &[u8]) -> Result<Uri, KeysError> {
        let document: DiscoveryDocument = serde_json::from_slice(body)
            .map_err(|error| KeysError::Discovery(error.to_string()))?;
        if document.issuer != self.issuer.as_str() {
            return Err(KeysError::OtherIssuer);
        }
        let uri = document.jwks_uri.parse();
        uri.map_err(|_| KeysError::Discovery("its `jwks_uri` is not an address".to_owned()))
    }
}

/// Work that goes on when the request that asked for it is given up: else a client that hangs up in time could keep
/// the keys from ever arriving.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, KeysError>> + Send + 'static,
) -> Result<T, KeysError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(KeysError::Fetch("the fetch was interrupted".to_owned())))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used as a plain function in map_err"
)]
fn fetch_failed(error: FetchError) -> KeysError {
    KeysError::Fetch(error.to_string())
}

/// OpenID Connect appends its path to the issuer; RFC 8414 inserts its own before the issuer's path.
pub(super) fn discovery_addresses(issuer: &Issuer) -> Vec<Uri> {
    let text = issuer.as_str().trim_end_matches('/');
    let openid = format!("{text}/.well-known/openid-configuration");
    let inserted = text.parse::<Uri>().ok().and_then(|uri| {
        let origin = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        let path = uri.path().trim_end_matches('/');
        Some(format!(
            "{origin}/.well-known/oauth-authorization-server{path}"
        ))
    });
    let addresses = [Some(openid), inserted].into_iter().flatten();
    addresses
        .filter_map(|address| address.parse().ok())
        .collect()
}
