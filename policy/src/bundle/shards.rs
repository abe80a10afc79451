//! How an envelope lies in a pod's volume: four shards and a manifest that holds them together.
//!
//! A ConfigMap ends at 1 MiB, so an envelope travels in four, always four, each brought by the kubelet when it likes.
//! The manifest names the digest of each: a mixture of two policies is told from a whole one before anything is
//! verified. It is not signed and proves nothing; the envelope does. Shards are the envelope's bytes in order.

use serde::{Deserialize, Serialize};

use super::BundleError;
use super::content::{canonical, decode};
use crate::name::Digest;

/// How many shards there are, whatever the size.
pub const SHARDS: usize = 4;
/// The largest shard, in bytes: what a ConfigMap can hold beside its names.
pub const SHARD_BYTES: usize = 1_000_000;
/// The manifest's name in the volume.
pub const MANIFEST: &str = "manifest.json";
/// The version of this layout; a sidecar refuses any other.
const LAYOUT: u32 = 1;

/// What a volume should hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    layout: u32,
    /// As in the envelope's signed header.
    generation: u64,
    /// Digest of each shard, in order.
    shards: [Digest; SHARDS],
}

/// Why a volume holds no whole envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    #[error("the manifest cannot be read: {0}")]
    Manifest(#[from] BundleError),
    #[error(
        "the manifest has layout {0}; this sidecar reads layout {LAYOUT}; upgrade the older of the two"
    )]
    Layout(u32),
    #[error("shard {0} is not the one that the manifest names; it is older, newer or edited")]
    Differs(usize),
    #[error("the policy takes {0} bytes signed; at most {max} fit; use fewer or shorter rules", max = SHARDS * SHARD_BYTES)]
    TooLarge(usize),
}

impl Manifest {
    /// Cuts an envelope for its volume: the manifest's text and the shards.
    pub fn split(
        envelope: &[u8],
        generation: u64,
    ) -> Result<(Vec<u8>, [&[u8]; SHARDS]), ShardError> {
        let size = envelope.len().div_ceil(SHARDS);
        if size > SHARD_BYTES {
            return Err(ShardError::TooLarge(envelope.len()));
        }
        let mut shards: [&[u8]; SHARDS] = [&[]; SHARDS];
        for (shard, part) in shards.iter_mut().zip(envelope.chunks(size.max(1))) {
            *shard = part;
        }
        let manifest = Self {
            layout: LAYOUT,
            generation,
            shards: shards.map(Digest::of),
        };
        Ok((canonical(&manifest)?, shards))
    }

    /// Reads a manifest strictly.
    pub fn read(bytes: &[u8]) -> Result<Self, ShardError> {
        let manifest: Self = decode(bytes)?;
        if manifest.layout != LAYOUT {
            return Err(ShardError::Layout(manifest.layout));
        }
        Ok(manifest)
    }

    /// The envelope, where each shard is the one named here.
    pub fn join(&self, shards: &[Vec<u8>; SHARDS]) -> Result<Vec<u8>, ShardError> {
        for (place, (named, shard)) in self.shards.iter().zip(shards).enumerate() {
            if *named != Digest::of(shard) {
                return Err(ShardError::Differs(place));
            }
        }
        Ok(shards.concat())
    }

    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// The name of a shard in the volume.
#[must_use]
pub fn shard_name(place: usize) -> String {
    format!("bundle-{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(shards: [&[u8]; SHARDS]) -> [Vec<u8>; SHARDS] {
        shards.map(<[u8]>::to_vec)
    }

    #[test]
    fn an_envelope_of_any_size_is_whole_again_after_its_way_through_four_shards() {
        for size in [0, 1, 3, 4, 5, 7, 1000, SHARDS * SHARD_BYTES] {
            let envelope: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let (text, shards) = Manifest::split(&envelope, 7).unwrap();
            let manifest = Manifest::read(&text).unwrap();
            assert_eq!(manifest.generation(), 7);
            assert_eq!(manifest.join(&owned(shards)), Ok(envelope), "{size}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_size() {
        let size = SHARDS * SHARD_BYTES + 1;
        let refused = Manifest::split(&vec![0; size], 7).unwrap_err();
        assert_eq!(refused, ShardError::TooLarge(size));
    }

    #[test]
    fn a_mixture_of_two_policies_is_told_with_the_shard_that_differs() {
        let (text, shards) = Manifest::split(b"the policy of today", 7).unwrap();
        for place in 0..SHARDS {
            let mut mixed = owned(shards);
            mixed[place].push(b'!');
            let joined = Manifest::read(&text).unwrap().join(&mixed);
            assert_eq!(joined, Err(ShardError::Differs(place)));
        }
    }

    #[test]
    fn a_manifest_is_read_strictly() {
        let (text, _) = Manifest::split(b"policy", 7).unwrap();
        let text = String::from_utf8(text).unwrap();
        let rows = [
            (
                "another layout",
                text.replace(r#""layout":1"#, r#""layout":2"#),
            ),
            ("another spelling", text.replace(':', ": ")),
            ("an unknown field", text.replacen('{', r#"{"extra":1,"#, 1)),
            ("a digest that is none", text.replacen("sha256:", "md5:", 1)),
            ("nothing", String::new()),
        ];
        assert_eq!(Manifest::read(text.as_bytes()).unwrap().generation(), 7);
        for (name, text) in rows {
            assert!(Manifest::read(text.as_bytes()).is_err(), "{name}");
        }
    }
}
