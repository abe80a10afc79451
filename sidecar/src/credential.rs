//! The server's own credential: held here, added by the upstream room, printed nowhere.

use std::fmt;

use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// Text that must not leave the process by accident: no `Display`, an empty `Debug`, wiped on drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself; name the reason where you call it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where a credential goes.
#[derive(Clone, Debug)]
pub enum Credential {
    Header(HeaderCredential),
    /// An environment variable of a stdio server.
    Env {
        name: String,
        secret: Secret,
    },
}

/// A header that is set on every message to the server.
#[derive(Clone)]
pub struct HeaderCredential {
    name: HeaderName,
    value: HeaderValue,
    secret: Secret,
}

/// Why a credential cannot be used; never says its value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("`{0}` is not a header name")]
    Name(String),
    #[error("the value for header `{0}` holds characters that a header cannot")]
    Value(String),
}

impl HeaderCredential {
    /// `prefix` and `secret` joined are the header's value.
    pub fn new(name: &str, prefix: &str, secret: Secret) -> Result<Self, CredentialError> {
        let header =
            HeaderName::try_from(name).map_err(|_| CredentialError::Name(name.to_owned()))?;
        let mut value = HeaderValue::try_from(format!("{prefix}{}", secret.reveal()))
            .map_err(|_| CredentialError::Value(name.to_owned()))?;
        value.set_sensitive(true);
        Ok(Self {
            name: header,
            value,
            secret,
        })
    }

    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(crate) fn value(&self) -> HeaderValue {
        self.value.clone()
    }
}

impl fmt::Debug for HeaderCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeaderCredential({})", self.name)
    }
}

impl Credential {
    /// The secret, for the masker: its value never goes to a caller (law 25).
    #[must_use]
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Header(credential) => &credential.secret,
            Self::Env { secret, .. } => secret,
        }
    }
}
