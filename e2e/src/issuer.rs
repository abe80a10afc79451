//! An identity provider of the tests: its public key stands in the gateway, its tokens are made here.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What tokens say of their origin. Nobody dials it: the keys stand in the gateway.
pub(crate) const NAME: &str = "https://idp.example.com/realms/shop";

const KEY_ID: &str = "of-this-run";
const LIFETIME: u64 = 3600;

/// A key made for this run alone.
#[derive(Debug)]
pub(crate) struct Issuer {
    key: EcdsaKeyPair,
}

impl Issuer {
    pub(crate) fn new() -> Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| anyhow!("no key could be made"))?;
        Ok(Self { key })
    }

    /// The public key, as `issuers[].jwks` has it.
    pub(crate) fn jwks(&self) -> Value {
        // An uncompressed point: one byte, then the two coordinates.
        let point = self.key.public_key().as_ref();
        let half = |from: usize| encoded(point.get(from..from + 32).unwrap_or_default());
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID, "x": half(1), "y": half(33),
        }] })
    }

    /// An access token of a person and the groups she is in.
    pub(crate) fn token(&self, audience: &str, user: &str, groups: &[&str]) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": KEY_ID });
        let claims = json!({
            "iss": NAME, "sub": user, "aud": audience, "azp": "e2e", "groups": groups,
            "iat": now, "exp": now + LIFETIME,
        });
        let message = [header, claims]
            .map(|part| encoded(part.to_string().as_bytes()))
            .join(".");
        let signature = self
            .key
            .sign(&SystemRandom::new(), message.as_bytes())
            .map_err(|_| anyhow!("the token could not be signed"))?;
        Ok(format!("{message}.{}", encoded(signature.as_ref())))
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
