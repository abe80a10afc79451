//! `McpAccessRequest` and `McpAccessReview`: just-in-time access, laws 19 to 24.
//!
//! Both specs are immutable once written. Grants are computed from reviews; nobody reads them from `phase`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::consistency;
use super::policy::Subject;
use super::rule::{GrantSpec, Reason};
use super::scalar::{self, Timestamp};
use crate::name::{Digest, Revision, RuleSource};

/// Somebody asks for one held call, or for a window of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "self == oldSelf", "message": consistency::IMMUTABLE_REQUEST },
    {
        "rule": "!has(self.anyClient) || !self.anyClient || (has(self.grant) && has(self.grant.scope) && self.grant.scope == 'Tool' && !has(self.client))",
        "message": consistency::ANY_CLIENT_TOOL
    }
]))]
pub struct AccessRequestSpec {
    /// The gateway, in the request's own namespace.
    #[schemars(length(min = 1, max = 253))]
    pub gateway_name: String,
    /// Who asks.
    pub requester: Requester,
    /// The agent that acts for the requester. Absent with `anyClient`, or where the token names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub client: Option<String>,
    /// Whether every agent of the requester may use the grant; for `scope: Tool` only.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub any_client: bool,
    /// What is asked for.
    pub call: RequestedCall,
    /// The rules that hold the call; each one's approvers must agree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<HoldingRule>,
    /// The revision of the policy that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar::digest")]
    pub revision: Option<Revision>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub reason: Option<String>,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub grant: GrantSpec,
    /// When the request lapses.
    pub expires_at: Timestamp,
}

/// Who asks: the principal behind the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requester {
    /// The issuer of the token.
    #[schemars(length(min = 1, max = 512))]
    pub issuer: String,
    /// The mapped subject claim.
    #[schemars(length(min = 1, max = 256))]
    pub subject: String,
    /// The verified e-mail address, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub email: Option<String>,
    /// The delegate that acts for the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub actor: Option<String>,
    /// The cluster user that opened the request, stamped from the API request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub username: Option<String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedCall {
    /// The method, such as `tools/call`.
    #[schemars(length(min = 1, max = 128))]
    pub method: String,
    /// The tool, prompt or resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub tool: Option<String>,
    /// The arguments, masked, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub preview: Option<String>,
    /// What the approval is bound to. Absent for `scope: Tool` asked for ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar::digest")]
    pub digest: Option<Digest>,
    /// The pin of the tool's definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar::digest")]
    pub pin: Option<Digest>,
}

/// A rule that holds the call, with what it asked for when the request was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldingRule {
    /// The kind of object that it stands in.
    #[schemars(schema_with = "rule_source")]
    pub source: RuleSource,
    /// The name of that object.
    #[schemars(length(min = 1, max = 253))]
    pub object: String,
    /// The name of the rule.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// The digest of the rule.
    #[schemars(schema_with = "scalar::digest")]
    pub digest: Digest,
    /// Who may approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub approvers: Vec<Subject>,
    /// How many distinct people.
    #[schemars(range(min = 1, max = 16))]
    pub required: u32,
    /// Whether a reason must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

fn rule_source(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "enum": ["Guardrail", "Policy", "BuiltIn"] })
}

/// How far a request has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessRequestStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, `Ready` among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<StatusCondition>,
    /// Where it stands, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Reviews counted.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub reviews: ReviewCounts,
    /// When the grant began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_at: Option<Timestamp>,
    /// When the grant ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_ends_at: Option<Timestamp>,
    /// How often the grant was used.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub uses: u32,
    /// What became of the last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Who ended it and why, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<String>,
}

/// Where a request stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Phase {
    /// Waits for reviews.
    Pending,
    /// The grant can be used.
    Approved,
    /// Somebody said no; repeats are refused until the request expires.
    Denied,
    /// Nobody decided in time, or the grant's time is over.
    Expired,
    /// The requester took it back.
    Withdrawn,
    /// The grant is used up.
    Consumed,
    /// The grant was taken back.
    Revoked,
}

/// What became of a use.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Outcome {
    Succeeded,
    Failed,
    /// It was sent, and nobody saw how it ended.
    Unknown,
}

/// How many reviews of each verdict count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReviewCounts {
    /// Approvals.
    #[serde(default)]
    pub approvals: u32,
    /// Approvals that are needed, over all rules.
    #[serde(default)]
    pub needed: u32,
    /// Denials.
    #[serde(default)]
    pub denials: u32,
}

/// A condition, as every Kubernetes kind has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusCondition {
    /// What it is about.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub kind: String,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// The generation that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When it last changed.
    pub last_transition_time: Timestamp,
    /// Why, in one word.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Whether a condition holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// One approver's word on one request. Written once, never edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{ "rule": "self == oldSelf", "message": consistency::IMMUTABLE_REVIEW }]))]
pub struct AccessReviewSpec {
    /// The request, in the review's own namespace.
    pub request_ref: super::gateway::ObjectRef,
    /// The gateway of the request.
    #[schemars(length(min = 1, max = 253))]
    pub gateway_name: String,
    /// The word.
    pub verdict: Verdict,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub reason: Option<String>,
    /// Who says so, stamped from the user who creates it.
    pub by: Reviewer,
    /// The digest of the preview that the reviewer saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar::digest")]
    pub preview_digest: Option<Digest>,
}

/// What a review says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Verdict {
    Approve,
    Deny,
    /// Takes an approval back and ends what runs under it.
    Revoke,
}

/// Who wrote a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reviewer {
    /// The user.
    #[schemars(length(min = 1, max = 512))]
    pub username: String,
    /// The user's groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 512)))]
    pub groups: Vec<String>,
    /// How sure the name is. Default: `Authenticated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Assurance>,
    /// The operating system's user behind a standalone review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// How sure a reviewer's name is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Assurance {
    /// The API server authenticated the user.
    Authenticated,
    /// Standalone: the user is who they said they are.
    Asserted,
}
