//! From the claims of a token whose signature verified to a principal. What is malformed refuses the token: a group
//! that could not be read might be the one that a Deny names.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sallyport_policy::name::{ClientId, Issuer, Subject};
use sallyport_policy::principal::{Principal, ServiceAccount};
use sallyport_policy::time::UnixMillis;
use serde_json::{Map, Value};

use super::claim::ClaimPath;
use super::config::{ANONYMOUS_ISSUER, Anonymous, IssuerConfig};
use super::error::TokenError;

type Claims = Map<String, Value>;

/// How far an issuer's clock may be ahead of ours, for `nbf` and `iat`. `exp` has no leeway.
const CLOCK_SKEW_MILLIS: i64 = 30_000;
/// The end of the year 9999: a later date is a mistake of units.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Everything that is checked and mapped once the signature is known to be good.
pub(super) fn principal(
    config: &IssuerConfig,
    claims: &Claims,
    now: UnixMillis,
) -> Result<Principal, TokenError> {
    let expires_at = judge_times(claims, now)?;
    judge_audience(config, claims)?;
    if present(claims, "cnf").is_some() {
        return Err(TokenError::SenderConstrained);
    }
    let email = verified_email(claims)?;
    let subject = subject(config, claims, email.as_deref())?;
    Ok(Principal {
        issuer: config.issuer.clone(),
        service_account: service_account(config, &subject, claims)?,
        subject,
        groups: groups(config.claims.groups.as_ref(), claims)?,
        client: client(config.claims.client.as_ref(), claims)?,
        actor: actor(config.claims.actor.as_ref(), claims)?,
        scopes: scopes(config.claims.scopes.as_ref(), claims)?,
        claims: believable(claims, email.is_some()),
        email,
        expires_at: Some(expires_at),
        anonymous: false,
    })
}

/// Refuses tokens that the same issuer signs for other purposes. `explicit` tokens say what they are in `typ`.
pub(super) fn judge_purpose(claims: &Claims, explicit: bool) -> Result<(), TokenError> {
    if present(claims, "events").is_some() {
        return Err(TokenError::NotAccessToken("it announces events"));
    }
    let kind = [text(claims, "typ"), text(claims, "token_use")]
        .into_iter()
        .flatten()
        .next();
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("bearer" | "access" | "at+jwt") => return Ok(()),
        Some("id") => return Err(TokenError::NotAccessToken("it is an identity token")),
        Some("refresh" | "offline") => {
            return Err(TokenError::NotAccessToken("it is a refresh token"));
        }
        Some("logout") => return Err(TokenError::NotAccessToken("it is a logout token")),
        Some(_) | None => {}
    }
    let of_id_tokens = ["nonce", "at_hash", "c_hash", "s_hash"];
    if !explicit
        && of_id_tokens
            .iter()
            .any(|name| present(claims, name).is_some())
    {
        return Err(TokenError::NotAccessToken("it is an identity token"));
    }
    Ok(())
}

/// The principal of callers without a token.
pub(super) fn guest(anonymous: Anonymous) -> Principal {
    Principal {
        issuer: Issuer::new(ANONYMOUS_ISSUER),
        subject: anonymous.user,
        email: None,
        groups: anonymous.groups,
        client: None,
        actor: None,
        scopes: BTreeSet::new(),
        service_account: None,
        claims: Map::new(),
        expires_at: None,
        anonymous: true,
    }
}

fn judge_times(claims: &Claims, now: UnixMillis) -> Result<UnixMillis, TokenError> {
    let expires = date(claims, "exp")?.ok_or_else(|| TokenError::MissingClaim("exp".to_owned()))?;
    if now >= expires {
        return Err(TokenError::Expired);
    }
    let latest = UnixMillis(now.0.saturating_add(CLOCK_SKEW_MILLIS));
    for name in ["nbf", "iat"] {
        if date(claims, name)?.is_some_and(|from| from > latest) {
            return Err(TokenError::NotYetValid);
        }
    }
    Ok(expires)
}

/// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction.
fn date(claims: &Claims, name: &str) -> Result<Option<UnixMillis>, TokenError> {
    let Some(value) = present(claims, name) else {
        return Ok(None);
    };
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..=LAST_SECOND).contains(seconds));
    let seconds = seconds.ok_or_else(|| wrong(name, "a date in seconds since 1970"))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked; a fraction of a millisecond is dropped"
    )]
    let millis = (seconds * 1000.0) as i64;
    Ok(Some(UnixMillis(millis)))
}

fn judge_audience(config: &IssuerConfig, claims: &Claims) -> Result<(), TokenError> {
    let value = present(claims, "aud").ok_or_else(|| TokenError::MissingClaim("aud".to_owned()))?;
    let named = texts(&[value]).ok_or_else(|| wrong("aud", "a text or a list of texts"))?;
    if named
        .iter()
        .any(|name| config.audiences.iter().any(|ours| ours == name))
    {
        return Ok(());
    }
    Err(TokenError::Audience {
        expected: config.audiences.first().cloned().unwrap_or_default(),
    })
}

/// An address counts only where the issuer says that it was verified, with `true` and nothing like it.
fn verified_email(claims: &Claims) -> Result<Option<String>, TokenError> {
    if present(claims, "email_verified") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    single(&found("email", claims), "email")
}

fn subject(
    config: &IssuerConfig,
    claims: &Claims,
    email: Option<&str>,
) -> Result<Subject, TokenError> {
    let (found, name) = mapped(config.claims.subject.as_ref(), "sub", claims);
    let text = single(&found, &name)?.ok_or_else(|| TokenError::MissingClaim(name.into_owned()))?;
    let by_email = config
        .claims
        .subject
        .as_ref()
        .is_some_and(|path| path.is("email"));
    if by_email && email != Some(text.as_str()) {
        return Err(TokenError::UnverifiedEmail);
    }
    Ok(Subject::new(text))
}

