//! What is shown, one function a claim. Each begins where the one before ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::Scope;
use kube::{Api, ResourceExt as _};
use sallyport_crds::{McpAccessPolicy, McpGateway, McpGuardrail};
use sallyport_policy::bundle::shards::{MANIFEST, Manifest, SHARDS, shard_name};
use sallyport_policy::bundle::{Envelope, Expected, Opened};
use sallyport_policy::control::{AUDIENCE, Enforces, FromOperator, FromSidecar, Hello};
use sallyport_policy::decide::DenyReason;
use sallyport_policy::name::GatewayName;
use serde_json::{Value, json};

use crate::bed::{Bed, Replica};
use crate::sidecar::Line;

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const SYSTEM: &str = "sallyport-system";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Scene<'b> {
    bed: &'b Bed,
    operator: Replica,
    root: Vec<u8>,
}

pub(crate) fn done(claim: &str) {
    println!("shown: {claim}");
}

/// Our kinds, as the chart brings them.
pub(crate) async fn define(bed: &Bed) {
    for (name, text) in sallyport_crds::generate::files().unwrap() {
        let definition: Value = serde_yaml::from_str(&text).unwrap();
        apply(
            bed,
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            definition,
            &name,
        )
        .await;
    }
}

impl<'b> Scene<'b> {
    pub(crate) async fn set(bed: &'b Bed) -> Self {
        define(bed).await;
        for name in [NAMESPACE, SYSTEM] {
            let api: Api<Namespace> = Api::all(bed.client.clone());
            let namespace =
                serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
            api.create(&PostParams::default(), &namespace)
                .await
                .unwrap();
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(bed.client.clone(), NAMESPACE);
        let account = serde_json::from_value(json!({ "metadata": { "name": "default" } })).unwrap();
        accounts
            .create(&PostParams::default(), &account)
            .await
            .unwrap();
        let operator = bed.operator("first");
        let secrets: Api<Secret> = Api::namespaced(bed.client.clone(), SYSTEM);
        let secret = eventually(bed, "a root key", || async {
            secrets.get_opt("sallyport-root-key").await.unwrap()
        })
        .await;
        let public = secret.data.unwrap()["public"].0.clone();
        Self {
            bed,
            operator,
            root: hex::decode(public).unwrap(),
        }
    }

    pub(crate) async fn a_gateway_becomes_a_signed_bundle_in_four_maps(&self) {
        self.gateway("inventory", "inventory-mcp").await;
        self.policy("clerks", "stock_*").await;
        let (gateway, opened) = eventually(self.bed, "a ready gateway with its policy", || async {
            let gateway = self.gateways().get("inventory").await.unwrap();
            condition(&gateway, "Ready").filter(|(status, _)| status == "True")?;
            let opened = self.opened_now("inventory").await?;
            let told = gateway.status.as_ref()?.revision.clone()?;
            let whole =
                opened.bundle.rule_count() == 1 && told == opened.bundle.revision().to_string();
            whole.then_some((gateway, opened))
        })
        .await;
        assert_eq!(opened.bundle.refusal(), None);
        let status = gateway.status.unwrap();
        assert_eq!(status.observed_generation, gateway.metadata.generation);
        let events: Api<Event> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        eventually(self.bed, "an event", || async {
            let told = events.list(&ListParams::default()).await.unwrap();
            let about = |event: &Event| {
                event.reason.as_deref() == Some("PolicyWritten")
                    && event
                        .regarding
                        .as_ref()
                        .and_then(|object| object.name.as_deref())
                        == Some("inventory")
            };
            told.items.iter().any(about).then_some(())
        })
        .await;
        done("a gateway becomes a signed bundle in four ConfigMaps, as the sidecar opens it");
    }

    pub(crate) async fn a_changed_policy_is_signed_anew_and_pods_are_touched(&self) {
        self.pod("inventory-0", "inventory-mcp", Some("inventory"))
            .await;
        let before = self.in_force("inventory").await;
        self.touched("inventory-0", &before.bundle.revision().to_string())
            .await;
        let begun = Instant::now();
        self.policy("clerks", "stock_read").await;
        let revision = before.bundle.revision();
        let after = eventually(self.bed, "another revision", || async {
            let found = self.opened_now("inventory").await?;
            (found.bundle.revision() != revision).then_some(found)
        })
        .await;
        self.touched("inventory-0", &after.bundle.revision().to_string())
            .await;
        println!("from the change to the touched pod: {:?}", begun.elapsed());
        assert!(after.header.generation > before.header.generation);
        let pods: Api<Pod> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        eventually(
            self.bed,
            "a third touch, as nobody acknowledges",
            || async {
                let pod = pods.get("inventory-0").await.unwrap();
                (pod.annotations().get("sallyport.dev/touched")? == "3").then_some(())
            },
        )
        .await;
        let gateway = self.gateways().get("inventory").await.unwrap();
        let (status, reason) = condition(&gateway, "Programmed").unwrap();
        assert_eq!((&*status, &*reason), ("False", "Pending"));
        done(
            "a changed policy is signed anew with a higher generation, and its pods are touched three times",
        );
    }

    pub(crate) async fn sidecars_of_this_pod_and_gateway_alone_are_let_in_and_make_it_programmed(
        &self,
    ) {
        let opened = self.in_force("inventory").await;
        let uid = self.uid("inventory").await;
        self.pod("stranger-0", "stranger", None).await;
        let bound = self.token(Some("inventory-0"), AUDIENCE).await;
        let rows = [
            ("no token at all", "nonsense".to_owned(), uid.clone()),
            (
                "not bound to a pod",
                self.token(None, AUDIENCE).await,
                uid.clone(),
            ),
            (
                "another audience",
                self.token(Some("inventory-0"), "vault").await,
                uid.clone(),
            ),
            (
                "a pod without sidecar",
                self.token(Some("stranger-0"), AUDIENCE).await,
                uid.clone(),
            ),
            ("another gateway's uid", bound.clone(), "other".to_owned()),
        ];
        for (name, token, uid) in rows {
            let mut line = self.dial().await;
            line.say(&hello(token, &uid)).await;
            let heard = line.hear().await;
            assert!(
                matches!(heard, FromOperator::Goodbye { .. }),
                "{name}: {heard:?}"
            );
        }
        self.one_of_them_is_let_in(bound, &uid, &opened).await;
        done(
            "only the sidecar of a pod injected for this gateway is let in; Programmed follows its word, both ways",
        );
    }

    async fn one_of_them_is_let_in(&self, bound: String, uid: &str, opened: &Opened) {
        let another = vec![7; 32];
        assert!(
            Line::dial(self.operator.control, &another).await.is_err(),
            "another root"
        );
        let mut line = self.dial().await;
        line.say(&hello(bound, uid)).await;
        let minimum_generation = opened.header.generation;
        assert_eq!(
            line.hear().await,
            FromOperator::Welcome { minimum_generation }
        );
        let announce = FromOperator::Announce {
            revision: opened.bundle.revision(),
            generation: minimum_generation,
        };
        assert_eq!(line.hear().await, announce);
        line.say(&FromSidecar::Enforces(Enforces {
            revision: Some(opened.bundle.revision()),
            generation: minimum_generation,
            not_after: Some(opened.header.not_after),
        }))
        .await;
        self.programmed("True", "Programmed").await;
        self.policy("clerks", "stock_list").await;
        let FromOperator::Announce { generation, .. } = line.hear().await else {
            panic!("no announcement of the new policy")
        };
        assert!(generation > minimum_generation);
        self.programmed("False", "Pending").await;
        drop(line);
    }

    pub(crate) async fn bundles_that_are_edited_or_deleted_are_repaired(&self) {
        let maps = self.maps();
        let edits = [
            ("deleted", None),
            (
                "edited",
                Some(json!({ "binaryData": { "bundle-1": "AAAA" } })),
            ),
            (
                "unlabelled",
                Some(
                    json!({ "metadata": { "labels": null }, "binaryData": { "bundle-1": "AAAA" } }),
                ),
            ),
            (
                "made immutable",
                Some(json!({ "immutable": true, "binaryData": { "bundle-1": "AAAA" } })),
            ),
        ];
        for (name, edit) in edits {
            let before = self.in_force("inventory").await;
            match edit {
                None => drop(
                    maps.delete("sallyport-bundle-inventory-1", &DeleteParams::default())
                        .await
                        .unwrap(),
                ),
                Some(edit) => {
                    let patch = Patch::Merge(&edit);
                    let params = PatchParams::default();
                    maps.patch("sallyport-bundle-inventory-1", &params, &patch)
                        .await
                        .unwrap();
                }
            }
            let after = eventually(self.bed, name, || async {
                let found = self.opened_now("inventory").await?;
                (found.header.generation > before.header.generation).then_some(found)
            })
            .await;
            assert_eq!(after.bundle.revision(), before.bundle.revision(), "{name}");
        }
        done("a ConfigMap that is deleted, edited, unlabelled or made immutable is repaired");
    }

    pub(crate) async fn what_is_at_rest_is_not_written(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = self.versions().await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(self.versions().await, before);
        done("what is at rest is not written: no version changes in six seconds");
    }

    pub(crate) async fn the_younger_of_two_gateways_loses_the_pods(&self) {
        // Ages count in whole seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        self.gateway("younger", "inventory-mcp").await;
        eventually(self.bed, "a conflict", || async {
            let gateway = self.gateways().get("younger").await.unwrap();
            let accepted = condition(&gateway, "Accepted")?;
            (accepted == ("False".to_owned(), "SelectorConflict".to_owned())).then_some(())
        })
        .await;
        let older = self.gateways().get("inventory").await.unwrap();
        assert_eq!(condition(&older, "Accepted").unwrap().0, "True");
        self.gateways()
            .delete("younger", &DeleteParams::default())
            .await
            .unwrap();
        eventually(
            self.bed,
            "maps gone with a gateway without pods",
            || async { self.no_maps("sallyport.dev/bundle-of=younger").await },
        )
        .await;
        done("of two gateways over the same pods the younger says SelectorConflict");
    }

    pub(crate) async fn policies_and_guardrails_are_told_how_far_they_are(&self) {
        let policies: Api<McpAccessPolicy> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        eventually(self.bed, "a policy that counts its gateways", || async {
            let status = policies.get("clerks").await.unwrap().status?;
            (status.gateways.total == 1 && status.gateways.current == 0).then_some(())
        })
        .await;
        let floor = json!({
            "metadata": { "name": "floor" },
            "spec": { "require": { "recording": "Strict" } },
        });
        apply(
            self.bed,
            "sallyport.dev/v1alpha1",
            "McpGuardrail",
            floor,
            "floor",
        )
        .await;
        let loose = json!({
            "metadata": { "name": "loose", "namespace": NAMESPACE },
            "spec": { "server": { "port": 8080 }, "recording": { "mode": "Disabled" } },
        });
        apply(
            self.bed,
            "sallyport.dev/v1alpha1",
            "McpGateway",
            loose,
            "loose",
        )
        .await;
        eventually(self.bed, "a gateway below the floor", || async {
            let gateway = self.gateways().get("loose").await.unwrap();
            (condition(&gateway, "Accepted")?.1 == "BelowGuardrail").then_some(())
        })
        .await;
        let refusing = eventually(self.bed, "its bundle", || self.opened_now("loose")).await;
        assert_eq!(refusing.bundle.refusal(), Some(DenyReason::BelowGuardrail));
        let guardrails: Api<McpGuardrail> = Api::all(self.bed.client.clone());
        eventually(self.bed, "a guardrail that names it", || async {
            let status = guardrails.get("floor").await.unwrap().status?;
            status
                .gateways
                .attention
                .contains(&format!("{NAMESPACE}/loose"))
                .then_some(())
        })
        .await;
        guardrails
            .delete("floor", &DeleteParams::default())
            .await
            .unwrap();
        self.gateways()
            .delete("loose", &DeleteParams::default())
            .await
            .unwrap();
        done(
            "policies count their gateways, guardrails name who is below them, and that one denies everything",
        );
    }

    pub(crate) async fn webhooks_believe_the_authority_that_serves_them(&self) {
        let hooks = json!({
            "metadata": { "name": "sallyport-test", "labels": { "sallyport.dev/inject-ca": "true" } },
            "webhooks": [{
                "name": "pods.sallyport.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": { "service": { "name": "sallyport-operator", "namespace": SYSTEM } },
                "namespaceSelector": { "matchLabels": { "nobody": "here" } },
            }],
        });
        let kind = "MutatingWebhookConfiguration";
        apply(
            self.bed,
            "admissionregistration.k8s.io/v1",
            kind,
            hooks,
            "sallyport-test",
        )
        .await;
        let api = api(self.bed, "admissionregistration.k8s.io/v1", kind, None);
        let bundle = eventually(self.bed, "a caBundle", || async {
            let found = api.get("sallyport-test").await.unwrap();
            let bundle = found.data.pointer("/webhooks/0/clientConfig/caBundle")?;
            Some(bundle.as_str()?.to_owned())
        })
        .await;
        use base64::Engine as _;
        let pem = base64::engine::general_purpose::STANDARD
            .decode(bundle)
            .unwrap();
        let host = format!("sallyport-operator.{SYSTEM}.svc");
        let status = https(self.operator.webhooks, &host, &pem).await.unwrap();
        assert_eq!(
            status, "404",
            "no such webhook, but over TLS that the API server believes"
        );
        assert!(
            https(self.operator.webhooks, "elsewhere.svc", &pem)
                .await
                .is_err()
        );
        let ready = http(self.operator.health, "/readyz").await;
        assert!(ready.contains("ready"), "{ready}");
        let metrics = http(self.operator.health, "/metrics").await;
        assert!(
            metrics.contains("\nsallyport_operator_leading 1\n"),
            "{metrics}"
        );
        done(
            "the webhooks' certificate is believed by who believes the caBundle that the operator wrote",
        );
    }

    pub(crate) async fn a_second_replica_takes_over_and_writes_nothing_anew(mut self) -> Self {
        let second = self.bed.operator("second");
        eventually(self.bed, "a second replica that is ready", || async {
            let ready = try_http(second.health, "/readyz").await?;
            ready.contains("200 OK").then_some(())
        })
        .await;
        let metrics = http(second.health, "/metrics").await;
        assert!(
            metrics.contains("\nsallyport_operator_leading 0\n"),
            "{metrics}"
        );
        let before = self.versions().await;
        let begun = Instant::now();
        let first = std::mem::replace(&mut self.operator, second);
        first.running.terminate();
        eventually(self.bed, "another leader", || async {
            let metrics = try_http(self.operator.health, "/metrics").await?;
            metrics
                .contains("\nsallyport_operator_leading 1\n")
                .then_some(())
        })
        .await;
        println!("from SIGTERM to the next leader: {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = self.versions().await;
        assert_eq!(maps_of(&after), maps_of(&before));
        done("a second replica takes over and signs nothing anew");
        self
    }

    pub(crate) async fn a_deleted_gateway_denies_everything_until_its_last_pod_is_gone(&self) {
        let before = self.in_force("inventory").await;
        let uid = self.uid("inventory").await;
        self.gateways()
            .delete("inventory", &DeleteParams::default())
            .await
            .unwrap();
        let after = eventually(self.bed, "a bundle that denies everything", || async {
            let opened = self
                .opened("inventory", &uid, before.header.generation + 1)
                .await?;
            (opened.bundle.refusal() == Some(DenyReason::NoPolicy)).then_some(opened)
        })
        .await;
        self.touched("inventory-0", &after.bundle.revision().to_string())
            .await;
        self.gateway("inventory", "inventory-mcp").await;
        let anew = self.uid("inventory").await;
        eventually(self.bed, "a bundle of the gateway made anew", || {
            self.opened("inventory", &anew, after.header.generation + 1)
        })
        .await;
        self.programmed("False", "RestartRequired").await;
        self.gateways()
            .delete("inventory", &DeleteParams::default())
            .await
            .unwrap();
        let pods: Api<Pod> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        pods.delete("inventory-0", &DeleteParams::default().grace_period(0))
            .await
            .unwrap();
        eventually(self.bed, "no ConfigMap left", || async {
            self.no_maps("sallyport.dev/bundle-of").await
        })
        .await;
        done(
            "a deleted gateway denies everything until its last pod is gone; made anew it asks for a restart",
        );
    }

    pub(crate) async fn in_a_namespace_that_goes_nothing_is_tried(&self) {
        self.gateway("last", "last-mcp").await;
        eventually(self.bed, "its bundle", || self.opened_now("last")).await;
        let namespaces: Api<Namespace> = Api::all(self.bed.client.clone());
        // Nobody on this bed empties namespaces, so it stays on its way.
        namespaces
            .delete(NAMESPACE, &DeleteParams::default())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let map = "sallyport-bundle-last-1";
        self.maps()
            .delete(map, &DeleteParams::default())
            .await
            .unwrap();
        self.gateways()
            .delete("last", &DeleteParams::default())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let metrics = http(self.operator.health, "/metrics").await;
        let failed = metrics
            .lines()
            .any(|line| line.contains("outcome=\"Failed\""));
        assert!(!failed, "{metrics}");
        done("in a namespace that goes nothing is tried in vain");
    }

    async fn no_maps(&self, labels: &str) -> Option<()> {
        let list = ListParams::default().labels(labels);
        let left = self.maps().list(&list).await.unwrap();
        left.items.is_empty().then_some(())
    }

    fn gateways(&self) -> Api<McpGateway> {
        Api::namespaced(self.bed.client.clone(), NAMESPACE)
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.bed.client.clone(), NAMESPACE)
    }

    async fn uid(&self, gateway: &str) -> String {
        self.gateways().get(gateway).await.unwrap().uid().unwrap()
    }

    async fn gateway(&self, name: &str, app: &str) {
        let gateway = json!({
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": {
                "selector": { "matchLabels": { "app": app } },
                "server": { "port": 8080 },
                "publicUrl": "https://inventory.example.com/mcp",
            },
        });
        apply(
            self.bed,
            "sallyport.dev/v1alpha1",
            "McpGateway",
            gateway,
            name,
        )
        .await;
    }

