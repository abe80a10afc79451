//! Writes a status, where it differs from what is there.

use kube::api::{Patch, PatchParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use super::ControllerError;
use crate::FIELD_MANAGER;
use crate::index::objects::Kind;
use crate::index::{ObjectName, Stored};

/// Server-side apply of the whole status, all of which is ours.
pub(super) async fn status<K>(
    client: &Client,
    object: &Stored<K>,
    status: &K::Status,
) -> Result<(), ControllerError>
where
    K: Kind,
    K::Status: Serialize,
{
    if *status == object.status {
        return Ok(());
    }
    let name = ObjectName::of(object).name;
    let patch = Patch::Apply(json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // One of the same name that was made since is not meant.
        "metadata": { "name": name, "uid": object.uid() },
        "status": status,
    }));
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let url = Stored::<K>::url_path(&(), object.metadata.namespace.as_deref());
    let mut request = Request::new(url).patch_subresource("status", &name, &params, &patch)?;
    request.extensions_mut().insert("status");
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        // Gone, or made anew: the next look tells.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
