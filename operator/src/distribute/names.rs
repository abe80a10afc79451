//! Names of the objects that carry a gateway's bundle: the writer and the pod's projected volume must agree.

/// The ConfigMap that holds shard `number` of a gateway's bundle.
#[must_use]
pub fn config_map(gateway: &str, number: usize) -> String {
    format!("sallyport-bundle-{gateway}-{number}")
}

/// The label on those ConfigMaps that names the gateway.
pub const BUNDLE_OF: &str = "sallyport.dev/bundle-of";

/// The gateway that a ConfigMap of this name belongs to.
#[must_use]
pub fn gateway_of(config_map: &str) -> Option<&str> {
    let (rest, number) = config_map.rsplit_once('-')?;
    let number: usize = number.parse().ok()?;
    rest.strip_prefix("sallyport-bundle-")
        .filter(|_| number < sallyport_policy::bundle::shards::SHARDS)
}
