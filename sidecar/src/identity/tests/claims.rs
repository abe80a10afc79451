//! How claims become a principal (law 10).

use serde_json::{Value, json};

use super::support::{Signer, World};
use crate::identity::{IssuerConfig, TokenError, Verified};

type Adjust = fn(&mut IssuerConfig);

async fn read(adjust: Adjust, over: &Value) -> Result<std::sync::Arc<Verified>, TokenError> {
    let signer = Signer::p256("p");
    let world = World::with(&[&signer], adjust).await;
    world
        .verifier
        .verify(&signer.token(&world.claims(over)))
        .await
}

fn plain(_: &mut IssuerConfig) {}

#[tokio::test]
async fn a_principal_has_what_its_token_says() {
    let over = json!({
        "groups": ["clerks", "night"], "azp": "https://agents.example.com/a", "client_id": "https://agents.example.com/a",
        "act": {"sub": "helper", "act": {"sub": "earlier"}}, "scope": "read write", "scp": ["ignored"],
        "email": "ada@example.com", "email_verified": true, "department": "warehouse",
    });
    let verified = read(plain, &over).await.unwrap();
    let principal = verified.principal();
    assert_eq!(principal.subject.as_str(), "ada");
    assert_eq!(
        principal.groups,
        ["clerks".to_owned(), "night".to_owned()].into()
    );
    assert_eq!(
        principal.client.as_ref().map(|client| client.as_str()),
        Some("https://agents.example.com/a")
    );
    assert_eq!(principal.actor.as_deref(), Some("helper"));
    assert_eq!(
        principal.scopes,
        ["read".to_owned(), "write".to_owned()].into()
    );
    assert_eq!(principal.email.as_deref(), Some("ada@example.com"));
    assert_eq!(
        principal.claims.get("department"),
        Some(&json!("warehouse"))
    );
    assert!(principal.service_account.is_none() && !principal.anonymous);
}

#[tokio::test]
async fn law_10_an_e_mail_address_counts_only_when_it_was_verified() {
    let rows = [
        ("no word", json!({"email": "a@b"})),
        ("false", json!({"email": "a@b", "email_verified": false})),
        ("a text", json!({"email": "a@b", "email_verified": "true"})),
        ("one", json!({"email": "a@b", "email_verified": 1})),
    ];
    for (name, over) in rows {
        let verified = read(plain, &over).await.unwrap();
        assert_eq!(verified.principal().email, None, "{name}");
        assert_eq!(
            verified.principal().claims.get("email"),
            None,
            "{name}: nor for conditions"
        );
        let subject: Adjust = |issuer| issuer.claims.subject = Some("email".parse().unwrap());
        assert_eq!(
            read(subject, &over).await,
            Err(TokenError::UnverifiedEmail),
            "{name}: nor as the subject"
        );
    }
    let verified = json!({"email": "a@b", "email_verified": true});
    let subject: Adjust = |issuer| issuer.claims.subject = Some("$.email".parse().unwrap());
    assert_eq!(
        read(subject, &verified)
            .await
            .unwrap()
            .principal()
            .subject
            .as_str(),
        "a@b"
    );
}

#[tokio::test]
async fn law_10_the_client_is_what_the_token_says() {
    let rows = [
        ("azp", json!({"azp": "a"}), Ok(Some("a"))),
        ("client_id", json!({"client_id": "c"}), Ok(Some("c"))),
        ("neither", json!({}), Ok(None)),
        (
            "both, different",
            json!({"azp": "a", "client_id": "c"}),
            Err(()),
        ),
        ("a list", json!({"azp": ["a"]}), Err(())),
        ("empty", json!({"client_id": ""}), Err(())),
    ];
    for (name, over, expected) in rows {
        let client = read(plain, &over).await.map(|verified| {
            let client = verified.principal().client.clone();
            client.map(|client| client.as_str().to_owned())
        });
        assert_eq!(
            client.map_err(|_| ()),
            expected.map(|name| name.map(str::to_owned)),
            "{name}"
        );
    }
    let mapped: Adjust = |issuer| issuer.claims.client = Some("appid".parse().unwrap());
    let verified = read(mapped, &json!({"appid": "x", "azp": "a"}))
        .await
        .unwrap();
    assert_eq!(
        verified
            .principal()
            .client
            .as_ref()
            .map(|client| client.as_str()),
        Some("x")
    );
}

#[tokio::test]
async fn an_actor_that_cannot_be_read_refuses_the_token() {
    for act in [
        json!({}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!(7),
        json!([]),
        json!({"client_id": "x"}),
    ] {
        let read = read(plain, &json!({"act": act.clone()})).await;
        assert_eq!(
            read.map_err(|error| error.code()).map(|_| ()),
            Err("token_claim"),
            "{act}"
        );
    }
    let verified = read(plain, &json!({"act": "helper"})).await.unwrap();
    assert_eq!(verified.principal().actor.as_deref(), Some("helper"));
}

/// Name, claims, and the groups or the code of the refusal.
type GroupsRow = (
    &'static str,
    &'static str,
    Result<&'static [&'static str], &'static str>,
);

