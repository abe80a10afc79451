//! The compact form of a signed token (RFC 7515), read strictly and believed in nothing until its signature verifies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::name::Issuer;
use sallyport_policy::source::authentication::Algorithm;
use serde_json::{Map, Value};

use super::error::TokenError;
use super::jwks::{Jwk, algorithm_named, library_algorithm};

/// Longer than the largest access token with a few hundred groups.
pub(super) const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A token of which nothing is proved yet. It gives out what is needed to find its key, and no claims.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'a> {
    /// Header and payload with the dot between them: what was signed.
    message: &'a str,
    signature: &'a str,
    kid: Option<String>,
    algorithm: Algorithm,
    explicit_access_token: bool,
    issuer: Issuer,
    claims: Map<String, Value>,
}

impl<'a> UnverifiedToken<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        let (message, signature) = token
            .rsplit_once('.')
            .ok_or(TokenError::Malformed("it has no three parts"))?;
        let (header, payload) = message
            .split_once('.')
            .ok_or(TokenError::Malformed("it has no three parts"))?;
        if payload.contains('.') {
            return Err(TokenError::Malformed("it has more than three parts"));
        }
        let header = object(
            header,
            "its header is not a strict JSON object in base64url",
        )?;
        if header.contains_key("crit") {
            return Err(TokenError::Critical);
        }
        let explicit_access_token = judge_type(&header)?;
        let algorithm = algorithm(&header)?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(TokenError::Malformed("its `kid` is not a text")),
        };
        let claims = object(
            payload,
            "its payload is not a strict JSON object in base64url",
        )?;
        let issuer = match claims.get("iss") {
            Some(Value::String(issuer)) => Issuer::new(issuer.as_str()),
            Some(_) => return Err(TokenError::Malformed("its `iss` is not a text")),
            None => return Err(TokenError::MissingClaim("iss".to_owned())),
        };
        Ok(Self {
            message,
            signature,
            kid,
            algorithm,
            explicit_access_token,
            issuer,
            claims,
        })
    }

    pub(super) const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The claims, if `key` made the signature. The key was chosen to fit the algorithm.
    pub(super) fn claims_signed_by(&self, key: &Jwk) -> Option<&Map<String, Value>> {
        let message = self.message.as_bytes();
        let verified = jsonwebtoken::crypto::verify(
            self.signature,
            message,
            &key.decoding,
            library_algorithm(self.algorithm),
        );
        matches!(verified, Ok(true)).then_some(&self.claims)
    }

    /// Whether `typ` says that this is an access token and nothing else (RFC 9068 section 2.1).
    pub(super) const fn is_explicit_access_token(&self) -> bool {
        self.explicit_access_token
    }
}

/// `typ` tells access tokens from identity assertions, logout tokens and proofs that the same keys sign.
fn judge_type(header: &Map<String, Value>) -> Result<bool, TokenError> {
    let typ = match header.get("typ") {
        None => return Ok(false),
        Some(Value::String(typ)) => typ,
        Some(_) => return Err(TokenError::Malformed("its `typ` is not a text")),
    };
    let lower = typ.to_ascii_lowercase();
    match lower.strip_prefix("application/").unwrap_or(&lower) {
        "at+jwt" => Ok(true),
        "jwt" => Ok(false),
        _ => Err(TokenError::Type(typ.chars().take(40).collect())),
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, TokenError> {
    match header.get("alg") {
        Some(Value::String(name)) => algorithm_named(name).ok_or(TokenError::Algorithm),
        Some(_) | None => Err(TokenError::Malformed("its `alg` is not a text")),
    }
}

/// A part of the token as JSON that no two parsers read differently.
fn object(part: &str, wrong: &'static str) -> Result<Map<String, Value>, TokenError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed(wrong))?;
    let document = Document::parse(Bytes::from(bytes), Limits::RESPONSE)
        .map_err(|_| TokenError::Malformed(wrong))?;
    match document.root().to_value() {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(TokenError::Malformed(wrong))
        }
    }
}
