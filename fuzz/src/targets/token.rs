//! Tokens: nothing that our issuer did not sign is believed, and what it signed is read as one strict document.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_policy::name::Issuer;
use sallyport_policy::source::authentication::Algorithm;
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::clock::Clock;
use sallyport_sidecar::identity::fetch::{FetchLimits, Fetcher, PlainHttp};
use sallyport_sidecar::identity::{
    IdentityConfig, IssuerConfig, JwkSet, JwksSource, Verified, Verifier,
};
use sallyport_sidecar::tls::Trust;
use serde_json::{Value, json};

use super::Target;
use super::stdio::block_on;
use crate::input::{BETWEEN, option, parts};

pub(super) const TARGET: Target = Target {
    name: "token",
    law: "a token is believed only if our issuer's key signed exactly these bytes, and its claims are for us, in time, and read by every parser alike",
    property,
    seeds,
    longest: 1024,
    words: &[
        "\"alg\":\"EdDSA\"",
        "\"alg\":\"none\"",
        "\"alg\":\"HS256\"",
        "\"typ\":\"at+jwt\"",
        "\"kid\":\"k\"",
        "\"crit\":[\"b64\"]",
        "\"iss\":\"https://idp.example.com\"",
        "\"aud\":\"https://inventory.example.com/mcp\"",
        "\"sub\":\"ada\"",
        "\"exp\":1795438800",
        "\"nbf\":",
        "\"iat\":",
        "\"cnf\":",
        "\"act\":{\"sub\":",
        "\"email_verified\":true",
        "\"email\":",
        "\"groups\":[",
        "\"scope\":",
        "\"client_id\":",
        "\"azp\":",
        "\"token_use\":\"id\"",
        "\"nonce\":",
        "\"jwk\":{",
        ".",
        "=",
    ],
};

pub(super) const ISSUER: &str = "https://idp.example.com";
pub(super) const AUDIENCE: &str = "https://inventory.example.com/mcp";
/// 2026-11-23T12:00:00Z, in seconds.
const NOON: i64 = 1_795_435_200;

pub(super) const HEADER: &str = r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"}"#;
pub(super) const CLAIMS: &str = r#"{"iss":"https://idp.example.com","sub":"ada","aud":["https://inventory.example.com/mcp"],"exp":1795438800,"iat":1795435100,"groups":["clerks"],"client_id":"one","act":{"sub":"bot"},"scope":"a b","email":"ada@example.com","email_verified":true}"#;

/// An issuer whose key is known here, and a gateway that trusts it.
struct World {
    key: Ed25519KeyPair,
    verifier: Verifier,
    /// A token that is believed.
    good: String,
}

#[derive(Debug)]
pub(super) struct Noon;

impl Clock for Noon {
    fn now(&self) -> UnixMillis {
        UnixMillis(NOON * 1000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a key");
    let public = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let keys =
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": public, "kid": "k", "use": "sig"}]});
    let keys = JwkSet::parse(keys.to_string().as_bytes()).expect("a key set");
    let mut issuer = IssuerConfig::new(
        Issuer::new(ISSUER),
        vec![AUDIENCE.to_owned()],
        JwksSource::Inline(keys),
    );
    issuer.algorithms = [Algorithm::EdDSA].into();
    let config = IdentityConfig {
        issuers: vec![issuer],
        anonymous: None,
    };
    let trust = Trust::nobody().expect("no certificates");
    let fetcher = Fetcher::new(&trust, FetchLimits::DEFAULT, PlainHttp::Refused);
    let verifier = Verifier::new(config, fetcher, Arc::new(Noon)).expect("settings");
    let good = signed(&key, HEADER.as_bytes(), CLAIMS.as_bytes());
    World {
        key,
        verifier,
        good,
    }
});

fn seeds() -> Vec<Vec<u8>> {
    let signed = |header: &str, claims: &str| format!("s{header}\u{1e}{claims}").into_bytes();
    let none = format!(
        "r{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(CLAIMS)
    );
    vec![
        signed(HEADER, CLAIMS),
        signed(
            r#"{"alg":"EdDSA"}"#,
            r#"{"iss":"https://idp.example.com","sub":"ada","aud":"https://inventory.example.com/mcp","exp":1795438800.5}"#,
        ),
        signed(r#"{"alg":"HS256","typ":"JWT"}"#, CLAIMS),
        signed(
            HEADER,
            r#"{"iss":"https://idp.example.com","sub":"a","sub":"b"}"#,
        ),
        none.into_bytes(),
        b"e\x00\x05x\x00\x40y".to_vec(),
    ]
}

fn property(data: &[u8]) {
    let (way, rest) = option(data);
    match way {
        b's' => signed_so(rest),
        b'e' => edited(rest),
        _ => {
            if let Ok(token) = std::str::from_utf8(rest) {
                assert!(
                    verify(token).is_none() || token == WORLD.good,
                    "nobody signed this"
                );
            }
        }
    }
}

fn verify(token: &str) -> Option<Arc<Verified>> {
    // Nothing is fetched: the keys are in the settings.
    block_on(WORLD.verifier.verify(token)).ok()
}

pub(super) fn signed(key: &Ed25519KeyPair, header: &[u8], claims: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// Whatever the issuer signs is believed only where it says what it must, in any reader's eyes.
fn signed_so(data: &[u8]) {
    let mut texts = parts(data);
    let header = texts.next().unwrap_or_default();
    let claims: Vec<&[u8]> = texts.collect();
    let claims = claims.join(&BETWEEN);
    let Some(verified) = verify(&signed(&WORLD.key, header, &claims)) else {
        return;
    };
    let read =
        |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("what is believed is JSON");
    let (header, claims) = (read(header), read(&claims));
    assert_eq!(header["alg"], "EdDSA");
    assert!(header.get("crit").is_none());
    assert_eq!(claims["iss"], ISSUER);
    let named = match &claims["aud"] {
        Value::String(one) => one == AUDIENCE,
        Value::Array(many) => many.iter().any(|one| one == AUDIENCE),
        other => panic!("audience {other}"),
    };
    assert!(named, "for somebody else");
    assert!(
        claims["exp"].as_f64().expect("an end") > NOON as f64,
        "expired"
    );
    assert!(
        claims.get("cnf").is_none_or(Value::is_null),
        "bound to another sender"
    );
    let principal = verified.principal();
    assert_eq!(
        principal.subject.as_str(),
        claims["sub"].as_str().expect("a subject")
    );
    assert!(!principal.subject.as_str().is_empty() && !principal.anonymous);
    if let Some(email) = &principal.email {
        assert_eq!(claims["email_verified"], true, "{email}");
    }
}

/// A token of which one byte was changed, added or taken away is another token.
fn edited(data: &[u8]) {
    let mut token = WORLD.good.clone().into_bytes();
    for edit in data.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % token.len();
        match edit[2] {
            0 => drop(token.remove(at)),
            byte if at.is_multiple_of(7) => token.insert(at, byte),
            byte => token[at] = byte,
        }
    }
    let Ok(token) = String::from_utf8(token) else {
        return;
    };
    assert_eq!(
        verify(&token).is_some(),
        token == WORLD.good,
        "not the token that was signed"
    );
}

impl Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
