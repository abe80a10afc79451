//! What is kept of a watched object: what somebody reads, and nothing else.
//!
//! A spec that cannot be read does not end the watch and does not vanish: it is kept with its mistake (law 7).

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{CustomResourceExt, Resource};
use sallyport_crds::kinds::{McpAccessPolicyStatus, McpGatewayStatus, McpGuardrailStatus};
use sallyport_crds::{McpAccessPolicy, McpGateway, McpGuardrail};
use sallyport_policy::name::GatewayName;
use sallyport_policy::source::{AccessPolicySpec, GatewaySpec, GuardrailSpec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Everything of ours in labels and annotations begins so.
pub const PREFIX: &str = "sallyport.dev/";
/// The container of the sidecar.
pub const SIDECAR: &str = "sallyport";
/// The container that sets the rules of the pod's network namespace.
pub const CAPTURE: &str = "sallyport-capture";

/// One of our kinds, as far as its spec and status go.
pub trait Kind: Resource<DynamicType = ()> + CustomResourceExt + 'static {
    type Spec: DeserializeOwned + Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static;
    type Status: DeserializeOwned
        + Default
        + Clone
        + std::fmt::Debug
        + PartialEq
        + Send
        + Sync
        + 'static;
}

impl Kind for McpGateway {
    type Spec = GatewaySpec;
    type Status = McpGatewayStatus;
}

impl Kind for McpAccessPolicy {
    type Spec = AccessPolicySpec;
    type Status = McpAccessPolicyStatus;
}

impl Kind for McpGuardrail {
    type Spec = GuardrailSpec;
    type Status = McpGuardrailStatus;
}

/// An object of ours as the API server has it.
pub struct Stored<K: Kind> {
    pub metadata: ObjectMeta,
    pub spec: Result<K::Spec, Unreadable>,
    pub status: K::Status,
}

/// Why a stored spec cannot be read, and what it names all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub error: String,
    /// `spec.targetRefs[].name`, where that can be read.
    pub targets: Option<Vec<String>>,
}

impl<K: Kind> Stored<K> {
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn generation(&self) -> Option<i64> {
        self.metadata.generation
    }

    #[must_use]
    pub fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether what people wrote is the same, and only what is told about it differs.
    pub(super) fn is_written_alike(&self, other: &Self) -> bool {
        self.spec == other.spec && self.uid() == other.uid() && self.is_going() == other.is_going()
    }
}

impl Stored<McpAccessPolicy> {
    /// The names of the gateways that it attaches to; nothing where that cannot be read.
    pub fn targets(&self) -> Option<Box<dyn Iterator<Item = &str> + '_>> {
        match &self.spec {
            Ok(spec) => Some(Box::new(
                spec.target_refs.iter().map(|target| target.name.as_str()),
            )),
            Err(unreadable) => {
                let names = unreadable.targets.as_ref()?;
                Some(Box::new(names.iter().map(String::as_str)))
            }
        }
    }
}

// By hand: a derive would ask it of `K`.
impl<K: Kind> Clone for Stored<K> {
    fn clone(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            spec: self.spec.clone(),
            status: self.status.clone(),
        }
    }
}

impl<K: Kind> PartialEq for Stored<K> {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.spec == other.spec && self.status == other.status
    }
}

impl<K: Kind> std::fmt::Debug for Stored<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored")
            .field("name", &self.metadata.name)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Raw {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl<'de, K: Kind> Deserialize<'de> for Stored<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let spec = K::Spec::deserialize(&raw.spec).map_err(|error| Unreadable {
            error: error.to_string(),
            targets: targets(&raw.spec),
        });
        Ok(Self {
            metadata: raw.metadata,
            spec,
            // A status of another version says nothing to us and is written anew.
            status: K::Status::deserialize(raw.status).unwrap_or_default(),
        })
    }
}

fn targets(spec: &Value) -> Option<Vec<String>> {
    let refs = spec.get("targetRefs")?.as_array()?;
    refs.iter()
        .map(|target| Some(target.get("name")?.as_str()?.to_owned()))
        .collect()
}

impl<K: Kind> Resource for Stored<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A pod, as far as guarding it goes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "RawPod")]
pub struct Pod {
    pub metadata: ObjectMeta,
    /// What its sidecar was told at injection; none without a sidecar.
    pub binding: Option<Binding>,
    pub service_account: String,
    pub address: Option<String>,
    /// It runs nothing any more.
    pub ended: bool,
}

