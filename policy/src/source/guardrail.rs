//! `McpGuardrail`: the platform's floor under the gateways of many namespaces. It can only narrow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::authentication::TokenIssuer;
use super::consistency;
use super::gateway::{ObjectRef, Resources};
use super::masking::Masking;
use super::rule::Rule;
use super::scalar::GoDuration;
use super::selector::LabelSelector;
use super::settings::{Capture, Enforcement, Limits, OnPinChange, Payloads, RecordingMode};

/// The platform's floor under the gateways of the selected namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardrailSpec {
    /// The namespaces, by `kubernetes.io/metadata.name` or `sallyport.dev/*` labels only. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {
            "rule": "!has(self.matchLabels) || self.matchLabels.all(key, key == 'kubernetes.io/metadata.name' || key.startsWith('sallyport.dev/'))",
            "message": consistency::PROTECTED_LABELS
        },
        {
            "rule": "!has(self.matchExpressions) || self.matchExpressions.all(part, part.key == 'kubernetes.io/metadata.name' || part.key.startsWith('sallyport.dev/'))",
            "message": consistency::PROTECTED_LABELS
        }
    ]))]
    pub namespace_selector: Option<LabelSelector>,
    /// Rules as in policies, but `Deny` and `RequireApproval` only. Never switched off by `Observe`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
        "x-kubernetes-validations" = [{
            "rule": "self.all(part, part.effect != 'Allow')",
            "message": consistency::NO_ALLOW
        }]
    ))]
    pub rules: Vec<Rule>,
    /// Masking that is added to every gateway's.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub masking: Masking,
    /// Bounds that no gateway may exceed.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub limits: Limits,
    /// What gateways must say; one that does not denies everything.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub require: Require,
    /// What gateways of these namespaces need not repeat.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub defaults: GatewayDefaults,
    /// Pods that need no sidecar in an enforced namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub exempt: Vec<Exemption>,
    /// Which cluster user is which principal, so that nobody approves for oneself under another name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuer"]))]
    pub identity_map: Vec<IdentityMapping>,
}

/// What gateways must say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Require {
    /// The only issuers that gateways may accept. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 512)))]
    pub issuers: Vec<String>,
    /// The laxest recording mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingMode>,
    /// What may be kept of bodies; any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub payloads: Vec<Payloads>,
    /// How traffic may be captured; any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub capture: Vec<Capture>,
    /// The laxest handling of changed tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_pins: Option<OnPinChange>,
    /// Whether callers without a token may be let in. Default: `Allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<AnonymousCallers>,
    /// `Enforce` forbids gateways and policies that only observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
    /// The longest `policyMaxAge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_max_age: Option<GoDuration>,
}

/// Whether callers without a token may be let in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum AnonymousCallers {
    Forbid,
    Allow,
}

/// What gateways need not repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayDefaults {
    /// Issuers of gateways that name none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuer"]))]
    pub issuers: Vec<TokenIssuer>,
    /// CPU and memory of sidecars whose gateway names none.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub resources: Resources,
    /// Secrets with which the sidecar's image is pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<ObjectRef>,
}

/// Pods that need no sidecar in an enforced namespace: all of their images are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exemption {
    /// Images by digest.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 512), regex(pattern = "@sha256:[0-9a-f]{64}$"))
    )]
    pub images: Vec<String>,
}

/// Which cluster user is which principal of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityMapping {
    /// The issuer.
    #[schemars(length(min = 1, max = 512))]
    pub issuer: String,
    /// The claim that the API server takes as user name.
    #[schemars(length(min = 1, max = 256))]
    pub claim: String,
    /// What the API server puts before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub username_prefix: String,
    /// What the API server puts before groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub group_prefix: String,
}
