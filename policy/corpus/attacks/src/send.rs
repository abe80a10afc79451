//! A request, to the byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A request. With nothing but a body it is a POST to the MCP endpoint with the headers that a good client sends.
///
/// In `raw`, `line` and `headers` these stand for what the run knows: `{host}`, `{token}`, `{session}` (the sender's),
/// `{session of NAME}`, `{length}` (of the body).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Everything that goes over the connection, as text.
    #[serde(default)]
    pub raw: Option<String>,
    /// The request line.
    #[serde(default)]
    pub line: Option<String>,
    /// Header lines, after the standard ones.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Standard headers that are left out.
    #[serde(default)]
    pub omit: Vec<String>,
    /// Sent over HTTP/2 with these pseudo-headers and headers, in this order, and the body.
    #[serde(default)]
    pub h2: Option<Vec<(String, String)>>,
    /// A token that is made for this case; without it, a good one.
    #[serde(default)]
    pub token: Option<Forgery>,
    #[serde(default)]
    body: Option<String>,
    /// A body that is no UTF-8.
    #[serde(default)]
    base64: Option<String>,
    /// A body that is too long to write out.
    #[serde(default)]
    filled: Option<Body>,
}

/// `before`, then `unit` so many times, then `after`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[serde(default)]
    before: String,
    unit: String,
    times: usize,
    #[serde(default)]
    after: String,
}

/// How a token differs from a good one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgery {
    /// The JOSE header as JSON text; `{kid}` is the key that the issuer publishes, `{jwk}` the attacker's key.
    #[serde(default)]
    pub header: Option<String>,
    /// The claims as JSON text; `{iss}` is the issuer, `{now}` and `{now+N}`, `{now-N}` are seconds.
    #[serde(default)]
    pub claims: Option<String>,
    /// `issuer` (the default), `stranger`, `none`, `hs256-public` (the public key as a shared secret), `cut`, `changed`.
    #[serde(default)]
    pub signed: Option<String>,
    /// Stands instead of the whole value of `Authorization`; `{token}` is a good token.
    #[serde(default)]
    pub value: Option<String>,
}

impl Send {
    /// The body, if it has one of its own.
    #[must_use]
    pub fn body(&self) -> Option<Vec<u8>> {
        if let Some(text) = &self.body {
            return Some(text.clone().into_bytes());
        }
        if let Some(text) = &self.base64 {
            return decoded(text).ok();
        }
        let Body {
            before,
            unit,
            times,
            after,
        } = self.filled.as_ref()?;
        Some(format!("{before}{}{after}", unit.repeat(*times)).into_bytes())
    }

    /// Whether it is a body in an ordinary request, so that what comes of it can be told without a connection.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.raw.is_none()
            && self.line.is_none()
            && self.h2.is_none()
            && self.token.is_none()
            && self.omit.is_empty()
    }

    pub(crate) fn judge(&self) -> Result<(), &'static str> {
        let bodies = [
            self.body.is_some(),
            self.base64.is_some(),
            self.filled.is_some(),
        ];
        if bodies.into_iter().filter(|there| *there).count() > 1 {
            return Err("it has several bodies");
        }
        match &self.base64 {
            Some(text) => decoded(text).map(|_| ()),
            None => Ok(()),
        }
    }
}

pub(crate) fn decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    let text: String = text.split_whitespace().collect();
    STANDARD.decode(text).map_err(|_| "it is no base64")
}
