//! Whom a gateway trusts to name its callers, and how their tokens are read. Checked once, here.

use std::collections::BTreeSet;

use http::Uri;
use sallyport_policy::condition::claim::ClaimPathError;
use sallyport_policy::name::{GatewayName, Issuer, Subject};
use sallyport_policy::source::authentication::{self as source, Algorithm, Authentication};
use sallyport_policy::source::defaults;
use serde_json::Value;

use super::claim::ClaimPath;
use super::fetch::Fetcher;
use super::jwks::JwkSet;
use super::keys::discovery_addresses;
use super::local::LOCAL_ISSUER;

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
}

/// Where the keys of an issuer come from; never from anything that a token says.
#[derive(Clone, Debug, PartialEq)]
pub enum JwksSource {
    /// `<issuer>/.well-known/openid-configuration`, or RFC 8414 where that is not found.
    Discovery,
    JwksUri(Uri),
    Inline(JwkSet),
}

/// Which claims carry what we need, where it is not where the standards put it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsMapping {
    /// Text, not empty. None: `sub`.
    pub subject: Option<ClaimPath>,
    /// A list of texts, or one text. None: `groups`.
    pub groups: Option<ClaimPath>,
    /// Text. None: `azp`, else `client_id`.
    pub client: Option<ClaimPath>,
    /// Text, or an object with `sub` (RFC 8693). None: `act`.
    pub actor: Option<ClaimPath>,
    /// A list of texts, or a text with spaces. None: `scope`, else `scp`.
    pub scopes: Option<ClaimPath>,
}

/// The principal of callers without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous {
    pub user: Subject,
    pub groups: BTreeSet<String>,
}

/// The issuer of the cluster's own ServiceAccount tokens, which the sidecar cannot find out by itself: it has no
/// rights at the API server, where the keys are.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterIssuer {
    pub issuer: Issuer,
    pub jwks: JwksSource,
}

/// The issuer part of anonymous principals: not a URL, so that no token can carry it.
pub const ANONYMOUS_ISSUER: &str = "anonymous";

/// A setting that cannot be used: the fault of who wrote the gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("issuer `{0}` is listed twice; merge the two entries")]
    DuplicateIssuer(Issuer),
    #[error("issuer `{0}` is a name of our own; use the one that stands in `iss` of the tokens")]
    ReservedIssuer(Issuer),
    #[error("issuer `{0}` has no audience; set the gateway's `publicUrl`, or `audiences`")]
    NoAudience(Issuer),
    #[error("issuer `{0}` allows no algorithm; list at least one")]
    NoAlgorithm(Issuer),
    #[error(
        "the keys of issuer `{issuer}` would be fetched from `{address}`; expected an https address"
    )]
    Insecure { issuer: Issuer, address: String },
    #[error(
        "the keys of issuer `{issuer}` cannot be found at `{address}`; set `jwksUri` or `jwks`"
    )]
    Address { issuer: Issuer, address: String },
    #[error("issuer `{issuer}`: {source}")]
    Claim {
        issuer: Issuer,
        source: ClaimPathError,
    },
    #[error("`jwks` of issuer `{issuer}`: {why}")]
    Jwks { issuer: Issuer, why: String },
    #[error("`anonymous` lets everybody in; say `dangerouslyAllow: true` or leave the section out")]
    AnonymousNotMeant,
}

