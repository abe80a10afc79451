//! The signed envelope that a bundle travels in (architecture.md, Policy push).
//!
//! The sidecar knows one root verifying key. The root signs short-lived bundle keys, which travel along; a bundle
//! key signs the payload: gateway, its uid, generation, expiry and content. Reading is strict, and what is not for
//! this gateway, not newer, or not in force now is refused, each by its own name.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::content::{canonical, decode};
use super::{Bundle, BundleContent, BundleError};
use crate::name::GatewayName;
use crate::time::UnixMillis;

/// Signatures are bound to what they sign, so that one kind cannot be passed off as the other.
const KEY_CONTEXT: &[u8] = b"sallyport bundle key v1\n";
const BUNDLE_CONTEXT: &[u8] = b"sallyport bundle v1\n";

/// A signed bundle as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// Canonical JSON of header and content.
    payload: String,
    key: BundleKey,
    /// By the bundle key over the payload.
    signature: String,
}

/// What is signed beside the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    pub gateway: GatewayName,
    /// The uid of the gateway object; a gateway made anew has another.
    pub uid: String,
    /// Grows with every signing.
    pub generation: u64,
    /// From then on the bundle denies everything.
    pub not_after: UnixMillis,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Payload {
    header: Header,
    content: BundleContent,
}

/// A short-lived verifying key with the root's word for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleKey {
    public: String,
    not_before: UnixMillis,
    not_after: UnixMillis,
    /// By the root over the three fields above.
    signature: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyClaims<'a> {
    public: &'a str,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

/// An Ed25519 signing key; prints nothing of itself.
pub struct KeyPair(Ed25519KeyPair);

/// What a sidecar demands of an envelope.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The root's verifying key, 32 bytes.
    pub root: &'a [u8],
    pub gateway: &'a GatewayName,
    pub uid: &'a str,
    /// The highest generation seen so far; the same again is accepted, an older one is not.
    pub generation: u64,
    pub now: UnixMillis,
}

/// A verified envelope.
#[derive(Debug)]
pub struct Opened {
    /// Ready, and denying from `header.not_after` on.
    pub bundle: Bundle,
    pub header: Header,
}

/// Why an envelope is refused. The last good bundle stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the envelope cannot be read: {0}")]
    Unreadable(#[from] BundleError),
    #[error("the bundle key is not signed by the root key")]
    KeyNotTrusted,
    #[error("the bundle key is not valid now; check the clocks or sign anew")]
    KeyNotValidNow,
    #[error("the signature of the bundle does not fit")]
    BadSignature,
    #[error("the bundle is for gateway `{0}`")]
    OtherGateway(String),
    #[error("the bundle is for another gateway object of this name; restart the pod")]
    OtherUid,
    #[error("the bundle has generation {found}, older than {seen}")]
    Older { found: u64, seen: u64 },
    #[error("the bundle has expired")]
    Expired,
    #[error("the key is not a usable Ed25519 key")]
    BadKey,
}

impl KeyPair {
    /// From 32 random bytes, which the caller draws.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Result<Self, EnvelopeError> {
        Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map(Self)
            .map_err(|_| EnvelopeError::BadKey)
    }

    /// The verifying key, 32 bytes.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// As the root: vouches for a bundle key during a time.
    pub fn vouch(
        &self,
        public: &[u8],
        not_before: UnixMillis,
        not_after: UnixMillis,
    ) -> Result<BundleKey, EnvelopeError> {
        let public = STANDARD.encode(public);
        let signed = key_claims(&public, not_before, not_after)?;
        Ok(BundleKey {
            public,
            not_before,
            not_after,
            signature: STANDARD.encode(self.0.sign(&signed)),
        })
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyPair")
    }
}

