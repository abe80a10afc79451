//! Keys over time: rotation, age, outages, and how often an issuer may be asked.

use std::time::Duration;

use serde_json::json;

use super::support::{NOON, Page, Signer, World, refusal};
use crate::identity::keys::{BETWEEN_FETCHES, LONGEST_BACK_OFF, RENEW_AFTER, UNUSABLE_AFTER};
use crate::identity::{IdentityConfig, JwkSet, JwksSource, KeysError, TokenError};

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// A token that holds for a day, so that only keys matter.
fn lasting(world: &World, signer: &Signer, id: usize) -> String {
    signer.token(&world.claims(&json!({"exp": NOON + 86_400, "jti": id})))
}

/// Waits until the issuer was asked that often, and a little more, so that the answer has been read.
async fn asked(world: &World, path: &str, times: usize) {
    for _ in 0..200 {
        if world.idp.hits(path) >= times {
            tokio::time::sleep(Duration::from_millis(100)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "the issuer was asked {} times, not {times}",
        world.idp.hits(path)
    );
}

#[tokio::test]
async fn a_rotated_key_is_found_at_once_and_the_former_one_is_dropped_with_its_cached_tokens() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let world = World::new(&[&old]).await;
    let cached = lasting(&world, &old, 1);
    assert_eq!(refusal(&world, &cached).await, "accepted");
    let verified = world.verifier.verify(&cached).await.unwrap();

    world.idp.publish(&[&new]);
    world.clock.pass(BETWEEN_FETCHES);
    assert_eq!(refusal(&world, &lasting(&world, &new, 2)).await, "accepted");
    assert_eq!(
        refusal(&world, &cached).await,
        "token_key",
        "its key is withdrawn, so the cache does not help"
    );
    assert_eq!(
        world.verifier.still_valid(&verified),
        Err(TokenError::UnknownKey)
    );
}

#[tokio::test]
async fn a_key_added_beside_others_leaves_cached_tokens_alone() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let world = World::new(&[&old]).await;
    let cached = lasting(&world, &old, 1);
    let before = world.verifier.verify(&cached).await.unwrap();
    world.idp.publish(&[&new, &old]);
    world.clock.pass(BETWEEN_FETCHES);
    assert_eq!(refusal(&world, &lasting(&world, &new, 2)).await, "accepted");
    let after = world.verifier.verify(&cached).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&before, &after));
}

#[tokio::test]
async fn unknown_kids_ask_the_issuer_at_most_once_in_a_while() {
    let (known, unknown) = (Signer::p256("known"), Signer::p256("unknown"));
    let world = World::new(&[&known]).await;
    assert_eq!(
        refusal(&world, &lasting(&world, &known, 0)).await,
        "accepted"
    );
    for id in 0..50 {
        assert_eq!(
            refusal(&world, &lasting(&world, &unknown, id)).await,
            "token_key"
        );
    }
    assert_eq!(
        world.idp.hits("/keys"),
        1,
        "they came too soon after the first fetch"
    );
    world.clock.pass(BETWEEN_FETCHES);
    for id in 0..50 {
        assert_eq!(
            refusal(&world, &lasting(&world, &unknown, id)).await,
            "token_key"
        );
    }
    assert_eq!(world.idp.hits("/keys"), 2);
}

#[tokio::test]
async fn wrong_signatures_never_ask_the_issuer() {
    let (known, evil) = (Signer::p256("k"), Signer::p256("k"));
    let world = World::new(&[&known]).await;
    assert_eq!(
        refusal(&world, &lasting(&world, &known, 0)).await,
        "accepted"
    );
    world.clock.pass(BETWEEN_FETCHES);
    assert_eq!(
        refusal(&world, &lasting(&world, &evil, 1)).await,
        "token_signature"
    );
    assert_eq!(world.idp.hits("/keys"), 1);
}

#[tokio::test]
async fn tokens_that_come_together_share_one_fetch() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    let tokens: Vec<_> = (0..20).map(|id| lasting(&world, &signer, id)).collect();
    let all =
        futures_util::future::join_all(tokens.iter().map(|token| world.verifier.verify(token)))
            .await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(world.idp.hits("/keys"), 1);
}

