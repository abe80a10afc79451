//! The printed definitions: goldens, and what Kubernetes demands of a schema.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

use std::fs;
use std::path::Path;

use sallyport_crds::{generate, reference};
use serde_json::Value;

#[test]
fn the_printed_definitions_are_the_goldens() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chart = home.join("../charts/sallyport/files/crds");
    let mut outputs: Vec<_> = generate::files()
        .unwrap()
        .into_iter()
        .flat_map(|(name, text)| [(home.join(&name), text.clone()), (chart.join(&name), text)])
        .collect();
    outputs.push((
        home.join("../docs/policy-reference.md"),
        reference::page().unwrap(),
    ));
    for (golden, text) in outputs {
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let written = fs::read_to_string(&golden).unwrap_or_default();
        let name = golden.display();
        assert!(
            written == text,
            "{name} is out of date; run this test with UPDATE_GOLDENS=1"
        );
    }
}

fn schemas() -> Vec<(String, Value)> {
    let files = generate::files().unwrap();
    let schema = |text: &str| -> Value {
        let definition: Value = serde_yaml::from_str(text).unwrap();
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    };
    files
        .iter()
        .map(|(name, text)| (name.clone(), schema(text)))
        .collect()
}

/// Calls `visit` with every schema inside a schema.
fn walk(schema: &Value, path: &str, visit: &mut dyn FnMut(&Value, &str)) {
    visit(schema, path);
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            walk(property, &format!("{path}.{name}"), visit);
        }
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], &format!("{path}.*"), visit);
    }
}

/// What Kubernetes demands inside `anyOf`: conditions on values of fields that are described outside of it, and no word
/// about what a field is.
fn assert_only_narrows(branch: &Value, part: &Value, path: &str) {
    for word in ["type", "description", "default", "additionalProperties"] {
        assert!(branch.get(word).is_none(), "{path}: {word} in {branch}");
    }
    for (name, inside) in branch["properties"].as_object().into_iter().flatten() {
        let outside = &part["properties"][name];
        assert!(outside.is_object(), "{path}: `{name}` only inside anyOf");
        assert_only_narrows(inside, outside, path);
    }
}

#[test]
fn every_schema_is_structural_and_described() {
    for (name, schema) in schemas() {
        walk(&schema, &name, &mut |part, path| {
            let free = part["x-kubernetes-preserve-unknown-fields"] == true;
            assert!(
                part["type"].is_string() || free,
                "{path} has no type: {part}"
            );
            for word in ["oneOf", "allOf", "not", "$ref", "nullable", "const"] {
                assert!(part.get(word).is_none(), "{path} has {word}: {part}");
            }
            for branch in part["anyOf"].as_array().into_iter().flatten() {
                assert_only_narrows(branch, part, path);
            }
            let is_field =
                path.contains(".spec.") && !path.ends_with("[]") && !path.ends_with(".*");
            if is_field {
                assert!(part["description"].is_string(), "{path} has no description");
            }
            if part["type"] == "array" {
                assert!(part["maxItems"].is_u64(), "{path} has no maxItems");
            }
            assert!(
                !part.to_string().contains("x-sallyport-"),
                "{path} has a word of our own"
            );
        });
    }
}

#[test]
fn keys_of_map_lists_are_required_or_have_a_default() {
    let mut lists = 0;
    for (name, schema) in schemas() {
        walk(&schema, &name, &mut |part, path| {
            let Some(keys) = part["x-kubernetes-list-map-keys"].as_array() else {
                return;
            };
            lists += 1;
            for key in keys.iter().map(|key| key.as_str().unwrap()) {
                let items = &part["items"];
                let required = items["required"]
                    .as_array()
                    .is_some_and(|names| names.iter().any(|name| name == key));
                let has_default = items["properties"][key]["default"].is_string();
                assert!(required || has_default, "{path}: key {key}");
            }
        });
    }
    assert!(lists >= 10, "only {lists} lists have keys");
}

#[test]
fn kinds_have_the_names_that_people_type() {
    let files = generate::files().unwrap();
    for (file, short, scope) in [
        ("mcpgateways.yaml", "mcpgw", "Namespaced"),
        ("mcpaccesspolicies.yaml", "mcpap", "Namespaced"),
        ("mcpguardrails.yaml", "mcpgr", "Cluster"),
        ("mcpaccessrequests.yaml", "mcpreq", "Namespaced"),
        ("mcpaccessreviews.yaml", "mcprev", "Namespaced"),
    ] {
        let definition: Value = serde_yaml::from_str(&files[file]).unwrap();
        assert_eq!(definition["spec"]["names"]["shortNames"][0], short);
        assert_eq!(definition["spec"]["scope"], scope, "{file}");
        let version = &definition["spec"]["versions"][0];
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        assert!(columns.len() >= 4, "{file}");
        assert_eq!(
            version["subresources"].get("status").is_some(),
            file != "mcpaccessreviews.yaml",
            "{file}"
        );
    }
}

#[test]
fn an_optional_enum_is_described_by_its_field() {
    let schemas = schemas();
    let (_, gateway) = schemas
        .iter()
        .find(|(name, _)| name == "mcpgateways.yaml")
        .unwrap();
    let enforcement = &gateway["properties"]["spec"]["properties"]["enforcement"];
    let description = enforcement["description"].as_str().unwrap();
    assert!(description.contains("Default: `Enforce`"), "{description}");
    assert_eq!(
        enforcement["enum"],
        serde_json::json!(["Enforce", "Observe"])
    );
}
