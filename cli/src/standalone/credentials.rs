//! The server's credentials: from Secret documents in the files, or from `--secret`, never from an argument's text.

use sallyport_policy::bundle::Settings;
use sallyport_policy::name::GatewayName;
use sallyport_policy::source::Secrets;
use sallyport_policy::source::gateway::Credential as Written;
use sallyport_sidecar::credential::{Credential, HeaderCredential, Secret};

use crate::output::Failure;

/// Finds the value of every credential that the gateway names.
pub(super) fn resolve(
    settings: &Settings,
    gateway: &GatewayName,
    secrets: &Secrets,
    given: &[String],
) -> Result<Vec<Credential>, Failure> {
    settings
        .credentials
        .iter()
        .map(|written| one(written, gateway, secrets, given))
        .collect()
}

/// The environment variables that `--secret` names; the server must not inherit them.
pub(super) fn variables(given: &[String]) -> Vec<String> {
    given
        .iter()
        .filter_map(|text| text.split_once("=env:"))
        .map(|(_, variable)| variable.to_owned())
        .collect()
}

fn one(
    written: &Written,
    gateway: &GatewayName,
    secrets: &Secrets,
    given: &[String],
) -> Result<Credential, Failure> {
    let reference = written
        .secret_key_ref
        .as_ref()
        .or(written.platform_secret_ref.as_ref());
    let Some(reference) = reference else {
        return Err(Failure::input(
            "a credential names no Secret; set `secretKeyRef`",
        ));
    };
    let name = format!("{}/{}", reference.name, reference.key);
    let secret = match from_argument(&name, given)? {
        Some(secret) => secret,
        None => from_files(gateway, &reference.name, &reference.key, secrets)?,
    };
    if !written.env.is_empty() {
        let prefix = written.prefix.as_deref().unwrap_or_default();
        let secret = Secret::new(format!("{prefix}{}", secret.reveal()));
        return Ok(Credential::Env {
            name: written.env.clone(),
            secret,
        });
    }
    let prefix = written.prefix.as_deref().unwrap_or_default();
    let header = HeaderCredential::new(&written.header, prefix, secret);
    header
        .map(Credential::Header)
        .map_err(|error| Failure::input(error.to_string()))
}

fn from_files(
    gateway: &GatewayName,
    name: &str,
    key: &str,
    secrets: &Secrets,
) -> Result<Secret, Failure> {
    let Some(value) = secrets.value(&gateway.namespace, name, key) else {
        return Err(Failure::input(format!(
            "the credential's Secret `{name}` has no key `{key}`; add a `kind: Secret` document or give --secret {name}/{key}=env:VAR"
        )));
    };
    let text = std::str::from_utf8(value.expose());
    text.map(Secret::new)
        .map_err(|_| Failure::input(format!("the value of `{name}/{key}` is not text")))
}

fn from_argument(name: &str, given: &[String]) -> Result<Option<Secret>, Failure> {
    let Some(source) = given
        .iter()
        .find_map(|text| text.strip_prefix(name)?.strip_prefix('='))
    else {
        return Ok(None);
    };
    let (kind, place) = source.split_once(':').unwrap_or((source, ""));
    let value = match kind {
        "env" => std::env::var(place)
            .map_err(|_| Failure::usage(format!("the variable `{place}` is not set")))?,
        "file" => std::fs::read_to_string(place)
            .map_err(|error| Failure::outside(format!("`{place}`: {error}")))?
            .trim_end_matches('\n')
            .to_owned(),
        _ => {
            return Err(Failure::usage(format!(
                "--secret {name}: expected env:VAR or file:PATH"
            )));
        }
    };
    Ok(Some(Secret::new(value)))
}