impl IdentityConfig {
    /// What a gateway's `authentication` means. `urls` are its public ones, the default audiences. Without `cluster`
    /// the section `serviceAccounts` lets nobody in: nothing could verify their tokens.
    pub fn of(
        authentication: &Authentication,
        gateway: &GatewayName,
        urls: &[String],
        cluster: Option<ClusterIssuer>,
    ) -> Result<Self, Vec<ConfigError>> {
        let (mut issuers, mut mistakes) = (Vec::new(), Vec::new());
        for listed in &authentication.issuers {
            match IssuerConfig::of(listed, urls) {
                Ok(issuer) => issuers.push(issuer),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if let (Some(callers), Some(cluster)) = (&authentication.service_accounts, cluster) {
            add_service_accounts(&mut issuers, callers, gateway, cluster);
        }
        let anonymous = match &authentication.anonymous {
            Some(guests) if !guests.dangerously_allow => {
                mistakes.push(ConfigError::AnonymousNotMeant);
                None
            }
            Some(guests) => Some(Anonymous {
                user: Subject::new(guests.user.as_str()),
                groups: guests.groups.iter().cloned().collect(),
            }),
            None => None,
        };
        if mistakes.is_empty() {
            Ok(Self { issuers, anonymous })
        } else {
            Err(mistakes)
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
            algorithms: defaults::ALGORITHMS.into(),
            jwks,
            claims: ClaimsMapping::default(),
            service_accounts: false,
        }
    }

    fn of(listed: &source::TokenIssuer, urls: &[String]) -> Result<Self, ConfigError> {
        let issuer = Issuer::new(listed.issuer.as_str());
        if [ANONYMOUS_ISSUER, LOCAL_ISSUER].contains(&issuer.as_str()) {
            return Err(ConfigError::ReservedIssuer(issuer));
        }
        let audiences = or_default(&listed.audiences, urls);
        let mut config = Self::new(issuer.clone(), audiences, JwksSource::of(listed)?);
        if !listed.algorithms.is_empty() {
            config.algorithms = listed.algorithms.iter().copied().collect();
        }
        config.claims = ClaimsMapping::of(&listed.claims)
            .map_err(|source| ConfigError::Claim { issuer, source })?;
        Ok(config)
    }

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
            JwksSource::Discovery => match discovery_addresses(&self.issuer).first() {
                Some(address) => self.judge_address(address, fetcher),
                None => Err(ConfigError::Address {
                    issuer: self.issuer.clone(),
                    address: self.issuer.to_string(),
                }),
            },
        }
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

impl JwksSource {
    fn of(listed: &source::TokenIssuer) -> Result<Self, ConfigError> {
        let issuer = || Issuer::new(listed.issuer.as_str());
        let jwks = |why: String| ConfigError::Jwks {
            issuer: issuer(),
            why,
        };
        match (&listed.jwks_uri, &listed.jwks) {
            (None, None) => Ok(Self::Discovery),
            (Some(uri), None) => uri
                .parse()
                .map(Self::JwksUri)
                .map_err(|_| ConfigError::Address {
                    issuer: issuer(),
                    address: uri.clone(),
                }),
            (None, Some(keys)) => {
                let text = Value::Object(keys.clone()).to_string();
                let set =
                    JwkSet::parse(text.as_bytes()).map_err(|error| jwks(error.to_string()))?;
                match set.skipped().first() {
                    None => Ok(Self::Inline(set)),
                    Some(key) => Err(jwks(key.to_string())),
                }
            }
            (Some(_), Some(_)) => Err(jwks("give `jwksUri` or `jwks`, not both".to_owned())),
        }
    }
}

impl ClaimsMapping {
    fn of(listed: &source::ClaimMapping) -> Result<Self, ClaimPathError> {
        let path = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
        let source::ClaimMapping {
            subject,
            groups,
            client,
            actor,
            scopes,
        } = listed;
        Ok(Self {
            subject: path(subject)?,
            groups: path(groups)?,
            client: path(client)?,
            actor: path(actor)?,
            scopes: path(scopes)?,
        })
    }
}

/// The audience that projected tokens of callers in the cluster carry unless the gateway says otherwise.
#[must_use]
pub fn service_account_audience(gateway: &GatewayName) -> String {
    format!("sallyport.dev/{}/{}", gateway.namespace, gateway.name)
}

/// A gateway may list the cluster's issuer by hand too; then it is one issuer with the audiences of both.
fn add_service_accounts(
    issuers: &mut Vec<IssuerConfig>,
    callers: &source::ServiceAccountCallers,
    gateway: &GatewayName,
    cluster: ClusterIssuer,
) {
    let audiences = or_default(&callers.audiences, &[service_account_audience(gateway)]);
    if let Some(listed) = issuers
        .iter_mut()
        .find(|listed| listed.issuer == cluster.issuer)
    {
        listed.audiences.extend(audiences);
        listed.service_accounts = true;
        return;
    }
    issuers.push(IssuerConfig {
        service_accounts: true,
        ..IssuerConfig::new(cluster.issuer, audiences, cluster.jwks)
    });
}

fn or_default(given: &[String], default: &[String]) -> Vec<String> {
    if given.is_empty() { default } else { given }.to_vec()
}
