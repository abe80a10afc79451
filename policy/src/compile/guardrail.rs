//! The platform's floor over a gateway (law 6): it only narrows. What the author left open is settled within the
//! floor; what the author wrote below it puts the gateway out of force.

use std::time::Duration;

use super::mistake::{Mistake, ObjectId};
use crate::bundle::{Settings, budgets};
use crate::source::guardrail::{AnonymousCallers, Require};
use crate::source::masking::Masking;
use crate::source::policy::AccessPolicySpec;
use crate::source::settings::{Capture, Enforcement, Limits, OnPinChange, Payloads, RecordingMode};
use crate::source::{GatewaySpec, GuardrailSpec, Named};

/// One guardrail over one gateway.
pub(super) struct Narrowing<'a> {
    pub(super) spec: &'a GatewaySpec,
    pub(super) gateway: &'a ObjectId,
    pub(super) guardrail: &'a str,
}

impl Narrowing<'_> {
    /// `masking`: what of the floor's own can be read.
    pub(super) fn apply(
        &self,
        floor: &GuardrailSpec,
        masking: &Masking,
        settings: &mut Settings,
        below: &mut Vec<Mistake>,
    ) {
        if settings.authentication.issuers.is_empty() {
            settings
                .authentication
                .issuers
                .clone_from(&floor.defaults.issuers);
        }
        settings.add_masking(masking);
        settings.add_platform_detectors(masking);
        narrow_limits(settings, &floor.limits);
        settings
            .identity_map
            .extend(floor.identity_map.iter().cloned());
        self.require_identity(&floor.require, settings, below);
        self.require_recording(&floor.require, settings, below);
        self.require_rest(&floor.require, settings, below);
    }

    fn below(
        &self,
        path: &str,
        expected: impl Into<String>,
        found: impl std::fmt::Debug,
    ) -> Mistake {
        Mistake::new(self.gateway, path, expected, format!("`{found:?}`")).with_hint(format!(
            "guardrail `{}` requires it; until then everything is denied",
            self.guardrail
        ))
    }

    fn require_identity(&self, require: &Require, settings: &Settings, below: &mut Vec<Mistake>) {
        for (index, issuer) in settings.authentication.issuers.iter().enumerate() {
            if !require.issuers.is_empty() && !require.issuers.contains(&issuer.issuer) {
                let path = format!("spec.authentication.issuers[{index}].issuer");
                below.push(self.below(
                    &path,
                    format!("one of `{}`", require.issuers.join("`, `")),
                    &issuer.issuer,
                ));
            }
        }
        if require.anonymous == Some(AnonymousCallers::Forbid)
            && settings.authentication.anonymous.is_some()
        {
            below.push(self.below(
                "spec.authentication.anonymous",
                "no anonymous callers",
                "dangerouslyAllow",
            ));
        }
    }

    fn require_recording(
        &self,
        require: &Require,
        settings: &mut Settings,
        below: &mut Vec<Mistake>,
    ) {
        let recording = &mut settings.recording;
        if let Some(least) = require.recording
            && recording_rank(recording.mode) > recording_rank(least)
        {
            below.push(self.below(
                "spec.recording.mode",
                format!("`{least:?}` or stricter"),
                recording.mode,
            ));
        }
        if require.payloads.is_empty() || require.payloads.contains(&recording.payloads) {
            return;
        }
        // Unmasked copies cannot be kept yet, so a floor that leaves the choice never means them.
        let allowed = require
            .payloads
            .iter()
            .find(|kept| **kept != Payloads::Full);
        match (self.spec.recording.payloads, allowed) {
            (None, Some(allowed)) => recording.payloads = *allowed,
            (None | Some(_), _) => {
                let expected = format!("one of {:?}", require.payloads);
                below.push(self.below("spec.recording.payloads", expected, recording.payloads));
            }
        }
    }

    fn require_rest(&self, require: &Require, settings: &mut Settings, below: &mut Vec<Mistake>) {
        // `Auto` is settled by the operator, within what the guardrail names.
        let captures = &require.capture;
        if !captures.is_empty()
            && settings.capture != Capture::Auto
            && !captures.contains(&settings.capture)
        {
            below.push(self.below(
                "spec.capture",
                format!("`Auto` or one of {captures:?}"),
                settings.capture,
            ));
        }
        let pins = settings.tool_pins.on_change;
        if let Some(least) = require.tool_pins
            && pin_rank(pins) > pin_rank(least)
        {
            below.push(self.below(
                "spec.toolPins.onChange",
                format!("`{least:?}` or stricter"),
                pins,
            ));
        }
        if require.enforcement == Some(Enforcement::Enforce)
            && settings.enforcement == Enforcement::Observe
        {
            below.push(self.below("spec.enforcement", "`Enforce`", settings.enforcement));
        }
        if let Some(longest) = require.policy_max_age.map(|age| age.get())
            && settings.policy_max_age > longest
        {
            match self.spec.policy_max_age {
                None => settings.policy_max_age = longest,
                Some(age) => below.push(self.below(
                    "spec.policyMaxAge",
                    format!("at most {longest:?}"),
                    age.get(),
                )),
            }
        }
    }
}

/// A policy that only observes is below a floor that demands enforcement.
pub(super) fn check_policy(
    floors: &[&Named<GuardrailSpec>],
    object: &ObjectId,
    spec: &AccessPolicySpec,
    below: &mut Vec<Mistake>,
) {
    let demanding = floors
        .iter()
        .find(|floor| floor.spec.require.enforcement == Some(Enforcement::Enforce));
    if let Some(floor) = demanding
        && spec.enforcement == Some(Enforcement::Observe)
    {
        let hint = format!(
            "guardrail `{}` requires it; until then the gateway denies everything",
            floor.name
        );
        below.push(
            Mistake::new(object, "spec.enforcement", "`Enforce`", "`Observe`").with_hint(hint),
        );
    }
}

fn recording_rank(mode: RecordingMode) -> u8 {
    match mode {
        RecordingMode::Strict => 0,
        RecordingMode::BestEffort => 1,
        RecordingMode::Disabled => 2,
    }
}

fn pin_rank(pins: OnPinChange) -> u8 {
    match pins {
        OnPinChange::Quarantine => 0,
        OnPinChange::Alert => 1,
        OnPinChange::Disabled => 2,
    }
}

/// The smaller bound of each; budgets of both.
fn narrow_limits(settings: &mut Settings, bounds: &Limits) {
    let own = &mut settings.limits;
    lower(
        &mut own.request_bytes,
        bounds.request_bytes.map(|size| size.get()),
    );
    lower(
        &mut own.response_bytes,
        bounds.response_bytes.map(|size| size.get()),
    );
    lower(&mut own.memory, bounds.memory.map(|size| size.get()));
    lower(&mut own.concurrent_calls, bounds.concurrent_calls);
    lower(&mut own.children, bounds.children);
    let idle: Option<Duration> = bounds.session_idle.map(|idle| idle.get());
    lower(&mut own.session_idle, idle);
    own.budgets.extend(budgets(bounds));
}

fn lower<T: PartialOrd + Copy>(value: &mut T, bound: Option<T>) {
    if let Some(bound) = bound
        && bound < *value
    {
        *value = bound;
    }
}
