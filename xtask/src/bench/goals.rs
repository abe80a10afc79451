//! The goals: ratios within one run, since machines differ, and a few sizes.

use super::Seen;
use super::contestants::{ALONE, BEST_EFFORT, ENVOY, NGINX, POD, STRICT};
use super::figures::Figures;
use super::scenario::Scenario;
use super::start::SIDECAR;

/// One goal, and what was seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Goal {
    pub(crate) what: String,
    /// At most this.
    pub(crate) limit: f64,
    pub(crate) seen: f64,
}

impl Goal {
    pub(crate) fn met(&self) -> bool {
        self.seen <= self.limit
    }
}

/// All goals that this run can tell about.
pub(crate) fn all(seen: &Seen) -> Vec<Goal> {
    let mut goals = Vec::new();
    for scenario in &seen.board.scenarios {
        let view = View { seen, scenario };
        if scenario.connections == 1 {
            view.alone(&mut goals);
        } else {
            view.together(&mut goals);
        }
    }
    larger(seen, &mut goals);
    at_rest(seen, &mut goals);
    goals
}

/// One scenario of the run.
struct View<'a> {
    seen: &'a Seen,
    scenario: &'a Scenario,
}

impl View<'_> {
    fn of(&self, name: &str) -> Option<Figures> {
        self.seen.board.of(self.scenario, name)
    }

    /// A figure of one contestant as a multiple of another's.
    fn ratio(&self, one: &str, other: &str, figure: fn(&Figures) -> Option<f64>) -> Option<f64> {
        Some(figure(&self.of(one)?)? / figure(&self.of(other)?)?)
    }

    fn push(&self, goals: &mut Vec<Goal>, what: &str, limit: f64, seen: Option<f64>) {
        let what = format!("{what}; {}", self.scenario.name);
        goals.extend(seen.map(|seen| Goal { what, limit, seen }));
    }

    fn together(&self, goals: &mut Vec<Goal>) {
        let processor = |figures: &Figures| figures.processor;
        if self.scenario.kibibytes == 1 && !self.scenario.stream {
            for (name, mode) in [(BEST_EFFORT, "BestEffort"), (STRICT, "Strict")] {
                let what = format!("processor time, recording {mode}, as a multiple of nginx's");
                self.push(goals, &what, 2.0, self.ratio(name, NGINX, processor));
                let what = format!("processor time, recording {mode}, as a multiple of Envoy's");
                self.push(goals, &what, 0.375, self.ratio(name, ENVOY, processor));
            }
            let memory = |figures: &Figures| u32::try_from(figures.memory).ok().map(f64::from);
            let what = "memory of the pod's binary under load, as a multiple of Envoy's";
            self.push(goals, what, 1.0 / 3.0, self.ratio(POD, ENVOY, memory));
        }
        let slow = self.ratio(BEST_EFFORT, NGINX, |figures| Some(figures.slow));
        self.push(
            goals,
            "p99, recording BestEffort, as a multiple of nginx's",
            1.5,
            slow,
        );
        let median = self.ratio(STRICT, BEST_EFFORT, |figures| Some(figures.median));
        self.push(
            goals,
            "p50 of Strict as a multiple of BestEffort's",
            3.0,
            median,
        );
    }

    /// What a proxy adds to the median of one connection, as a multiple of what nginx adds.
    fn alone(&self, goals: &mut Vec<Goal>) {
        let added = |name: &str| Some(self.of(name)?.median - self.of(ALONE)?.median);
        let seen = added(BEST_EFFORT)
            .zip(added(NGINX))
            .map(|(ours, nginx)| ours / nginx);
        self.push(
            goals,
            "p50 added, recording BestEffort, as a multiple of what nginx adds",
            1.0,
            seen,
        );
    }
}

/// Large answers and streams: the ratio to nginx is no worse than that of small ones.
fn larger(seen: &Seen, goals: &mut Vec<Goal>) {
    let ratio = |scenario: &Scenario| {
        let view = View { seen, scenario };
        view.ratio(BEST_EFFORT, NGINX, |figures| figures.processor)
    };
    for scenario in &seen.board.scenarios {
        let small = seen.board.scenarios.iter().find(|other| {
            other.kibibytes == 1
                && !other.stream
                && other.connections == scenario.connections
                && other.newest == scenario.newest
        });
        let limit = small.filter(|small| *small != scenario).and_then(ratio);
        if let (16, Some(limit), Some(seen)) = (scenario.connections, limit, ratio(scenario)) {
            let what = format!(
                "processor time as a multiple of nginx's, no worse than for small answers; {}",
                scenario.name
            );
            goals.push(Goal { what, limit, seen });
        }
    }
}

fn at_rest(seen: &Seen, goals: &mut Vec<Goal>) {
    let mut push = |what: &str, limit, seen| {
        goals.push(Goal {
            what: what.to_owned(),
            limit,
            seen,
        });
    };
    if let Some(start) = seen.starts.of(SIDECAR) {
        let idle = u32::try_from(start.idle).unwrap_or(u32::MAX);
        push(
            "idle memory of `sallyport-sidecar`, MiB",
            12.0,
            f64::from(idle) / 1024.0,
        );
        push(
            "start of `sallyport-sidecar` until it serves, ms",
            100.0,
            start.millis,
        );
    }
    let size = u32::try_from(seen.starts.size).unwrap_or(u32::MAX);
    push(
        "stripped `sallyport-sidecar`, MB",
        15.0,
        f64::from(size) / 1e6,
    );
}
