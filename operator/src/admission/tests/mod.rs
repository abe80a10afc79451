//! Questions as the API server puts them, and what must come of them.

#![expect(
    clippy::too_many_lines,
    clippy::redundant_clone,
    reason = "tables of cases are long, and a clone a row keeps rows movable"
)]

mod kinds;
mod pods;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{Guard, Keeper, World};
use crate::inject::Platform;

/// A cluster of one namespace, as plain values.
pub(super) struct Known {
    pub(super) platform: Option<Platform>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) guard: Guard,
    pub(super) exempt: Vec<Vec<String>>,
}

impl World for Known {
    fn platform(&self) -> Option<Platform> {
        self.platform.clone()
    }

    fn labels_of(&self, _: &str) -> Option<BTreeMap<String, String>> {
        self.labels.clone()
    }

    fn guard_of(
        &self,
        _: &str,
        _: &BTreeMap<String, String>,
        _: &BTreeMap<String, String>,
    ) -> Guard {
        self.guard.clone()
    }

    fn exemptions(&self, _: &str) -> Vec<Vec<String>> {
        self.exempt.clone()
    }
}

pub(super) fn known(guard: Guard) -> Known {
    Known {
        platform: Some(Platform {
            sidecar_image: format!("sidecar@sha256:{}", "5".repeat(64)),
            capture_image: format!("capture@sha256:{}", "c".repeat(64)),
            root_key: "0".repeat(64),
            control: Vec::new(),
        }),
        labels: Some(BTreeMap::new()),
        guard,
        exempt: Vec::new(),
    }
}

pub(super) fn keeper() -> Keeper {
    Keeper {
        name: "inventory".to_owned(),
        uid: "u1".to_owned(),
        spec: serde_json::from_value(json!({ "server": { "port": 8080, "runAsUser": 10001 } }))
            .unwrap(),
        generation: 1_790_000_000_000,
        default_resources: sallyport_policy::source::gateway::Resources::default(),
        default_pull_secrets: Vec::new(),
    }
}

pub(super) fn review(operation: &str, object: &Value) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "r1", "operation": operation, "namespace": "shop", "object": object, "oldObject": null,
            "dryRun": true, "userInfo": { "username": "ada", "groups": [] },
        },
    });
    review.to_string().into_bytes()
}

pub(super) fn response(body: &[u8]) -> Value {
    let review: Value = serde_json::from_slice(body).unwrap();
    review.get("response").unwrap().clone()
}

/// The object with the answer's patch applied.
pub(super) fn patched(object: &Value, body: &[u8]) -> Value {
    let patch = response(body)
        .get("patch")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    let operations: json_patch::Patch =
        serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
    let mut object = object.clone();
    json_patch::patch(&mut object, &operations).unwrap();
    object
}

#[test]
fn what_is_no_review_is_refused() {
    for body in [&b""[..], b"{}", b"{\"request\":{}}", b"[]"] {
        let answer = super::validate(body);
        assert!(!answer.allowed);
        assert_eq!(answer.reason, "Unreadable");
    }
}
