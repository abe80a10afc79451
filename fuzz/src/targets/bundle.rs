//! Bundles: nothing but the bytes that were signed is put in force, whatever is done to them.

use std::sync::LazyLock;

use sallyport_policy::bundle::shards::{Manifest, SHARDS};
use sallyport_policy::bundle::{Bundle, BundleContent, Envelope, Expected, Header, KeyPair};
use sallyport_policy::compile;
use sallyport_policy::name::GatewayName;
use sallyport_policy::source::Sources;
use sallyport_policy::time::UnixMillis;
use serde_json::json;
use zeroize::Zeroizing;

use super::Target;
use crate::input::option;

pub(super) const TARGET: Target = Target {
    name: "bundle",
    law: "an envelope opens only if its bytes are the signed ones, to the last; content and manifest are read in one spelling only and activation is total",
    property,
    seeds,
    longest: 8192,
    words: &[
        "\"format\":1",
        "\"gateway\":",
        "\"settings\":",
        "\"objects\":",
        "\"rules\":",
        "\"rule\":",
        "\"effect\":",
        "\"broken\":true",
        "\"refusal\":",
        "\"subjects\":",
        "\"validity\":",
        "\"layout\":1",
        "\"generation\":7",
        "\"shards\":[",
        "sha256:",
        "\"when\":",
        "\"tools\":[",
        "\"resources\":[",
        "\"methods\":[",
        "\"Allow\"",
        "\"Deny\"",
        "\"RequireApproval\"",
        "\"operator\":",
        "\"values\":",
    ],
};

struct Sealed {
    root: Vec<u8>,
    gateway: GatewayName,
    content: Vec<u8>,
    envelope: Vec<u8>,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let gateway = GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    };
    let sources: Sources = serde_json::from_value(json!({
        "gateways": [{"namespace": "shop", "name": "inventory", "spec": {
            "server": {}, "authentication": {"issuers": [{"issuer": "https://idp.example.com"}]}}}],
        "policies": [{"namespace": "shop", "name": "clerks", "spec": {
            "targetRefs": [{"kind": "McpGateway", "name": "inventory"}],
            "subjects": [{"groups": ["clerks"]}],
            "rules": [
                {"name": "read", "effect": "Allow", "tools": ["get_*"], "resources": ["file:///a/**"]},
                {"name": "cheap", "effect": "Deny", "tools": ["set_price"],
                 "when": [{"argument": "$.price", "operator": "GreaterThan", "values": [100]}]},
                {"name": "ask", "effect": "RequireApproval", "tools": ["set_*"],
                 "approval": {"approvers": [{"groups": ["leads"]}]}},
            ]}}],
        "guardrails": [],
    }))
    .expect("sources");
    let compiled = compile::compile(&sources, &gateway).expect("a policy");
    let content = compiled.content.canonical().expect("a canonical form");
    let pair = |seed: u8| KeyPair::from_seed(&Zeroizing::new([seed; 32])).expect("a key");
    let (root, key) = (pair(1), pair(2));
    let vouched = root
        .vouch(key.public(), UnixMillis(0), UnixMillis(500))
        .expect("a voucher");
    let header = Header {
        gateway: gateway.clone(),
        uid: "u1".to_owned(),
        generation: 7,
        not_after: UnixMillis(1000),
    };
    Sealed {
        root: root.public().to_vec(),
        gateway,
        content,
        envelope: Envelope::seal(header, compiled.content, &key, vouched).expect("an envelope"),
    }
});

fn seeds() -> Vec<Vec<u8>> {
    let (manifest, _) = Manifest::split(&SEALED.envelope, 7).expect("a manifest");
    let mut seeds = [
        (b'c', &SEALED.content),
        (b'm', &manifest),
        (b'e', &SEALED.envelope),
    ]
    .map(|(way, bytes)| [&[way], bytes.as_slice()].concat())
    .to_vec();
    seeds.push(b"x\x00\x10y\x01\x00\x00".to_vec());
    seeds
}

fn property(data: &[u8]) {
    let (way, rest) = option(data);
    match way {
        b'c' => content(rest),
        b'm' => manifest(rest),
        b'x' => open(&edited(rest)),
        _ => open(rest),
    }
}

fn open(bytes: &[u8]) {
    let expected = Expected {
        root: &SEALED.root,
        gateway: &SEALED.gateway,
        uid: "u1",
        generation: 7,
        now: UnixMillis(100),
    };
    let opened = Envelope::open(bytes, &expected);
    assert_eq!(
        opened.is_ok(),
        bytes == SEALED.envelope,
        "only what was signed, to the last byte"
    );
}

/// The good envelope with bytes changed, added and taken away.
fn edited(edits: &[u8]) -> Vec<u8> {
    let mut bytes = SEALED.envelope.clone();
    for edit in edits.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % bytes.len();
        match edit[3] % 4 {
            0 => bytes[at] = edit[2],
            1 => bytes.insert(at, edit[2]),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes[at] ^= 1 << (edit[2] % 8),
        }
    }
    bytes
}

/// What is read is written back as it was; whether it can be in force is an answer, never a panic.
fn content(bytes: &[u8]) {
    let Ok(content) = BundleContent::decode(bytes) else {
        return;
    };
    assert_eq!(content.canonical().as_deref(), Ok(bytes), "one spelling");
    let revision = content.revision().expect("a revision");
    if let Ok(bundle) = Bundle::activate(content) {
        assert_eq!(bundle.revision(), revision);
    }
}

fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::read(bytes) else {
        return;
    };
    let (text, shards) = Manifest::split(&SEALED.envelope, manifest.generation()).expect("shards");
    let shards: [Vec<u8>; SHARDS] = shards.map(<[u8]>::to_vec);
    assert_eq!(
        manifest.join(&shards).is_ok(),
        text == bytes,
        "only the manifest of these shards joins them"
    );
}