    async fn policy(&self, name: &str, tools: &str) {
        let policy = json!({
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": {
                "targetRefs": [{ "kind": "McpGateway", "name": "inventory" }],
                "rules": [{ "name": "read", "effect": "Allow", "tools": [tools] }],
            },
        });
        apply(
            self.bed,
            "sallyport.dev/v1alpha1",
            "McpAccessPolicy",
            policy,
            name,
        )
        .await;
    }

    async fn pod(&self, name: &str, app: &str, gateway: Option<&str>) {
        let mut pod = json!({
            "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "app": app } },
            "spec": {
                "serviceAccountName": "default",
                "containers": [{ "name": "server", "image": "registry.example.com/server" }],
            },
        });
        if let Some(gateway) = gateway {
            let uid = self.uid(gateway).await;
            pod["spec"]["initContainers"] = json!([{
                "name": "sallyport",
                "image": "registry.example.com/sidecar",
                "restartPolicy": "Always",
                "args": ["--gateway", format!("{NAMESPACE}/{gateway}"), format!("--gateway-uid={uid}")],
            }]);
        }
        let api: Api<Pod> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        let pod = serde_json::from_value(pod).unwrap();
        api.create(&PostParams::default(), &pod).await.unwrap();
    }

    async fn touched(&self, pod: &str, revision: &str) {
        let pods: Api<Pod> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        eventually(self.bed, "a touched pod", || async {
            let pod = pods.get(pod).await.unwrap();
            (pod.annotations().get("sallyport.dev/revision")? == revision).then_some(())
        })
        .await;
    }

    async fn programmed(&self, status: &str, reason: &str) {
        eventually(self.bed, reason, || async {
            let gateway = self.gateways().get("inventory").await.unwrap();
            let found = condition(&gateway, "Programmed")?;
            (found == (status.to_owned(), reason.to_owned())).then_some(())
        })
        .await;
    }

    /// What a sidecar of that gateway would put in force now.
    async fn opened_now(&self, gateway: &str) -> Option<Opened> {
        let uid = self.gateways().get_opt(gateway).await.unwrap()?.uid()?;
        self.opened(gateway, &uid, 0).await
    }

    async fn in_force(&self, gateway: &str) -> Opened {
        eventually(self.bed, "a bundle", || self.opened_now(gateway)).await
    }

    async fn opened(&self, gateway: &str, uid: &str, generation: u64) -> Option<Opened> {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for number in 0..SHARDS {
            let name = format!("sallyport-bundle-{gateway}-{number}");
            let map = self.maps().get_opt(&name).await.unwrap()?;
            let text = map.data.unwrap_or_default().into_iter();
            files.extend(text.map(|(name, text)| (name, text.into_bytes())));
            let binary = map.binary_data.unwrap_or_default().into_iter();
            files.extend(binary.map(|(name, bytes)| (name, bytes.0)));
        }
        let manifest = Manifest::read(files.get(MANIFEST)?).ok()?;
        let shards = std::array::from_fn(|number| {
            files.get(&shard_name(number)).cloned().unwrap_or_default()
        });
        let envelope = manifest.join(&shards).ok()?;
        let gateway = GatewayName {
            namespace: NAMESPACE.to_owned(),
            name: gateway.to_owned(),
        };
        let expected = Expected {
            root: &self.root,
            gateway: &gateway,
            uid,
            generation,
            now: sallyport_operator::clock::now(),
        };
        Envelope::open(&envelope, &expected).ok()
    }

    async fn token(&self, pod: Option<&str>, audience: &str) -> String {
        let pods: Api<Pod> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        let bound = match pod {
            None => None,
            Some(name) => Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: Some(name.to_owned()),
                uid: pods.get(name).await.unwrap().uid(),
            }),
        };
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![audience.to_owned()],
                bound_object_ref: bound,
                expiration_seconds: None,
            },
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        let params = PostParams::default();
        let made = accounts
            .create_token_request("default", &params, &request)
            .await
            .unwrap();
        made.status.unwrap().token
    }

    async fn dial(&self) -> Line {
        Line::dial(self.operator.control, &self.root).await.unwrap()
    }

    /// The versions of everything that the operator writes.
    async fn versions(&self) -> BTreeMap<String, String> {
        let list = ListParams::default();
        let mut versions = BTreeMap::new();
        for map in self
            .maps()
            .list(&list.clone().labels("sallyport.dev/bundle-of"))
            .await
            .unwrap()
        {
            versions.insert(
                format!("map {}", map.name_any()),
                map.resource_version().unwrap(),
            );
        }
        for gateway in self.gateways().list(&list).await.unwrap() {
            versions.insert(
                format!("gateway {}", gateway.name_any()),
                gateway.resource_version().unwrap(),
            );
        }
        let policies: Api<McpAccessPolicy> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        for policy in policies.list(&list).await.unwrap() {
            versions.insert(
                format!("policy {}", policy.name_any()),
                policy.resource_version().unwrap(),
            );
        }
        let pods: Api<Pod> = Api::namespaced(self.bed.client.clone(), NAMESPACE);
        for pod in pods.list(&list).await.unwrap() {
            versions.insert(
                format!("pod {}", pod.name_any()),
                pod.resource_version().unwrap(),
            );
        }
        versions
    }
}

