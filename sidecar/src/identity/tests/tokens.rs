//! Which tokens are accepted, and what is said about each kind that is not.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_policy::source::authentication::Algorithm;
use serde_json::{Value, json};

use super::support::{AUDIENCE, NOON, Signer, World, refusal};
use crate::identity::{IdentityConfig, TokenError};

/// Name, JSON text, and the code of the refusal.
type Row = (&'static str, &'static str, &'static str);

#[tokio::test]
async fn a_good_token_of_each_kind_of_key_is_accepted() {
    let (rsa, p256, ed) = (Signer::rsa("r"), Signer::p256("p"), Signer::ed25519("e"));
    let world = World::with(&[&rsa, &p256, &ed], |issuer| {
        use Algorithm::{ES256, EdDSA, PS256, RS256};
        issuer.algorithms = [RS256, PS256, ES256, EdDSA].into();
    })
    .await;
    let rows = [
        ("RS256", &rsa, r#"{"alg":"RS256","kid":"r"}"#),
        ("PS256", &rsa, r#"{"alg":"PS256","kid":"r"}"#),
        ("ES256", &p256, r#"{"alg":"ES256","kid":"p"}"#),
        ("EdDSA", &ed, r#"{"alg":"EdDSA","kid":"e"}"#),
        ("its newer name", &ed, r#"{"alg":"Ed25519","kid":"e"}"#),
        ("no kid where one key fits", &p256, r#"{"alg":"ES256"}"#),
        (
            "an explicit type",
            &p256,
            r#"{"alg":"ES256","kid":"p","typ":"at+jwt"}"#,
        ),
        (
            "a media type",
            &p256,
            r#"{"alg":"ES256","kid":"p","typ":"application/AT+JWT"}"#,
        ),
        (
            "the common type",
            &p256,
            r#"{"alg":"ES256","kid":"p","typ":"JWT"}"#,
        ),
    ];
    for (name, signer, header) in rows {
        let token = signer.sign_texts(header, &world.claims(&json!({})).to_string());
        assert_eq!(refusal(&world, &token).await, "accepted", "{name}");
    }
    assert_eq!(world.idp.hits("/keys"), 1, "keys are fetched once");
}

#[tokio::test]
async fn a_token_that_is_only_unusual_is_accepted() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    let rows = [
        ("audiences as a list", json!({"aud": ["x", AUDIENCE]})),
        (
            "iat and nbf a little ahead",
            json!({"iat": NOON + 29, "nbf": NOON + 30}),
        ),
        ("a fraction in exp", json!({"exp": 1_795_435_200.5})),
        ("no iat", json!({"iat": null})),
        (
            "a nonce beside Bearer",
            json!({"nonce": "n", "typ": "Bearer"}),
        ),
        (
            "an integer beyond 2^53",
            json!({"tenant": 9_007_199_254_740_993_u64}),
        ),
    ];
    for (name, over) in rows {
        let token = signer.token(&world.claims(&over));
        assert_eq!(refusal(&world, &token).await, "accepted", "{name}");
    }
    let explicit = json!({"alg": "ES256", "kid": "p", "typ": "at+jwt"});
    let token = signer.sign(&explicit, &world.claims(&json!({"nonce": "n"})));
    assert_eq!(
        refusal(&world, &token).await,
        "accepted",
        "a nonce in an explicit access token"
    );
}

/// Laid over the claims of a good token; null removes one. It is 1795435200.
const WRONG_CLAIMS: [Row; 29] = [
    (
        "expired this second, no leeway",
        r#"{"exp":1795435200}"#,
        "token_expired",
    ),
    ("no exp", r#"{"exp":null}"#, "token_claim_missing"),
    ("exp as a text", r#"{"exp":"1795435800"}"#, "token_claim"),
    (
        "exp in milliseconds",
        r#"{"exp":1795435800000}"#,
        "token_claim",
    ),
    ("exp before 1970", r#"{"exp":-1}"#, "token_claim"),
    (
        "nbf beyond the skew",
        r#"{"nbf":1795435231}"#,
        "token_not_yet_valid",
    ),
    (
        "iat beyond the skew",
        r#"{"iat":1795435231}"#,
        "token_not_yet_valid",
    ),
    ("nbf as a list", r#"{"nbf":[1]}"#, "token_claim"),
    ("no audience", r#"{"aud":null}"#, "token_claim_missing"),
    (
        "a foreign audience",
        r#"{"aud":"https://other.example.com/mcp"}"#,
        "token_audience",
    ),
    (
        "an audience that begins like ours",
        r#"{"aud":"https://inventory.example.com/mcp/x"}"#,
        "token_audience",
    ),
    (
        "an audience in other case",
        r#"{"aud":"https://Inventory.example.com/mcp"}"#,
        "token_audience",
    ),
    (
        "an empty list of audiences",
        r#"{"aud":[]}"#,
        "token_audience",
    ),
    (
        "an audience that is an object",
        r#"{"aud":{"https://inventory.example.com/mcp":1}}"#,
        "token_claim",
    ),
    (
        "a list of audiences with a number",
        r#"{"aud":["https://inventory.example.com/mcp",1]}"#,
        "token_claim",
    ),
    ("no subject", r#"{"sub":null}"#, "token_claim_missing"),
    ("an empty subject", r#"{"sub":""}"#, "token_claim"),
    ("a subject that is a number", r#"{"sub":7}"#, "token_claim"),
    (
        "a foreign issuer",
        r#"{"iss":"https://evil.example.com"}"#,
        "token_issuer",
    ),
    (
        "the issuer with a slash more",
        r#"{"iss":"ISSUER/"}"#,
        "token_issuer",
    ),
    ("no issuer", r#"{"iss":null}"#, "token_claim_missing"),
    (
        "a list of issuers",
        r#"{"iss":["ISSUER"]}"#,
        "token_malformed",
    ),
    (
        "bound to its sender's key",
        r#"{"cnf":{"jkt":"x"}}"#,
        "token_sender_constrained",
    ),
    (
        "an identity token by nonce",
        r#"{"nonce":"n"}"#,
        "token_not_access_token",
    ),
    (
        "an identity token by at_hash",
        r#"{"at_hash":"n"}"#,
        "token_not_access_token",
    ),
    (
        "an identity token by its own word",
        r#"{"typ":"ID"}"#,
        "token_not_access_token",
    ),
    (
        "an identity token by token_use",
        r#"{"token_use":"id"}"#,
        "token_not_access_token",
    ),
    (
        "a refresh token",
        r#"{"typ":"Refresh"}"#,
        "token_not_access_token",
    ),
    (
        "a logout token",
        r#"{"events":{"http://schemas.openid.net/event/backchannel-logout":{}}}"#,
        "token_not_access_token",
    ),
];

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused_with_its_reason() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    for (name, over, expected) in WRONG_CLAIMS {
        let over: Value = serde_json::from_str(&over.replace("ISSUER", &world.idp.url)).unwrap();
        let token = signer.token(&world.claims(&over));
        assert_eq!(refusal(&world, &token).await, expected, "{name}");
    }
}

/// Laid over the header of a good token.
const WRONG_HEADERS: [Row; 18] = [
    (
        "an identity assertion",
        r#"{"typ":"oauth-id-jag+jwt"}"#,
        "token_type",
    ),
    (
        "a proof of possession",
        r#"{"typ":"dpop+jwt"}"#,
        "token_type",
    ),
    ("a logout token", r#"{"typ":"logout+jwt"}"#, "token_type"),
    (
        "a typ that is a list",
        r#"{"typ":["at+jwt"]}"#,
        "token_malformed",
    ),
    (
        "critical extensions",
        r#"{"crit":["exp"],"exp":1}"#,
        "token_critical",
    ),
    ("an empty crit", r#"{"crit":[]}"#, "token_critical"),
    ("no algorithm", r#"{"alg":null}"#, "token_malformed"),
    ("none", r#"{"alg":"none"}"#, "token_algorithm"),
    ("None", r#"{"alg":"None"}"#, "token_algorithm"),
    (
        "a shared-secret algorithm",
        r#"{"alg":"HS256"}"#,
        "token_algorithm",
    ),
    ("lower case", r#"{"alg":"es256"}"#, "token_algorithm"),
    (
        "an algorithm that the gateway does not list",
        r#"{"alg":"ES384"}"#,
        "token_algorithm",
    ),
    (
        "a listed algorithm of another kind of key",
        r#"{"alg":"RS256"}"#,
        "token_key",
    ),
    ("an unknown kid", r#"{"kid":"q"}"#, "token_key"),
    (
        "a kid that is a path",
        r#"{"kid":"../../dev/null"}"#,
        "token_key",
    ),
    (
        "a kid that is a query",
        r#"{"kid":"x' UNION SELECT 'key"}"#,
        "token_key",
    ),
    ("a kid that is a number", r#"{"kid":1}"#, "token_malformed"),
    ("an empty kid", r#"{"kid":""}"#, "token_key"),
];

#[tokio::test]
async fn a_token_with_a_wrong_header_is_refused_with_its_reason() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    for (name, over, expected) in WRONG_HEADERS {
        let over: Value = serde_json::from_str(over).unwrap();
        let mut header = json!({"alg": "ES256", "kid": "p", "typ": "at+jwt"});
        for (key, value) in over.as_object().unwrap() {
            header[key] = value.clone();
        }
        let token = signer.sign(&header, &world.claims(&json!({"jti": name})));
        assert_eq!(refusal(&world, &token).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_never_used() {
    let (signer, evil) = (Signer::p256("p"), Signer::p256("p"));
    let world = World::new(&[&signer]).await;
    world.idp.json("/evil", &json!({"keys": [evil.jwk()]}));
    let evil_url = format!("{}/evil", world.idp.url);
    let rows = [
        (
            "jwk",
            json!({"alg": "ES256", "kid": "p", "jwk": evil.jwk()}),
        ),
        ("jku", json!({"alg": "ES256", "kid": "p", "jku": evil_url})),
        ("x5u", json!({"alg": "ES256", "kid": "p", "x5u": evil_url})),
        ("nothing", json!({"alg": "ES256", "kid": "p"})),
    ];
    for (name, header) in rows {
        let token = evil.sign(&header, &world.claims(&json!({})));
        assert_eq!(refusal(&world, &token).await, "token_signature", "{name}");
    }
    assert_eq!(world.idp.hits("/evil"), 0);
}

#[tokio::test]
async fn a_public_key_used_as_a_shared_secret_signs_nothing() {
    for signer in [Signer::rsa("k"), Signer::p256("k")] {
        let world = World::with(&[&signer], |issuer| {
            issuer.algorithms = [Algorithm::RS256, Algorithm::ES256].into();
        })
        .await;
        for secret in signer.public_bytes() {
            for algorithm in ["HS256", signer.algorithm()] {
                let header = json!({"alg": algorithm, "kid": "k"});
                let message = format!(
                    "{}.{}",
                    encoded(&header),
                    encoded(&world.claims(&json!({})))
                );
                let tag = hmac::sign(
                    &hmac::Key::new(hmac::HMAC_SHA256, &secret),
                    message.as_bytes(),
                );
                let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
                assert_ne!(refusal(&world, &token).await, "accepted", "{algorithm}");
            }
        }
    }
}

#[tokio::test]
async fn a_text_that_is_no_strict_signed_token_is_refused() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    let good = signer.token(&world.claims(&json!({})));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let header = r#"{"alg":"ES256","kid":"p"}"#;
    let twice = format!(r#"{{"iss":"{url}","iss":"{url}"}}"#, url = world.idp.url);
    let rows = [
        ("nothing", String::new(), "token_malformed"),
        ("one part", "abc".to_owned(), "token_malformed"),
        ("two parts", message.to_owned(), "token_malformed"),
        (
            "four parts",
            format!("{good}.{signature}"),
            "token_malformed",
        ),
        (
            "five parts, encrypted",
            format!("{good}.a.b"),
            "token_malformed",
        ),
        ("no signature", format!("{message}."), "token_signature"),
        (
            "half a signature",
            format!("{message}.{}", signature.get(..42).unwrap()),
            "token_signature",
        ),
        ("padding", format!("{good}=="), "token_signature"),
        ("blanks before", format!(" {good}"), "token_malformed"),
        ("a line end after", format!("{good}\n"), "token_signature"),
        (
            "a name twice in the header",
            signer.sign_texts(r#"{"alg":"ES256","alg":"ES256","kid":"p"}"#, "{}"),
            "token_malformed",
        ),
        (
            "a name twice in the claims",
            signer.sign_texts(header, &twice),
            "token_malformed",
        ),
        (
            "claims that are a list",
            signer.sign_texts(header, "[]"),
            "token_malformed",
        ),
        (
            "claims that are no JSON",
            signer.sign_texts(header, "{"),
            "token_malformed",
        ),
        (
            "more after the claims",
            signer.sign_texts(header, "{} {}"),
            "token_malformed",
        ),
    ];
    for (name, token, expected) in rows {
        assert_eq!(refusal(&world, &token).await, expected, "{name}");
    }
    let long = "a".repeat(16 * 1024 + 1);
    assert_eq!(refusal(&world, &long).await, "token_too_long");
}

#[tokio::test]
async fn every_single_changed_character_spoils_a_token() {
    let signer = Signer::ed25519("e");
    let world = World::with(&[&signer], |issuer| {
        issuer.algorithms = [Algorithm::EdDSA].into();
    })
    .await;
    let good = signer.token(&world.claims(&json!({})));
    assert_eq!(refusal(&world, &good).await, "accepted");
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_ne!(refusal(&world, &changed).await, "accepted", "at {place}");
    }
}

#[tokio::test]
async fn a_token_of_one_issuer_is_not_one_of_another_with_the_same_kid() {
    let (ours, theirs) = (Signer::p256("k"), Signer::p256("k"));
    let world = World::new(&[&ours]).await;
    let other = World::new(&[&theirs]).await;
    let mut issuers = world.verifier_config();
    issuers.extend(other.verifier_config());
    let both = world.verifier.successor(IdentityConfig {
        issuers,
        anonymous: None,
    });
    let both = both.unwrap();
    assert!(
        both.verify(&theirs.token(&other.claims(&json!({}))))
            .await
            .is_ok()
    );
    let crossed = both.verify(&theirs.token(&world.claims(&json!({})))).await;
    assert_eq!(crossed, Err(TokenError::Signature));
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
