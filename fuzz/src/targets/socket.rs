//! The approval socket: a line is one question, which says the same when it is written again, or no question at all.

use sallyport_sidecar::hold::protocol::Question;
use serde_json::Value;

use super::{Target, texts};

pub(super) const TARGET: Target = Target {
    name: "socket",
    law: "a line over the approval socket is one question that says the same when it is said again, and holds no member that is not known",
    property,
    seeds,
    longest: 2048,
    words: &[
        "\"op\":\"list\"",
        "\"op\":\"get\"",
        "\"op\":\"review\"",
        "\"op\":\"request\"",
        "\"op\":\"withdraw\"",
        "\"op\":\"watch\"",
        "\"name\":\"req-0123456789\"",
        "\"verdict\":\"Approve\"",
        "\"verdict\":\"Deny\"",
        "\"verdict\":\"Revoke\"",
        "\"as\":\"ada@example.com\"",
        "\"groups\":[\"leads\"]",
        "\"reason\":",
        "\"previewDigest\":\"sha256:",
        "\"duration\":\"15m\"",
        "\"maxUses\":",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"op":"list"}"#,
        r#"{"op":"watch"}"#,
        r#"{"op":"get","name":"req-0123456789"}"#,
        r#"{"op":"review","name":"req-0123456789","verdict":"Approve","as":"ada@example.com","groups":["leads"],"reason":"seen"}"#,
        r#"{"op":"review","name":"req-0123456789","verdict":"Deny","as":"a","verdict":"Approve"}"#,
        r#"{"op":"withdraw","name":"req-0123456789","as":"ada@example.com"}"#,
        r#"{"op":"request","as":"ada@example.com","tool":"update_price","duration":"15m","maxUses":3,"reason":"stocktaking"}"#,
        r#"{"op":"list","extra":1}"#,
    ])
}

fn property(data: &[u8]) {
    let Ok(question) = serde_json::from_slice::<Question>(data) else {
        return;
    };
    let again = serde_json::to_vec(&question).expect("a question can be said");
    let reread: Question = serde_json::from_slice(&again).expect("and is understood");
    assert_eq!(question, reread);
    let said: Value = serde_json::from_slice(data).expect("a question is JSON");
    let told: Value = serde_json::from_slice(&again).expect("also when said again");
    let (said, told) = (members(&said), members(&told));
    for name in told {
        assert!(said.contains(&name), "`{name}` was never said");
    }
}

fn members(value: &Value) -> Vec<String> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, _)| name.clone()).collect()
}
