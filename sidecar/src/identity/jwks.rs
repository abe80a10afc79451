//! The public keys of an issuer, read strictly: what a key may verify follows from the key, never from a token.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jsonwebtoken::DecodingKey;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::name::Digest;
use sallyport_policy::source::authentication::Algorithm;
use serde::Deserialize;

/// More than any issuer publishes; a longer list is a mistake or an attack.
const MAX_KEYS: usize = 128;

/// The algorithms and their names in token headers (RFC 7518 section 3.1, RFC 8037). Neither `none` nor any with a
/// shared secret is among them.
const NAMES: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of that name; `Ed25519` is the newer name of the only `EdDSA` we know (RFC 9864).
pub(super) fn algorithm_named(name: &str) -> Option<Algorithm> {
    if name == "Ed25519" {
        return Some(Algorithm::EdDSA);
    }
    let mut known = NAMES.into_iter();
    known
        .find(|(known, _)| *known == name)
        .map(|(_, algorithm)| algorithm)
}

/// The same algorithm as the library that computes it calls it.
pub(super) const fn library_algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

/// A published set of verification keys. Two sets with the same keys are equal, in whatever order they came.
#[derive(Clone)]
pub struct JwkSet {
    keys: BTreeMap<Digest, Jwk>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that cannot be used here, and why. Issuers publish keys for others too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    pub kid: Option<String>,
    pub why: &'static str,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(
                f,
                "key `{}` is not usable: ",
                kid.chars().take(60).collect::<String>()
            )?,
            None => f.write_str("a key without `kid` is not usable: ")?,
        }
        f.write_str(self.why)
    }
}

/// One key, ready to verify.
#[derive(Clone)]
pub(super) struct Jwk {
    kid: Option<String>,
    kind: KeyKind,
    /// The one algorithm that the issuer uses it with, where it says so.
    algorithm: Option<Algorithm>,
    pub(super) decoding: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeyKind {
    /// The only kind of key that an algorithm works with.
    const fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Self::Rsa,
            Algorithm::ES256 => Self::P256,
            Algorithm::ES384 => Self::P384,
            Algorithm::EdDSA => Self::Ed25519,
        }
    }
}

/// A document that is no key set: the issuer's fault, or of who pasted it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    #[error("the key set is not a JSON object with a list `keys`: {0}")]
    Shape(String),
    #[error("the key set holds more than {MAX_KEYS} keys")]
    TooMany,
    #[error("the key set holds no usable key{}", reasons(.0))]
    NoKey(Vec<SkippedKey>),
}

/// What the search for a token's key found.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// Keys that fit, at most a few: RFC 7517 section 4.5 lets keys of different kinds share a `kid`.
    Keys(Vec<(Digest, &'a Jwk)>),
    /// No key of that name, of a kind that fits the algorithm.
    Nothing,
    /// The token names no key and several fit.
    Ambiguous,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<serde_json::Value>,
}

/// The members of a key that we read. Anything else is for others.
#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    public_use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
}

impl JwkSet {
    /// Reads a JWKS document (RFC 7517 section 5). Keys that cannot be used are skipped and listed; a set without
    /// any usable key is an error.
    pub fn parse(json: &[u8]) -> Result<Self, JwksError> {
        // What two readers could read differently names no key for sure.
        Document::parse(Bytes::copy_from_slice(json), Limits::RESPONSE)
            .map_err(|error| JwksError::Shape(error.to_string()))?;
        let raw: RawSet =
            serde_json::from_slice(json).map_err(|error| JwksError::Shape(error.to_string()))?;
        if raw.keys.len() > MAX_KEYS {
            return Err(JwksError::TooMany);
        }
        let mut keys = BTreeMap::new();
        let mut skipped = Vec::new();
        for value in raw.keys {
            let kid = value
                .get("kid")
                .and_then(|kid| kid.as_str())
                .map(str::to_owned);
            match read_key(value) {
                Ok((digest, key)) => {
                    keys.insert(digest, key);
                }
                Err(why) => skipped.push(SkippedKey { kid, why }),
            }
        }
        if keys.is_empty() {
            return Err(JwksError::NoKey(skipped));
        }
        Ok(Self { keys, skipped })
    }

    /// Keys that were left out.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    pub(super) fn contains(&self, key: &Digest) -> bool {
        self.keys.contains_key(key)
    }

    /// The keys that may have signed a token with this header.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let fitting = self
            .keys
            .iter()
            .filter(|(_, key)| key.fits(algorithm) && (kid.is_none() || key.kid.as_deref() == kid));
        let fitting: Vec<_> = fitting.map(|(digest, key)| (*digest, key)).collect();
        match (fitting.len(), kid) {
            (0, _) => Found::Nothing,
            (1, _) | (2..=4, Some(_)) => Found::Keys(fitting),
            (_, _) => Found::Ambiguous,
        }
    }
}

