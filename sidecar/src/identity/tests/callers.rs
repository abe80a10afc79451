//! From a request to its caller, and for how long the caller stays one (law 11).

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use sallyport_policy::name::Subject;
use sallyport_policy::source::authentication::Algorithm;
use serde_json::json;

use super::support::{Signer, World, refusal};
use crate::identity::{Anonymous, IdentityConfig, TokenError, bearer};

#[test]
fn only_one_bearer_header_carries_a_token() {
    let rows: [(&str, &[&str], Result<&str, TokenError>); 9] = [
        ("none", &[], Err(TokenError::Missing)),
        ("one", &["Bearer abc"], Ok("abc")),
        ("any case of the scheme", &["bEARER abc"], Ok("abc")),
        ("several blanks", &["Bearer   abc "], Ok("abc")),
        (
            "two",
            &["Bearer abc", "Bearer abc"],
            Err(TokenError::Repeated),
        ),
        ("basic", &["Basic YTpi"], Err(TokenError::NotBearer)),
        ("no scheme", &["abc"], Err(TokenError::NotBearer)),
        (
            "a scheme that begins like it",
            &["BearerX abc"],
            Err(TokenError::NotBearer),
        ),
        ("an empty one", &[""], Err(TokenError::NotBearer)),
    ];
    for (name, values, expected) in rows {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        assert_eq!(bearer(&headers), expected, "{name}");
    }
}

#[tokio::test]
async fn a_guest_is_let_in_without_a_token_but_never_with_a_bad_one() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    let config = IdentityConfig {
        issuers: world.verifier_config(),
        anonymous: Some(Anonymous {
            user: Subject::new("guest"),
            groups: ["visitors".to_owned()].into(),
        }),
    };
    let verifier = world.verifier.successor(config).unwrap();
    let guest = verifier.authenticate(&HeaderMap::new()).await.unwrap();
    assert!(guest.principal().anonymous);
    assert_eq!(guest.principal().issuer.as_str(), "anonymous");
    assert_eq!(verifier.still_valid(&guest), Ok(()));
    assert_eq!(
        world.verifier.still_valid(&guest),
        Err(TokenError::Missing),
        "guests are not allowed any more"
    );

    let mut bad = HeaderMap::new();
    bad.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer nonsense"),
    );
    assert!(verifier.authenticate(&bad).await.is_err());
    let none = world.verifier.authenticate(&HeaderMap::new()).await;
    assert_eq!(none.map(|_| ()), Err(TokenError::Missing));
}

#[tokio::test]
async fn law_11_exp_is_checked_again_for_what_waited() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    let token =
        signer.token(&world.claims(&json!({"email": "unverified@example.com", "groups": ["a"]})));
    let verified = world.verifier.verify(&token).await.unwrap();
    assert_eq!(world.verifier.still_valid(&verified), Ok(()));
    world.clock.jump(599_999);
    assert_eq!(world.verifier.still_valid(&verified), Ok(()));
    world.clock.jump(1);
    assert_eq!(
        world.verifier.still_valid(&verified),
        Err(TokenError::Expired)
    );
    assert_eq!(
        refusal(&world, &token).await,
        "token_expired",
        "the cache does not outlive exp"
    );
}

#[tokio::test]
async fn what_waited_is_judged_by_the_settings_of_now() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    let token = signer.token(&world.claims(&json!({"groups": ["a"], "roles": ["b"]})));
    let verified = world.verifier.verify(&token).await.unwrap();
    let changed = |adjust: &dyn Fn(&mut crate::identity::IssuerConfig)| {
        let mut issuers = world.verifier_config();
        adjust(&mut issuers[0]);
        let config = IdentityConfig {
            issuers,
            anonymous: None,
        };
        world
            .verifier
            .successor(config)
            .unwrap()
            .still_valid(&verified)
    };
    assert_eq!(changed(&|_| {}), Ok(()));
    assert_eq!(
        changed(&|issuer| issuer.audiences = vec!["else".to_owned()]),
        Err(TokenError::Audience {
            expected: "else".to_owned()
        })
    );
    assert_eq!(
        changed(&|issuer| issuer.claims.groups = Some("roles".parse().unwrap())),
        Err(TokenError::ReadOtherwise)
    );
    assert_eq!(
        changed(&|issuer| issuer.algorithms = [Algorithm::RS256].into()),
        Err(TokenError::Algorithm)
    );
    let nobody = world.verifier.successor(IdentityConfig::default()).unwrap();
    assert_eq!(
        nobody.still_valid(&verified),
        Err(TokenError::UnknownIssuer)
    );
}

#[tokio::test]
async fn a_repeated_token_is_verified_once() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    let token = signer.token(&world.claims(&json!({})));
    let first = world.verifier.verify(&token).await.unwrap();
    let second = world.verifier.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let fresh = signer.token(&world.claims(&json!({"jti": "fresh"})));
    let fresh = world.verifier.verify(&fresh).await.unwrap();
    assert!(fresh.same_caller(&first) && fresh.token_digest() != first.token_digest());
    let other = signer.token(&world.claims(&json!({"azp": "other"})));
    assert!(
        !world
            .verifier
            .verify(&other)
            .await
            .unwrap()
            .same_caller(&first),
        "another client"
    );
}

#[tokio::test]
async fn neither_debug_output_nor_errors_repeat_a_token() {
    let signer = Signer::p256("p");
    let world = World::new(&[&signer]).await;
    let token = signer.token(&world.claims(&json!({})));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let verified = world.verifier.verify(&token).await.unwrap();
    let spoiled = format!("{message}.{}", signature.chars().rev().collect::<String>());
    let error = world.verifier.verify(&spoiled).await.unwrap_err();
    let said = format!("{verified:?} {error} {error:?} {:?}", world.verifier);
    assert!(!said.contains(signature) && !said.contains(message));
}
