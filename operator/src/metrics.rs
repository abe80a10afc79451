//! Every metric of the operator, by name. Labels are closed sets: no name of a gateway or pod is among them.

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The metrics, shared by all parts.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    pub reconciles: Family<Reconciled, Counter>,
    pub reconcile_seconds: Histogram,
    pub compile_seconds: Histogram,
    pub bundles_written: Counter,
    pub touches: Counter,
    pub sidecars: Gauge,
    pub leading: Gauge,
    pub refused_sidecars: Counter,
    pub admission: Family<Admitted, Counter>,
    pub admission_seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reconciled {
    pub kind: Kind,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Kind {
    Gateway,
    Policy,
    Guardrail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    Done,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Admitted {
    pub webhook: Webhook,
    /// `Allowed`, `Patched`, or why not; a closed list of words.
    pub reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Webhook {
    MutatePods,
    ValidatePods,
    Validate,
}

impl Webhook {
    /// The webhook at a path.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        match path {
            "/mutate-pods" => Some(Self::MutatePods),
            "/validate-pods" => Some(Self::ValidatePods),
            "/validate" => Some(Self::Validate),
            _ => None,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        let seconds = || {
            Histogram::new([
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
            ])
        };
        let mut metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_seconds: seconds(),
            compile_seconds: seconds(),
            bundles_written: Counter::default(),
            touches: Counter::default(),
            sidecars: Gauge::default(),
            leading: Gauge::default(),
            refused_sidecars: Counter::default(),
            admission: Family::default(),
            admission_seconds: seconds(),
        };
        metrics.registry = Arc::new(metrics.registered());
        metrics
    }

    fn registered(&self) -> Registry {
        let mut all = Registry::with_prefix("sallyport_operator");
        let what = self.reconciles.clone();
        all.register("reconciles", "Objects worked on, by kind and outcome", what);
        let what = self.reconcile_seconds.clone();
        all.register("reconcile_seconds", "Time to work on one object", what);
        let what = self.compile_seconds.clone();
        all.register(
            "compile_seconds",
            "Time to compile one gateway's policy",
            what,
        );
        let what = self.bundles_written.clone();
        all.register("bundles_written", "Bundles signed and written", what);
        let what = self.touches.clone();
        all.register(
            "pod_touches",
            "Pods whose volumes were refreshed by a touch",
            what,
        );
        let what = self.sidecars.clone();
        all.register("sidecars", "Sidecars on the control endpoint", what);
        let what = self.leading.clone();
        all.register("leading", "1 where this replica is the leader", what);
        let what = self.refused_sidecars.clone();
        all.register(
            "sidecars_refused",
            "Control streams that were not let in",
            what,
        );
        let what = self.admission.clone();
        all.register("admission_answers", "Answers to the API server", what);
        let what = self.admission_seconds.clone();
        all.register("admission_seconds", "Time to answer the API server", what);
        all
    }

    /// OpenMetrics text. A formatter that fails leaves what was written so far.
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::warn!(%error, "metrics are not whole");
        }
        text
    }
}
