//! Law 19: one spelling of one call, and nothing else, has its digest.

use bytes::Bytes;
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_assert_ne, proptest};

use super::{caller, gateway};
use crate::approval::{Binding, BindingError, BindingKey};
use crate::json::{Document, Limits};
use crate::name::{ClientId, Digest, GatewayName, Issuer, Subject};
use crate::principal::CallerKey;

/// A call whose every part can be turned.
#[derive(Clone, Debug)]
struct Parts {
    gateway: GatewayName,
    caller: CallerKey,
    method: &'static str,
    target: Option<&'static str>,
    arguments: Option<String>,
    headers: Vec<(String, String)>,
    meta: Option<String>,
    pin: Option<Digest>,
    rules: Vec<Digest>,
}

fn parts() -> Parts {
    Parts {
        gateway: gateway(),
        caller: caller(),
        method: "tools/call",
        target: Some("update_price"),
        arguments: Some(r#"{"sku":"a-1","price":5}"#.to_owned()),
        headers: vec![("X-Shop".to_owned(), "north".to_owned())],
        meta: Some(r#"{"com.example/tenant":"north","progressToken":"t1"}"#.to_owned()),
        pin: Some(Digest::of(b"pin")),
        rules: vec![Digest::of(b"one"), Digest::of(b"two")],
    }
}

fn key() -> BindingKey {
    BindingKey::new(&[7; 32])
}

fn document(text: &str) -> Document {
    Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::REQUEST).unwrap()
}

fn digest_under(parts: &Parts, key: &BindingKey) -> Result<Digest, BindingError> {
    let arguments = parts.arguments.as_deref().map(document);
    let meta = parts.meta.as_deref().map(document);
    let binding = Binding {
        gateway: &parts.gateway,
        caller: &parts.caller,
        method: parts.method,
        target: parts.target,
        arguments: arguments.as_ref().map(Document::root),
        headers: &parts.headers,
        meta: meta.as_ref().map(Document::root),
        pin: parts.pin,
        rules: &parts.rules,
    };
    binding.digest(key)
}

fn digest(parts: &Parts) -> Digest {
    digest_under(parts, &key()).unwrap()
}

type Turn = fn(&mut Parts);

fn other_callers() -> Vec<(&'static str, Turn)> {
    vec![
        ("namespace", |p| p.gateway.namespace = "yard".to_owned()),
        ("gateway", |p| p.gateway.name = "orders".to_owned()),
        ("issuer", |p| {
            p.caller.issuer = Issuer::new("https://other.example.com");
        }),
        ("subject", |p| {
            p.caller.subject = Subject::new("bob@example.com");
        }),
        ("client", |p| p.caller.client = Some(ClientId::new("other"))),
        ("no client", |p| p.caller.client = None),
        ("actor", |p| p.caller.actor = Some("bot".to_owned())),
    ]
}

fn other_calls() -> Vec<(&'static str, Turn)> {
    vec![
        ("method", |p| p.method = "prompts/get"),
        ("tool", |p| p.target = Some("update_prices")),
        ("no tool", |p| p.target = None),
        ("argument", |p| {
            p.arguments = Some(r#"{"sku":"a-1","price":6}"#.to_owned());
        }),
        ("one more argument", |p| {
            p.arguments = Some(r#"{"sku":"a-1","price":5,"force":true}"#.to_owned());
        }),
        ("number as text", |p| {
            p.arguments = Some(r#"{"sku":"a-1","price":"5"}"#.to_owned());
        }),
        ("empty arguments", |p| p.arguments = Some("{}".to_owned())),
        ("null arguments", |p| p.arguments = Some("null".to_owned())),
        ("no arguments", |p| p.arguments = None),
    ]
}

fn other_surroundings() -> Vec<(&'static str, Turn)> {
    vec![
        ("header value", |p| {
            p.headers = vec![("x-shop".to_owned(), "south".to_owned())];
        }),
        ("header name", |p| {
            p.headers = vec![("x-shops".to_owned(), "north".to_owned())];
        }),
        ("header moved into its value", |p| {
            p.headers = vec![("x-shopn".to_owned(), "orth".to_owned())];
        }),
        ("one more header", |p| {
            p.headers.push(("x-more".to_owned(), String::new()));
        }),
        ("no header", |p| p.headers.clear()),
        ("somebody's _meta", |p| {
            p.meta = Some(r#"{"com.example/tenant":"south"}"#.to_owned());
        }),
        (
            "a _meta key in the specification's name space that it does not define",
            |p| {
                p.meta = Some(
                    r#"{"com.example/tenant":"north","io.modelcontextprotocol/authority":"root"}"#
                        .to_owned(),
                );
            },
        ),
        ("no _meta", |p| p.meta = None),
        ("pin", |p| p.pin = Some(Digest::of(b"another pin"))),
        ("no pin", |p| p.pin = None),
        ("one more rule", |p| p.rules.push(Digest::of(b"three"))),
        ("one rule less", |p| p.rules.truncate(1)),
    ]
}

#[test]
fn law_19_every_part_of_a_call_is_bound() {
    let turns = [other_callers(), other_calls(), other_surroundings()].concat();
    let mut seen = std::collections::BTreeMap::from([(digest(&parts()), "as it is")]);
    for (name, turn) in turns {
        let mut turned = parts();
        turn(&mut turned);
        let before = seen.insert(digest(&turned), name);
        assert_eq!(before, None, "`{name}` has the digest of another call");
    }
}

#[test]
fn law_19_spellings_of_one_call_share_its_digest() {
    let turns: Vec<(&str, Turn)> = vec![
        ("key order", |p| {
            p.arguments = Some(r#"{"price":5,"sku":"a-1"}"#.to_owned());
        }),
        ("white space", |p| {
            p.arguments = Some("{ \"sku\" : \"a-1\",\n\"price\":5 }".to_owned());
        }),
        ("1.0 for 1", |p| {
            p.arguments = Some(r#"{"sku":"a-1","price":5.0}"#.to_owned());
        }),
        ("1e0 for 1", |p| {
            p.arguments = Some(r#"{"sku":"a-1","price":5e0}"#.to_owned());
        }),
        ("50e-1 for 5", |p| {
            p.arguments = Some(r#"{"sku":"a-1","price":50e-1}"#.to_owned());
        }),
        ("escapes", |p| {
            p.arguments = Some(r#"{"\u0073ku":"\u0061-1","price":5}"#.to_owned());
        }),
        ("case of a header name", |p| {
            p.headers = vec![("x-shop".to_owned(), "north".to_owned())];
        }),
        ("another progress token", |p| {
            p.meta = Some(r#"{"progressToken":9,"com.example/tenant":"north"}"#.to_owned());
        }),
        ("trace context, client information and version", |p| {
            p.meta = Some(
                r#"{"com.example/tenant":"north","traceparent":"00-1","tracestate":"a=b","baggage":"c",
                "io.modelcontextprotocol/clientInfo":{"name":"x"},"io.modelcontextprotocol/logLevel":"debug",
                "io.modelcontextprotocol/protocolVersion":"2026-07-28",
                "io.modelcontextprotocol/clientCapabilities":{}}"#
                    .to_owned(),
            );
        }),
        ("order of rules", |p| p.rules.reverse()),
        ("a rule twice", |p| p.rules.push(Digest::of(b"one"))),
    ];
    for (name, turn) in turns {
        let mut turned = parts();
        turn(&mut turned);
        assert_eq!(digest(&turned), digest(&parts()), "{name}");
    }
}

#[test]
fn law_19_the_digest_needs_the_gateways_secret() {
    let other = digest_under(&parts(), &BindingKey::new(&[8; 32])).unwrap();
    assert_ne!(other, digest(&parts()));
    assert_ne!(key().derive("mask"), key().derive("preview"));
    assert_eq!(
        format!("{:?}", key()),
        "BindingKey",
        "the key is never printed"
    );
}

#[test]
fn law_19_what_cannot_be_spelled_one_way_is_not_bound() {
    let mut meta = parts();
    meta.meta = Some("[1]".to_owned());
    assert_eq!(digest_under(&meta, &key()), Err(BindingError::Meta));
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = proptest::prop_oneof![
        proptest::prelude::Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        proptest::prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-zé]{1,4}", inner, 0..4).prop_map(|members| members
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn law_19_two_arguments_share_a_digest_only_if_they_are_equal(a in value(), b in value()) {
        let with = |value: &serde_json::Value| {
            let mut parts = parts();
            parts.arguments = Some(value.to_string());
            digest(&parts)
        };
        let mut pretty = parts();
        pretty.arguments = Some(serde_json::to_string_pretty(&a).unwrap());
        prop_assert_eq!(with(&a), digest(&pretty));
        if a == b {
            prop_assert_eq!(with(&a), with(&b));
        } else {
            prop_assert_ne!(with(&a), with(&b));
        }
    }
}