fn maps_of(versions: &BTreeMap<String, String>) -> Vec<(&String, &String)> {
    versions
        .iter()
        .filter(|(name, _)| name.starts_with("map "))
        .collect()
}

fn hello(token: String, uid: &str) -> FromSidecar {
    FromSidecar::Hello(Hello {
        token,
        gateway: GatewayName {
            namespace: NAMESPACE.to_owned(),
            name: "inventory".to_owned(),
        },
        uid: uid.to_owned(),
        version: "0.1.0".to_owned(),
    })
}

pub(crate) fn condition(gateway: &McpGateway, kind: &str) -> Option<(String, String)> {
    let conditions = &gateway.status.as_ref()?.conditions;
    let found = conditions.iter().find(|one| one.kind == kind)?;
    Some((format!("{:?}", found.status), found.reason.clone()))
}

pub(crate) fn api(
    bed: &Bed,
    version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => {
            Api::dynamic(bed.client.clone(), &resource, &Scope::Namespaced).constrain(namespace)
        }
        None => Api::dynamic(bed.client.clone(), &resource, &Scope::Cluster),
    }
}

pub(crate) async fn apply(bed: &Bed, version: &str, kind: &str, mut object: Value, name: &str) {
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or(name)
        .to_owned();
    let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
    let params = PatchParams::apply("a-person").force();
    let begun = Instant::now();
    loop {
        let api = api(bed, version, kind, namespace.as_deref());
        match api.patch(&name, &params, &Patch::Apply(&object)).await {
            Ok(_) => return,
            // A kind that was defined a moment ago is served a moment later.
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{kind} {name}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    bed: &Bed,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "waited in vain for {what}\n{}\n{}",
            bed.log("first.log"),
            bed.log("second.log")
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn https(port: u16, host: &str, pem: &[u8]) -> Result<String, std::io::Error> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut stream = connector.connect(name, stream).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}

pub(crate) async fn http(port: u16, path: &str) -> String {
    try_http(port, path).await.unwrap()
}

async fn try_http(port: u16, path: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
