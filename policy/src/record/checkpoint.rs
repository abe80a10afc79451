//! Checkpoints: signed statements over the heads of all chains.
//!
//! A checkpoint names every chain that grew since the one before, the digest of all bytes before it in its segment,
//! and the checkpoint before it. So the newest one covers, through its predecessors, everything that was ever
//! written, while its size depends only on what is new.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::name::Digest;
use crate::time::UnixMillis;

use super::chain::ChainHead;

/// Keeps a signature over a checkpoint from being taken for one over anything else.
const CONTEXT: &[u8] = b"sallyport-checkpoint/1\n";

/// What one has to keep elsewhere to prove later that a recording is complete up to here (law 33).
/// Written `<number>:sha256:<hex>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Head {
    /// Number of the checkpoint, from 1.
    pub checkpoint: u64,
    /// SHA-256 of its JSON.
    pub digest: Digest,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.checkpoint, self.digest)
    }
}

/// What is wrong with the text of a head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a head; expected `<number>:sha256:<64 hex digits>`, as printed at exit")]
pub struct NotAHead(String);

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let wrong = || NotAHead(text.chars().take(100).collect());
        let (number, digest) = text.trim().split_once(':').ok_or_else(wrong)?;
        Ok(Self {
            checkpoint: number.parse().map_err(|_| wrong())?,
            digest: digest.parse().map_err(|_| wrong())?,
        })
    }
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// From 1, without holes, over all segments.
    pub checkpoint: u64,
    pub at: UnixMillis,
    /// Digest of the checkpoint before; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    pub segment: u64,
    /// Bytes of the segment before this line.
    pub offset: u64,
    /// SHA-256 of those bytes.
    pub digest: Digest,
    /// Heads of the chains that grew since the checkpoint before.
    pub heads: Vec<ChainHead>,
}

/// A checkpoint and its signature, as they stand in a line. The signed bytes are kept as they came.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Signed {
    body: Box<RawValue>,
    /// Ed25519, hex.
    signature: String,
}

/// Why a line is no checkpoint that one may believe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("not a checkpoint: {0}")]
    Form(String),
    #[error("the signature is not that of the recording's key")]
    Signature,
}

/// Signs a checkpoint, giving the JSON of its line.
///
/// # Errors
/// It cannot be written as JSON, which no checkpoint of ours does.
pub fn sign(checkpoint: &Checkpoint, key: &SigningKey) -> Result<Vec<u8>, CheckpointError> {
    let form = |error: serde_json::Error| CheckpointError::Form(error.to_string());
    let body = serde_json::value::to_raw_value(checkpoint).map_err(form)?;
    let signature = hex::encode(key.sign(&signed_bytes(&body)));
    serde_json::to_vec(&Signed { body, signature }).map_err(form)
}

/// Reads the JSON of a checkpoint's line and verifies its signature.
///
/// # Errors
/// It is no checkpoint, or not signed by `key`.
pub fn open(json: &[u8], key: &VerifyingKey) -> Result<Checkpoint, CheckpointError> {
    let form = |error: serde_json::Error| CheckpointError::Form(error.to_string());
    let signed: Signed = serde_json::from_slice(json).map_err(form)?;
    let signature = hex::decode(&signed.signature).map_err(|_| CheckpointError::Signature)?;
    if !key.verify(&signed_bytes(&signed.body), &signature) {
        return Err(CheckpointError::Signature);
    }
    serde_json::from_str(signed.body.get()).map_err(form)
}

fn signed_bytes(body: &RawValue) -> Vec<u8> {
    [CONTEXT, body.get().as_bytes()].concat()
}

/// The key that signs the checkpoints of one folder.
pub struct SigningKey(Ed25519KeyPair);

/// The bytes given are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key; expected 32 bytes as 64 hex digits")]
pub struct NotAKey;

impl SigningKey {
    /// # Errors
    /// The seed is not 32 bytes long.
    pub fn from_seed(seed: &[u8]) -> Result<Self, NotAKey> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map(Self)
            .map_err(|_| NotAKey)
    }

    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        VerifyingKey(bytes)
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(bytes).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The public half; written as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    fn verify(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(bytes, signature)
            .is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for VerifyingKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| NotAKey)?;
        Ok(Self(bytes))
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifyingKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            checkpoint: 3,
            at: UnixMillis(5),
            previous: Some(Digest::of(b"two")),
            segment: 1,
            offset: 40,
            digest: Digest::of(b"before"),
            heads: Vec::new(),
        }
    }

    #[test]
    fn only_the_key_that_signed_opens_a_checkpoint() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        let json = sign(&checkpoint(), &key).unwrap();
        assert_eq!(open(&json, &key.verifying()), Ok(checkpoint()));

        let other = SigningKey::from_seed(&[8; 32]).unwrap().verifying();
        assert_eq!(open(&json, &other), Err(CheckpointError::Signature));
    }

    #[test]
    fn a_changed_checkpoint_is_refused() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        let json = String::from_utf8(sign(&checkpoint(), &key).unwrap()).unwrap();
        let changed = json.replace("\"offset\":40", "\"offset\":41");
        assert_eq!(
            open(changed.as_bytes(), &key.verifying()),
            Err(CheckpointError::Signature)
        );
    }

    #[test]
    fn a_head_reads_back_what_it_prints() {
        let head = Head {
            checkpoint: 12,
            digest: Digest::of(b"x"),
        };
        assert_eq!(head.to_string().parse(), Ok(head));
        assert!("12".parse::<Head>().is_err());
        assert!("x:sha256:00".parse::<Head>().is_err());
    }
}
