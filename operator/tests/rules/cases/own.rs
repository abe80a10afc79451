//! What the operator alone says, and what people say in their own name.

use serde_json::{Value, json};

use super::Expect::{Accepted, Refused};
use super::{Row, create, run};
use crate::bed::OPERATOR;

pub(super) fn own_objects() -> Vec<Row> {
    let review = |by: &str, groups: Value, verdict: &str| {
        json!({
            "apiVersion": "sallyport.dev/v1alpha1", "kind": "McpAccessReview", "metadata": { "name": "r" },
            "spec": { "requestRef": { "name": "q" }, "gatewayName": "inventory", "verdict": verdict, "reason": "agreed",
                      "by": { "username": by, "groups": groups } },
        })
    };
    let status = json!({ "status": { "revision": "x" } }).to_string();
    let words = [
        "patch",
        "mcpgateway",
        "inventory",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
        "--dry-run=server",
    ];
    let bundle = |name: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": name });
    let edit = [
        "patch",
        "configmap",
        "sallyport-bundle-inventory-0",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"b"}}"#,
        "--dry-run=server",
    ];
    let delete = [
        "delete",
        "configmap",
        "sallyport-bundle-inventory-0",
        "--dry-run=server",
    ];
    let delete_all = [
        "delete",
        "--raw",
        "/api/v1/namespaces/free/configmaps?dryRun=All",
    ];
    let mut request = serde_yaml::Deserializer::from_str(include_str!(
        "../../../../crds/tests/examples/approvals.yaml"
    ))
    .map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap())
    .next()
    .unwrap();
    request["metadata"] = json!({ "name": "q" });
    vec![
        run(
            "status",
            "by a developer",
            "dev",
            "free",
            &words,
            Refused("operator alone"),
        ),
        run(
            "status",
            "by the operator",
            OPERATOR,
            "free",
            &words,
            Accepted,
        ),
        create(
            "requests",
            "for a held call by a developer",
            "dev",
            "free",
            request.clone(),
            Refused("opened by the operator"),
        ),
        create(
            "requests",
            "for a held call by the operator",
            OPERATOR,
            "free",
            request,
            Accepted,
        ),
        create(
            "reviews",
            "in another's name",
            "platform",
            "free",
            review("dev", json!([]), "Approve"),
            Refused("another's name"),
        ),
        create(
            "reviews",
            "with a group of others",
            "platform",
            "free",
            review("platform", json!(["leads"]), "Approve"),
            Refused("groups of its author"),
        ),
        create(
            "reviews",
            "without the verb",
            "dev",
            "free",
            review("dev", json!([]), "Approve"),
            Refused("verb approve"),
        ),
        create(
            "reviews",
            "in one's own name with the verb",
            "platform",
            "free",
            review("platform", json!(["clerks"]), "Approve"),
            Accepted,
        ),
        create(
            "bundles",
            "made by a developer",
            "dev",
            "free",
            bundle(json!({ "name": "sallyport-bundle-x-0" })),
            Refused("operator's"),
        ),
        create(
            "bundles",
            "with a generated name",
            "dev",
            "free",
            bundle(json!({ "generateName": "sallyport-bundle-x-" })),
            Refused("operator's"),
        ),
        create(
            "bundles",
            "made by the operator",
            OPERATOR,
            "free",
            bundle(json!({ "name": "sallyport-bundle-x-0" })),
            Accepted,
        ),
        create(
            "bundles",
            "another ConfigMap",
            "dev",
            "free",
            bundle(json!({ "name": "mine" })),
            Accepted,
        ),
        run(
            "bundles",
            "edited",
            "dev",
            "free",
            &edit,
            Refused("operator's"),
        ),
        run(
            "bundles",
            "deleted",
            "dev",
            "free",
            &delete,
            Refused("operator's"),
        ),
        run(
            "bundles",
            "deleted with all others",
            "dev",
            "",
            &delete_all,
            Refused("operator's"),
        ),
        run(
            "bundles",
            "collected as garbage",
            "system:serviceaccount:kube-system:generic-garbage-collector",
            "free",
            &delete,
            Accepted,
        ),
    ]
}
