//! A guardrail: its status, from how the gateways under it came out.

use sallyport_policy::compile::ObjectId;

use super::{Context, ControllerError, write};
use crate::clock;
use crate::index::ObjectName;
use crate::status::guardrail::{Facts, status};

impl Context {
    pub(super) async fn guardrail(&self, name: &ObjectName) -> Result<(), ControllerError> {
        let view = self.shared.read().guardrail_view(name);
        let Some(view) = view.filter(|view| !view.guardrail.is_going()) else {
            return Ok(());
        };
        let object = ObjectId::guardrail(&name.name);
        let facts = Facts {
            before: &view.guardrail.status,
            generation: view.guardrail.generation(),
            now: clock::now(),
            unreadable: view
                .guardrail
                .spec
                .as_ref()
                .err()
                .map(|wrong| wrong.error.clone()),
            mistakes: self.outcomes.mistakes(&view.under, &object),
            gateways: self.targets(&view.under),
        };
        write::status(&self.client, &view.guardrail, &status(&facts)).await
    }
}
