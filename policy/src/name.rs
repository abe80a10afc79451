//! Names as types: each is checked once, where it enters, and cannot be confused with another afterwards.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// Defines a text newtype that any non-hostile text may fill.
macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_name!(
    /// The `iss` of a token, compared byte for byte.
    Issuer
);
text_name!(
    /// The mapped subject claim of a token.
    Subject
);
text_name!(
    /// The agent that acts, as the token names it (`azp` or `client_id`), never `clientInfo`.
    ClientId
);
text_name!(
    /// One of our own sessions: (principal, client, gateway, idle time), law 30.
    SessionId
);
text_name!(
    /// One call inside a recording, unique in its session.
    CallId
);
text_name!(
    /// The name of a `McpAccessRequest`.
    RequestId
);

/// Which gateway a bundle, call or recording belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayName {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kind of object that a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RuleSource {
    /// A `McpGuardrail`.
    Guardrail,
    /// A `McpAccessPolicy`.
    Policy,
    /// Our own: the built-in policy, or what is open without a rule.
    BuiltIn,
}

/// The address of one rule: `stock-clerks/never-drop`, `guardrail:production/no-prod-writes`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleId {
    pub source: RuleSource,
    /// `metadata.name` of the object.
    pub object: String,
    /// `name` of the rule in it.
    pub rule: String,
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.source {
            RuleSource::Guardrail => "guardrail:",
            RuleSource::Policy => "",
            RuleSource::BuiltIn => "built-in:",
        };
        write!(f, "{prefix}{}/{}", self.object, self.rule)
    }
}

/// A SHA-256 value, written `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_slice(digest(&SHA256, bytes).as_ref())
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes the first 32 bytes; shorter input is padded with zeros. For outputs of SHA-256 and its HMAC only.
    pub(crate) fn from_slice(bytes: &[u8]) -> Self {
        let mut value = [0; 32];
        for (to, from) in value.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(value)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = DigestText::default();
        f.write_str(digits.of(self))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with the text of a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest; expected `sha256:` and 64 hex digits")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let wrong = || NotADigest(text.chars().take(80).collect());
        let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?;
        let mut value = [0; 32];
        hex::decode_to_slice(digits, &mut value).map_err(|_| wrong())?;
        Ok(Self(value))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = DigestText::default();
        serializer.serialize_str(digits.of(self))
    }
}

/// Room for a digest's text: every recorded event has several, and none needs the heap.
struct DigestText([u8; DIGEST_TEXT]);

const DIGEST_PREFIX: &[u8] = b"sha256:";
const DIGEST_TEXT: usize = DIGEST_PREFIX.len() + 64;

impl Default for DigestText {
    fn default() -> Self {
        Self([0; DIGEST_TEXT])
    }
}

impl DigestText {
    fn of(&mut self, digest: &Digest) -> &str {
        let (prefix, digits) = self.0.split_at_mut(DIGEST_PREFIX.len());
        prefix.copy_from_slice(DIGEST_PREFIX);
        // The room is exactly twice the digest, the only thing that this can complain about.
        let encoded = hex::encode_to_slice(digest.0, digits);
        debug_assert!(encoded.is_ok());
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The digest of a bundle's content: which policy was in force.
pub type Revision = Digest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_what_it_prints() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!(digest.to_string().starts_with("sha256:ba7816bf"));
    }

    #[test]
    fn a_short_or_unprefixed_digest_is_refused() {
        assert!("sha256:ab".parse::<Digest>().is_err());
        assert!("ba7816bf".parse::<Digest>().is_err());
    }
}
