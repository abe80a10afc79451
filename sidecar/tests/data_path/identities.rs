//! Law 10: who a caller is, by tokens of two identity providers over the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{Client, Guard, Plan, Server};

const AUDIENCE: &str = "https://inventory.example.com/mcp";

/// An identity provider whose keys the gateway was given.
struct Idp {
    issuer: &'static str,
    key: EcdsaKeyPair,
}

impl Idp {
    fn new(issuer: &'static str) -> Self {
        Self {
            issuer,
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    /// As `authentication.issuers` lists it, with claims mapped so.
    fn listed(&self, claims: Value) -> Value {
        let point = self.key.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({ "kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "alg": "ES256",
            "x": part(&point[1..33]), "y": part(&point[33..]) });
        json!({ "issuer": self.issuer, "jwks": { "keys": [key] }, "claims": claims })
    }

    /// A token with these claims beside the usual ones.
    fn token(&self, claims: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut all = json!({ "iss": self.issuer, "aud": AUDIENCE, "sub": "ada", "azp": "agent",
            "iat": now.as_secs() - 5, "exp": now.as_secs() + 300 });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let header = json!({ "alg": "ES256", "kid": "k", "typ": "at+jwt" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&all));
        let signed = self.key.sign(&SystemRandom::new(), message.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signed.unwrap());
        format!("{message}.{signature}")
    }

    fn client(&self, guard: &Guard, claims: &Value) -> Client {
        Client::new(guard.address, Some(self.token(claims)))
    }
}

/// A gateway that trusts these issuers, with one policy that lets its subjects read.
async fn guarded(server: &Server, issuers: Vec<Value>, mut policy: Value) -> Guard {
    policy["rules"] = json!([{ "name": "read", "effect": "Allow", "tools": ["read"] }]);
    let mut plan = Plan::over(server)
        .with("publicUrl", json!(AUDIENCE))
        .with("authentication", json!({ "issuers": issuers }));
    plan.policies = vec![policy];
    plan.start().await
}

async fn may_read(client: &Client) -> bool {
    let reply = client.call("read", json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["result"]["content"][0]["text"] == "done"
}

#[tokio::test]
async fn law_10_a_principal_is_issuer_and_subject_and_none_means_the_first_issuer() {
    let (own, other) = (
        Idp::new("https://idp.example.com"),
        Idp::new("https://partner.example.com"),
    );
    let issuers = || vec![own.listed(json!({})), other.listed(json!({}))];
    let (none, both) = (json!({}), json!({}));
    let server = Server::usual().await;
    let rows = [
        (json!({ "users": ["ada"] }), [true, false]),
        (
            json!({ "users": ["ada"], "issuer": other.issuer }),
            [false, true],
        ),
        (
            json!({ "users": ["ada"], "issuer": "https://elsewhere.example.com" }),
            [false, false],
        ),
        (json!({ "users": ["Ada"] }), [false, false]),
    ];
    for (subject, expected) in rows {
        let policy = json!({ "subjects": [subject] });
        let guard = guarded(&server, issuers(), policy).await;
        let callers = [own.client(&guard, &none), other.client(&guard, &both)];
        for (caller, expected) in callers.iter().zip(expected) {
            assert_eq!(may_read(caller).await, expected, "{subject}");
        }
    }
    let everybody = json!({ "subjects": [{ "issuer": own.issuer }, { "issuer": other.issuer }] });
    let guard = guarded(&server, issuers(), everybody).await;
    let ada = own.client(&guard, &none).session("2025-06-18").await;
    assert!(may_read(&ada).await);
    let namesake = format!("Bearer {}", other.token(&both));
    let thief = ada
        .with("authentication", "")
        .with("authorization", &namesake);
    let reply = thief.call("read", json!({})).await;
    assert_eq!(reply.status, 404, "another ada's session");
    let told = format!("{:?}", guard.records());
    assert!(told.contains(own.issuer));
}

#[tokio::test]
async fn law_10_an_e_mail_subject_counts_only_when_it_was_verified() {
    let idp = Idp::new("https://idp.example.com");
    let server = Server::usual().await;
    let policy = json!({ "subjects": [{ "users": ["ada@example.com"] }] });
    let issuers = vec![idp.listed(json!({ "subject": "email" }))];
    let guard = guarded(&server, issuers, policy).await;
    let with = |verified: Value| json!({ "sub": "u-17", "email": "ada@example.com", "email_verified": verified });
    assert!(may_read(&idp.client(&guard, &with(json!(true)))).await);
    for verified in [json!(false), Value::Null, json!("yes"), json!(1)] {
        let stranger = idp.client(&guard, &with(verified.clone()));
        let reply = stranger.call("read", json!({})).await;
        assert_eq!(reply.status, 401, "{verified}: {}", reply.text());
    }
    assert_eq!(guard.refused("token_email_unverified"), 4);
    assert_eq!(server.of("tools/call").len(), 1);
}

#[tokio::test]
async fn law_10_clients_must_match_the_agent_and_the_actor_of_the_token_and_never_client_info() {
    let idp = Idp::new("https://idp.example.com");
    let server = Server::usual().await;
    let policy =
        json!({ "subjects": [{ "users": ["ada"] }], "clients": ["https://agents.example.com/*"] });
    let guard = guarded(&server, vec![idp.listed(json!({}))], policy).await;
    let (ours, theirs) = (
        "https://agents.example.com/one",
        "https://evil.example.com/x",
    );
    let rows = [
        ("the agent fits", json!({ "azp": ours }), true),
        ("another agent", json!({ "azp": theirs }), false),
        (
            "client_id where there is no azp",
            json!({ "azp": null, "client_id": ours }),
            true,
        ),
        (
            "both fit",
            json!({ "azp": ours, "act": { "sub": "https://agents.example.com/two" } }),
            true,
        ),
        (
            "another acts",
            json!({ "azp": ours, "act": { "sub": theirs } }),
            false,
        ),
        (
            "only the actor fits",
            json!({ "azp": theirs, "act": { "sub": ours } }),
            false,
        ),
        ("no agent at all", json!({ "azp": null }), false),
    ];
    for (row, claims, expected) in rows {
        let caller = idp.client(&guard, &claims);
        assert_eq!(may_read(&caller).await, expected, "{row}");
    }
    let liar = idp.client(&guard, &json!({ "azp": theirs })).modern();
    let info = json!({ "io.modelcontextprotocol/clientInfo": { "name": ours, "version": "1" } });
    let params = json!({ "name": "read", "arguments": {}, "_meta": info });
    let reply = liar.request("tools/call", params).await;
    assert_eq!(reply.code(), -32602, "{}", reply.text());
}
