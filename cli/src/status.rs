//! `sallyport status`: how the gateways of a cluster are doing, from what the operator has written into their status.

use std::process::ExitCode;

use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use sallyport_crds::McpGateway;
use sallyport_crds::kinds::McpGatewayStatus;
use sallyport_policy::source::access::{ConditionStatus, StatusCondition};
use serde::Serialize;

use crate::output::{Failure, Format, put, put_table, put_value};

/// As much of a revision as tells two apart.
const SHORT: usize = 12;

/// How the gateways of a cluster are doing.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit codes: 0 every gateway is ready; 1 one is not; 4 the cluster does not answer"
)]
pub(crate) struct StatusArgs {
    /// Only this gateway
    #[arg(value_name = "GATEWAY")]
    gateway: Option<String>,
    /// The namespace; by default that of the context
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Gateways of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "gateway"])]
    all_namespaces: bool,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// One gateway.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    /// What the operator has written; none where it has not looked yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<McpGatewayStatus>,
    /// The status is about an older spec.
    outdated: bool,
}

pub(crate) async fn run(args: StatusArgs) -> Result<ExitCode, Failure> {
    let config = config(args.context).await?;
    let namespace = args
        .namespace
        .clone()
        .unwrap_or(config.default_namespace.clone());
    let client = client(config)?;
    let api: Api<McpGateway> = if args.all_namespaces {
        Api::all(client)
    } else {
        Api::namespaced(client, &namespace)
    };
    let found = match &args.gateway {
        Some(name) => vec![api.get(name).await.map_err(told)?],
        None => api.list(&ListParams::default()).await.map_err(told)?.items,
    };
    let rows: Vec<Row> = found.into_iter().map(Row::of).collect();
    match args.output {
        Format::Table if rows.is_empty() => {
            let place = if args.all_namespaces {
                "this cluster".to_owned()
            } else {
                format!("namespace `{namespace}`")
            };
            put(&format!("no McpGateway in {place}"))?;
        }
        Format::Table => table(&rows)?,
        Format::Json | Format::Yaml => put_value(&rows, args.output)?,
    }
    Ok(if rows.iter().all(Row::is_ready) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

async fn config(context: Option<String>) -> Result<Config, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::outside(format!(
            "no way to a cluster: {error}; set KUBECONFIG, or name a --context"
        ))
    };
    if context.is_none() {
        return Config::infer().await.map_err(|error| wrong(&error));
    }
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    let file = Kubeconfig::read().map_err(|error| wrong(&error))?;
    let config = Config::from_custom_kubeconfig(file, &options).await;
    config.map_err(|error| wrong(&error))
}

fn client(config: Config) -> Result<Client, Failure> {
    // kube's client asks for the process-wide provider; that another is there already is as good.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    Client::try_from(config).map_err(told)
}

fn told(error: kube::Error) -> Failure {
    let kube::Error::Api(status) = error else {
        return Failure::outside(format!("the cluster does not answer: {error}"));
    };
    if status.code == 404 {
        let what = status.message;
        return Failure::no(format!(
            "{what}; is Sallyport installed, and the name right?"
        ));
    }
    Failure::outside(status.message)
}

impl Row {
    fn of(gateway: McpGateway) -> Self {
        let observed = gateway
            .status
            .as_ref()
            .and_then(|status| status.observed_generation);
        Self {
            namespace: gateway.namespace().unwrap_or_default(),
            name: gateway.name_any(),
            outdated: observed != gateway.metadata.generation,
            status: gateway.status,
        }
    }

    fn condition(&self, kind: &str) -> Option<&StatusCondition> {
        let conditions = &self.status.as_ref()?.conditions;
        conditions.iter().find(|condition| condition.kind == kind)
    }

    fn is_ready(&self) -> bool {
        let ready = self.condition("Ready");
        !self.outdated && ready.is_some_and(|ready| ready.status == ConditionStatus::True)
    }

