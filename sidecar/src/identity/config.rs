//! Whom a gateway trusts to name its callers, and how their tokens are read. Checked once, here.

use std::collections::BTreeSet;

use http::Uri;
use sallyport_policy::name::{GatewayName, Issuer, Subject};

use super::claim::{ClaimPath, NotAClaimPath};
use super::fetch::Fetcher;
use super::jwks::{Algorithm, JwkSet};
use super::keys::discovery_addresses;

/// Everything the identity room needs to know of a gateway.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdentityConfig {
    /// Each issuer once; the order does not matter here.
    pub issuers: Vec<IssuerConfig>,
    /// Set only where the gateway says `dangerouslyAllow`.
    pub anonymous: Option<Anonymous>,
}

/// One issuer of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerConfig {
    /// Compared with `iss` byte for byte.
    pub issuer: Issuer,
    /// The token must name at least one of them in `aud`.
    pub audiences: Vec<String>,
    /// What its tokens may be signed with. Never empty.
    pub algorithms: BTreeSet<Algorithm>,
    pub jwks: JwksSource,
    pub claims: ClaimsMapping,
    /// The tokens are those of Kubernetes ServiceAccounts, so that `kubernetes.io` claims are believed.
    pub service_accounts: bool,
    /// The issuer that principals are said to come from, where it is not the one that signed: the standalone
    /// issuer stands in for the gateway's first (law 10).
    pub presents_as: Option<Issuer>,
}

/// Where the keys of an issuer come from; never from anything that a token says.
#[derive(Clone, Debug, PartialEq)]
pub enum JwksSource {
    /// `<issuer>/.well-known/openid-configuration`, or RFC 8414 where that is not found.
    Discovery,
    JwksUri(Uri),
    Inline(JwkSet),
}

/// Which claims carry what we need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsMapping {
    /// Text, not empty.
    pub subject: ClaimPath,
    /// A list of texts, or one text. Absent means no groups.
    pub groups: ClaimPath,
    /// Text. None means `azp`, else `client_id`.
    pub client: Option<ClaimPath>,
    /// Text, or an object with `sub` (RFC 8693). Absent means nobody acts for the subject.
    pub actor: ClaimPath,
}

/// The principal of callers without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous {
    /// The issuer part of the principal; the gateway's first one must not be used, or guests could be mistaken for
    /// its subjects.
    pub issuer: Issuer,
    pub user: Subject,
    pub groups: BTreeSet<String>,
}

/// A setting that cannot be used: the fault of who wrote the gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("issuer `{0}` is listed twice; merge the two entries")]
    DuplicateIssuer(Issuer),
    #[error("issuer `{0}` has no audiences; name the gateway's `publicUrl` or list them")]
    NoAudience(Issuer),
    #[error("issuer `{0}` allows no algorithm; list at least one")]
    NoAlgorithm(Issuer),
    #[error(
        "the keys of issuer `{issuer}` would be fetched from `{address}`; expected an https address"
    )]
    Insecure { issuer: Issuer, address: String },
    #[error("`{address}` of issuer `{issuer}` is not an address: {why}")]
    Address {
        issuer: Issuer,
        address: String,
        why: &'static str,
    },
    #[error(transparent)]
    Claim(#[from] NotAClaimPath),
    #[error("`jwks` of issuer `{issuer}`: {why}")]
    Jwks { issuer: Issuer, why: String },
    #[error("`algorithms` of issuer `{issuer}`: {why}")]
    Algorithm { issuer: Issuer, why: String },
}

impl Default for ClaimsMapping {
    fn default() -> Self {
        Self {
            subject: ClaimPath::top("sub"),
            groups: ClaimPath::top("groups"),
            client: None,
            actor: ClaimPath::top("act"),
        }
    }
}

impl IssuerConfig {
    /// An issuer with the defaults of everything but its name, its audiences and its keys.
    #[must_use]
    pub fn new(issuer: Issuer, audiences: Vec<String>, jwks: JwksSource) -> Self {
        Self {
            issuer,
            audiences,
            algorithms: Algorithm::DEFAULTS.into_iter().collect(),
            jwks,
            claims: ClaimsMapping::default(),
            service_accounts: false,
            presents_as: None,
        }
    }
}

impl IssuerConfig {
    /// Refuses settings by which no token, or any token, could pass.
    pub(super) fn judge(&self, fetcher: &Fetcher) -> Result<(), ConfigError> {
        if self.audiences.is_empty() {
            return Err(ConfigError::NoAudience(self.issuer.clone()));
        }
        if self.algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm(self.issuer.clone()));
        }
        match &self.jwks {
            JwksSource::Inline(_) => Ok(()),
            JwksSource::JwksUri(uri) => self.judge_address(uri, fetcher),
            JwksSource::Discovery => self.judge_address(&self.discovery_address()?, fetcher),
        }
    }

    fn discovery_address(&self) -> Result<Uri, ConfigError> {
        let addresses = discovery_addresses(&self.issuer);
        addresses
            .into_iter()
            .next()
            .ok_or_else(|| ConfigError::Address {
                issuer: self.issuer.clone(),
                address: self.issuer.to_string(),
                why: "its discovery document cannot be found by it; set `jwksUri` or `jwks`",
            })
    }

    fn judge_address(&self, address: &Uri, fetcher: &Fetcher) -> Result<(), ConfigError> {
        if fetcher.allows(address) {
            return Ok(());
        }
        Err(ConfigError::Insecure {
            issuer: self.issuer.clone(),
            address: address.to_string(),
        })
    }
}

/// The issuer part of anonymous principals: not a URL, so that no token can carry it.
pub const ANONYMOUS_ISSUER: &str = "anonymous";

/// The audience that projected tokens of callers in the cluster carry unless the gateway says otherwise.
#[must_use]
pub fn service_account_audience(gateway: &GatewayName) -> String {
    format!("sallyport.dev/{}/{}", gateway.namespace, gateway.name)
}
