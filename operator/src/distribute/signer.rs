//! Signs bundles. The bundle key lives in this process alone and not for long; the root vouches for it anew with each
//! bundle, and never beyond that bundle's end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_policy::bundle::shards::{Manifest, SHARDS, ShardError};
use sallyport_policy::bundle::{Envelope, EnvelopeError, Header, KeyPair};
use sallyport_policy::name::GatewayName;
use sallyport_policy::time::UnixMillis;
use zeroize::Zeroizing;

use super::{Policy, Root};
use crate::random;

/// How long one bundle key signs.
const KEY_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How far a sidecar's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(600);

/// Signs with a bundle key of its own.
#[derive(Debug)]
pub struct Signer {
    root: Arc<Root>,
    key: Mutex<Option<Signing>>,
    /// The highest generation given out, for each gateway.
    generations: Mutex<BTreeMap<GatewayName, u64>>,
}

#[derive(Debug)]
struct Signing {
    pair: Arc<KeyPair>,
    since: UnixMillis,
}

/// A signed bundle, cut for its ConfigMaps.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub header: Header,
    pub manifest: Vec<u8>,
    pub shards: [Vec<u8>; SHARDS],
}

/// Why a policy is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    TooLarge(#[from] ShardError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("no random bytes")]
    NoRandomness,
}

impl Signer {
    #[must_use]
    pub fn new(root: Arc<Root>) -> Self {
        Self {
            root,
            key: Mutex::default(),
            generations: Mutex::default(),
        }
    }

    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// A generation above `last` and above every other of this gateway is not given out twice.
    pub fn seal(
        &self,
        policy: &Policy,
        uid: &str,
        last: u64,
        now: UnixMillis,
    ) -> Result<Sealed, SealError> {
        let pair = self.pair(now)?;
        let header = Header {
            gateway: policy.content.gateway.clone(),
            uid: uid.to_owned(),
            generation: self.next_generation(&policy.content.gateway, last, now),
            not_after: now.after(policy.max_age),
        };
        let since = UnixMillis(
            now.0
                .saturating_sub(i64::try_from(SKEW.as_millis()).unwrap_or(i64::MAX)),
        );
        let key = self.root.vouch(pair.public(), since, header.not_after)?;
        let envelope = Envelope::seal(header.clone(), policy.content.clone(), &pair, key)?;
        let (manifest, shards) = Manifest::split(&envelope, header.generation)?;
        let shards = shards.map(<[u8]>::to_vec);
        Ok(Sealed {
            header,
            manifest,
            shards,
        })
    }

    /// max(last + 1, the clock in ms): grows across leaders, and also where a clock went back.
    fn next_generation(&self, gateway: &GatewayName, last: u64, now: UnixMillis) -> u64 {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let given = generations.entry(gateway.clone()).or_default();
        let clock = u64::try_from(now.0).unwrap_or(0);
        *given = clock.max(last.max(*given).saturating_add(1));
        *given
    }

    fn pair(&self, now: UnixMillis) -> Result<Arc<KeyPair>, SealError> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signing) = &*key
            && now < signing.since.after(KEY_LIFE)
        {
            return Ok(Arc::clone(&signing.pair));
        }
        let seed = Zeroizing::new(random::bytes::<32>().ok_or(SealError::NoRandomness)?);
        let pair = Arc::new(KeyPair::from_seed(&seed)?);
        *key = Some(Signing {
            pair: Arc::clone(&pair),
            since: now,
        });
        Ok(pair)
    }
}

#[cfg(test)]
mod tests {
    use sallyport_policy::bundle::{EnvelopeError, Expected};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

    fn gateway() -> GatewayName {
        GatewayName {
            namespace: "shop".to_owned(),
            name: "inventory".to_owned(),
        }
    }

    fn signer() -> Signer {
        Signer::new(Arc::new(Root::of(Zeroizing::new([3; 32])).unwrap()))
    }

    #[expect(
        clippy::unwrap_in_result,
        reason = "only the envelope's own refusal is the result; shards that do not join are a broken test"
    )]
    fn open(signer: &Signer, sealed: &Sealed, now: UnixMillis) -> Result<(), EnvelopeError> {
        let manifest = Manifest::read(&sealed.manifest).unwrap();
        let envelope = manifest.join(&sealed.shards).unwrap();
        let expected = Expected {
            root: signer.root().public(),
            gateway: &gateway(),
            uid: "u",
            generation: 0,
            now,
        };
        Envelope::open(&envelope, &expected).map(drop)
    }

    #[test]
    fn generations_grow_whatever_the_clock_does_and_whoever_signed_before() {
        let signer = signer();
        let policy = Policy::deny_all(&gateway()).unwrap();
        let clock = u64::try_from(NOW.0).unwrap();
        let rows = [
            ("the clock", 0, NOW, clock),
            ("the same moment", 0, NOW, clock + 1),
            ("a clock that went back", 0, UnixMillis(5), clock + 2),
            ("a former leader ahead of us", clock + 50, NOW, clock + 51),
            (
                "time goes on",
                0,
                NOW.after(Duration::from_secs(1)),
                clock + 1000,
            ),
        ];
        for (name, last, now, expected) in rows {
            let sealed = signer.seal(&policy, "u", last, now).unwrap();
            assert_eq!(sealed.header.generation, expected, "{name}");
        }
    }

    #[test]
    fn a_bundle_holds_for_its_age_and_for_sidecars_whose_clocks_are_behind() {
        let signer = signer();
        let policy = Policy::deny_all(&gateway()).unwrap();
        let sealed = signer.seal(&policy, "u", 0, NOW).unwrap();
        let behind = UnixMillis(NOW.0 - 599_000);
        assert_eq!(open(&signer, &sealed, behind), Ok(()));
        let end = NOW.after(policy.max_age);
        assert_eq!(open(&signer, &sealed, UnixMillis(end.0 - 1)), Ok(()));
        assert!(open(&signer, &sealed, end).is_err());
    }

    #[test]
    fn what_lies_in_the_cluster_is_signed_anew_at_a_third_of_its_age() {
        use super::super::Held;

        let policy = Policy::deny_all(&gateway()).unwrap();
        let sealed = signer().seal(&policy, "u", 0, NOW).unwrap();
        let held = Held {
            header: sealed.header,
            revision: policy.revision,
        };
        let third = policy.max_age / 3;
        let before = NOW.after(third - Duration::from_secs(1));
        assert!(held.is_good(&policy, "u", before));
        assert!(!held.is_good(&policy, "u", NOW.after(third)));
        assert!(!held.is_good(&policy, "another", before));
        let behind = UnixMillis(NOW.0 - 500_000);
        assert!(
            held.is_good(&policy, "u", behind),
            "as far as clocks differ"
        );
        let behind = UnixMillis(NOW.0 - 700_000);
        assert!(!held.is_good(&policy, "u", behind), "signed in the future");
    }
}
