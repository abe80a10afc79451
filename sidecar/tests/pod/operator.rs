//! What the operator does to a policy, and what an issuer does for a caller.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_policy::bundle::{BundleContent, Envelope, Header, KeyPair};
use sallyport_policy::compile::compile_stored;
use sallyport_policy::name::GatewayName;
use sallyport_policy::source::{Named, Sources};
use sallyport_policy::time::UnixMillis;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::now;

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://inventory.example.com/mcp";

/// One published policy; tests change what they are about.
#[derive(Clone)]
pub struct Policy {
    pub generation: u64,
    pub name: &'static str,
    pub uid: &'static str,
    pub not_after: UnixMillis,
    /// The tools that clerks may call.
    pub tools: &'static [&'static str],
    /// The policy's `masking`, and the gateway's `server`.
    pub masking: Value,
    pub server: Value,
}

impl Policy {
    /// Of an hour, with `look` allowed.
    pub fn of(generation: u64) -> Self {
        Self {
            generation,
            name: "inventory",
            uid: "u1",
            not_after: UnixMillis(now().0 + 3_600_000),
            tools: &["look"],
            masking: json!({}),
            server: json!({}),
        }
    }
}

pub struct Operator {
    root: KeyPair,
    bundle: KeyPair,
    issuer: EcdsaKeyPair,
}

impl Operator {
    pub fn new() -> Self {
        let pair = |seed| KeyPair::from_seed(&Zeroizing::new([seed; 32])).unwrap();
        Self {
            root: pair(1),
            bundle: pair(2),
            issuer: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    pub fn root_key(&self) -> String {
        hex::encode(self.root.public())
    }

    pub fn sign(&self, policy: &Policy) -> Vec<u8> {
        self.sign_by(&self.root, policy)
    }

    /// As somebody with keys of their own would.
    pub fn forge(&self, policy: &Policy) -> Vec<u8> {
        let other = KeyPair::from_seed(&Zeroizing::new([9; 32])).unwrap();
        self.sign_by(&other, policy)
    }

    fn sign_by(&self, root: &KeyPair, policy: &Policy) -> Vec<u8> {
        let until = UnixMillis(now().0 + 86_400_000);
        let key = root.vouch(self.bundle.public(), UnixMillis(0), until);
        let gateway = GatewayName {
            namespace: "shop".to_owned(),
            name: policy.name.to_owned(),
        };
        let header = Header {
            gateway: gateway.clone(),
            uid: policy.uid.to_owned(),
            generation: policy.generation,
            not_after: policy.not_after,
        };
        let content = self.compiled(policy, &gateway);
        Envelope::seal(header, content, &self.bundle, key.unwrap()).unwrap()
    }

    fn compiled(&self, policy: &Policy, gateway: &GatewayName) -> BundleContent {
        let gateway_spec = json!({
            "publicUrl": AUDIENCE,
            "server": policy.server,
            "authentication": { "issuers": [{ "issuer": ISSUER, "jwks": { "keys": [self.jwk()] } }] },
            "credentials": [],
        });
        let policy_spec = json!({
            "targetRefs": [{ "kind": "McpGateway", "name": policy.name }],
            "subjects": [{ "groups": ["clerks"] }],
            "masking": policy.masking,
            "rules": [
                { "name": "tools", "effect": "Allow", "tools": policy.tools },
                { "name": "price", "effect": "RequireApproval", "tools": ["price"],
                  "approval": { "approvers": [{ "groups": ["leads"] }] } },
            ],
        });
        let sources = Sources {
            gateways: vec![named(policy.name, gateway_spec)],
            policies: vec![named("clerks", policy_spec)],
            ..Sources::default()
        };
        // What is stored is compiled however it came to be there (law 7).
        compile_stored(&sources, gateway).unwrap().content
    }

    fn jwk(&self) -> Value {
        let point = self.issuer.public_key().as_ref();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256",
                "x": text(&point[1..33]), "y": text(&point[33..]) })
    }
}

/// An access token of a clerk.
pub fn token(operator: &Operator) -> String {
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" });
    let seconds = now().seconds();
    let claims = json!({ "iss": ISSUER, "sub": "ada", "aud": AUDIENCE, "azp": "agent", "groups": ["clerks"],
        "iat": seconds - 5, "exp": seconds + 600 });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    let signature = operator
        .issuer
        .sign(&SystemRandom::new(), message.as_bytes())
        .unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn named<T: serde::de::DeserializeOwned>(name: &str, spec: Value) -> Named<T> {
    Named {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        spec: serde_json::from_value(spec).unwrap(),
    }
}
