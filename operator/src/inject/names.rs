//! Names, numbers and places in the pod. Injection writes them, admission demands them, probes and status look for them.

/// Labels and annotations.
pub const GUARDED_BY: &str = "sallyport.dev/guarded-by";
pub const STATUS: &str = "sallyport.dev/status";
pub const INJECT: &str = "sallyport.dev/inject";
pub const ENFORCE: &str = "sallyport.dev/enforce";
pub const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";

/// Containers, in the order in which they start.
pub const CAPTURE: &str = "sallyport-capture";
pub const SIDECAR: &str = "sallyport";
pub const VALIDATOR: &str = "sallyport-validator";
pub const CONTAINERS: [&str; 3] = [CAPTURE, SIDECAR, VALIDATOR];

/// Whether a container or volume bears a name of ours.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name == SIDECAR || name.starts_with("sallyport-")
}

/// User ids; the group is the same.
pub const SIDECAR_UID: u32 = 60101;
pub const VALIDATOR_UID: u32 = 60102;

/// Ports in the pod.
pub const LISTENER: u16 = 15101;
pub const PROBES: u16 = 15102;
pub const METRICS: u16 = 15103;
pub const PORTS: [u16; 3] = [LISTENER, PROBES, METRICS];

/// Volumes, and where they are mounted.
pub const POLICY: &str = "sallyport-policy";
pub const STATE: &str = "sallyport-state";
pub const CONTROL: &str = "sallyport-control";
pub const PROOF: &str = "sallyport-proof";
pub const NO_TOKEN: &str = "sallyport-no-token";
pub const TLS: &str = "sallyport-tls";
pub const CREDENTIALS: &str = "sallyport-credentials-";
/// All of ours are mounted below it.
pub const MOUNTS: &str = "/var/run/sallyport";
/// Where a pod's API token lands, unless something else is mounted there.
pub const API_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Below it the sidecar answers what the kubelet asked the user's containers.
pub const PROBE_PATH: &str = "/probes/";
/// For whom the sidecar's token is.
pub const CONTROL_AUDIENCE: &str = "sallyport.dev/control";
/// Most bytes of recordings in a pod, and of the volume that they lie in.
pub const RECORDINGS: u64 = 768 * 1024 * 1024;
pub const STATE_LIMIT: &str = "1Gi";
