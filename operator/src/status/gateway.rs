//! The status of a `McpGateway`.

use sallyport_crds::conditions::{ConditionType, Reason};
use sallyport_crds::kinds::{McpGatewayStatus, PodCounts};
use sallyport_policy::name::Revision;
use sallyport_policy::source::access::ConditionStatus;
use sallyport_policy::source::settings::{Capture, RecordingMode};
use sallyport_policy::time::UnixMillis;

use super::{ATTENTION, Conditions, count, some};

/// What is known of a gateway.
#[derive(Clone, Debug)]
pub struct Facts<'b> {
    pub before: &'b McpGatewayStatus,
    pub generation: Option<i64>,
    pub now: UnixMillis,
    /// What stands in the way of accepting it.
    pub obstacle: Option<Obstacle>,
    /// What its policy compiles to.
    pub revision: Option<Revision>,
    /// Why that is not in the cluster.
    pub unwritten: Option<Unwritten>,
    pub recording: RecordingMode,
    pub pods: Vec<PodFact>,
}

/// Why a gateway is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It does not compile, or something that bears on it cannot be read.
    Invalid(String),
    BelowGuardrail(String),
    /// Pods that an older gateway keeps, with its name.
    SelectorConflict(Vec<(String, String)>),
}

/// Why a policy is not in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwritten {
    TooLarge(String),
    /// It is being tried again.
    Failed(String),
}

/// One pod that the gateway should guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFact {
    pub name: String,
    pub standing: Standing,
    /// What is fixed when a pod is made has changed since.
    pub outdated: bool,
    pub capture: Option<Capture>,
}

impl PodFact {
    fn is_outdated(&self) -> bool {
        self.outdated || self.standing == Standing::OtherGateway
    }
}

/// How far a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its sidecar enforces the current revision.
    Current,
    /// Its sidecar enforces something else, or has not said anything yet.
    Behind,
    /// Its sidecar does not put in force what it was given.
    Refusing(String),
    /// It was injected for a gateway of this name that is gone.
    OtherGateway,
    /// It has no sidecar.
    Unguarded,
}

impl Standing {
    fn is_injected(&self) -> bool {
        *self != Self::Unguarded
    }

    fn needs_restart(&self) -> bool {
        matches!(self, Self::OtherGateway | Self::Unguarded)
    }
}

/// The status, and whether every pod enforces the revision.
#[must_use]
pub fn status(facts: &Facts<'_>) -> (McpGatewayStatus, bool) {
    let mut conditions = Conditions::new(&facts.before.conditions, facts.generation, facts.now);
    accepted(facts, &mut conditions);
    let programmed = programmed(facts, &mut conditions);
    bypass_protected(facts, &mut conditions);
    recording(facts, &mut conditions);
    conditions.set(
        ConditionType::ToolsPinned,
        ConditionStatus::Unknown,
        Reason::Unproven,
        "pins are kept by the sidecars, which do not report them yet",
    );
    let waiting = facts.obstacle.is_none()
        && !matches!(facts.unwritten, Some(Unwritten::TooLarge(_)))
        && !facts.pods.iter().any(|pod| pod.standing.needs_restart());
    let status = McpGatewayStatus {
        observed_generation: facts.generation,
        conditions: conditions.finish(waiting),
        revision: facts.revision.map(|revision| revision.to_string()),
        capture: capture(&facts.pods),
        pods: counts(&facts.pods),
    };
    (status, programmed)
}

fn accepted(facts: &Facts<'_>, conditions: &mut Conditions<'_>) {
    let (reason, message) = match &facts.obstacle {
        None => (Reason::Accepted, String::new()),
        Some(Obstacle::Invalid(what)) => (Reason::Invalid, format!("{what}; everything is denied")),
        Some(Obstacle::BelowGuardrail(what)) => (
            Reason::BelowGuardrail,
            format!("{what}; everything is denied"),
        ),
        Some(Obstacle::SelectorConflict(lost)) => {
            let pods: Vec<_> = lost.iter().map(|(pod, _)| pod.clone()).collect();
            let keepers = lost.iter().map(|(_, keeper)| keeper.clone());
            let keepers: std::collections::BTreeSet<_> = keepers.collect();
            let keepers: Vec<_> = keepers.into_iter().collect();
            let what = format!(
                "the older {} keeps {}; make the selectors disjoint",
                some(&keepers),
                some(&pods)
            );
            (Reason::SelectorConflict, what)
        }
    };
    conditions.is(
        ConditionType::Accepted,
        facts.obstacle.is_none(),
        reason,
        &message,
    );
}