fn groups(path: Option<&ClaimPath>, claims: &Claims) -> Result<BTreeSet<String>, TokenError> {
    let (found, name) = mapped(path, "groups", claims);
    if found.is_empty() && groups_left_out(path, claims) {
        return Err(TokenError::GroupsElsewhere);
    }
    let names = texts(&found).ok_or_else(|| wrong(&name, "a text or a list of texts"))?;
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// Some issuers drop the list beyond a size and say only that it exists (OpenID Connect Core section 5.6.2). Going on
/// without groups would slip past every Deny that names one.
fn groups_left_out(path: Option<&ClaimPath>, claims: &Claims) -> bool {
    let elsewhere = present(claims, "_claim_names").and_then(Value::as_object);
    elsewhere.is_some_and(|names| !mapped(path, "groups", names).0.is_empty())
        || present(claims, "hasgroups").is_some_and(|flag| *flag != Value::Bool(false))
}

/// By default `azp`, else `client_id`; where both are there they must agree.
fn client(path: Option<&ClaimPath>, claims: &Claims) -> Result<Option<ClientId>, TokenError> {
    if let Some(path) = path {
        let text = single(&path.find(claims), &path.to_string())?;
        return Ok(text.map(ClientId::new));
    }
    let azp = single(&found("azp", claims), "azp")?;
    let client_id = single(&found("client_id", claims), "client_id")?;
    if let (Some(azp), Some(client_id)) = (&azp, &client_id)
        && azp != client_id
    {
        return Err(wrong("azp", "the same as `client_id`"));
    }
    Ok(azp.or(client_id).map(ClientId::new))
}

/// Who acts for the subject: the outermost `act` is the current one (RFC 8693 section 4.1). One that cannot be read
/// refuses the token, for `clients` must match it.
fn actor(path: Option<&ClaimPath>, claims: &Claims) -> Result<Option<String>, TokenError> {
    let (found, name) = mapped(path, "act", claims);
    let present = !found.is_empty();
    let named: Vec<_> = found
        .into_iter()
        .filter_map(|value| {
            value
                .as_object()
                .map_or(Some(value), |actor| actor.get("sub"))
        })
        .collect();
    let actor = single(&named, &name)?;
    if present && actor.is_none() {
        return Err(wrong(&name, "a text or an object with `sub`"));
    }
    Ok(actor)
}

/// By default `scope` (RFC 9068 section 2.2.3), else the common `scp`.
fn scopes(path: Option<&ClaimPath>, claims: &Claims) -> Result<BTreeSet<String>, TokenError> {
    let (mut found, mut name) = mapped(path, "scope", claims);
    if path.is_none() && found.is_empty() {
        (found, name) = mapped(None, "scp", claims);
    }
    let listed = texts(&found).ok_or_else(|| wrong(&name, "a text or a list of texts"))?;
    let single = listed.into_iter().flat_map(str::split_ascii_whitespace);
    Ok(single.map(str::to_owned).collect())
}

/// Believed from the cluster's own issuer only; subject and detail must tell the same.
fn service_account(
    config: &IssuerConfig,
    subject: &Subject,
    claims: &Claims,
) -> Result<Option<ServiceAccount>, TokenError> {
    if !config.service_accounts {
        return Ok(None);
    }
    let detail = present(claims, "kubernetes.io").and_then(Value::as_object);
    let namespace = detail.and_then(|detail| text(detail, "namespace"));
    let account = detail.and_then(|detail| detail.get("serviceaccount")?.as_object());
    let name = account.and_then(|account| text(account, "name"));
    let (Some(namespace), Some(name)) = (namespace, name) else {
        return Err(wrong(
            "kubernetes.io",
            "that of a projected ServiceAccount token",
        ));
    };
    if subject.as_str() != format!("system:serviceaccount:{namespace}:{name}") {
        return Err(wrong(
            "sub",
            "that of the ServiceAccount in `kubernetes.io`",
        ));
    }
    Ok(Some(ServiceAccount {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }))
}

/// The claims that conditions may look at: an address that nobody verified is not among them (law 10).
fn believable(claims: &Claims, email_verified: bool) -> Claims {
    let mut believable = claims.clone();
    if !email_verified {
        believable.remove("email");
    }
    believable
}

/// The claim, unless it is absent or null.
fn present<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| !value.is_null())
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// What stands at a mapped path, or at the standard place, and the name to use in errors.
fn mapped<'a, 'n>(
    path: Option<&ClaimPath>,
    standard: &'n str,
    claims: &'a Claims,
) -> (Vec<&'a Value>, Cow<'n, str>) {
    match path {
        Some(path) => (path.find(claims), Cow::Owned(path.to_string())),
        None => (found(standard, claims), Cow::Borrowed(standard)),
    }
}

fn found<'a>(name: &str, claims: &'a Claims) -> Vec<&'a Value> {
    present(claims, name).into_iter().collect()
}

/// One text that is not empty, or nothing at all; anything else is an error.
fn single(found: &[&Value], name: &str) -> Result<Option<String>, TokenError> {
    match found {
        [] => Ok(None),
        [Value::String(text)] if !text.is_empty() => Ok(Some(text.clone())),
        _ => Err(wrong(name, "one text that is not empty")),
    }
}

/// Texts and lists of texts as one list.
fn texts<'a>(found: &[&'a Value]) -> Option<Vec<&'a str>> {
    let mut texts = Vec::new();
    for value in found {
        match value {
            Value::String(text) => texts.push(text.as_str()),
            Value::Array(items) => {
                for item in items {
                    texts.push(item.as_str()?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
        }
    }
    Some(texts)
}

fn wrong(claim: &str, expected: &'static str) -> TokenError {
    TokenError::Claim {
        claim: claim.to_owned(),
        expected,
    }
}