#[tokio::test]
async fn old_keys_are_renewed_in_the_background_and_withdrawn_ones_go() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    let token = lasting(&world, &signer, 0);
    assert_eq!(refusal(&world, &token).await, "accepted");
    world.idp.publish(&[&Signer::p256("k2")]);
    world.clock.pass(RENEW_AFTER);
    assert_eq!(
        refusal(&world, &token).await,
        "accepted",
        "nobody waits for the renewal"
    );
    asked(&world, "/keys", 2).await;
    assert_eq!(refusal(&world, &token).await, "token_key");
}

#[tokio::test]
async fn without_the_issuer_keys_hold_up_to_their_age_and_then_everything_is_refused() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    let token = lasting(&world, &signer, 0);
    let verified = world.verifier.verify(&token).await.unwrap();
    world.idp.fail();
    world.clock.pass(UNUSABLE_AFTER - Duration::from_millis(1));
    assert_eq!(refusal(&world, &token).await, "accepted");
    assert_eq!(
        refusal(&world, &lasting(&world, &signer, 1)).await,
        "accepted"
    );
    asked(&world, DISCOVERY, 2).await;
    world.clock.pass(Duration::from_millis(1));
    assert_eq!(
        refusal(&world, &token).await,
        "token_keys_unavailable",
        "cached tokens too"
    );
    assert_eq!(
        world.verifier.still_valid(&verified),
        Err(TokenError::Keys(KeysError::TooOld))
    );

    world.idp.publish(&[&signer]);
    world.clock.pass(LONGEST_BACK_OFF);
    assert_eq!(
        refusal(&world, &token).await,
        "accepted",
        "and it heals by itself"
    );
}

#[tokio::test]
async fn a_clock_set_back_does_not_make_keys_younger() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    let token = lasting(&world, &signer, 0);
    assert_eq!(refusal(&world, &token).await, "accepted");
    world.idp.fail();
    world.clock.pass(UNUSABLE_AFTER);
    world
        .clock
        .jump(-i64::try_from(UNUSABLE_AFTER.as_millis()).unwrap());
    assert_eq!(refusal(&world, &token).await, "token_keys_unavailable");
}

#[tokio::test]
async fn an_issuer_that_fails_is_left_alone_for_longer_and_longer() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    world.idp.fail();
    let token = lasting(&world, &signer, 0);
    let mut attempts = Vec::new();
    for second in 0..200 {
        let before = world.idp.hits(DISCOVERY);
        assert_eq!(refusal(&world, &token).await, "token_keys_unavailable");
        if world.idp.hits(DISCOVERY) > before {
            attempts.push(second);
        }
        world.clock.pass(Duration::from_secs(1));
    }
    assert_eq!(attempts, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_the_fetch() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    let keys = json!({"keys": [signer.jwk()]}).to_string();
    world.idp.page(
        "/keys",
        Page {
            status: 200,
            body: keys,
            delay: Duration::from_millis(150),
            ..Page::default()
        },
    );
    let token = lasting(&world, &signer, 0);
    let hasty =
        tokio::time::timeout(Duration::from_millis(60), world.verifier.verify(&token)).await;
    assert!(hasty.is_err());
    assert_eq!(refusal(&world, &token).await, "accepted");
    assert_eq!(world.idp.hits("/keys"), 1);
}

#[tokio::test]
async fn a_discovery_document_that_cannot_be_trusted_gives_no_keys() {
    let signer = Signer::p256("k");
    let rows = [
        (
            "another issuer",
            json!({"issuer": "https://evil.example.com", "jwks_uri": "URL/keys"}),
        ),
        (
            "the issuer with a slash",
            json!({"issuer": "URL/", "jwks_uri": "URL/keys"}),
        ),
        ("no issuer", json!({"jwks_uri": "URL/keys"})),
        ("no key address", json!({"issuer": "URL"})),
        (
            "a key address without TLS",
            json!({"issuer": "URL", "jwks_uri": "http://keys.example.com/keys"}),
        ),
        (
            "a key address that is a file",
            json!({"issuer": "URL", "jwks_uri": "file:///etc/passwd"}),
        ),
        ("not an object", json!(["URL"])),
    ];
    for (name, document) in rows {
        let world = World::new(&[&signer]).await;
        let text = document.to_string().replace("URL", &world.idp.url);
        world.idp.page(
            DISCOVERY,
            Page {
                status: 200,
                body: text,
                ..Page::default()
            },
        );
        assert_eq!(
            refusal(&world, &lasting(&world, &signer, 0)).await,
            "token_keys_unavailable",
            "{name}"
        );
        assert_eq!(world.idp.hits("/keys"), 0, "{name}");
    }
}

