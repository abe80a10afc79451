//! A gateway's spec with every absent field resolved. What absence means stands in `source::defaults`, once.

use super::settings::{
    ApprovalSettings, Budget, LimitSettings, PinSettings, RecordingSettings, Settings,
};
use crate::mask::Unreadable;
use crate::source::masking::{MaskAction, Masking};
use crate::source::settings::{Approvals, Limits, Recording};
use crate::source::{GatewaySpec, defaults};

impl Settings {
    /// The settings of a gateway under no guardrail and no policy.
    #[must_use]
    pub fn of(spec: &GatewaySpec) -> Self {
        Self {
            server: spec.server.clone(),
            listener: spec.listener.clone(),
            public_url: spec.public_url.clone(),
            additional_urls: spec.additional_urls.clone(),
            authentication: spec.authentication.clone(),
            credentials: spec.credentials.clone(),
            masking: resolved_masking(&spec.masking),
            unreadable_masking: Unreadable::default(),
            platform_detectors: Vec::new(),
            recording: recording(&spec.recording),
            approvals: approvals(&spec.approvals),
            limits: limits(&spec.limits),
            tool_pins: PinSettings {
                on_change: spec.tool_pins.on_change.unwrap_or(defaults::ON_PIN_CHANGE),
                pins: spec.tool_pins.pins.clone(),
            },
            enforcement: spec.enforcement.unwrap_or(defaults::ENFORCEMENT),
            capture: spec.capture.unwrap_or(defaults::CAPTURE),
            policy_max_age: spec
                .policy_max_age
                .unwrap_or(defaults::POLICY_MAX_AGE)
                .get(),
            egress: spec.egress.clone(),
            identity_map: Vec::new(),
        }
    }

    /// Adds a section of masking; nothing that was masked before becomes visible.
    pub fn add_masking(&mut self, added: &Masking) {
        let own = &mut self.masking;
        for name in added.detectors.iter().flatten() {
            let detectors = own.detectors.get_or_insert_default();
            if !detectors.contains(name) {
                detectors.push(name.clone());
            }
        }
        // The stronger action for detectors: Drop, Redact, Hash, Partial (law 26).
        if let Some(action) = added.action {
            own.action = Some(own.action.map_or(action, |before| before.min(action)));
        }
        let resolved = with_actions(added);
        own.patterns.extend(resolved.patterns);
        own.fields.extend(resolved.fields);
    }

    /// Remembers which detectors the platform asked for, beside everything that authors wrote.
    pub fn add_platform_detectors(&mut self, floor: &Masking) {
        for name in floor.detectors.iter().flatten() {
            if !self.platform_detectors.contains(name) {
                self.platform_detectors.push(name.clone());
            }
        }
    }
}

fn resolved_masking(masking: &Masking) -> Masking {
    let mut resolved = with_actions(masking);
    resolved
        .detectors
        .get_or_insert_with(|| defaults::DETECTORS.map(str::to_owned).to_vec());
    resolved.action.get_or_insert(defaults::MASK_ACTION);
    resolved
}

/// The section's action goes to each of its patterns and fields, for sections with different ones are joined.
fn with_actions(masking: &Masking) -> Masking {
    let mut resolved = masking.clone();
    let action: MaskAction = masking.action.unwrap_or(defaults::MASK_ACTION);
    for pattern in &mut resolved.patterns {
        pattern.action.get_or_insert(action);
        pattern.keep_last.get_or_insert(defaults::KEEP_LAST);
    }
    for field in &mut resolved.fields {
        field.action.get_or_insert(action);
        field.keep_last.get_or_insert(defaults::KEEP_LAST);
    }
    resolved
}

fn recording(written: &Recording) -> RecordingSettings {
    RecordingSettings {
        mode: written.mode.unwrap_or(defaults::RECORDING_MODE),
        payloads: written.payloads.unwrap_or(defaults::PAYLOADS),
        retention: written.retention.unwrap_or(defaults::RETENTION).get(),
        anchor: written.anchor.clone(),
    }
}

fn approvals(written: &Approvals) -> ApprovalSettings {
    ApprovalSettings {
        hold: written.hold.unwrap_or(defaults::HOLD).get(),
        request_ttl: written.request_ttl.unwrap_or(defaults::REQUEST_TTL).get(),
        max_grant: written.max_grant.unwrap_or(defaults::MAX_GRANT).get(),
        max_pending: written.max_pending.unwrap_or(defaults::MAX_PENDING),
    }
}

fn limits(written: &Limits) -> LimitSettings {
    LimitSettings {
        request_bytes: written
            .request_bytes
            .unwrap_or(defaults::REQUEST_BYTES)
            .get(),
        response_bytes: written
            .response_bytes
            .unwrap_or(defaults::RESPONSE_BYTES)
            .get(),
        concurrent_calls: written
            .concurrent_calls
            .unwrap_or(defaults::CONCURRENT_CALLS),
        session_idle: written.session_idle.unwrap_or(defaults::SESSION_IDLE).get(),
        children: written.children.unwrap_or(defaults::CHILDREN),
        memory: written.memory.unwrap_or(defaults::MEMORY).get(),
        budgets: budgets(written),
    }
}

/// The budgets of a section, resolved.
#[must_use]
pub(crate) fn budgets(written: &Limits) -> Vec<Budget> {
    written
        .budgets
        .iter()
        .map(|budget| Budget {
            tools: budget.tools.clone(),
            calls: budget.calls,
            per: budget.per.get(),
            by: budget.by.unwrap_or(defaults::BUDGET_BY),
        })
        .collect()
}