impl Jwk {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind == KeyKind::of(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

impl PartialEq for JwkSet {
    fn eq(&self, other: &Self) -> bool {
        self.keys.keys().eq(other.keys.keys())
    }
}

impl fmt::Debug for JwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: BTreeSet<_> = self.keys.values().map(|key| key.kid.as_deref()).collect();
        f.debug_struct("JwkSet").field("kids", &kids).finish()
    }
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kid", &self.kid)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn read_key(value: serde_json::Value) -> Result<(Digest, Jwk), &'static str> {
    let raw: RawKey = serde_json::from_value(value)
        .map_err(|_| "a member has the wrong type, or `kty` is missing")?;
    if raw.d.is_some() {
        return Err("it is a private key; it must be considered stolen");
    }
    if raw.public_use.as_deref().is_some_and(|used| used != "sig") {
        return Err("it is not for signatures");
    }
    if raw
        .key_ops
        .as_ref()
        .is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
    {
        return Err("it is not for verifying");
    }
    let (kind, decoding, material) = material(&raw)?;
    let algorithm = match raw.alg.as_deref() {
        None => None,
        Some(name) => Some(algorithm_named(name).ok_or("its algorithm is not supported")?),
    };
    if algorithm.is_some_and(|algorithm| KeyKind::of(algorithm) != kind) {
        return Err("its `alg` does not fit its `kty`");
    }
    let identity = (raw.kid.as_deref(), algorithm, kind as u8, material);
    let identity = serde_json::to_vec(&identity).map_err(|_| "it cannot be written")?;
    let key = Jwk {
        kid: raw.kid,
        kind,
        algorithm,
        decoding,
    };
    Ok((Digest::of(&identity), key))
}

/// The key itself: its kind, its ready form, and what tells it from others.
fn material(raw: &RawKey) -> Result<(KeyKind, DecodingKey, [String; 2]), &'static str> {
    match (raw.kty.as_str(), raw.crv.as_deref()) {
        ("RSA", _) => rsa(raw),
        ("EC", Some("P-256")) => elliptic(raw, KeyKind::P256, 32),
        ("EC", Some("P-384")) => elliptic(raw, KeyKind::P384, 48),
        ("OKP", Some("Ed25519")) => edwards(raw),
        ("oct", _) => Err("it is a shared secret, with which every client could sign"),
        (_, _) => Err("its kind or curve is not supported"),
    }
}

fn rsa(raw: &RawKey) -> Result<(KeyKind, DecodingKey, [String; 2]), &'static str> {
    let (n, e) = (part(raw.n.as_ref())?, part(raw.e.as_ref())?);
    let leading_zeros = n.iter().take_while(|byte| **byte == 0).count();
    if !(256..=1024).contains(&(n.len() - leading_zeros)) {
        return Err("its modulus is not of 2048 to 8192 bits");
    }
    if e.iter().skip_while(|byte| **byte == 0).eq([1_u8].iter())
        || e.last().is_none_or(|byte| byte % 2 == 0)
    {
        return Err("its exponent is not an odd number above 1");
    }
    let key = DecodingKey::from_rsa_raw_components(&n, &e);
    Ok((KeyKind::Rsa, key, [hex::encode(&n), hex::encode(&e)]))
}

fn elliptic(
    raw: &RawKey,
    kind: KeyKind,
    size: usize,
) -> Result<(KeyKind, DecodingKey, [String; 2]), &'static str> {
    let (x, y) = (part(raw.x.as_ref())?, part(raw.y.as_ref())?);
    if x.len() != size || y.len() != size {
        return Err("its coordinates do not have the length of its curve");
    }
    let point = [&[4_u8], x.as_slice(), y.as_slice()].concat();
    Ok((
        kind,
        DecodingKey::from_ec_der(&point),
        [hex::encode(&x), hex::encode(&y)],
    ))
}

fn edwards(raw: &RawKey) -> Result<(KeyKind, DecodingKey, [String; 2]), &'static str> {
    let x = part(raw.x.as_ref())?;
    if x.len() != 32 {
        return Err("its point does not have the length of its curve");
    }
    Ok((
        KeyKind::Ed25519,
        DecodingKey::from_ed_der(&x),
        [hex::encode(&x), String::new()],
    ))
}

fn part(text: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("a part of it is missing")?;
    let bytes = URL_SAFE_NO_PAD.decode(text);
    bytes.map_err(|_| "a part of it is not base64url")
}

fn reasons(skipped: &[SkippedKey]) -> String {
    skipped
        .iter()
        .take(3)
        .map(|key| format!("; {key}"))
        .collect()
}
