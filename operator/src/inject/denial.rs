//! Why a pod cannot be guarded, and what to do.

use std::fmt;

/// The kind of reason; its name goes into metrics and the answer's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    NotAPod,
    Reserved,
    HostNamespace,
    Windows,
    Unsafe,
    User,
    Server,
    Probe,
    SharedVolume,
    Capture,
    Credential,
    Gateway,
}

impl Reason {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAPod => "NotAPod",
            Self::Reserved => "ReservedName",
            Self::HostNamespace => "HostNamespace",
            Self::Windows => "Windows",
            Self::Unsafe => "UnsafeSetting",
            Self::User => "UserId",
            Self::Server => "NoServer",
            Self::Probe => "Probe",
            Self::SharedVolume => "SharedVolume",
            Self::Capture => "NoCapture",
            Self::Credential => "Credential",
            Self::Gateway => "Gateway",
        }
    }
}

/// A refusal for the pod's author to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Denial {
    pub reason: Reason,
    /// What is wrong: lower case, no full stop.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sallyport: {}; {}", self.what, self.remedy)
    }
}

impl Denial {
    pub(super) fn new(reason: Reason, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn capture(what: &str, remedy: &str) -> Self {
        Self::new(Reason::Capture, what, remedy)
    }

    /// The value has not the form of a pod; the API server never sends such a one.
    pub(super) fn form(field: &str) -> Self {
        Self::new(
            Reason::NotAPod,
            format!("`{field}` has not the form that a pod gives it"),
            "send a pod of the API version v1",
        )
    }
}