fn programmed(facts: &Facts<'_>, conditions: &mut Conditions<'_>) -> bool {
    let current = facts
        .pods
        .iter()
        .filter(|pod| pod.standing == Standing::Current)
        .count();
    let (reason, message) = match &facts.unwritten {
        Some(Unwritten::TooLarge(what)) => (Reason::PolicyTooLarge, what.clone()),
        Some(Unwritten::Failed(what)) => (Reason::Pending, what.clone()),
        None if current == facts.pods.len() => (Reason::Programmed, enforced(facts, current)),
        None => lagging(facts, current),
    };
    let programmed = reason == Reason::Programmed;
    conditions.is(ConditionType::Programmed, programmed, reason, &message);
    programmed
}

fn enforced(facts: &Facts<'_>, current: usize) -> String {
    let outdated = facts.pods.iter().filter(|pod| pod.outdated);
    let outdated: Vec<_> = outdated.map(|pod| pod.name.clone()).collect();
    let mut what = format!("{current} of {current} pods enforce it");
    if !outdated.is_empty() {
        what.push_str("; server, listener or credentials have changed: restart ");
        what.push_str(&some(&outdated));
    }
    what
}

fn lagging(facts: &Facts<'_>, current: usize) -> (Reason, String) {
    let of = |wanted: fn(&Standing) -> bool| -> Vec<String> {
        let pods = facts.pods.iter().filter(|pod| wanted(&pod.standing));
        pods.map(|pod| pod.name.clone()).collect()
    };
    let restart = of(Standing::needs_restart);
    if !restart.is_empty() {
        let what = format!("restart {}: not injected for this gateway", some(&restart));
        return (Reason::RestartRequired, what);
    }
    let refusal = facts.pods.iter().find_map(|pod| match &pod.standing {
        Standing::Refusing(why) => Some((pod.name.as_str(), why)),
        Standing::Current | Standing::Behind | Standing::OtherGateway | Standing::Unguarded => None,
    });
    let mut what = format!(
        "{current} of {} pods enforce it; not yet {}",
        facts.pods.len(),
        some(&of(|standing| *standing != Standing::Current))
    );
    if let Some((pod, why)) = refusal {
        what.push_str(&format!("; `{pod}` says: {why}"));
    }
    (Reason::Pending, what)
}

fn bypass_protected(facts: &Facts<'_>, conditions: &mut Conditions<'_>) {
    let kind = ConditionType::BypassProtected;
    let unguarded: Vec<_> = facts
        .pods
        .iter()
        .filter(|pod| pod.standing == Standing::Unguarded)
        .map(|pod| pod.name.clone())
        .collect();
    if unguarded.is_empty() {
        let why = "nobody has tried to get around the sidecars from outside yet";
        conditions.set(kind, ConditionStatus::Unknown, Reason::Unproven, why);
    } else {
        let why = format!("no sidecar in {}; restart them", some(&unguarded));
        conditions.is(kind, false, Reason::NoCapture, &why);
    }
}

fn recording(facts: &Facts<'_>, conditions: &mut Conditions<'_>) {
    let kind = ConditionType::Recording;
    match facts.recording {
        RecordingMode::Strict | RecordingMode::BestEffort => {
            conditions.is(
                kind,
                true,
                Reason::Recording,
                "each sidecar records to its own volume",
            );
        }
        // What is asked for is so: that keeps nothing from being ready.
        RecordingMode::Disabled => conditions.set(
            kind,
            ConditionStatus::Unknown,
            Reason::Disabled,
            "recording is switched off in the spec",
        ),
    }
}

/// The weakest in effect.
fn capture(pods: &[PodFact]) -> Option<Capture> {
    let known = pods.iter().filter_map(|pod| pod.capture);
    known.max_by_key(|capture| match capture {
        Capture::Auto | Capture::Init | Capture::Cni => 0,
        Capture::Socket => 1,
    })
}

fn counts(pods: &[PodFact]) -> PodCounts {
    let number = |wanted: &dyn Fn(&Standing) -> bool| {
        count(pods.iter().filter(|pod| wanted(&pod.standing)).count())
    };
    let attention = pods
        .iter()
        .filter(|pod| pod.outdated || pod.standing != Standing::Current)
        .map(|pod| pod.name.clone());
    PodCounts {
        matched: count(pods.len()),
        injected: number(&Standing::is_injected),
        current: number(&|standing| *standing == Standing::Current),
        outdated: count(pods.iter().filter(|pod| pod.is_outdated()).count()),
        attention: attention.take(ATTENTION).collect(),
    }
}
