//! Names of the objects that carry a gateway's bundle: the writer and the pod's projected volume must agree.

/// The ConfigMap that holds shard `number` of a gateway's bundle.
#[must_use]
pub fn config_map(gateway: &str, number: usize) -> String {
    format!("sallyport-bundle-{gateway}-{number}")
}
