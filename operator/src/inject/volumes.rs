//! Our volumes. None of them is optional: a pod whose policy is missing waits, it does not start without.

use sallyport_policy::bundle::shards::{MANIFEST, SHARDS};
use sallyport_policy::source::gateway::CredentialOrigin;
use serde_json::{Value, json};

use super::Guarding;
use super::denial::Denial;
use super::names::{
    CONTROL, CONTROL_AUDIENCE, CREDENTIALS, NO_TOKEN, POLICY, PROOF, STATE, STATE_LIMIT, TLS,
};
use super::tree;
use crate::distribute::names::config_map;

/// How long the sidecar's token is good for, in seconds; the kubelet renews it before.
const TOKEN_SECONDS: u32 = 3600;
/// Octal 0444: readable by the sidecar, whichever user the kubelet makes the owner.
const READABLE: u32 = 292;

pub(super) fn add(pod: &mut Value, guarding: &Guarding<'_>) -> Result<(), Denial> {
    let mut volumes = vec![policy(guarding)];
    volumes.push(json!({ "name": STATE, "emptyDir": { "sizeLimit": STATE_LIMIT } }));
    volumes.push(control());
    volumes.push(memory(PROOF));
    volumes.push(memory(NO_TOKEN));
    for (number, credential) in guarding.spec.credentials.iter().enumerate() {
        if let Some(CredentialOrigin::Namespace(secret)) = credential.origin() {
            volumes.push(json!({
                "name": format!("{CREDENTIALS}{number}"),
                "secret": {
                    "secretName": secret.name,
                    "items": [{ "key": secret.key, "path": "value" }],
                    "defaultMode": READABLE,
                },
            }));
        }
    }
    if let Some(tls) = &guarding.spec.listener.tls {
        volumes.push(json!({
            "name": TLS,
            "secret": { "secretName": tls.secret_ref.name, "defaultMode": READABLE },
        }));
    }
    // First, so that what others add at the end moves none of ours.
    tree::list(tree::spec(pod)?, "volumes")?.splice(0..0, volumes);
    Ok(())
}

/// Always four ConfigMaps in one volume, whose files change all at once. Keys are named, so that nothing else gets in.
fn policy(guarding: &Guarding<'_>) -> Value {
    let source = |number: usize| {
        let shard = format!("bundle-{number}");
        let mut items = vec![json!({ "key": shard, "path": shard })];
        if number == 0 {
            items.insert(0, json!({ "key": MANIFEST, "path": MANIFEST }));
        }
        json!({ "configMap": { "name": config_map(guarding.name, number), "items": items } })
    };
    let sources: Vec<Value> = (0..SHARDS).map(source).collect();
    json!({ "name": POLICY, "projected": { "sources": sources, "defaultMode": READABLE } })
}

fn control() -> Value {
    let token = json!({
        "audience": CONTROL_AUDIENCE,
        "expirationSeconds": TOKEN_SECONDS,
        "path": "token",
    });
    json!({
        "name": CONTROL,
        "projected": { "sources": [{ "serviceAccountToken": token }], "defaultMode": READABLE },
    })
}

fn memory(name: &str) -> Value {
    json!({ "name": name, "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } })
}
