//! A policy: its status, from how its gateways came out and from its own tests.

use sallyport_policy::compile::{ObjectId, run_tests};

use super::{Context, ControllerError, write};
use crate::clock;
use crate::index::ObjectName;
use crate::status::policy::{Facts, Target, status};

impl Context {
    pub(super) async fn policy(&self, name: &ObjectName) -> Result<(), ControllerError> {
        let view = self.shared.read().policy_view(name);
        let Some(view) = view.filter(|view| !view.policy.is_going()) else {
            return Ok(());
        };
        let object = ObjectId::policy(&name.namespace, &name.name);
        let facts = Facts {
            before: &view.policy.status,
            generation: view.policy.generation(),
            now: clock::now(),
            unreadable: view
                .policy
                .spec
                .as_ref()
                .err()
                .map(|wrong| wrong.error.clone()),
            mistakes: self.outcomes.mistakes(&view.targets, &object),
            missing: view.missing,
            gateways: self.targets(&view.targets),
            tests: run_tests(&view.sources),
        };
        write::status(&self.client, &view.policy, &status(&facts)).await
    }

    pub(super) fn targets(&self, gateways: &[ObjectName]) -> Vec<Target> {
        let target = |name: &ObjectName| {
            let outcome = self.outcomes.of(name);
            Target {
                name: name.to_string(),
                programmed: outcome.programmed,
                below: outcome.below,
            }
        };
        gateways.iter().map(target).collect()
    }
}
