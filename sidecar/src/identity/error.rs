//! Why a token was not accepted. Texts go to the client and into the audit log: they name claims and settings,
//! never the token or a part of it that the client did not already say in clear.

use std::borrow::Cow;

use http::StatusCode;

/// What is wrong with the credentials of a request; every one but [`KeysError`] is the client's or its issuer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("no bearer token; send `Authorization: Bearer <token>`")]
    Missing,
    #[error("the authorization header is not of the form `Bearer <token>`")]
    NotBearer,
    #[error("more than one authorization header")]
    Repeated,
    #[error("the token is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("the token is not a signed JWT in compact form: {0}")]
    Malformed(&'static str),
    #[error("the token's algorithm is not one that the gateway accepts from its issuer")]
    Algorithm,
    #[error("the token demands header extensions (`crit`) that are not supported")]
    Critical,
    #[error("the token's `typ` is `{0}`; send an access token")]
    Type(String),
    #[error("this is not an access token ({0}); send an access token")]
    NotAccessToken(&'static str),
    #[error("the token's issuer is not one that the gateway trusts")]
    UnknownIssuer,
    #[error("the token was signed with a key that its issuer does not publish")]
    UnknownKey,
    #[error(
        "the token names no key and its issuer publishes several that fit; the issuer must set `kid`"
    )]
    AmbiguousKey,
    #[error("the token's signature does not verify")]
    Signature,
    #[error("the token was not issued for this server; ask for resource `{expected}`")]
    Audience { expected: String },
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet; check the clocks")]
    NotYetValid,
    #[error("the token lacks the claim `{0}`")]
    MissingClaim(String),
    #[error("the token's claim `{claim}` is not {expected}")]
    Claim {
        claim: String,
        expected: &'static str,
    },
    #[error("the token's e-mail address is its subject but is not verified by its issuer")]
    UnverifiedEmail,
    #[error(
        "the token leaves out the caller's groups because there are too many; limit them at the issuer"
    )]
    GroupsElsewhere,
    #[error(
        "the token is bound to a key of its sender (`cnf`), which is not supported; send an unbound one"
    )]
    SenderConstrained,
    #[error("the gateway's settings changed and read this token differently now; start again")]
    ReadOtherwise,
    #[error("the keys of the token's issuer are not available: {0}")]
    Keys(KeysError),
}

/// Why the keys of an issuer cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    #[error("{0}")]
    Fetch(String),
    #[error("the discovery document of the issuer names another issuer")]
    OtherIssuer,
    #[error("the discovery document of the issuer is not usable: {0}")]
    Discovery(String),
    #[error("{0}")]
    Jwks(String),
    #[error("they are too old and could not be renewed")]
    TooOld,
    #[error("a former attempt failed; the next one comes in {seconds} s")]
    BackingOff { seconds: u64 },
}

impl TokenError {
    /// A stable code for audit records and metrics; listed in the docs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::NotBearer => "token_not_bearer",
            Self::Repeated => "token_repeated",
            Self::TooLong { .. } => "token_too_long",
            Self::Malformed(_) => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Critical => "token_critical",
            Self::Type(_) => "token_type",
            Self::NotAccessToken(_) => "token_not_access_token",
            Self::UnknownIssuer => "token_issuer",
            Self::UnknownKey => "token_key",
            Self::AmbiguousKey => "token_key_ambiguous",
            Self::Signature => "token_signature",
            Self::Audience { .. } => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::MissingClaim(_) => "token_claim_missing",
            Self::Claim { .. } => "token_claim",
            Self::UnverifiedEmail => "token_email_unverified",
            Self::GroupsElsewhere => "token_groups_elsewhere",
            Self::SenderConstrained => "token_sender_constrained",
            Self::ReadOtherwise => "token_read_otherwise",
            Self::Keys(_) => "token_keys_unavailable",
        }
    }

    /// What the caller may hear: everything but what failed inside, which names addresses; that is for the log.
    #[must_use]
    pub fn description(&self) -> Cow<'static, str> {
        if matches!(self, Self::Keys(_)) {
            return Cow::Borrowed(
                "the keys of the token's issuer are not available; try again later",
            );
        }
        Cow::Owned(self.to_string())
    }

    /// The status of the answer: 400 for a request that contradicts itself, else 401 (RFC 6750 section 3.1).
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        if matches!(self, Self::Repeated) {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::UNAUTHORIZED
        }
    }

    /// The `error` of the challenge; none where no token was presented (RFC 6750 section 3.1).
    #[must_use]
    pub const fn oauth_error(&self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::NotBearer | Self::Repeated => Some("invalid_request"),
            Self::TooLong { .. }
            | Self::Malformed(_)
            | Self::Algorithm
            | Self::Critical
            | Self::Type(_)
            | Self::NotAccessToken(_)
            | Self::UnknownIssuer
            | Self::UnknownKey
            | Self::AmbiguousKey
            | Self::Signature
            | Self::Audience { .. }
            | Self::Expired
            | Self::NotYetValid
            | Self::MissingClaim(_)
            | Self::Claim { .. }
            | Self::UnverifiedEmail
            | Self::GroupsElsewhere
            | Self::SenderConstrained
            | Self::ReadOtherwise
            | Self::Keys(_) => Some("invalid_token"),
        }
    }
}
