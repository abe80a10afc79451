//! From what people write to what is enforced.

use std::sync::Arc;

use sallyport_policy::name::{GatewayName, Issuer};
use sallyport_policy::source::authentication::{Algorithm, Authentication};
use serde_json::{Value, json};

use super::support::{Signer, fetcher};
use crate::clock::SystemClock;
use crate::identity::{
    ClusterIssuer, ConfigError, IdentityConfig, IssuerConfig, JwkSet, JwksSource, Verifier,
};

fn authentication(written: &Value) -> Authentication {
    serde_json::from_value(written.clone()).unwrap()
}

fn cluster_issuer() -> ClusterIssuer {
    let keys = json!({"keys": [Signer::p256("k").jwk()]}).to_string();
    ClusterIssuer {
        issuer: Issuer::new("https://cluster.example.com"),
        jwks: JwksSource::Inline(JwkSet::parse(keys.as_bytes()).unwrap()),
    }
}

fn convert(written: &Value, cluster: bool) -> Result<IdentityConfig, Vec<ConfigError>> {
    let written = authentication(written);
    let gateway = GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    };
    let cluster = cluster.then(cluster_issuer);
    IdentityConfig::of(
        &written,
        &gateway,
        &["https://inventory.example.com/mcp".to_owned()],
        cluster,
    )
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = convert(
        &json!({"issuers": [{"issuer": "https://idp.example.com"}]}),
        false,
    )
    .unwrap();
    let issuer = &config.issuers[0];
    assert_eq!(issuer.audiences, ["https://inventory.example.com/mcp"]);
    assert_eq!(
        issuer.algorithms,
        [Algorithm::RS256, Algorithm::ES256].into()
    );
    assert_eq!(issuer.jwks, JwksSource::Discovery);
    assert!(!issuer.service_accounts && config.anonymous.is_none());
}

#[test]
fn what_is_written_is_what_counts() {
    let written = json!({
        "issuers": [{
            "issuer": "https://idp.example.com", "audiences": ["a"], "algorithms": ["EdDSA"],
            "jwksUri": "https://keys.example.com/k",
            "claims": {"subject": "email", "groups": "realm_access.roles"},
        }],
        "anonymous": {"dangerouslyAllow": true, "user": "guest", "groups": ["g"]},
    });
    let config = convert(&written, false).unwrap();
    let issuer = &config.issuers[0];
    assert_eq!(issuer.audiences, ["a"]);
    assert_eq!(issuer.algorithms, [Algorithm::EdDSA].into());
    assert_eq!(
        issuer.jwks,
        JwksSource::JwksUri("https://keys.example.com/k".parse().unwrap())
    );
    assert_eq!(
        issuer
            .claims
            .groups
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("realm_access.roles")
    );
    assert_eq!(config.anonymous.unwrap().user.as_str(), "guest");
}

#[test]
fn service_accounts_come_from_the_clusters_issuer_for_this_gateway() {
    let config = convert(&json!({"serviceAccounts": {}}), true).unwrap();
    assert_eq!(
        config.issuers[0].audiences,
        ["sallyport.dev/shop/inventory"]
    );
    assert!(config.issuers[0].service_accounts);

    let listed = json!({"issuers": [{"issuer": "https://cluster.example.com"}], "serviceAccounts": {"audiences": ["sa"]}});
    let config = convert(&listed, true).unwrap();
    assert_eq!(config.issuers.len(), 1);
    assert_eq!(
        config.issuers[0].audiences,
        ["https://inventory.example.com/mcp", "sa"]
    );

    assert!(
        convert(&json!({"serviceAccounts": {}}), false)
            .unwrap()
            .issuers
            .is_empty(),
        "no cluster, nobody"
    );
    assert!(
        convert(&json!({}), true).unwrap().issuers.is_empty(),
        "not asked for, nobody"
    );
}

#[test]
fn nobody_can_list_an_issuer_by_a_name_of_our_own() {
    for name in ["anonymous", "urn:sallyport:local"] {
        let refused = convert(&json!({"issuers": [{"issuer": name}]}), false).unwrap_err();
        assert_eq!(refused, [ConfigError::ReservedIssuer(Issuer::new(name))]);
    }
}

#[test]
fn every_mistake_is_told() {
    let written = json!({
        "issuers": [
            {"issuer": "https://a", "claims": {"groups": "a..b"}},
            {"issuer": "https://b", "jwks": {"keys": []}},
            {"issuer": "https://c", "jwks": {"keys": [Signer::p256("k").jwk(), {"kty": "oct", "kid": "s"}]}},
            {"issuer": "https://d", "jwksUri": "https://d/k", "jwks": {"keys": []}},
        ],
        "anonymous": {"dangerouslyAllow": false, "user": "guest"},
    });
    let mistakes = convert(&written, false).unwrap_err();
    let texts: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 5, "{texts:#?}");
    assert!(texts[0].contains("`a..b`"));
    assert!(texts[2].contains("key `s`"));
    assert!(texts[3].contains("not both"));
    assert_eq!(mistakes[4], ConfigError::AnonymousNotMeant);
}

#[test]
fn settings_by_which_nobody_or_anybody_could_pass_are_refused() {
    let issuer = |name: &str| {
        let name = Issuer::new(name);
        IssuerConfig::new(name, vec!["a".to_owned()], JwksSource::Discovery)
    };
    let refused = |issuers: Vec<IssuerConfig>| {
        let clock = Arc::new(SystemClock::new());
        let config = IdentityConfig {
            issuers,
            anonymous: None,
        };
        Verifier::new(config, fetcher(), clock).map(|_| ())
    };
    let good = issuer("https://idp.example.com");
    let mut no_audience = good.clone();
    no_audience.audiences.clear();
    let mut no_algorithm = good.clone();
    no_algorithm.algorithms.clear();
    let mut plain_keys = good.clone();
    plain_keys.jwks = JwksSource::JwksUri("http://idp.example.com/keys".parse().unwrap());
    assert_eq!(refused(vec![good.clone()]), Ok(()));
    assert!(matches!(
        refused(vec![good.clone(), good]),
        Err(ConfigError::DuplicateIssuer(_))
    ));
    assert!(matches!(
        refused(vec![no_audience]),
        Err(ConfigError::NoAudience(_))
    ));
    assert!(matches!(
        refused(vec![no_algorithm]),
        Err(ConfigError::NoAlgorithm(_))
    ));
    assert!(matches!(
        refused(vec![plain_keys]),
        Err(ConfigError::Insecure { .. })
    ));
    assert!(matches!(
        refused(vec![issuer("http://idp.example.com")]),
        Err(ConfigError::Insecure { .. })
    ));
    assert!(matches!(
        refused(vec![issuer("my idp")]),
        Err(ConfigError::Address { .. } | ConfigError::Insecure { .. })
    ));
}
