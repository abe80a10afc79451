//! Who may step into pods, and who may have a token for the control endpoint.

use serde_json::{Value, json};

use super::Expect::{Accepted, Passed, Refused};
use super::{Row, create, run, with};
use crate::guarded;

pub(super) fn connect() -> Vec<Row> {
    const POLICY: &str = "connect";
    vec![
        run(
            POLICY,
            "exec",
            "dev",
            "enforced",
            &["exec", "guarded", "-c", "server", "--", "true"],
            Refused("verb connect"),
        ),
        run(
            POLICY,
            "exec with the verb",
            "platform",
            "enforced",
            &["exec", "guarded", "-c", "server", "--", "true"],
            Passed,
        ),
        run(
            POLICY,
            "exec into the sidecar with the verb",
            "platform",
            "enforced",
            &["exec", "guarded", "-c", "sallyport", "--", "true"],
            Refused("nobody steps"),
        ),
        run(
            POLICY,
            "attach",
            "dev",
            "enforced",
            &["attach", "guarded", "-c", "server"],
            Refused("verb connect"),
        ),
        run(
            POLICY,
            "proxy",
            "dev",
            "",
            &[
                "get",
                "--raw",
                "/api/v1/namespaces/enforced/pods/guarded:8080/proxy/mcp",
            ],
            Refused("verb connect"),
        ),
        run(
            POLICY,
            "proxy where nothing is enforced",
            "dev",
            "",
            &[
                "get",
                "--raw",
                "/api/v1/namespaces/free/pods/nobody:8080/proxy/mcp",
            ],
            Passed,
        ),
    ]
}

pub(super) fn tokens() -> Vec<Row> {
    let ask = |name: &str, user, audience: &str, expect| {
        let audience = format!("--audience={audience}");
        run(
            "tokens",
            name,
            user,
            "free",
            &["create", "token", "default", &audience],
            expect,
        )
    };
    let token = json!({ "projected": { "sources": [{ "serviceAccountToken": { "audience": "sallyport.dev/control", "path": "t" } }] } });
    let volume = |name: &str| with(token.clone(), "/name", json!(name));
    let bare = |volume: Value| with(guarded::plain(), "/spec/volumes/0", volume);
    let mounted = |pod: Value| {
        with(
            pod,
            "/spec/containers/0/volumeMounts",
            json!([{ "name": "sallyport-control", "mountPath": "/t" }]),
        )
    };
    vec![
        ask(
            "our audience",
            "dev",
            "sallyport.dev/control",
            Refused("nobody else may ask"),
        ),
        ask(
            "our audience, by the platform",
            "platform",
            "sallyport.dev/control",
            Refused("nobody else may ask"),
        ),
        ask(
            "our audience, by a kubelet",
            "system:node:n1",
            "sallyport.dev/control",
            Accepted,
        ),
        ask("another audience", "dev", "example.com", Accepted),
        create(
            "projected-tokens",
            "in a volume of theirs",
            "dev",
            "free",
            bare(volume("mine")),
            Refused("sidecar's volume only"),
        ),
        create(
            "projected-tokens",
            "in ours, mounted by theirs",
            "dev",
            "free",
            mounted(bare(volume("sallyport-control"))),
            Refused("mounted by the sidecar only"),
        ),
        create(
            "projected-tokens",
            "in ours, of nobody's pod",
            "dev",
            "free",
            bare(volume("sallyport-control")),
            Refused("guarded pods only"),
        ),
        create(
            "projected-tokens",
            "where injection puts it",
            "dev",
            "enforced",
            guarded::pod("enforced"),
            Accepted,
        ),
    ]
}
