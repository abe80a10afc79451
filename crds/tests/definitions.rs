//! The printed definitions: goldens, and what Kubernetes demands of a schema.

use std::fs;
use std::path::Path;

use sallyport_crds::generate;
use serde_json::Value;

#[test]
fn the_printed_definitions_are_the_goldens() {
    for (name, text) in generate::files().unwrap() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let written = fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            written == text,
            "{name} is out of date; run `cargo run -p sallyport-crds --bin crdgen crds`"
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

#[test]
fn every_schema_is_structural_and_described() {
    for (name, schema) in schemas() {
        walk(&schema, &name, &mut |part, path| {
            let free = part["x-kubernetes-preserve-unknown-fields"] == true;
            assert!(
                part["type"].is_string() || free,
                "{path} has no type: {part}"
            );
            for word in [
                "oneOf", "anyOf", "allOf", "not", "$ref", "nullable", "const",
            ] {
                assert!(part.get(word).is_none(), "{path} has {word}: {part}");
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