const GROUPS: [GroupsRow; 10] = [
    ("a list", r#"{"groups":["a","b"]}"#, Ok(&["a", "b"])),
    ("one text is one group", r#"{"groups":"a b"}"#, Ok(&["a b"])),
    ("absent", r#"{}"#, Ok(&[])),
    ("null", r#"{"groups":null}"#, Ok(&[])),
    ("an object", r#"{"groups":{"a":1}}"#, Err("token_claim")),
    (
        "a number among them",
        r#"{"groups":["a",1]}"#,
        Err("token_claim"),
    ),
    ("true", r#"{"groups":true}"#, Err("token_claim")),
    (
        "kept elsewhere",
        r#"{"_claim_names":{"groups":"src1"}}"#,
        Err("token_groups_elsewhere"),
    ),
    (
        "left out",
        r#"{"hasgroups":true}"#,
        Err("token_groups_elsewhere"),
    ),
    (
        "other claims kept elsewhere",
        r#"{"_claim_names":{"address":"src1"}}"#,
        Ok(&[]),
    ),
];

async fn groups(adjust: Adjust, over: &Value) -> Result<Vec<String>, &'static str> {
    let verified = read(adjust, over).await.map_err(|error| error.code())?;
    Ok(verified.principal().groups.iter().cloned().collect())
}

#[tokio::test]
async fn groups_that_cannot_be_read_refuse_the_token() {
    for (name, over, expected) in GROUPS {
        let over = serde_json::from_str(over).unwrap();
        let expected =
            expected.map(|groups| groups.iter().map(|&group| group.to_owned()).collect());
        assert_eq!(groups(plain, &over).await, expected, "{name}");
    }
}

#[tokio::test]
async fn groups_may_stand_in_nested_claims() {
    let over = json!({
        "realm_access": {"roles": ["x"]}, "https://example.com/groups": ["y"], "groups": ["a"],
        "memberships": [{"name": "m"}, {"name": "n"}],
    });
    let rows: [(Adjust, &[&str]); 3] = [
        (
            |issuer| issuer.claims.groups = "realm_access.roles".parse().ok(),
            &["x"],
        ),
        (
            |issuer| issuer.claims.groups = "https://example.com/groups".parse().ok(),
            &["y"],
        ),
        (
            |issuer| issuer.claims.groups = "memberships[*].name".parse().ok(),
            &["m", "n"],
        ),
    ];
    for (adjust, expected) in rows {
        assert_eq!(groups(adjust, &over).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn scopes_come_from_scope_or_else_from_scp() {
    let rows = [
        ("scope", json!({"scope": "a b"}), Ok(vec!["a", "b"])),
        (
            "scp as a list",
            json!({"scp": ["a", "b c"]}),
            Ok(vec!["a", "b", "c"]),
        ),
        ("scp as a text", json!({"scp": "a"}), Ok(vec!["a"])),
        ("none", json!({}), Ok(vec![])),
        ("an object", json!({"scope": {}}), Err("token_claim")),
    ];
    for (name, over, expected) in rows {
        let scopes = read(plain, &over)
            .await
            .map(|verified| verified.principal().scopes.clone());
        let expected = expected.map(|scopes| scopes.into_iter().map(str::to_owned).collect());
        assert_eq!(scopes.map_err(|error| error.code()), expected, "{name}");
    }
}

#[tokio::test]
async fn a_service_account_is_believed_from_the_clusters_issuer_alone() {
    let detail =
        json!({"namespace": "agents", "serviceaccount": {"name": "restocker", "uid": "u"}});
    let good = json!({"sub": "system:serviceaccount:agents:restocker", "kubernetes.io": detail});
    let other = json!({"sub": "system:serviceaccount:agents:admin", "kubernetes.io": detail});
    let bare = json!({"sub": "system:serviceaccount:agents:restocker"});
    let cluster: Adjust = |issuer| issuer.service_accounts = true;

    let account = read(cluster, &good)
        .await
        .unwrap()
        .principal()
        .service_account
        .clone()
        .unwrap();
    assert_eq!(
        (account.namespace.as_str(), account.name.as_str()),
        ("agents", "restocker")
    );
    assert!(
        read(cluster, &other).await.is_err(),
        "subject and detail differ"
    );
    assert!(read(cluster, &bare).await.is_err(), "no detail");
    assert_eq!(
        read(plain, &good)
            .await
            .unwrap()
            .principal()
            .service_account,
        None
    );
}

#[tokio::test]
async fn a_workload_identity_is_an_ordinary_subject() {
    let over = json!({"sub": "spiffe://example.org/agents/restocker", "iat": null});
    let verified = read(plain, &over).await.unwrap();
    assert_eq!(
        verified.principal().subject.as_str(),
        "spiffe://example.org/agents/restocker"
    );
}
