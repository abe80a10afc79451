//! Shapes of pods, laws that hold for all of them, and what is refused.

#![expect(
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "tables of cases are long"
)]

mod denials;
mod laws;
mod twin;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sallyport_policy::source::gateway::{GatewaySpec, Resources};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

#[derive(Deserialize)]
struct Shape {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    gateway: GatewaySpec,
    pod: Value,
}

fn shapes() -> Vec<Shape> {
    let text = include_str!("shapes.yaml");
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Shape::deserialize(document).unwrap())
        .collect()
}

pub(super) fn platform() -> Platform {
    Platform {
        sidecar_image: format!("registry.example.com/sidecar@sha256:{}", "5".repeat(64)),
        capture_image: format!("registry.example.com/capture@sha256:{}", "c".repeat(64)),
        root_key: "0".repeat(64),
        control: vec!["--control=https://sallyport-operator.sallyport-system.svc:9443".to_owned()],
    }
}

pub(super) fn apply(
    pod: &Value,
    spec: &GatewaySpec,
    labels: &BTreeMap<String, String>,
) -> Result<Value, Denial> {
    let guarding = Guarding {
        namespace: "shop",
        name: "inventory",
        uid: "8b1f3f9e-3b0e-4f0e-9a55-1c2d3e4f5a6b",
        spec,
        generation: 1_790_000_000_000,
        default_resources: &Resources::default(),
        default_pull_secrets: &[],
    };
    inject(pod, &guarding, &platform(), Surroundings { labels })
}

impl Shape {
    fn inject(&self) -> Result<Value, Denial> {
        apply(&self.pod, &self.gateway, &self.labels)
    }
}

#[test]
fn every_shape_becomes_its_golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/inject/tests/golden");
    for shape in shapes() {
        let told = match shape.inject() {
            Ok(guarded) => json!(patch::between(&shape.pod, &guarded)),
            Err(denial) => json!({ "denied": denial.to_string() }),
        };
        let text = serde_yaml::to_string(&told).unwrap();
        let path = folder.join(format!("{}.yaml", shape.name.replace([' ', ','], "-")));
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            text, golden,
            "{}: run with UPDATE_GOLDENS=1 and read the difference",
            shape.name
        );
    }
}

#[test]
fn injecting_again_changes_nothing() {
    for shape in shapes() {
        let Ok(once) = shape.inject() else { continue };
        let twice = apply(&once, &shape.gateway, &shape.labels).unwrap();
        assert_eq!(once, twice, "{}", shape.name);
        assert_eq!(differs(&once, &twice), None, "{}", shape.name);
    }
}

#[test]
fn the_patch_makes_the_guarded_pod_in_another_ones_hands() {
    for shape in shapes() {
        let Ok(guarded) = shape.inject() else {
            continue;
        };
        let operations = Value::Array(patch::between(&shape.pod, &guarded));
        let operations: json_patch::Patch = serde_json::from_value(operations).unwrap();
        let mut patched = shape.pod.clone();
        json_patch::patch(&mut patched, &operations).unwrap();
        assert_eq!(patched, guarded, "{}", shape.name);
    }
}

#[test]
fn what_was_in_the_pod_is_still_there() {
    let shape = shapes()
        .into_iter()
        .find(|shape| shape.name.starts_with("fields"))
        .unwrap();
    let guarded = shape.inject().unwrap();
    for pointer in [
        "/spec/someNewField/kept/2",
        "/spec/containers/0/newContainerField",
        "/spec/containers/0/securityContext/newKnob",
        "/metadata/annotations/example.com~1a",
    ] {
        assert_eq!(
            guarded.pointer(pointer),
            shape.pod.pointer(pointer),
            "{pointer}"
        );
    }
}

#[test]
fn a_pod_is_outdated_when_the_spec_says_something_else_that_is_fixed_with_it() {
    for shape in shapes() {
        let Ok(guarded) = shape.inject() else {
            continue;
        };
        let pod: crate::index::Pod = serde_json::from_value(guarded).unwrap();
        let flags = pod.binding.unwrap().flags;
        assert!(!is_outdated(&flags, &shape.gateway), "{}", shape.name);
        let mut live = shape.gateway.clone();
        live.limits.concurrent_calls = Some(7);
        assert!(
            !is_outdated(&flags, &live),
            "{}: policy is live",
            shape.name
        );
        let mut moved = shape.gateway.clone();
        moved.server.path = Some("/elsewhere".to_owned());
        assert!(is_outdated(&flags, &moved), "{}: path", shape.name);
        let mut other = shape.gateway.clone();
        other.server.port = Some(4321);
        assert!(is_outdated(&flags, &other), "{}: port", shape.name);
        let mut more = shape.gateway.clone();
        more.credentials.push(
            serde_json::from_value(json!({
                "header": "X-More", "secretKeyRef": { "name": "more", "key": "value" },
            }))
            .unwrap(),
        );
        assert!(is_outdated(&flags, &more), "{}: credentials", shape.name);
    }
}

#[test]
fn ours_start_first_and_in_order() {
    for shape in shapes() {
        let Ok(guarded) = shape.inject() else {
            continue;
        };
        let inits = guarded
            .pointer("/spec/initContainers")
            .and_then(Value::as_array)
            .unwrap();
        let names: Vec<&str> = inits.iter().map(tree::name).collect();
        assert_eq!(names[..3], names::CONTAINERS, "{}", shape.name);
        assert!(
            !names[3..].iter().any(|name| names::is_ours(name)),
            "{}",
            shape.name
        );
    }
}

#[test]
fn only_the_sidecar_mounts_credentials_token_and_state() {
    for shape in shapes() {
        let Ok(guarded) = shape.inject() else {
            continue;
        };
        for container in tree::containers(&guarded).unwrap() {
            for mount in tree::items(container, "/volumeMounts").unwrap() {
                let (who, what) = (tree::name(container), tree::name(mount));
                let shared = [names::PROOF, names::NO_TOKEN].contains(&what);
                let ours = names::is_ours(what);
                assert!(
                    !ours || who == names::SIDECAR || (shared && names::is_ours(who)),
                    "{who} mounts {what}"
                );
            }
        }
        for init in guarded
            .pointer("/spec/initContainers")
            .and_then(Value::as_array)
            .unwrap()
            .iter()
            .take(3)
        {
            let mounts = tree::items(init, "/volumeMounts").unwrap();
            assert!(
                mounts
                    .iter()
                    .any(|mount| tree::text(mount, "/mountPath") == Some(names::API_TOKEN))
            );
        }
    }
}

#[test]
fn a_dollar_in_an_argument_survives_the_kubelet() {
    for shape in shapes() {
        let Ok(guarded) = shape.inject() else {
            continue;
        };
        let flags = again::sidecar_flags(&guarded).unwrap();
        let args = guarded
            .pointer("/spec/initContainers/1/args")
            .and_then(Value::as_array)
            .unwrap();
        for (flag, arg) in flags.iter().zip(args) {
            assert_eq!(
                arg.as_str().unwrap(),
                flag.replace('$', "$$"),
                "{}",
                shape.name
            );
        }
    }
}
