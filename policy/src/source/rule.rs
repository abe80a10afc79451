//! A rule: what it is about, under which conditions, and what follows. Policies and guardrails share it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::consistency;
use super::policy::Subject;
use super::scalar::{GoDuration, Literal};

/// What may, must not or must wait. `tools`, `resources`, `prompts` and `methods` are alternatives; one of them is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.tools) || has(self.resources) || has(self.prompts) || has(self.methods)",
        "message": consistency::SOME_TARGET
    },
    {
        "rule": "(self.effect == 'RequireApproval') == has(self.approval)",
        "message": consistency::APPROVAL_GIVEN
    },
    {
        "rule": "self.effect == 'Allow' || !has(self.scopes)",
        "message": consistency::SCOPES_ALLOW
    },
    {
        "rule": "self.effect != 'Allow' || !has(self.when) || !self.when.exists(part, has(part.header))",
        "message": consistency::HEADER_NEVER_ALLOWS
    }
]))]
pub struct Rule {
    /// Its name in this object; recordings and answers say it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), extend("x-sallyport-expected" = "lower-case letters, digits and `-`"))]
    pub name: String,
    /// What follows.
    pub effect: Effect,
    /// Globs over tool names; `*` matches any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub tools: Vec<String>,
    /// Globs over resource URIs; `*` stops at `/`, `**` does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 1024)))]
    pub resources: Vec<String>,
    /// Globs over prompt names; `*` matches any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub prompts: Vec<String>,
    /// Globs over other methods, also over what the server asks of the client, such as `elicitation/create`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 128)))]
    pub methods: Vec<String>,
    /// Conditions, all of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub when: Vec<Condition>,
    /// Scopes that the token must have, else the client is told to ask for them. Only in Allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)))]
    pub scopes: Vec<String>,
    /// Who must agree. Needed in RequireApproval, refused elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// What the caller is told when the rule denies or holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub message: Option<String>,
}

/// What follows from a rule that matches.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Effect {
    /// The call may go on, unless another rule denies or holds it.
    Allow,
    /// The call waits until others approve it.
    RequireApproval,
    /// The call is refused, whatever else allows it.
    Deny,
}

/// One predicate: an operand, an operator and values. Exactly one operand is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "[has(self.argument), has(self.principal), has(self.source), has(self.tool), has(self.header)].filter(given, given).size() == 1",
        "message": consistency::ONE_OPERAND
    },
    {
        "rule": "(self.operator in ['Exists', 'DoesNotExist']) != (has(self.values) && size(self.values) > 0)",
        "message": consistency::OPERATOR_VALUES
    }
]))]
pub struct Condition {
    /// Operand: a path into the arguments of the call, such as `$.limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), extend("x-sallyport-expected" = "a path such as `$.limit`"))]
    pub argument: Option<String>,
    /// Operand: a claim of the caller's token; a dot goes into an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub principal: Option<String>,
    /// Operand: a fact about where the call comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceFact>,
    /// Operand: a hint of the tool's definition, such as `annotations.readOnlyHint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^annotations\."), extend("x-sallyport-expected" = "`annotations.` and the name of a hint"))]
    pub tool: Option<String>,
    /// Operand: a request header. Never in Allow: a header proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub header: Option<String>,
    /// How operand and values are compared.
    pub operator: Operator,
    /// The values; a positive operator asks for any of them, a `Not` operator for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub values: Vec<Literal>,
}

/// The operand of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand<'a> {
    Argument(&'a str),
    Principal(&'a str),
    Source(SourceFact),
    Tool(&'a str),
    Header(&'a str),
}

impl Condition {
    /// The operand; nothing if not exactly one is given.
    #[must_use]
    pub fn operand(&self) -> Option<Operand<'_>> {
        let given = [
            self.argument.as_deref().map(Operand::Argument),
            self.principal.as_deref().map(Operand::Principal),
            self.source.map(Operand::Source),
            self.tool.as_deref().map(Operand::Tool),
            self.header.as_deref().map(Operand::Header),
        ];
        let mut given = given.into_iter().flatten();
        let operand = given.next();
        given.next().is_none().then_some(operand)?
    }
}

/// Facts about where a call comes from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum SourceFact {
    /// The peer's address, or what a trusted proxy says.
    Address,
}

/// How operand and values are compared.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Operator {
    /// The operand is any of the values.
    Equals,
    /// The operand is none of the values.
    NotEquals,
    /// Another word for `Equals`, for several values.
    In,
    /// Another word for `NotEquals`, for several values.
    NotIn,
    /// A regular expression finds something; anchor it with `^` and `$` to match the whole.
    Matches,
    /// No regular expression finds anything.
    NotMatches,
    /// The text begins with any of the values.
    StartsWith,
    /// The text ends with any of the values.
    EndsWith,
    /// The number is less.
    LessThan,
    /// The number is less or the same.
    LessThanOrEqual,
    /// The number is greater.
    GreaterThan,
    /// The number is greater or the same.
    GreaterThanOrEqual,
    /// The operand is there, and not null.
    Exists,
    /// The operand is absent or null.
    DoesNotExist,
    /// CIDR for addresses, prefix for normalised paths.
    Within,
}

/// Who must agree to a held call, and what the grant then is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalRule {
    /// Who may approve; any item. Never the requester.
    #[schemars(length(min = 1, max = 32))]
    pub approvers: Vec<Subject>,
    /// How many distinct people. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub required: Option<u32>,
    /// Whether a reason must be given. Default: `Optional`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What approvers see of the arguments. Default: `Masked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// What an approval gives. Default: this call, once.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub grant: GrantSpec,
}

/// Whether a reason must be given.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Reason {
    Required,
    Optional,
}

/// What approvers see of the arguments.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Preview {
    /// The arguments, with secrets masked.
    Masked,
    /// Names, kinds and lengths only.
    Metadata,
}

/// What an approval gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.scope) && self.scope == 'Tool') || !(has(self.maxUses) || has(self.when))",
    "message": consistency::TOOL_GRANT
}]))]
pub struct GrantSpec {
    /// These arguments once, or the tool for a while. Default: `Call`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<GrantScope>,
    /// How long it can be used after approval; at most the gateway's `approvals.maxGrant`. Default: `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// How often it can be used, for `Tool`. Absent: any number of times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_uses: Option<u32>,
    /// Conditions that each use must meet, for `Tool`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub when: Vec<Condition>,
}

/// How far a grant reaches.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum GrantScope {
    /// These arguments, once.
    Call,
    /// A window in which the tool may be called.
    Tool,
}
