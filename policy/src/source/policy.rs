//! `McpAccessPolicy`: who may do what on which gateways.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::consistency;
use super::masking::Masking;
use super::rule::{Effect, Rule};
use super::scalar::{self, Literal, TimeOfDay, Timestamp};
use super::settings::Enforcement;
use crate::principal::ServiceAccount;

/// Who may do what on which gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessPolicySpec {
    /// The gateways, of the same namespace.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<TargetRef>,
    /// Whom the rules are about; any item matches. Absent: every authenticated principal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub subjects: Vec<Subject>,
    /// Which agents may act for them: globs over what the token says, where `*` stops at `/`. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)))]
    pub clients: Vec<String>,
    /// When the rules hold. Absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// The rules. Deny beats hold beats allow, whatever their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
    /// Masking that is added to the gateway's, never taken away from it.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub masking: Masking,
    /// `Observe` makes it a shadow policy whose verdicts are only recorded. Default: `Enforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
    /// Calls and what this policy alone must say of them; run at admission and by `sallyport policy test`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tests: Vec<PolicyTest>,
}

/// A gateway that a policy attaches to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetRef {
    /// The API group. Default: `sallyport.dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<TargetGroup>,
    /// The kind.
    pub kind: TargetKind,
    /// The name, in the policy's own namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// API groups that a policy can attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetGroup {
    #[serde(rename = "sallyport.dev")]
    Sallyport,
}

/// Kinds that a policy can attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetKind {
    McpGateway,
}

/// Principals. Every field that is given must match; an empty item is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.users) || has(self.groups) || has(self.serviceAccounts) || has(self.claims) || has(self.issuer)",
    "message": consistency::SOME_SUBJECT
}]))]
pub struct Subject {
    /// Any of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub groups: Vec<String>,
    /// Any of these subject claims, or e-mail addresses that the issuer has verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub users: Vec<String>,
    /// The issuer of their tokens. Default: the gateway's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub issuer: Option<String>,
    /// Any of these ServiceAccounts of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64))]
    pub service_accounts: Vec<ServiceAccountRef>,
    /// Every claim listed must have any of its values. A dot in a name goes into an object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub claims: BTreeMap<String, ClaimValues>,
}

impl Subject {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Values of a claim, any of which matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ClaimValues(#[schemars(length(min = 1, max = 64))] pub Vec<Literal>);

/// A ServiceAccount of the cluster.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccountRef {
    /// Its namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl ServiceAccountRef {
    #[must_use]
    pub fn is(&self, account: &ServiceAccount) -> bool {
        self.namespace == account.namespace && self.name == account.name
    }
}

/// When rules hold. Every part that is given must hold; of the windows any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.notBefore) || !has(self.notAfter) || self.notBefore < self.notAfter",
    "message": consistency::BEFORE_AFTER
}]))]
pub struct Validity {
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Not at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Recurring times. Absent: any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub windows: Vec<Window>,
}

/// A recurring time of the week. With `from` after `to` it spans midnight and belongs to its first day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.from != self.to",
    "message": consistency::WINDOW_LENGTH
}]))]
pub struct Window {
    /// The days on which it starts. Absent: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<Day>,
    /// The first minute of it.
    pub from: TimeOfDay,
    /// The first minute after it.
    pub to: TimeOfDay,
    /// The IANA time zone, such as `Europe/London`. Default: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// Days of the week.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A call and what this policy alone must say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyTest {
    /// What is tested, as a sentence.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Who calls.
    #[serde(rename = "as", default, skip_serializing_if = "super::says_nothing")]
    pub caller: TestCaller,
    /// What is called.
    pub call: TestCall,
    /// The verdict that must come out.
    pub expect: Effect,
    /// The rule that must have caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub rule: Option<String>,
    /// When the call is made. Absent: at a time at which the policy is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The caller of a test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestCaller {
    /// The subject claim. Absent: somebody whom no policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub user: Option<String>,
    /// The e-mail address, verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub email: Option<String>,
    /// The groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub groups: Vec<String>,
    /// The issuer. Default: the gateway's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub issuer: Option<String>,
    /// The agent, as the token names it. Absent: one that the policy's `clients` let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub client: Option<String>,
    /// The delegate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub actor: Option<String>,
    /// The scopes. Absent: every scope that the policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub scopes: Option<Vec<String>>,
    /// The ServiceAccount that calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountRef>,
    /// Further claims of the token.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "scalar::any_object")]
    pub claims: Map<String, Value>,
    /// The address that the call comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 45))]
    pub address: Option<String>,
    /// Request headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub headers: BTreeMap<String, String>,
}

/// The call of a test: exactly one of tool, prompt, resource and method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.tool), has(self.prompt), has(self.resource), has(self.method)].filter(given, given).size() == 1",
    "message": consistency::ONE_CALL
}]))]
pub struct TestCall {
    /// A tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub tool: Option<String>,
    /// A prompt's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub prompt: Option<String>,
    /// A resource's URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub resource: Option<String>,
    /// Any other method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub method: Option<String>,
    /// The arguments of a tool or prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar::any_object")]
    pub arguments: Option<Map<String, Value>>,
    /// The annotations of the tool, for `tool:` conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar::any_object")]
    pub annotations: Option<Map<String, Value>>,
}
