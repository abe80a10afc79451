//! Who may call at all: issuers of tokens, ServiceAccounts, and, only if said loudly, anybody.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{consistency, scalar};

/// Whose tokens are accepted. With nothing in it nobody gets in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentication {
    /// Identity providers. The first one is what a subject without `issuer` means.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuer"]))]
    pub issuers: Vec<TokenIssuer>,
    /// Accepts projected tokens of ServiceAccounts of this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccountCallers>,
    /// Accepts callers without a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Anonymous>,
}

/// One identity provider. Its keys come from discovery, unless `jwksUri` or `jwks` says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!(has(self.jwksUri) && has(self.jwks))",
    "message": consistency::KEYS_ONCE
}]))]
pub struct TokenIssuer {
    /// The `iss` of its tokens, compared byte for byte.
    #[schemars(length(min = 1, max = 512))]
    pub issuer: String,
    /// Where its keys are, if not where discovery says. https only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https://"), extend("x-sallyport-expected" = "an https URL"))]
    pub jwks_uri: Option<String>,
    /// Its keys themselves, a JSON Web Key Set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar::any_object")]
    pub jwks: Option<Map<String, Value>>,
    /// Accepted `aud`; any of them. Default: `publicUrl` and `additionalUrls`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 512)))]
    pub audiences: Vec<String>,
    /// Accepted signature algorithms. Default: `RS256` and `ES256`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub algorithms: Vec<Algorithm>,
    /// Which claims carry what.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub claims: ClaimMapping,
}

/// Signature algorithms of tokens. Symmetric ones and `none` are not among them, so they cannot be configured.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Which claims carry what. A dot goes into an object: `realm_access.roles`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimMapping {
    /// Who the person is. Default: `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub subject: Option<String>,
    /// The person's groups, a list or a text. Default: `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub groups: Option<String>,
    /// The agent. Default: `azp`, else `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub client: Option<String>,
    /// The delegate that acts for the person, an object with `sub` or a text. Default: `act`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub actor: Option<String>,
    /// The token's scopes, a list or a text with spaces. Default: `scope`, else `scp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub scopes: Option<String>,
}

/// Callers inside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccountCallers {
    /// Accepted `aud`; any of them. Default: `sallyport.dev/<namespace>/<gateway>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 512)))]
    pub audiences: Vec<String>,
}

/// Callers without a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.dangerouslyAllow",
    "message": consistency::ANONYMOUS_SAID
}]))]
pub struct Anonymous {
    /// Must be `true`: everybody who reaches the port is let in as `user`.
    pub dangerously_allow: bool,
    /// The subject that such callers have.
    #[schemars(length(min = 1, max = 256))]
    pub user: String,
    /// The groups that such callers have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub groups: Vec<String>,
}