/// Which gateway a sidecar was injected for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub gateway: GatewayName,
    /// Uid of the gateway object.
    pub uid: String,
    /// An init container sets the rules of its network namespace.
    pub captured: bool,
    /// The flags of its sidecar.
    pub flags: Vec<String>,
}

impl Pod {
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.metadata.labels.as_ref()
    }

    #[must_use]
    pub fn annotations(&self) -> Option<&BTreeMap<String, String>> {
        self.metadata.annotations.as_ref()
    }

    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations()?.get(key).map(String::as_str)
    }
}

/// Other people's annotations may be large, and nobody here reads them.
pub(super) fn trim_pod(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.resource_version = None;
    meta.owner_references = None;
    meta.finalizers = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| key.starts_with(PREFIX));
    }
}

#[derive(Deserialize)]
struct RawPod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: RawPodSpec,
    #[serde(default)]
    status: RawPodStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPodSpec {
    service_account_name: Option<String>,
    init_containers: Option<Vec<RawContainer>>,
}

#[derive(Deserialize)]
struct RawContainer {
    name: String,
    args: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPodStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
}

impl From<RawPod> for Pod {
    fn from(raw: RawPod) -> Self {
        let containers = raw.spec.init_containers.unwrap_or_default();
        let sidecar = containers.iter().find(|one| one.name == SIDECAR);
        Self {
            metadata: raw.metadata,
            binding: sidecar.and_then(|sidecar| {
                binding(sidecar, containers.iter().any(|one| one.name == CAPTURE))
            }),
            service_account: raw.spec.service_account_name.unwrap_or_default(),
            address: raw.status.pod_ip,
            ended: matches!(raw.status.phase.as_deref(), Some("Succeeded" | "Failed")),
        }
    }
}

fn binding(sidecar: &RawContainer, captured: bool) -> Option<Binding> {
    let args = sidecar.args.as_ref()?;
    let (namespace, name) = flag(args, "--gateway")?.split_once('/')?;
    Some(Binding {
        gateway: GatewayName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        uid: flag(args, "--gateway-uid")?.to_owned(),
        captured,
        // As the process sees them: the kubelet takes `$$` for `$`.
        flags: args.iter().map(|arg| arg.replace("$$", "$")).collect(),
    })
}

/// The value of a flag, written in two arguments or with `=` in one.
fn flag<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let mut args = args.iter().take_while(|arg| *arg != "--");
    while let Some(arg) = args.next() {
        if arg == name {
            return args.next().map(String::as_str);
        }
        if let Some(value) = arg
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(value);
        }
    }
    None
}

/// A ConfigMap that carries a part of a bundle.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "RawMap")]
pub struct BundleMap {
    pub metadata: ObjectMeta,
    /// Its files, as a volume would show them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Somebody made it unwritable.
    pub immutable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMap {
    metadata: ObjectMeta,
    data: Option<BTreeMap<String, String>>,
    binary_data: Option<BTreeMap<String, String>>,
    immutable: Option<bool>,
}

impl From<RawMap> for BundleMap {
    fn from(raw: RawMap) -> Self {
        let text = raw.data.unwrap_or_default().into_iter();
        let binary = raw.binary_data.unwrap_or_default().into_iter();
        let text = text.map(|(name, value)| (name, value.into_bytes()));
        // The API server takes nothing but base64 here; whatever else came would differ from what should be there.
        let binary = binary.map(|(name, value)| (name, STANDARD.decode(value).unwrap_or_default()));
        Self {
            metadata: raw.metadata,
            files: text.chain(binary).collect(),
            immutable: raw.immutable.unwrap_or(false),
        }
    }
}

/// A kind of Kubernetes' own, read in our way.
macro_rules! read_as {
    ($own:ty, $theirs:ty) => {
        impl Resource for $own {
            type DynamicType = ();
            type Scope = <$theirs as Resource>::Scope;

            fn kind(_: &()) -> Cow<'_, str> {
                <$theirs as Resource>::kind(&())
            }

            fn group(_: &()) -> Cow<'_, str> {
                <$theirs as Resource>::group(&())
            }

            fn version(_: &()) -> Cow<'_, str> {
                <$theirs as Resource>::version(&())
            }

            fn plural(_: &()) -> Cow<'_, str> {
                <$theirs as Resource>::plural(&())
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

read_as!(Pod, k8s_openapi::api::core::v1::Pod);
read_as!(BundleMap, ConfigMap);