impl Envelope {
    /// Signs content with a bundle key and writes the envelope's bytes.
    pub fn seal(
        header: Header,
        content: BundleContent,
        pair: &KeyPair,
        key: BundleKey,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let payload = canonical(&Payload { header, content })?;
        let signature = STANDARD.encode(pair.0.sign(&in_context(BUNDLE_CONTEXT, &payload)));
        let envelope = Self {
            payload: STANDARD.encode(&payload),
            key,
            signature,
        };
        Ok(canonical(&envelope)?)
    }

    /// Verifies everything and makes the bundle ready. Nothing of the payload is read before its signature fits.
    pub fn open(bytes: &[u8], expected: &Expected<'_>) -> Result<Opened, EnvelopeError> {
        let envelope: Self = decode(bytes)?;
        let public = envelope.key.verified(expected.root)?;
        envelope.key.in_force(expected.now)?;
        let Payload { header, content } = envelope.payload_signed_by(public)?;
        check(&header, expected)?;
        if content.gateway != header.gateway {
            return Err(EnvelopeError::OtherGateway(content.gateway.to_string()));
        }
        let bundle = Bundle::activate(content)?.with_expiry(header.not_after);
        Ok(Opened { bundle, header })
    }

    /// What somebody with the root's word once signed, whomever it is for and however old: for the signer, who asks
    /// what it wrote before. It puts nothing in force.
    pub fn vouched(bytes: &[u8], root: &[u8]) -> Result<(Header, BundleContent), EnvelopeError> {
        let envelope: Self = decode(bytes)?;
        let public = envelope.key.verified(root)?;
        let Payload { header, content } = envelope.payload_signed_by(public)?;
        Ok((header, content))
    }

    fn payload_signed_by(&self, public: Vec<u8>) -> Result<Payload, EnvelopeError> {
        let payload = from_base64(&self.payload)?;
        let signature = from_base64(&self.signature)?;
        UnparsedPublicKey::new(&ED25519, public)
            .verify(&in_context(BUNDLE_CONTEXT, &payload), &signature)
            .map_err(|_| EnvelopeError::BadSignature)?;
        Ok(decode(&payload)?)
    }
}

impl BundleKey {
    fn verified(&self, root: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let signed = key_claims(&self.public, self.not_before, self.not_after)?;
        let signature = from_base64(&self.signature)?;
        UnparsedPublicKey::new(&ED25519, root)
            .verify(&signed, &signature)
            .map_err(|_| EnvelopeError::KeyNotTrusted)?;
        from_base64(&self.public)
    }

    fn in_force(&self, now: UnixMillis) -> Result<(), EnvelopeError> {
        if now < self.not_before || self.not_after <= now {
            return Err(EnvelopeError::KeyNotValidNow);
        }
        Ok(())
    }
}

fn check(header: &Header, expected: &Expected<'_>) -> Result<(), EnvelopeError> {
    if header.gateway != *expected.gateway {
        return Err(EnvelopeError::OtherGateway(header.gateway.to_string()));
    }
    // Age before uid: a bundle of a gateway long gone is a replay, only a newer one says that the gateway was made anew.
    if header.generation < expected.generation {
        return Err(EnvelopeError::Older {
            found: header.generation,
            seen: expected.generation,
        });
    }
    if header.uid != expected.uid {
        return Err(EnvelopeError::OtherUid);
    }
    if header.not_after <= expected.now {
        return Err(EnvelopeError::Expired);
    }
    Ok(())
}

fn key_claims(
    public: &str,
    not_before: UnixMillis,
    not_after: UnixMillis,
) -> Result<Vec<u8>, EnvelopeError> {
    let claims = KeyClaims {
        public,
        not_before,
        not_after,
    };
    Ok(in_context(KEY_CONTEXT, &canonical(&claims)?))
}

fn in_context(context: &[u8], message: &[u8]) -> Vec<u8> {
    [context, message].concat()
}

fn from_base64(text: &str) -> Result<Vec<u8>, EnvelopeError> {
    STANDARD
        .decode(text)
        .map_err(|_| EnvelopeError::Unreadable(BundleError::Unreadable("not base64".to_owned())))
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
