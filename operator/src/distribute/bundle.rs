//! What a gateway's policy is, and what of it lies in the cluster already. Pure.

use std::time::Duration;

use sallyport_policy::bundle::shards::{MANIFEST, Manifest, SHARDS, shard_name};
use sallyport_policy::bundle::{BundleContent, BundleError, Envelope, FORMAT, Header, Settings};
use sallyport_policy::compile::{Mistake, compile_stored};
use sallyport_policy::decide::DenyReason;
use sallyport_policy::name::{GatewayName, Revision};
use sallyport_policy::source::{GatewaySpec, Sources};
use sallyport_policy::time::UnixMillis;

use std::sync::Arc;

use crate::index::BundleMap;

/// How far the clocks of two leaders may be apart.
const SKEW: Duration = Duration::from_secs(600);

/// The policy of one gateway, ready to be signed.
#[derive(Clone, Debug)]
pub struct Policy {
    pub content: BundleContent,
    pub revision: Revision,
    /// How long it stays in force without being signed anew.
    pub max_age: Duration,
    pub below: Vec<Mistake>,
    pub mistakes: Vec<Mistake>,
}

impl Policy {
    /// Compiles what is stored. What cannot be read denies everything (law 7).
    pub fn of(
        sources: &Sources,
        gateway: &GatewayName,
        unreadable: &[String],
    ) -> Result<Self, BundleError> {
        let Ok(mut compiled) = compile_stored(sources, gateway) else {
            // The gateway itself cannot be read, or it would be among the sources.
            return Self::deny_all(gateway);
        };
        if !unreadable.is_empty() {
            compiled.content.refusal = Some(DenyReason::NoPolicy);
        }
        Ok(Self {
            revision: compiled.content.revision()?,
            max_age: compiled.content.settings.policy_max_age,
            content: compiled.content,
            below: compiled.below,
            mistakes: compiled.mistakes,
        })
    }

    /// Denies everything: for the pods of a gateway that is gone.
    pub fn deny_all(gateway: &GatewayName) -> Result<Self, BundleError> {
        let content = BundleContent {
            format: FORMAT,
            gateway: gateway.clone(),
            refusal: Some(DenyReason::NoPolicy),
            settings: Settings::of(&GatewaySpec::default()),
            objects: Vec::new(),
        };
        Ok(Self {
            revision: content.revision()?,
            max_age: content.settings.policy_max_age,
            content,
            below: Vec::new(),
            mistakes: Vec::new(),
        })
    }
}

/// A whole envelope of ours that lies in the cluster.
#[derive(Clone, Debug)]
pub struct Held {
    pub header: Header,
    pub revision: Revision,
}

impl Held {
    /// Reads what four ConfigMaps carry; nothing where it is not whole or not of our signing.
    #[must_use]
    pub fn read(maps: &[Option<Arc<BundleMap>>; SHARDS], root: &[u8]) -> Option<Self> {
        let file = |number: usize, name: &str| {
            let map = maps.get(number)?.as_ref()?;
            map.files.get(name).cloned()
        };
        let manifest = Manifest::read(&file(0, MANIFEST)?).ok()?;
        let mut shards: [Vec<u8>; SHARDS] = Default::default();
        for (number, shard) in shards.iter_mut().enumerate() {
            *shard = file(number, &shard_name(number))?;
        }
        let envelope = manifest.join(&shards).ok()?;
        let (header, content) = Envelope::vouched(&envelope, root).ok()?;
        // A manifest that says otherwise makes sidecars refuse the whole.
        if header.generation != manifest.generation() {
            return None;
        }
        Some(Self {
            revision: content.revision().ok()?,
            header,
        })
    }

    /// Whether it still says what it should, for the gateway that it should, and is not due to be signed anew.
    #[must_use]
    pub fn is_good(&self, policy: &Policy, uid: &str, now: UnixMillis) -> bool {
        self.revision == policy.revision
            && self.header.gateway == policy.content.gateway
            && self.header.uid == uid
            && now < self.renewal(policy.max_age)
            // An age that was lowered since; or a clock that ran ahead by more than clocks differ.
            && self.header.not_after <= now.after(policy.max_age + SKEW)
    }

    /// When it is signed anew: when a third of its life has passed.
    #[must_use]
    pub fn renewal(&self, max_age: Duration) -> UnixMillis {
        let left = i64::try_from((max_age / 3).as_millis()).unwrap_or(i64::MAX);
        UnixMillis(
            self.header
                .not_after
                .0
                .saturating_sub(left.saturating_mul(2)),
        )
    }
}