    fn cells(&self) -> Vec<String> {
        let word = |kind: &str| match self.condition(kind).map(|found| found.status) {
            Some(ConditionStatus::True) => "yes",
            Some(ConditionStatus::False) => "no",
            Some(ConditionStatus::Unknown) => "unknown",
            None => "-",
        };
        let status = self.status.clone().unwrap_or_default();
        let pods = status.pods;
        let revision = status.revision.unwrap_or_default();
        let short: String = revision
            .trim_start_matches("sha256:")
            .chars()
            .take(SHORT)
            .collect();
        vec![
            self.namespace.clone(),
            self.name.clone(),
            if self.outdated {
                "not seen"
            } else {
                word("Ready")
            }
            .to_owned(),
            format!("{}/{}", pods.current, pods.matched),
            pods.outdated.to_string(),
            status
                .capture
                .map_or_else(|| "-".to_owned(), |capture| format!("{capture:?}")),
            word("BypassProtected").to_owned(),
            if short.is_empty() {
                "-".to_owned()
            } else {
                short
            },
        ]
    }

    /// What is not as it should be, a line each.
    fn complaints(&self) -> Vec<String> {
        if self.outdated {
            return vec![format!(
                "{}/{}: the operator has not looked at it yet; is it running?",
                self.namespace, self.name
            )];
        }
        let conditions = self.status.iter().flat_map(|status| &status.conditions);
        conditions
            .filter(|one| one.status == ConditionStatus::False && one.kind != "Ready")
            .map(|one| {
                let Self {
                    namespace, name, ..
                } = self;
                format!(
                    "{namespace}/{name}: {} ({}): {}",
                    one.kind, one.reason, one.message
                )
            })
            .collect()
    }
}

fn table(rows: &[Row]) -> Result<(), Failure> {
    let head = [
        "NAMESPACE",
        "GATEWAY",
        "READY",
        "CURRENT",
        "OUTDATED",
        "CAPTURE",
        "PROTECTED",
        "REVISION",
    ];
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    put_table(&head, &cells)?;
    let complaints: Vec<_> = rows.iter().flat_map(Row::complaints).collect();
    if !complaints.is_empty() {
        put("")?;
    }
    complaints.iter().try_for_each(|complaint| put(complaint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test says its values where it uses them"
    )]
    fn row(status: serde_json::Value) -> Row {
        let gateway = json!({
            "apiVersion": "sallyport.dev/v1alpha1",
            "kind": "McpGateway",
            "metadata": { "name": "inventory", "namespace": "shop", "generation": 2 },
            "spec": {},
            "status": status,
        });
        Row::of(serde_json::from_value(gateway).unwrap())
    }

    fn condition(kind: &str, status: &str) -> serde_json::Value {
        json!({
            "type": kind, "status": status, "reason": "Pending", "message": "1 of 2 pods enforce it",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        })
    }

    #[test]
    fn a_gateway_is_ready_only_by_a_status_about_its_own_spec() {
        let ready = |generation: i64, status: &str| {
            row(
                json!({ "observedGeneration": generation, "conditions": [condition("Ready", status)] }),
            )
        };
        for (name, row, expected) in [
            ("ready", ready(2, "True"), true),
            ("not ready", ready(2, "False"), false),
            ("about an older spec", ready(1, "True"), false),
            ("nobody has looked", row(json!(null)), false),
        ] {
            assert_eq!(row.is_ready(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_the_operators_words() {
        let conditions = [
            condition("Programmed", "False"),
            condition("Ready", "False"),
        ];
        let row = row(json!({
            "observedGeneration": 2,
            "conditions": conditions,
            "revision": format!("sha256:{}", "ab".repeat(32)),
            "pods": { "matched": 2, "injected": 2, "current": 1, "outdated": 0 },
        }));
        let told = "shop/inventory: Programmed (Pending): 1 of 2 pods enforce it";
        assert_eq!(row.complaints(), [told]);
        let cells = [
            "shop",
            "inventory",
            "no",
            "1/2",
            "0",
            "-",
            "-",
            "abababababab",
        ];
        assert_eq!(row.cells(), cells);
    }
}
