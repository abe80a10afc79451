//! Keeps the authorities in a Secret, the servers' certificates fresh, and the webhook configurations informed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use sallyport_policy::time::UnixMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::authority::Authorities;
use super::serving::Shown;
use super::{CertError, DAY};
use crate::{FIELD_MANAGER, clock, random};

/// The Secret, in the operator's namespace.
pub const SECRET: &str = "sallyport-webhook-ca";
const DATA: &str = "authorities.json";
/// Webhook configurations with this label get our authorities as `caBundle`.
pub const INJECT_CA: &str = "sallyport.dev/inject-ca=true";
/// How often everything is looked at.
const LOOK: Duration = Duration::from_secs(15);

/// Why the authorities are not in order.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Cert(#[from] CertError),
    #[error("Secret `{SECRET}` cannot be read: {0}; delete it and new authorities are made")]
    Unreadable(#[from] serde_json::Error),
    #[error("no random bytes")]
    NoRandomness,
}

/// Keeps the certificates of one replica.
#[derive(Debug)]
pub struct Keeper {
    pub client: ApiClient,
    pub namespace: String,
    /// What the API server may call the webhooks by.
    pub names: Vec<String>,
    pub shown: Arc<Shown>,
    /// The webhooks believed our authorities once: from then on the API server can ask us.
    pub believed: Arc<AtomicBool>,
    pub leading: watch::Receiver<bool>,
}

/// A client that can be printed.
#[derive(Clone)]
pub struct ApiClient(pub Client);

impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// What the shown certificate was made by and when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaf {
    authority: String,
    made: UnixMillis,
}

impl Keeper {
    /// Looks after everything for as long as the process runs.
    pub async fn keep(mut self) {
        let mut leaf = None;
        loop {
            if let Err(error) = self.step(&mut leaf).await {
                tracing::warn!(%error, "certificates are not looked after; trying again");
            }
            let settled = leaf.is_some() && self.believed.load(Ordering::Relaxed);
            let pause = if settled {
                LOOK
            } else {
                Duration::from_secs(1)
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // A new leader looks at once. The sender lives as long as the process.
                changed = self.leading.changed() => { changed.ok(); }
            }
        }
    }

    async fn step(&self, leaf: &mut Option<Leaf>) -> Result<(), KeeperError> {
        let now = clock::now();
        let leads = *self.leading.borrow();
        let authorities = self.authorities(now, leads).await?;
        if let Some(signing) = authorities.signing(now) {
            let fresh = leaf
                .as_ref()
                .is_some_and(|leaf| leaf.authority == signing.id() && now < leaf.made.after(DAY));
            if !fresh {
                self.shown.swap(signing.issue(self.names.clone(), now)?);
                *leaf = Some(Leaf {
                    authority: signing.id().to_owned(),
                    made: now,
                });
            }
        }
        let bundle = authorities.bundle();
        let client = &self.client.0;
        let mutating = publish(client, &bundle, leads, mutating).await?;
        let validating = publish(client, &bundle, leads, validating).await?;
        if mutating && validating {
            self.believed.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What the Secret holds. Whoever comes first makes it; only the leader changes it.
    async fn authorities(&self, now: UnixMillis, leads: bool) -> Result<Authorities, KeeperError> {
        let api: Api<Secret> = Api::namespaced(self.client.0.clone(), &self.namespace);
        let found = api.get_opt(SECRET).await?;
        let id = hex::encode(random::bytes::<4>().ok_or(KeeperError::NoRandomness)?);
        let Some(mut secret) = found else {
            let made = Authorities::default().next(now, &id)?.unwrap_or_default();
            let secret = secret_of(
                &made,
                ObjectMeta {
                    name: Some(SECRET.to_owned()),
                    ..ObjectMeta::default()
                },
            )?;
            return match api.create(&PostParams::default(), &secret).await {
                Ok(_) => Ok(made),
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    read(&api.get(SECRET).await?)
                }
                Err(error) => Err(error.into()),
            };
        };
        let held = read(&secret)?;
        let next = if leads { held.next(now, &id)? } else { None };
        let Some(next) = next else {
            return Ok(held);
        };
        // With its resource version: if somebody was faster, the next look reads what they wrote.
        secret = secret_of(&next, secret.metadata)?;
        api.replace(SECRET, &PostParams::default(), &secret).await?;
        tracing::info!("webhook authorities rotated");
        Ok(next)
    }
}

fn read(secret: &Secret) -> Result<Authorities, KeeperError> {
    let data = secret.data.as_ref().and_then(|data| data.get(DATA));
    let bytes = data.map(|data| data.0.as_slice()).unwrap_or_default();
    Ok(serde_json::from_slice(bytes)?)
}

fn secret_of(authorities: &Authorities, metadata: ObjectMeta) -> Result<Secret, KeeperError> {
    let text = Zeroizing::new(serde_json::to_vec(authorities)?);
    Ok(Secret {
        metadata,
        data: Some(BTreeMap::from([(
            DATA.to_owned(),
            ByteString(text.to_vec()),
        )])),
        ..Secret::default()
    })
}

/// The webhooks of a configuration by name, with what they believe.
type Hooks = Vec<(String, Option<Vec<u8>>)>;

fn mutating(one: &MutatingWebhookConfiguration) -> Hooks {
    let hooks = one.webhooks.iter().flatten();
    named(hooks.map(|hook| (&hook.name, &hook.client_config.ca_bundle)))
}

fn validating(one: &ValidatingWebhookConfiguration) -> Hooks {
    let hooks = one.webhooks.iter().flatten();
    named(hooks.map(|hook| (&hook.name, &hook.client_config.ca_bundle)))
}

fn named<'a>(all: impl Iterator<Item = (&'a String, &'a Option<ByteString>)>) -> Hooks {
    all.map(|(name, bundle)| (name.clone(), bundle.as_ref().map(|bundle| bundle.0.clone())))
        .collect()
}

/// Whether every webhook believes the bundle. The leader puts it into those that believe something else, and owns
/// `caBundle` and nothing else there.
async fn publish<K>(
    client: &Client,
    bundle: &str,
    leads: bool,
    hooks: impl Fn(&K) -> Hooks,
) -> Result<bool, KeeperError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    for found in api.list(&ListParams::default().labels(INJECT_CA)).await? {
        let hooks = hooks(&found);
        if hooks
            .iter()
            .all(|(_, has)| has.as_deref() == Some(bundle.as_bytes()))
        {
            continue;
        }
        if !leads {
            return Ok(false);
        }
        let webhooks: Vec<_> = hooks
            .iter()
            .map(|(name, _)| {
                json!({ "name": name, "clientConfig": { "caBundle": STANDARD.encode(bundle) } })
            })
            .collect();
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": found.name_any() },
            "webhooks": webhooks,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch(&found.name_any(), &params, &Patch::Apply(&patch))
            .await?;
        tracing::info!(name = found.name_any(), "webhooks believe our authorities");
    }
    Ok(true)
}