#[tokio::test]
async fn an_authorization_server_without_openid_is_discovered_too() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    world.idp.page(
        DISCOVERY,
        Page {
            status: 404,
            ..Page::default()
        },
    );
    let document = json!({"issuer": world.idp.url, "jwks_uri": format!("{}/keys", world.idp.url)});
    world
        .idp
        .json("/.well-known/oauth-authorization-server", &document);
    assert_eq!(
        refusal(&world, &lasting(&world, &signer, 0)).await,
        "accepted"
    );
}

#[tokio::test]
async fn settings_may_change_while_the_issuer_is_down() {
    let signer = Signer::p256("k");
    let world = World::new(&[&signer]).await;
    assert!(world.verifier.warm().await.is_empty());
    world.idp.fail();
    let config = |issuers| IdentityConfig {
        issuers,
        anonymous: None,
    };
    let successor = world
        .verifier
        .successor(config(world.verifier_config()))
        .unwrap();
    assert!(successor.verify(&lasting(&world, &signer, 0)).await.is_ok());

    let mut elsewhere = world.verifier_config();
    elsewhere[0].jwks = JwksSource::JwksUri(format!("{}/other", world.idp.url).parse().unwrap());
    let other = world.verifier.successor(config(elsewhere)).unwrap();
    assert!(
        other.verify(&lasting(&world, &signer, 0)).await.is_err(),
        "keys of another source are not taken over"
    );
    assert_eq!(other.warm().await.len(), 1);
}

#[tokio::test]
async fn inline_keys_never_age_and_never_ask_anyone() {
    let (signer, other) = (Signer::p256("k"), Signer::p256("other"));
    let set = JwkSet::parse(json!({"keys": [signer.jwk()]}).to_string().as_bytes()).unwrap();
    let world = World::with(&[&signer], |issuer| issuer.jwks = JwksSource::Inline(set)).await;
    world.clock.pass(UNUSABLE_AFTER);
    assert_eq!(
        refusal(&world, &lasting(&world, &signer, 0)).await,
        "accepted"
    );
    assert_eq!(
        refusal(&world, &lasting(&world, &other, 0)).await,
        "token_key"
    );
    assert_eq!(world.idp.hits("/keys"), 0);
}

#[tokio::test]
async fn a_token_without_kid_is_refused_where_several_keys_fit() {
    let (one, two) = (Signer::p256("1"), Signer::p256("2"));
    let world = World::new(&[&one, &two]).await;
    let token = one.sign(&json!({"alg": "ES256"}), &world.claims(&json!({})));
    assert_eq!(refusal(&world, &token).await, "token_key_ambiguous");
}

#[tokio::test]
async fn a_key_is_used_only_with_the_algorithm_its_issuer_names() {
    let signer = Signer::rsa("k");
    let mut jwk = signer.jwk();
    jwk["alg"] = json!("PS256");
    let world = World::with(&[&signer], |issuer| {
        use sallyport_policy::source::authentication::Algorithm::{PS256, RS256};
        issuer.algorithms = [RS256, PS256].into();
    })
    .await;
    world.idp.json("/keys", &json!({"keys": [jwk]}));
    assert_eq!(
        refusal(&world, &lasting(&world, &signer, 0)).await,
        "token_key",
        "RS256 is listed but not for this key"
    );
    let pss = signer.sign(
        &json!({"alg": "PS256", "kid": "k"}),
        &world.claims(&json!({})),
    );
    assert_eq!(refusal(&world, &pss).await, "accepted");
}
