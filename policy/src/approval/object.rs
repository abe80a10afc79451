//! Access requests and reviews as the objects that people, the operator and the state folder see.
//!
//! The spec and status are the kinds' own. What they have no field for (exact times, each use, the requester's
//! other names) is the *ledger*: facts that the state is computed from, kept as text in one annotation. `phase`
//! and the counts are written for readers and never read back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::approval::case::{Case, Closing, Use};
use crate::approval::person::{Names, Requester};
use crate::approval::terms::{RuleTerms, Scope, Terms, Window};
use crate::approval::voice::{Approver, Assurance, Refusal, Verdict, Voice};
use crate::name::{ClientId, GatewayName, Issuer, RequestId, RuleId, Subject};
use crate::principal::CallerKey;
use crate::source::access::{
    self, AccessRequestSpec, AccessRequestStatus, AccessReviewSpec, ConditionStatus, HoldingRule,
    Phase, RequestedCall, ReviewCounts, Reviewer, StatusCondition,
};
use crate::source::gateway::ObjectRef;
use crate::source::rule::{GrantScope, GrantSpec, Reason};
use crate::source::{GROUP, GoDuration, Timestamp, VERSION};
use crate::time::UnixMillis;

/// The annotation that holds the ledger.
pub const LEDGER: &str = "sallyport.dev/ledger";
/// The annotation on a review that holds its exact time, in milliseconds: `creationTimestamp` may be coarser.
pub const SPOKEN_AT: &str = "sallyport.dev/spoken-at";

/// An object of one of our kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object<Spec, Status> {
    pub api_version: String,
    pub kind: String,
    pub metadata: Metadata,
    pub spec: Spec,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// The part of an object's metadata that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub creation_timestamp: Option<Timestamp>,
    /// Counts the writes; a write that finds another number than it read is refused.
    #[serde(default)]
    pub resource_version: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

pub type RequestObject = Object<AccessRequestSpec, AccessRequestStatus>;
pub type ReviewObject = Object<AccessReviewSpec, ()>;

/// Facts that the kinds have no field for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ledger {
    pub opened: UnixMillis,
    /// Every name of the requester.
    pub names: Names,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Use>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<UnixMillis>,
}

/// Why an object is not a request or review of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    #[error("`{0}` is not a kind that is expected here")]
    Kind(String),
    #[error("the annotation `{annotation}` is missing or unreadable: {why}")]
    Annotation {
        annotation: &'static str,
        why: String,
    },
    #[error("the grant of a call needs the call's digest")]
    NoDigest,
    #[error("the grant of a tool needs the tool's name")]
    NoTool,
    #[error("the grant has no duration")]
    NoDuration,
    #[error("the request does not say under which revision it was opened")]
    NoRevision,
}

impl Terms {
    /// The spec of the request's object.
    #[must_use]
    pub fn to_spec(&self) -> AccessRequestSpec {
        let (digest, grant, any_client) = match &self.scope {
            Scope::Call { digest } => (Some(*digest), GrantScope::Call, None),
            Scope::Tool(window) => (None, GrantScope::Tool, Some(window)),
        };
        let key = &self.requester.key;
        AccessRequestSpec {
            gateway_name: self.gateway.name.clone(),
            requester: access::Requester {
                issuer: key.issuer.as_str().to_owned(),
                subject: key.subject.as_str().to_owned(),
                email: self.email.clone(),
                actor: key.actor.clone(),
                username: None,
            },
            client: key.client.as_ref().map(|client| client.as_str().to_owned()),
            any_client: any_client.is_some_and(|window| window.any_client),
            call: RequestedCall {
                method: self.method.clone(),
                tool: self.target.clone(),
                preview: self.preview.clone(),
                digest,
                pin: self.pin,
            },
            rules: self.rules.iter().map(HoldingRule::from).collect(),
            revision: Some(self.revision),
            reason: self.reason.clone(),
            grant: GrantSpec {
                scope: Some(grant),
                duration: Some(GoDuration::of(self.window)),
                max_uses: any_client.and_then(|window| window.max_uses),
                when: any_client
                    .map(|window| window.when.clone())
                    .unwrap_or_default(),
            },
            expires_at: Timestamp::new(self.expires),
        }
    }

    /// Terms from a request's object and its ledger.
    pub fn from_object(object: &RequestObject, ledger: &Ledger) -> Result<Self, ObjectError> {
        let spec = &object.spec;
        let grant = &spec.grant;
        Ok(Self {
            gateway: GatewayName {
                namespace: object.metadata.namespace.clone(),
                name: spec.gateway_name.clone(),
            },
            requester: Requester {
                key: caller_key(spec),
                names: ledger.names.clone(),
            },
            email: spec.requester.email.clone(),
            method: spec.call.method.clone(),
            target: spec.call.tool.clone(),
            pin: spec.call.pin,
            scope: scope_of(spec)?,
            rules: spec.rules.iter().map(RuleTerms::from).collect(),
            revision: spec.revision.ok_or(ObjectError::NoRevision)?,
            reason: spec.reason.clone(),
            preview: spec.call.preview.clone(),
            opened: ledger.opened,
            expires: spec.expires_at.get(),
            window: grant
                .duration
                .map(GoDuration::get)
                .ok_or(ObjectError::NoDuration)?,
        })
    }
}

