//! Approvals: one digest for one call in any spelling, another for any other, and previews that can be read.

use std::sync::LazyLock;

use bytes::Bytes;
use sallyport_policy::approval::{Binding, BindingKey};
use sallyport_policy::json::{Document, Kind, Limits, Node, canonical};
use sallyport_policy::mask::{MaskKey, Masker, MaskingSettings};
use sallyport_policy::name::{Digest, GatewayName, Issuer, Subject};
use sallyport_policy::principal::CallerKey;

use super::{Target, texts};
use crate::input::parts;

pub(super) const TARGET: Target = Target {
    name: "approval",
    law: "a call has one digest in all its spellings and no other call has it; previews are documents, outlines show no value",
    property,
    seeds,
    longest: 1024,
    words: &[
        "1.0",
        "1e0",
        "10e-1",
        "-0",
        "\\u0061",
        "\u{1e}",
        "{\"a\":",
        "progressToken",
        "com.example/tenant",
        "null",
        "[]",
        "{}",
    ],
};

static GATEWAY: LazyLock<GatewayName> = LazyLock::new(|| GatewayName {
    namespace: "shop".to_owned(),
    name: "inventory".to_owned(),
});

static CALLER: LazyLock<CallerKey> = LazyLock::new(|| CallerKey {
    issuer: Issuer::new("https://idp.example.com"),
    subject: Subject::new("ada"),
    client: None,
    actor: None,
});

static MASKER: LazyLock<Masker> = LazyLock::new(|| {
    Masker::new(&MaskingSettings::default(), &[], &MaskKey::new(&[7; 32])).expect("a masker")
});

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "{\"sku\":\"a-1\",\"price\":5}\u{1e}{\"price\":5.0,\"sku\":\"\\u0061-1\"}\u{1e}{\"com.example/tenant\":\"north\",\"progressToken\":1}",
        "{\"n\":1e400}\u{1e}{\"n\":10e399}",
        "{\"key\":\"AKIAIOSFODNN7EXAMPLE\",\"list\":[true,null,-0,1e-5]}\u{1e}[]\u{1e}{\"a\":[]}",
        "\"text\"\u{1e}\"\\u0074ext\"",
    ])
}

fn property(data: &[u8]) {
    let documents: Vec<Document> = parts(data)
        .filter_map(|part| Document::parse(Bytes::copy_from_slice(part), Limits::REQUEST).ok())
        .collect();
    let Some(first) = documents.first() else {
        return;
    };
    previewed(first.root());
    let bound = |node: Node<'_>| digest(Some(node), None).ok();
    for other in &documents {
        let same = canonical(first.root()).ok() == canonical(other.root()).ok();
        let (a, b) = (bound(first.root()), bound(other.root()));
        assert_eq!(a.is_some(), canonical(first.root()).is_ok());
        if a.is_some() || b.is_some() {
            assert_eq!(a == b, same, "one digest for one call, another for another");
        }
        let meta = digest(Some(first.root()), Some(other.root()));
        if let (Ok(meta), Some(plain)) = (meta, a) {
            let counts = other.root().members().any(|(key, _)| {
                let key = key.as_str().unwrap_or_default();
                !["progressToken", "traceparent", "tracestate", "baggage"].contains(&key.as_ref())
                    && !key.starts_with("io.modelcontextprotocol/")
            });
            assert!(
                !counts || meta != plain,
                "what the server may act on is bound"
            );
        }
    }
}

fn digest(arguments: Option<Node<'_>>, meta: Option<Node<'_>>) -> Result<Digest, ()> {
    let binding = Binding {
        gateway: &GATEWAY,
        caller: &CALLER,
        method: "tools/call",
        target: Some("update_price"),
        arguments,
        headers: &[],
        meta,
        pin: None,
        rules: &[],
    };
    binding.digest(&BindingKey::new(&[7; 32])).map_err(|_| ())
}

fn previewed(node: Node<'_>) {
    for preview in [MASKER.preview(node), MASKER.outline(node)] {
        let document =
            Document::parse(Bytes::from(preview.json), Limits::RESPONSE).expect("a document");
        assert_eq!(document.root().elements().count(), node.elements().count());
    }
    let outline = MASKER.outline(node).json;
    let outline = Document::parse(Bytes::from(outline), Limits::RESPONSE).expect("a document");
    no_value(outline.root());
}

/// Every leaf is a description in brackets.
fn no_value(node: Node<'_>) {
    node.elements().for_each(no_value);
    node.members().for_each(|(_, value)| no_value(value));
    let told = node
        .as_str()
        .is_some_and(|text| text.starts_with('[') && text.ends_with(']'));
    assert!(
        told || matches!(node.kind(), Kind::Array | Kind::Object),
        "a value in an outline"
    );
}
