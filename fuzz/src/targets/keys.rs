//! Key sets of issuers: whatever a set holds, a token is believed only by a public key in it that signed the token.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_policy::name::Issuer;
use sallyport_sidecar::identity::fetch::{FetchLimits, Fetcher, PlainHttp};
use sallyport_sidecar::identity::{IdentityConfig, IssuerConfig, JwkSet, JwksSource, Verifier};
use sallyport_sidecar::tls::Trust;
use serde_json::Value;

use super::stdio::block_on;
use super::token::{AUDIENCE, CLAIMS, HEADER, ISSUER, Noon, signed};
use super::{Target, texts};

pub(super) const TARGET: Target = Target {
    name: "keys",
    law: "no key set makes a token believed that no public key in it signed: not an unsigned one, not one signed with a published key as a shared secret",
    property,
    seeds,
    longest: 4096,
    words: &[
        "{\"keys\":[",
        "\"kty\":\"OKP\"",
        "\"kty\":\"RSA\"",
        "\"kty\":\"EC\"",
        "\"kty\":\"oct\"",
        "\"crv\":\"Ed25519\"",
        "\"crv\":\"P-256\"",
        "\"x\":\"",
        "\"y\":\"",
        "\"n\":\"",
        "\"e\":\"AQAB\"",
        "\"k\":\"",
        "\"d\":\"",
        "\"kid\":\"k\"",
        "\"use\":\"sig\"",
        "\"use\":\"enc\"",
        "\"key_ops\":[\"verify\"]",
        "\"alg\":\"EdDSA\"",
        "\"alg\":\"HS256\"",
    ],
};

/// A key that the sets may or may not publish, and a good token of it.
static PAIR: LazyLock<(Ed25519KeyPair, String)> = LazyLock::new(|| {
    let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a key");
    let token = signed(&key, HEADER.as_bytes(), CLAIMS.as_bytes());
    (key, token)
});

fn public() -> String {
    URL_SAFE_NO_PAD.encode(PAIR.0.public_key().as_ref())
}

fn seeds() -> Vec<Vec<u8>> {
    let ours = public();
    let good = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{ours}","kid":"k","use":"sig","alg":"EdDSA"}}]}}"#
    );
    let private = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{ours}","d":"{ours}","kid":"k"}}]}}"#
    );
    let shared = format!(
        r#"{{"keys":[{{"kty":"oct","k":"{ours}","kid":"k","alg":"HS256"}},{{"kty":"OKP","crv":"Ed25519","x":"{ours}"}}]}}"#
    );
    let mut seeds = texts(&[&good, &private, &shared, r#"{"keys":[]}"#]);
    seeds.extend(texts(&[
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"k"}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","kid":"k","alg":"RS256"}]}"#,
    ]));
    seeds
}

fn property(data: &[u8]) {
    let Ok(set) = JwkSet::parse(data) else {
        return;
    };
    let read: Value = serde_json::from_slice(data).expect("a key set is JSON");
    let keys = read["keys"].as_array().expect("with a list of keys");
    assert!(keys.len() > set.skipped().len(), "some key is usable");
    assert_eq!(set, JwkSet::parse(data).expect("the same again"));
    let verifier = verifier(set);
    // What is fetched is of no use here: the keys are in the settings.
    let believes = |token: &str| block_on(verifier.verify(token)).is_ok();
    let (_, good) = &*PAIR;
    if believes(good) {
        let publishes =
            |key: &Value| key["kty"] == "OKP" && key["crv"] == "Ed25519" && key.get("d").is_none();
        let ours = keys.iter().filter(|key| publishes(key));
        let same = |key: &Value| {
            let x = key["x"].as_str().unwrap_or_default();
            URL_SAFE_NO_PAD.decode(x).ok() == URL_SAFE_NO_PAD.decode(public()).ok()
        };
        assert!(ours.into_iter().any(same), "by a key that is not there");
    }
    assert!(!believes(&unsigned()), "nobody signed this");
    let published = keys
        .iter()
        .flat_map(|key| ["x", "y", "n", "k", "e", "kid"].map(|name| key[name].as_str()));
    for text in published.flatten() {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        for secret in [text.as_bytes(), &bytes] {
            assert!(!believes(&shared(secret)), "a published key is no secret");
        }
    }
}

fn verifier(set: JwkSet) -> Verifier {
    let issuer = IssuerConfig::new(
        Issuer::new(ISSUER),
        vec![AUDIENCE.to_owned()],
        JwksSource::Inline(set),
    );
    let config = IdentityConfig {
        issuers: vec![issuer],
        anonymous: None,
    };
    let trust = Trust::nobody().expect("no certificates");
    let fetcher = Fetcher::new(&trust, FetchLimits::DEFAULT, PlainHttp::Refused);
    Verifier::new(config, fetcher, Arc::new(Noon)).expect("settings")
}

fn unsigned() -> String {
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(CLAIMS))
}

/// Signed by a shared secret that anybody can read in the key set.
fn shared(secret: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"k","typ":"at+jwt"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(CLAIMS));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}
