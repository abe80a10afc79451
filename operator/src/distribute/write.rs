//! Writes a signed bundle to its four ConfigMaps, and takes them away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use sallyport_policy::bundle::shards::{MANIFEST, SHARDS, shard_name};
use sallyport_policy::name::Revision;
use serde_json::{Value, json};

use super::Sealed;
use super::names::{BUNDLE_OF, config_map};
use crate::FIELD_MANAGER;
use crate::index::ObjectName;

/// Who a bundle is for, on its ConfigMaps: for people, and for whoever looks after what a gateway left.
pub const GATEWAY_UID: &str = "sallyport.dev/gateway-uid";
pub const REVISION: &str = "sallyport.dev/revision";

/// Writes all four, whole. They have no owner reference: a gateway's end must not take the policy of running pods away.
pub async fn write(
    client: &Client,
    gateway: &ObjectName,
    sealed: &Sealed,
    revision: &Revision,
) -> Result<(), kube::Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &gateway.namespace);
    let maps = (0..SHARDS).map(|number| manifest_of(gateway, sealed, revision, number));
    let maps: Vec<_> = maps.enumerate().collect();
    let writes = maps.iter().map(|(number, map)| {
        let api = api.clone();
        async move { apply(&api, &config_map(&gateway.name, *number), map).await }
    });
    try_join_all(writes).await.map(drop)
}

async fn apply(api: &Api<ConfigMap>, name: &str, map: &Value) -> Result<(), kube::Error> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match api.patch(name, &params, &Patch::Apply(map)).await {
        Ok(_) => Ok(()),
        // Somebody made it immutable: only a new one can be written.
        Err(kube::Error::Api(status)) if status.code == 422 => {
            tracing::warn!(name, reason = status.message, "ConfigMap is made anew");
            delete(api, name).await?;
            api.patch(name, &params, &Patch::Apply(map)).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

fn manifest_of(gateway: &ObjectName, sealed: &Sealed, revision: &Revision, number: usize) -> Value {
    let shard = sealed
        .shards
        .get(number)
        .map(|shard| STANDARD.encode(shard));
    let mut map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": config_map(&gateway.name, number),
            "namespace": gateway.namespace,
            "labels": { BUNDLE_OF: gateway.name },
            "annotations": {
                GATEWAY_UID: sealed.header.uid,
                REVISION: revision.to_string(),
            },
        },
        "binaryData": { shard_name(number): shard },
    });
    if let (0, Some(map)) = (number, map.as_object_mut()) {
        let text = String::from_utf8_lossy(&sealed.manifest);
        map.insert("data".to_owned(), json!({ MANIFEST: text }));
    }
    map
}

/// Takes all four away; one that is gone already is as good.
pub async fn remove(client: &Client, gateway: &ObjectName) -> Result<(), kube::Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &gateway.namespace);
    for number in 0..SHARDS {
        delete(&api, &config_map(&gateway.name, number)).await?;
    }
    Ok(())
}

async fn delete(api: &Api<ConfigMap>, name: &str) -> Result<(), kube::Error> {
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
