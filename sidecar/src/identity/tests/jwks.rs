//! Which published keys may verify at all.

use serde_json::json;

use super::support::Signer;
use crate::identity::JwkSet;

#[test]
fn keys_that_must_not_verify_are_skipped() {
    let rsa = Signer::rsa("k").jwk();
    let with = |name: &str, value: serde_json::Value| {
        let mut jwk = rsa.clone();
        jwk[name] = value;
        jwk
    };
    let mut point = Signer::p256("k").jwk();
    point["x"] = json!("AAAA");
    let rows = [
        (
            "a shared secret",
            json!({"kty": "oct", "k": "AAAA", "kid": "k"}),
        ),
        ("for encryption", with("use", json!("enc"))),
        ("for signing only", with("key_ops", json!(["sign"]))),
        ("a private key", with("d", json!("AAAA"))),
        ("an exponent of one", with("e", json!("AQ"))),
        ("an even exponent", with("e", json!("AQAA"))),
        ("a short modulus", with("n", json!("AAAAAAAAAAAA"))),
        ("an algorithm of another kind", with("alg", json!("ES256"))),
        ("an unknown algorithm", with("alg", json!("RSA-OAEP"))),
        ("no modulus", with("n", json!(null))),
        ("a point off its curve's size", point),
        (
            "an unknown curve",
            json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        ),
        ("no kind", json!({"kid": "k"})),
        ("a text", json!("k")),
    ];
    for (name, key) in rows {
        let alone = json!({"keys": [key]}).to_string();
        assert!(JwkSet::parse(alone.as_bytes()).is_err(), "{name}");
        let beside = json!({"keys": [key, rsa]}).to_string();
        let set = JwkSet::parse(beside.as_bytes()).unwrap();
        assert_eq!(set.skipped().len(), 1, "{name}");
    }
    assert!(JwkSet::parse(json!({"keys": vec![&rsa; 129]}).to_string().as_bytes()).is_err());
    assert!(JwkSet::parse(b"{}").is_err());
}