fn caller_key(spec: &AccessRequestSpec) -> CallerKey {
    CallerKey {
        issuer: Issuer::new(&spec.requester.issuer),
        subject: Subject::new(&spec.requester.subject),
        client: spec.client.as_ref().map(ClientId::new),
        actor: spec.requester.actor.clone(),
    }
}

fn scope_of(spec: &AccessRequestSpec) -> Result<Scope, ObjectError> {
    match spec.grant.scope.unwrap_or(GrantScope::Call) {
        GrantScope::Call => {
            let digest = spec.call.digest.ok_or(ObjectError::NoDigest)?;
            Ok(Scope::Call { digest })
        }
        GrantScope::Tool if spec.call.tool.is_none() => Err(ObjectError::NoTool),
        GrantScope::Tool => Ok(Scope::Tool(Window {
            any_client: spec.any_client,
            max_uses: spec.grant.max_uses,
            when: spec.grant.when.clone(),
        })),
    }
}

impl From<&RuleTerms> for HoldingRule {
    fn from(rule: &RuleTerms) -> Self {
        Self {
            source: rule.id.source,
            object: rule.id.object.clone(),
            rule: rule.id.rule.clone(),
            digest: rule.digest,
            approvers: rule.approvers.clone(),
            required: rule.required,
            reason: rule.reason_required.then_some(Reason::Required),
        }
    }
}

impl From<&HoldingRule> for RuleTerms {
    fn from(rule: &HoldingRule) -> Self {
        Self {
            id: RuleId {
                source: rule.source,
                object: rule.object.clone(),
                rule: rule.rule.clone(),
            },
            digest: rule.digest,
            approvers: rule.approvers.clone(),
            required: rule.required.max(1),
            reason_required: rule.reason == Some(Reason::Required),
        }
    }
}

impl Ledger {
    /// The facts of a case that its spec does not hold.
    #[must_use]
    pub fn of(case: &Case, withdrawn: Option<UnixMillis>) -> Self {
        Self {
            opened: case.terms().opened,
            names: case.terms().requester.names.clone(),
            uses: case.uses().to_vec(),
            withdrawn,
        }
    }

    pub fn from_object(object: &RequestObject) -> Result<Self, ObjectError> {
        annotation(&object.metadata, LEDGER)
    }
}

fn annotation<T: for<'de> Deserialize<'de>>(
    metadata: &Metadata,
    name: &'static str,
) -> Result<T, ObjectError> {
    let wrong = |why: String| ObjectError::Annotation {
        annotation: name,
        why,
    };
    let text = metadata.annotations.get(name);
    let text = text.ok_or_else(|| wrong("it is absent".to_owned()))?;
    serde_json::from_str(text).map_err(|error| wrong(error.to_string()))
}

impl RequestObject {
    /// The object of a case, with its status as of now.
    pub fn of_case(id: &RequestId, case: &Case, version: u64) -> Result<Self, ObjectError> {
        let ledger = Ledger::of(case, withdrawal(case));
        let ledger = serde_json::to_string(&ledger).map_err(|error| ObjectError::Annotation {
            annotation: LEDGER,
            why: error.to_string(),
        })?;
        let terms = case.terms();
        Ok(Self {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: "McpAccessRequest".to_owned(),
            metadata: Metadata {
                name: id.as_str().to_owned(),
                namespace: terms.gateway.namespace.clone(),
                creation_timestamp: Some(Timestamp::new(terms.opened)),
                resource_version: version.to_string(),
                annotations: BTreeMap::from([(LEDGER.to_owned(), ledger)]),
            },
            spec: terms.to_spec(),
            status: Some(status_of(case)),
        })
    }
}

fn withdrawal(case: &Case) -> Option<UnixMillis> {
    match case {
        Case::Closed(closed) if closed.why() == Closing::Withdrawn => Some(closed.since()),
        Case::Closed(_) | Case::Pending(_) | Case::Approved(_) => None,
    }
}

