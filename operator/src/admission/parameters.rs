//! Keeps what the chart's admission policies compare with true: the root key, and the images that guardrails exempt in
//! each namespace. The rest of that ConfigMap is the chart's; where it is missing there are no policies to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::watched::over;
use crate::FIELD_MANAGER;
use crate::index::Index;
use crate::watch::Shared;

/// The ConfigMap, in the operator's own namespace.
const NAME: &str = "sallyport-admission";
const ROOT_KEY: &str = "rootKey";
/// One key a namespace; one image a line.
const EXEMPT: &str = "exempt.";
/// How often it is looked at: a read, and a write only where something differs.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps it for as long as the task lives; the leader's work.
pub async fn keep(client: &Client, namespace: &str, shared: &Shared, root_key: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    loop {
        let wanted = wanted(&shared.read(), root_key);
        if let Err(error) = settle(&maps, &wanted).await {
            tracing::warn!(%error, "the parameters of the admission policies are not as they should be");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn settle(
    maps: &Api<ConfigMap>,
    wanted: &BTreeMap<String, String>,
) -> Result<(), kube::Error> {
    let Some(found) = maps.get_opt(NAME).await? else {
        return Ok(());
    };
    let changes = changes(&found.data.unwrap_or_default(), wanted);
    if changes.is_empty() {
        return Ok(());
    }
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({ "data": changes }));
    maps.patch(NAME, &params, &patch).await.map(drop)
}

fn wanted(index: &Index, root_key: &str) -> BTreeMap<String, String> {
    let mut data = BTreeMap::from([(ROOT_KEY.to_owned(), root_key.to_owned())]);
    for name in index.namespaces.names().map(|found| &found.name) {
        let images: BTreeSet<&str> = over(index, name)
            .flat_map(|guardrail| guardrail.exempt.iter())
            .flat_map(|exemption| exemption.images.iter().map(String::as_str))
            .collect();
        if !images.is_empty() {
            let lines: Vec<&str> = images.into_iter().collect();
            data.insert(format!("{EXEMPT}{name}"), lines.join("\n"));
        }
    }
    data
}

/// What must be written; nothing stands for what must go.
fn changes(
    found: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> BTreeMap<String, Value> {
    let gone = found
        .keys()
        .filter(|key| key.starts_with(EXEMPT) && !wanted.contains_key(*key))
        .map(|key| (key.clone(), Value::Null));
    let new = wanted
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.as_str().into()));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn only_what_differs_is_written_and_the_charts_own_is_left_alone() {
        let found = data(&[
            ("sidecarImages", "a"),
            ("rootKey", "old"),
            ("exempt.shop", "x"),
            ("exempt.gone", "y"),
        ]);
        let wanted = data(&[
            ("rootKey", "new"),
            ("exempt.shop", "x"),
            ("exempt.more", "z"),
        ]);
        let told = serde_json::to_value(changes(&found, &wanted)).unwrap();
        let expected = json!({ "rootKey": "new", "exempt.more": "z", "exempt.gone": null });
        assert_eq!(told, expected);
        assert!(changes(&data(&[("rootKey", "k")]), &data(&[("rootKey", "k")])).is_empty());
    }
}
