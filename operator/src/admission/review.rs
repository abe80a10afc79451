//! `AdmissionReview` of `admission.k8s.io/v1`, as far as anybody here reads and writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// As it is, with words for the person who applied it.
    Allow { warnings: Vec<String> },
    /// With these operations applied.
    Patch {
        operations: Vec<Value>,
        warnings: Vec<String>,
    },
    /// Not at all.
    Deny {
        /// A word for metrics, such as `HostNamespace`.
        reason: &'static str,
        message: String,
    },
    /// Not now: what must be known is not known yet.
    NotYet(&'static str),
}

impl Verdict {
    pub(super) const fn allow() -> Self {
        Self::Allow {
            warnings: Vec::new(),
        }
    }
}

/// An answer as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub body: Vec<u8>,
    pub allowed: bool,
    /// A word for metrics: `Allowed`, `Patched`, or why not.
    pub reason: &'static str,
}

/// A question.
#[derive(Debug)]
pub(super) struct Review(Request);

#[derive(Deserialize)]
struct Whole {
    request: Request,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    uid: String,
    operation: String,
    sub_resource: String,
    namespace: String,
    object: Value,
    old_object: Value,
    user_info: UserInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UserInfo {
    username: String,
}

/// The API server warns at 256 characters a warning and cuts at 4096 in all.
const WARNING: usize = 240;
const WARNINGS: usize = 12;

impl Review {
    pub(super) fn read(body: &[u8]) -> Result<Self, Answer> {
        match serde_json::from_slice::<Whole>(body) {
            Ok(whole) if !whole.request.uid.is_empty() => Ok(Self(whole.request)),
            Ok(_) | Err(_) => Err(Self(Request::default()).answer(Verdict::Deny {
                reason: "Unreadable",
                message: "sallyport: the review cannot be read".to_owned(),
            })),
        }
    }

    pub(super) fn operation(&self) -> &str {
        &self.0.operation
    }

    pub(super) fn subresource(&self) -> &str {
        &self.0.sub_resource
    }

    /// Of the request: an object need not say its own.
    pub(super) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    pub(super) fn object(&self) -> &Value {
        &self.0.object
    }

    pub(super) fn old_object(&self) -> &Value {
        &self.0.old_object
    }

    pub(super) fn username(&self) -> &str {
        &self.0.user_info.username
    }

    pub(super) fn answer(&self, verdict: Verdict) -> Answer {
        let (allowed, reason) = match &verdict {
            Verdict::Allow { .. } => (true, "Allowed"),
            Verdict::Patch { .. } => (true, "Patched"),
            Verdict::Deny { reason, .. } => (false, *reason),
            Verdict::NotYet(_) => (false, "NotYet"),
        };
        let mut response = json!({ "uid": self.0.uid, "allowed": allowed });
        let more = match verdict {
            Verdict::Allow { warnings } => json!({ "warnings": cut(warnings) }),
            Verdict::Patch {
                operations,
                warnings,
            } => json!({
                "patchType": "JSONPatch",
                "patch": STANDARD.encode(Value::Array(operations).to_string()),
                "warnings": cut(warnings),
            }),
            Verdict::Deny { reason, message } => json!({
                "status": { "code": 403, "reason": "Forbidden", "message": message },
                "auditAnnotations": { "denied": reason },
            }),
            Verdict::NotYet(what) => json!({
                "status": {
                    "code": 503,
                    "reason": "ServiceUnavailable",
                    "message": format!("sallyport: {what}; try again in a moment"),
                },
            }),
        };
        if let (Some(response), Value::Object(more)) = (response.as_object_mut(), more) {
            response.extend(more);
        }
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": response,
        });
        Answer {
            body: review.to_string().into_bytes(),
            allowed,
            reason,
        }
    }
}

fn cut(warnings: Vec<String>) -> Vec<String> {
    let more = warnings.len().saturating_sub(WARNINGS);
    let short = |text: String| text.chars().take(WARNING).collect::<String>();
    let mut told: Vec<String> = warnings.into_iter().take(WARNINGS).map(short).collect();
    if more > 0 {
        told.push(format!("and {more} more: run `sallyport policy check`"));
    }
    told
}