impl ReviewObject {
    /// The object of one voice.
    #[must_use]
    pub fn of_voice(name: &str, request: &RequestId, gateway: &GatewayName, voice: &Voice) -> Self {
        Self {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: "McpAccessReview".to_owned(),
            metadata: Metadata {
                name: name.to_owned(),
                namespace: gateway.namespace.clone(),
                creation_timestamp: Some(Timestamp::new(voice.at)),
                resource_version: "1".to_owned(),
                annotations: BTreeMap::from([(SPOKEN_AT.to_owned(), voice.at.0.to_string())]),
            },
            spec: AccessReviewSpec {
                request_ref: ObjectRef {
                    name: request.as_str().to_owned(),
                },
                gateway_name: gateway.name.clone(),
                verdict: voice.verdict,
                reason: voice.reason.clone(),
                by: Reviewer {
                    username: voice.by.username.clone(),
                    groups: voice.by.groups.iter().cloned().collect(),
                    assurance: Some(voice.by.assurance),
                    uid: voice.by.uid,
                },
                preview_digest: voice.preview,
            },
            status: None,
        }
    }

    /// The voice of an object. `issuers`: whose names its author's name is one of.
    pub fn to_voice(&self, issuers: &BTreeSet<Issuer>) -> Result<Voice, ObjectError> {
        let by = &self.spec.by;
        Ok(Voice {
            by: Approver {
                username: by.username.clone(),
                groups: by.groups.iter().cloned().collect(),
                issuers: issuers.clone(),
                aliases: BTreeSet::new(),
                assurance: by.assurance.unwrap_or(Assurance::Authenticated),
                uid: by.uid,
            },
            verdict: self.spec.verdict,
            reason: self.spec.reason.clone(),
            preview: self.spec.preview_digest,
            at: annotation(&self.metadata, SPOKEN_AT)?,
        })
    }
}

/// The status of a case, for readers.
#[must_use]
pub fn status_of(case: &Case) -> AccessRequestStatus {
    let granted = case.granted();
    let phase = phase_of(case);
    AccessRequestStatus {
        observed_generation: Some(1),
        conditions: vec![ready(case, phase)],
        phase: Some(phase),
        reviews: counts(case),
        granted_at: granted.map(|(since, _)| Timestamp::new(since)),
        grant_ends_at: granted.map(|(_, ends)| Timestamp::new(ends)),
        uses: u32::try_from(case.uses().len()).unwrap_or(u32::MAX),
        outcome: case.outcome(),
        message: case.settled_by().map(|voice| match &voice.reason {
            Some(reason) => format!("{:?} by {}: {reason}", voice.verdict, voice.by.username),
            None => format!("{:?} by {}", voice.verdict, voice.by.username),
        }),
    }
}

#[must_use]
pub fn phase_of(case: &Case) -> Phase {
    match case {
        Case::Pending(_) => Phase::Pending,
        Case::Approved(_) => Phase::Approved,
        Case::Closed(closed) => match closed.why() {
            Closing::Denied => Phase::Denied,
            Closing::Expired => Phase::Expired,
            Closing::Withdrawn => Phase::Withdrawn,
            Closing::Consumed => Phase::Consumed,
            Closing::Revoked => Phase::Revoked,
        },
    }
}

fn ready(case: &Case, phase: Phase) -> StatusCondition {
    let usable = matches!(case, Case::Approved(_));
    StatusCondition {
        kind: "Ready".to_owned(),
        status: if usable {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        },
        observed_generation: Some(1),
        last_transition_time: Timestamp::new(case.since()),
        reason: format!("{phase:?}"),
        message: match case {
            Case::Pending(_) => format!("waits for {}", case.terms().wanted()),
            Case::Approved(_) => "the grant can be used".to_owned(),
            Case::Closed(closed) => format!("the request is {}", closed.why().text()),
        },
    }
}

fn counts(case: &Case) -> ReviewCounts {
    let of = |verdict| {
        let voices = case
            .voices()
            .iter()
            .filter(|voice| voice.verdict == verdict);
        u32::try_from(voices.count()).unwrap_or(u32::MAX)
    };
    ReviewCounts {
        approvals: of(Verdict::Approve),
        // One person may satisfy several rules, so the largest number is what is needed at least.
        needed: case
            .terms()
            .rules
            .iter()
            .map(|rule| rule.required)
            .max()
            .unwrap_or(0),
        denials: of(Verdict::Deny),
    }
}

/// A request as it stands in its file: terms, uses and a withdrawal, to be replayed with its reviews.
pub fn restore(
    object: &RequestObject,
    voices: Vec<Voice>,
    now: UnixMillis,
) -> Result<(Case, Vec<Refusal>), ObjectError> {
    if object.kind != "McpAccessRequest" {
        return Err(ObjectError::Kind(object.kind.clone()));
    }
    let ledger = Ledger::from_object(object)?;
    let terms = Terms::from_object(object, &ledger)?;
    Ok(Case::replay(
        terms,
        voices,
        ledger.uses,
        ledger.withdrawn,
        now,
    ))
}
